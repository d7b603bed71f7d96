"""Responses that are kept (docs/formats/responses.md) through the official SDK: by the gateway for models whose provider keeps
none, by the provider where it speaks Responses."""
import contextlib
import json
import sqlite3

import openai

import dialect_scenarios
from dialect_provider import CALLS, DialectProvider
from dialect_scenarios import WHOLE
from gateway import KEY

NARROW = KEY + "-narrow"
TOOLS = [{"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}, "strict": False}
         for name in ("get_weather", "get_time")]
OURS = ("m-chat", "m-anthropic", "m-gemini", "m-bedrock")


@contextlib.contextmanager
def place(gateway, more=""):
    """The gateway over a provider of each dialect; `more` stands at the end of the configuration."""
    provider = DialectProvider()
    try:
        gateway.config.write_text(gateway.config.read_text().replace("requests_per_minute: 3", "requests_per_minute: 999") + more)
        dialect_scenarios.configure(gateway, provider, ", retries: {attempts: 0}, breaker: {failures: 0}")
        yield provider, sdk(gateway).responses
    finally:
        provider.shutdown()


def sdk(gateway, key=KEY):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0)


def refused(call, *arguments, **fields):
    """(status, code, message) of the error that the call ends with."""
    try:
        came = call(*arguments, **fields)
    except openai.APIStatusError as error:
        return error.status_code, error.code, error.message
    raise AssertionError(f"no error, but {came}")


def is_unknown(responses, id_):
    for call in (responses.retrieve, responses.delete, responses.input_items.list, responses.cancel):
        status, _, message = refused(call, id_)
        assert status == 404 and f"'{id_}' not found" in message, (call, status, message)


def stream(responses, **fields):
    """The last event's type and the response that it tells; the ids of all events' responses are the same."""
    ids, last = set(), None
    for event in responses.create(stream=True, **fields):
        last = event
        if getattr(event, "response", None):
            ids.add(event.response.id)
    assert len(ids) == 1, ids
    return last.type, last.response


def in_order(text, *words):
    """Each of the words once, and in this order."""
    assert all(text.count(word) == 1 for word in words), (words, text)
    places = [text.index(word) for word in words]
    assert places == sorted(places), (words, text)


def test_responses_continue_each_other(gateway, upstream):
    with place(gateway) as (provider, responses):
        for model in OURS:
            first = responses.create(model=model, input="alpha", instructions="Be brief.")
            assert first.id.startswith("resp_") and first.model_dump()["store"] is True
            assert first.previous_response_id is None
            second = responses.create(model=model, input="beta", previous_response_id=first.id)
            said = json.dumps(provider.last[1], ensure_ascii=False)
            in_order(said, "alpha", WHOLE, "beta")
            assert "Be brief." not in said, said
            assert second.previous_response_id == first.id and second.id != first.id
            kind, third = stream(responses, model=model, previous_response_id=second.id,
                                 input=[{"role": "user", "content": "gamma"}])
            assert kind == "response.completed" and third.model_dump()["store"] is True
            in_order(json.dumps(provider.last[1]), "alpha", "beta", "gamma")
            assert third.previous_response_id == second.id
            # What is told again is what was told.
            assert responses.retrieve(third.id).model_dump() == third.model_dump()
            assert responses.retrieve(first.id).output_text == WHOLE
            items = list(responses.input_items.list(third.id, order="asc", limit=2))
            assert [(one.role, one.content[0].text) for one in items] == [
                ("user", "alpha"), ("assistant", WHOLE), ("user", "beta"), ("assistant", WHOLE), ("user", "gamma")]
            newest = responses.input_items.list(third.id, limit=2)
            assert newest.has_more and [one.id for one in newest.data] == [items[4].id, items[3].id]
            # A branch does not see the other one, and another model goes on with what was said.
            responses.create(model="m-chat", input="delta", previous_response_id=first.id)
            said = json.dumps(provider.last[1])
            in_order(said, "alpha", "delta")
            assert "beta" not in said and "real-chat" in said, said
        row = gateway.rows()[-1]
        assert row["endpoint"] == "responses" and row["status"] == 200, row


def test_responses_with_tools(gateway, upstream):
    with place(gateway) as (provider, responses):
        for model in OURS:
            asked = responses.create(model=model, input="tool", tools=TOOLS)
            calls = [item for item in asked.output if item.type == "function_call"]
            assert [call.name for call in calls] == [call[1] for call in CALLS]
            results = [{"type": "function_call_output", "call_id": call.call_id, "output": f"result {number}"}
                       for number, call in enumerate(calls)]
            answer = responses.create(model=model, input=results, previous_response_id=asked.id, tools=TOOLS)
            assert answer.output_text == WHOLE
            said = json.dumps(provider.last[1])
            for word in ("I look.", "get_weather", "Oslo", "result 0", "result 1"):
                assert word in said, (word, said)
            types = [one.type for one in responses.input_items.list(answer.id, order="asc")]
            assert types == ["message", "message", "function_call", "function_call", *["function_call_output"] * 2], types
        _, answer = stream(responses, model="m-chat", input="tool", tools=TOOLS)
        assert responses.retrieve(answer.id).model_dump() == answer.model_dump()


def test_responses_items_are_found_by_their_ids(gateway, upstream):
    with place(gateway) as (provider, responses):
        first = responses.create(model="m-anthropic", input="think", reasoning={"effort": "low", "summary": "auto"})
        assert [item.type for item in first.output] == ["reasoning", "message"]
        input_id = responses.input_items.list(first.id).data[0].id
        references = [{"type": "item_reference", "id": id_} for id_ in (input_id, *(item.id for item in first.output))]
        for model in ("m-anthropic", "m-chat", "m-responses"):
            second = responses.create(model=model, input=[*references, {"role": "user", "content": "beta"}])
            in_order(json.dumps(provider.last[1]), "think", "Done.", "beta")
            assert first.output[1].id not in json.dumps(provider.last[1]), "our ids mean nothing to a provider"
            assert second.output_text == WHOLE
        unknown = [{"type": "item_reference", "id": "msg_unknown"}, {"role": "user", "content": "Hi"}]
        status, _, message = refused(responses.create, model="m-chat", input=unknown)
        assert status == 404 and "Item with id 'msg_unknown' not found." in message, message
        status, _, message = refused(sdk(gateway, NARROW).responses.create, model="cheap", input=references)
        assert status == 404 and input_id in message, message


def test_responses_that_are_not_to_be_kept(gateway, upstream):
    with place(gateway) as (provider, responses):
        for fields in ({}, {"previous_response_id": responses.create(model="m-chat", input="Hi").id}):
            answer = responses.create(model="m-chat", input="Hi", store=False, **fields)
            assert answer.model_dump()["store"] is False
            is_unknown(responses, answer.id)
            _, answer = stream(responses, model="m-anthropic", input="Hi", store=False, **fields)
            assert answer.model_dump()["store"] is False
            is_unknown(responses, answer.id)
            status, code, message = refused(responses.create, model="m-chat", input="Hi", previous_response_id=answer.id)
            assert (status, code) == (400, "previous_response_not_found"), (status, code)
            assert message.count(f"Previous response with id '{answer.id}' not found.") == 1, message
        assert b"alpha" not in (gateway.state / "responses.db").read_bytes()


def test_responses_that_did_not_end_are_not_kept(gateway, upstream):
    with place(gateway) as (provider, responses):
        for model in OURS:
            for wish in ("cut", "overloaded"):
                id_ = None
                with contextlib.suppress(openai.APIError):
                    for event in responses.create(model=model, input=wish, stream=True):
                        id_ = event.response.id if getattr(event, "response", None) else id_
                        assert event.type not in ("response.completed", "response.incomplete"), event
                if id_:
                    is_unknown(responses, id_)
            stream_ = responses.create(model="m-chat", input="endless", stream=True)
            id_ = next(iter(stream_)).response.id
            stream_.close()
            is_unknown(responses, id_)
            kind, answer = stream(responses, model=model, input="length")
            assert kind == "response.incomplete" and responses.retrieve(answer.id).status == "incomplete"


def test_responses_are_their_owners(gateway, upstream):
    with place(gateway) as (provider, responses):
        first = responses.create(model="m-chat", input="alpha")
        other = sdk(gateway, NARROW).responses
        is_unknown(other, first.id)
        is_unknown(responses, "resp_unknown")
        asked = len(provider.server.requests)
        for body in ({"previous_response_id": first.id}, {"previous_respons\\u0065_id": first.id}):
            text = json.dumps({"model": "cheap", "input": "Hi", **body}).replace("\\\\", "\\")
            status, _, answer = gateway.raw("/v1/responses", text.encode(), key=NARROW)
            assert status == 400 and b"previous_response_not_found" in answer, answer
        assert len(provider.server.requests) == asked
        # What they may do with their own.
        status, _, message = refused(responses.cancel, first.id)
        assert status == 400 and "Cannot cancel a synchronous response." in message, message
        status, _, _ = gateway.raw(f"/v1/responses/{first.id}?stream=true")
        assert status == 400, status
        for query, param in (("limit=0", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=msg_x", "after")):
            status, _, answer = gateway.raw(f"/v1/responses/{first.id}/input_items?{query}")
            assert status in (400, 404) and json.loads(answer)["error"]["param"] == param, answer
        gateway.stop()
        gateway.start()
        responses = sdk(gateway).responses
        second = responses.create(model="m-chat", input="beta", previous_response_id=first.id)
        in_order(json.dumps(provider.last[1]), "alpha", "beta")
        status, _, answer = gateway.raw(f"/v1/responses/{second.id}")
        assert status == 200
        responses.delete(first.id)
        is_unknown(responses, first.id)
        for earlier in (first, second):
            code = refused(responses.create, model="m-chat", input="Hi", previous_response_id=earlier.id)[1]
            assert code == "previous_response_not_found", code
        assert responses.retrieve(second.id).output_text == WHOLE


def test_responses_kept_by_their_provider(gateway, upstream):
    models = "models:\n  m-mixed: {provider: p-responses, name: real-responses, fallbacks: [m-chat]}\n"
    with place(gateway) as (provider, responses):
        text = gateway.config.read_text()
        gateway.stop()
        gateway.config.write_text(text.replace("models:\n", models, 1))
        gateway.start()
        responses = sdk(gateway).responses
        other = sdk(gateway, NARROW).responses
        body = b'{"model": "m-responses", "input": "Hi",  "temperature": 1.0}'
        status, _, answer = gateway.raw("/v1/responses", body)
        assert provider.last_body == body.replace(b"m-responses", b"real-responses")
        assert status == 200 and json.loads(answer)["id"] == "resp_9" and b'"store"' not in answer, answer
        is_unknown(other, "resp_9")
        came = gateway.raw("/v1/responses/resp_9?include%5B%5D=x&key=" + KEY, key=None)
        assert json.loads(came[2])["asked"] == "GET /v1/responses/resp_9?include%5B%5D=x", came
        assert provider.last[2]["authorization"] == "Bearer sk-responses", provider.last
        came = json.loads(gateway.raw("/v1/responses/resp_9/input_items?limit=5")[2])
        assert came["asked"] == "GET /v1/responses/resp_9/input_items?limit=5", came
        assert json.loads(gateway.raw("/v1/responses/resp_9/cancel", b"")[2])["asked"] == "POST /v1/responses/resp_9/cancel"
        # Whoever keeps it continues it, and nobody else.
        responses.create(model="m-responses", input="more", previous_response_id="resp_9")
        assert provider.last[1]["previous_response_id"] == "resp_9" and provider.last[1]["input"] == "more"
        asked = len(provider.server.requests)
        for model in ("m-chat", "m-anthropic"):
            status, code, _ = refused(responses.create, model=model, input="more", previous_response_id="resp_9")
            assert (status, code) == (400, "previous_response_elsewhere"), (status, code)
        status, code, _ = refused(other.create, model="cheap", input="more", previous_response_id="resp_9")
        assert (status, code) == (400, "previous_response_not_found"), (status, code)
        assert len(provider.server.requests) == asked
        assert refused(responses.create, model="m-mixed", input="error 500", previous_response_id="resp_9")[0] == 500
        assert len(provider.server.requests) == asked + 1, "it has no stand-in"
        # What we keep goes along to a provider that keeps its own.
        first = responses.create(model="m-chat", input="alpha")
        moved = responses.create(model="m-responses", input="beta", previous_response_id=first.id)
        sent = provider.last[1]
        assert "previous_response_id" not in sent and moved.id == "resp_9", sent
        in_order(json.dumps(sent, ensure_ascii=False), "alpha", WHOLE, "beta")
        assert first.id not in json.dumps(sent), sent
        kind, answer = stream(responses, model="m-responses", input="Hi")
        assert kind == "response.completed" and answer.id == "resp_9"
        came = responses.with_raw_response.delete("resp_9").http_response.json()
        assert came["asked"] == "DELETE /v1/responses/resp_9", came
        is_unknown(responses, "resp_9")


def test_responses_money_is_that_of_the_whole_conversation(gateway, upstream):
    budget = "\nbudgets:\n  - {name: all, scope: key, match: web, tokens: 26000, per: day, hard: true}\n"
    with place(gateway, budget) as (provider, responses):
        def cut(**fields):
            with contextlib.suppress(openai.APIError):
                for _ in responses.create(model="m-exact", input="cut", stream=True, max_output_tokens=50, **fields):
                    pass
            return gateway.rows()[-1]["usage"]["prompt_tokens"]

        alone = cut()
        first = responses.create(model="m-exact", input="word " * 1000, max_output_tokens=50)
        assert cut(previous_response_id=first.id) > alone + 1000
        # A provider that keeps the conversation: what it told of its size is reserved as well, and the limit is set.
        responses.create(model="m-responses", input="Hi")
        responses.create(model="m-responses", input="more", previous_response_id="resp_9")
        sent = provider.last[1]
        assert sent["previous_response_id"] == "resp_9" and sent["max_output_tokens"] > 0, sent
        long = responses.create(model="m-exact", input="word " * 3900, max_output_tokens=50)
        short = {"model": "m-exact", "input": "Hi", "max_output_tokens": 50}
        responses.create(**short)
        status, code, _ = refused(responses.create, previous_response_id=long.id, **short)
        assert (status, code) == (429, "budget_exceeded"), (status, code)


def test_responses_from_the_cache(gateway, upstream):
    with place(gateway) as (provider, responses):
        fields = {"model": "m-chat", "input": "Hi", "temperature": 0}
        first = responses.create(**fields)
        asked = len(provider.server.requests)
        again = responses.with_raw_response.create(**fields)
        assert again.headers["x-leeway-cache"] == "exact" and len(provider.server.requests) == asked
        second = again.parse()
        assert second.id != first.id and responses.retrieve(second.id).model_dump() == second.model_dump()
        kind, third = stream(responses, **fields)
        assert len(provider.server.requests) == asked and kind == "response.completed"
        assert responses.retrieve(third.id).model_dump() == third.model_dump()
        # The same words after something else are another request.
        responses.create(previous_response_id=third.id, **fields)
        assert len(provider.server.requests) == asked + 1


def test_responses_of_a_gateway_that_keeps_none(gateway, upstream):
    with place(gateway, "\nresponses: {store: off}\n") as (provider, responses):
        answer = responses.create(model="m-chat", input="Hi")
        assert answer.model_dump()["store"] is False
        status, _, message = refused(responses.retrieve, answer.id)
        assert status == 404 and "keeps no responses" in message, message
        status, _, message = refused(responses.create, model="m-chat", input="Hi", previous_response_id=answer.id)
        assert status == 400 and "keeps no responses" in message, message
        responses.create(model="m-responses", input="Hi", previous_response_id="resp_5")
        assert provider.last[1]["previous_response_id"] == "resp_5"
        with contextlib.closing(sqlite3.connect(gateway.state / "responses.db")) as db:  # of the start before
            assert db.execute("SELECT count(*) FROM response").fetchone() == (0,)
