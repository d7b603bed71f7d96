"""The official SDKs of OpenAI (chat and Responses), Anthropic and Google against models of six dialects each, and
against Azure and Vertex: every caller gets its own dialect back, whatever the provider speaks.
"""
import json
import urllib.error
import urllib.request

import anthropic
import openai
from google import genai
from google.genai import errors as google_errors
from google.genai import types

import clouds
from dialect_provider import TEXT, DialectProvider
from gateway import KEY

TARGETS = ("chat", "responses", "anthropic", "gemini", "bedrock", "cohere", "azure", "vertex")
PRICE = "{input: 2.50, cached_input: 1.25, output: 10.00}"
WHOLE = "".join(TEXT)
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}}
# 800 fresh tokens, 200 from the cache, 100 of output at the price above.
COST_PICO = 800 * 2_500_000 + 200 * 1_250_000 + 100 * 10_000_000


def configure(gateway, provider, more=""):
    """Gives the gateway a provider p-TARGET and a model m-TARGET for each target; `more` stands in each provider."""
    text = gateway.config.read_text()
    account = gateway.folder / "account.json"
    account.write_text(json.dumps(provider.google.account()))
    said = {name: f"dialect: {'openai' if name == 'chat' else name}, base_url: \"{provider.url}\", api_key: sk-{name}"
            for name in TARGETS}
    said["azure"] = f'dialect: azure, base_url: "{provider.root}", api_key: sk-azure, api_version: 2024-10-21'
    said["bedrock"] = (f'dialect: bedrock, base_url: "{provider.url}", aws: {{region: {clouds.REGION}, access_key: '
                       f'{clouds.ACCESS_KEY}, secret_key: "{clouds.SECRET_KEY}", session_token: {clouds.SESSION_TOKEN}}}')
    said["vertex"] = (f'dialect: vertex, base_url: "{provider.url}", vertex: {{project: proj, location: europe-west4, '
                      f'service_account: "{account}"}}')
    providers = "".join(f"  p-{name}: {{{said[name]}{more}}}\n" for name in TARGETS)
    models = "".join(f"  m-{name}: {{provider: p-{name}, name: real-{name}, price: {PRICE}}}\n" for name in TARGETS)
    # Its tokens are counted exactly, whatever the provider reports.
    models += f"  m-exact: {{provider: p-chat, vocabulary: o200k_base, price: {PRICE}}}\n"
    text = text.replace("models:\n", models and f"models:\n{models}", 1).replace(
        "providers:\n", f"providers:\n{providers}", 1)
    gateway.stop()
    gateway.config.write_text(text)
    gateway.start()


class Chat:
    """What each client says in its own words, as one form: (text, calls, stop, usage)."""
    stops = {"stop": "end", "tool_calls": "tool", "length": "length"}

    def __init__(self, gateway):
        self.client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)
        self.error = openai.APIStatusError

    def ask(self, model, text, **more):
        answer = self.client.chat.completions.create(
            model=model, messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}],
            max_tokens=500, tools=self.tools(), **more)
        message = answer.choices[0].message
        calls = [(c.id, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or []]
        usage = answer.usage
        return (message.content or "", calls, self.stops[answer.choices[0].finish_reason],
                (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens))

    def tools(self):
        return [{"type": "function", "function": {"name": "get_weather", "parameters": TOOL}}]

    def stream(self, model, text):
        said, calls, stop, usage = "", {}, None, None
        for chunk in self.client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": text}], stream=True, tools=self.tools(),
                stream_options={"include_usage": True}):
            if chunk.usage:
                assert not chunk.choices, chunk
                usage = (chunk.usage.prompt_tokens, chunk.usage.prompt_tokens_details.cached_tokens,
                         chunk.usage.completion_tokens)
            for choice in chunk.choices:
                said += choice.delta.content or ""
                for call in choice.delta.tool_calls or []:
                    entry = calls.setdefault(call.index, [call.id, call.function.name, ""])
                    entry[2] += call.function.arguments or ""
                stop = choice.finish_reason or stop
        return said, [(c[0], c[1], json.loads(c[2])) for c in calls.values()], self.stops[stop], usage

    def second_turn(self, model, calls):
        messages = [{"role": "user", "content": "tool"}, {"role": "assistant", "content": None, "tool_calls": [
            {"id": c[0], "type": "function", "function": {"name": c[1], "arguments": json.dumps(c[2])}} for c in calls]}]
        messages += [{"role": "tool", "tool_call_id": c[0], "content": "sunny"} for c in calls]
        return self.client.chat.completions.create(model=model, messages=messages + [
            {"role": "user", "content": "and now?"}], tools=self.tools()).choices[0].message.content


class Responses(Chat):
    def tools(self):
        return [{"type": "function", "name": "get_weather", "parameters": TOOL, "strict": False}]

    def read(self, answer):
        calls = [(i.call_id, i.name, json.loads(i.arguments)) for i in answer.output if i.type == "function_call"]
        stop = "tool" if calls else ("length" if answer.status == "incomplete" else "end")
        usage = answer.usage
        return (answer.output_text, calls, stop,
                (usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens))

    def ask(self, model, text, **more):
        return self.read(self.client.responses.create(model=model, input=text, instructions="Be brief.",
                                                      max_output_tokens=500, tools=self.tools(), **more))

    def stream(self, model, text):
        said, last, numbers = "", None, []
        for event in self.client.responses.create(model=model, input=text, stream=True, tools=self.tools()):
            numbers.append(event.sequence_number)
            if event.type == "response.output_text.delta":
                said += event.delta
            if event.type == "error":
                raise RuntimeError(event.message)
            if event.type == "response.failed":
                raise RuntimeError(event.response.error.message)
            last = event
        assert numbers == list(range(len(numbers))), numbers
        if last.type not in ("response.completed", "response.incomplete"):
            raise RuntimeError("cut")
        whole = self.read(last.response)
        assert whole[0] == said, (whole, said)
        return whole

    def second_turn(self, model, calls):
        items = [{"role": "user", "content": "tool"}]
        items += [{"type": "function_call", "call_id": c[0], "name": c[1], "arguments": json.dumps(c[2])} for c in calls]
        items += [{"type": "function_call_output", "call_id": c[0], "output": "sunny"} for c in calls]
        return self.client.responses.create(model=model, input=items + [{"role": "user", "content": "and now?"}],
                                            tools=self.tools()).output_text


class Claude:
    stops = {"end_turn": "end", "tool_use": "tool", "max_tokens": "length"}

    def __init__(self, gateway):
        self.client = anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0)
        self.error = anthropic.APIStatusError

    def tools(self):
        return [{"name": "get_weather", "input_schema": TOOL}]

    def read(self, answer):
        calls = [(b.id, b.name, b.input) for b in answer.content if b.type == "tool_use"]
        usage = answer.usage
        return ("".join(b.text for b in answer.content if b.type == "text"), calls, self.stops[answer.stop_reason],
                (usage.input_tokens + usage.cache_read_input_tokens, usage.cache_read_input_tokens, usage.output_tokens))

    def ask(self, model, text, **more):
        return self.read(self.client.messages.create(
            model=model, max_tokens=500, system="Be brief.", tools=self.tools(),
            messages=[{"role": "user", "content": text}], **more))

    def stream(self, model, text):
        with self.client.messages.stream(model=model, max_tokens=500, tools=self.tools(),
                                         messages=[{"role": "user", "content": text}]) as stream:
            for _ in stream:
                pass
            return self.read(stream.get_final_message())

    def second_turn(self, model, calls):
        messages = [{"role": "user", "content": "tool"},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": c[0], "name": c[1], "input": c[2]}
                                                      for c in calls]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": c[0], "content": "sunny"}
                                                 for c in calls] + [{"type": "text", "text": "and now?"}]}]
        return self.client.messages.create(model=model, max_tokens=500, messages=messages,
                                           tools=self.tools()).content[0].text


class Google:
    def __init__(self, gateway):
        self.client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=gateway.url))
        self.error = google_errors.APIError

    def config(self):
        return types.GenerateContentConfig(
            system_instruction="Be brief.", max_output_tokens=500,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            tools=[types.Tool(function_declarations=[types.FunctionDeclaration(
                name="get_weather", parameters_json_schema=TOOL)])])

    def read(self, answers):
        said, calls, stop, usage = "", [], None, None
        for answer in answers:
            for part in answer.candidates[0].content.parts or []:
                if part.text and not part.thought:
                    said += part.text
                if part.function_call:
                    calls.append((part.function_call.id, part.function_call.name, dict(part.function_call.args)))
            stop = answer.candidates[0].finish_reason or stop
            if answer.usage_metadata:
                usage = answer.usage_metadata
        stop = "tool" if calls and stop == "STOP" else {"STOP": "end", "MAX_TOKENS": "length"}[str(stop.value)]
        return said, calls, stop, (usage.prompt_token_count, usage.cached_content_token_count,
                                   usage.candidates_token_count)

    def ask(self, model, text):
        return self.read([self.client.models.generate_content(model=model, contents=text, config=self.config())])

    def stream(self, model, text):
        answers = list(self.client.models.generate_content_stream(model=model, contents=text, config=self.config()))
        if not answers[-1].candidates or not answers[-1].candidates[0].finish_reason:
            raise RuntimeError("cut")
        return self.read(answers)

    def second_turn(self, model, calls):
        contents = [types.Content(role="user", parts=[types.Part(text="tool")]),
                    types.Content(role="model", parts=[types.Part(function_call=types.FunctionCall(
                        id=c[0], name=c[1], args=c[2])) for c in calls]),
                    types.Content(role="user", parts=[types.Part(function_response=types.FunctionResponse(
                        id=c[0], name=c[1], response={"output": "sunny"})) for c in calls] + [types.Part(text="and now?")])]
        return self.client.models.generate_content(model=model, contents=contents, config=self.config()).text


CLIENTS = {"chat": Chat, "responses": Responses, "anthropic": Claude, "gemini": Google}


def each(gateway, scenario):
    """Runs the scenario with each client against each target; says all that went wrong."""
    provider = DialectProvider()
    try:
        configure(gateway, provider)
        wrong = []
        for name, make in CLIENTS.items():
            client = make(gateway)
            for target in TARGETS:
                try:
                    scenario(client, name, target, provider)
                except Exception as error:  # noqa: BLE001: all pairs are to be told
                    wrong.append(f"{name} -> {target}: {type(error).__name__}: {error}")
        assert not wrong, "\n".join(wrong)
    finally:
        provider.shutdown()


def check(came, text, calls, stop, target, name):
    said, called, stopped, usage = came
    assert said == text, (said, text)
    assert [c[1:] for c in called] == [tuple(c[1:]) for c in calls], called
    if name != "gemini" or target not in ("gemini", "vertex"):  # Google's own calls have no ids, and its bytes stay as they are
        assert all(c[0] for c in called) and len({c[0] for c in called}) == len(called), called
    assert stopped == stop, stopped
    assert usage == (1000, 200, 100), usage


TWO = [("call_a", "get_weather", {"city": "Oslo"}), ("call_b", "get_time", {"zone": "UTC"})]


def test_dialects_text(gateway, upstream):
    each(gateway, lambda client, name, target, provider: check(
        client.ask("m-" + target, "hello"), WHOLE, [], "end", target, name))


def test_dialects_text_streamed(gateway, upstream):
    each(gateway, lambda client, name, target, provider: check(
        client.stream("m-" + target, "hello"), WHOLE, [], "end", target, name))


def test_dialects_parallel_tools(gateway, upstream):
    each(gateway, lambda client, name, target, provider: check(
        client.ask("m-" + target, "tool"), "I look.", TWO, "tool", target, name))


def test_dialects_parallel_tools_streamed(gateway, upstream):
    each(gateway, lambda client, name, target, provider: check(
        client.stream("m-" + target, "tool"), "I look.", TWO, "tool", target, name))


def test_dialects_a_tool_without_arguments_streamed(gateway, upstream):
    each(gateway, lambda client, name, target, provider: check(
        client.stream("m-" + target, "no args"), "", [("call_n", "ping", {})], "tool", target, name))


def test_dialects_length(gateway, upstream):
    def scenario(client, name, target, provider):
        check(client.ask("m-" + target, "length"), "half an ans", [], "length", target, name)
        check(client.stream("m-" + target, "length"), "half an ans", [], "length", target, name)
    each(gateway, scenario)


def test_dialects_tool_results_come_back(gateway, upstream):
    def scenario(client, name, target, provider):
        said = client.second_turn("m-" + target, TWO)
        assert said == WHOLE, said
        sent = json.dumps(provider.last[1])
        assert sent.count("sunny") == 2 and "Oslo" in sent, sent
    each(gateway, scenario)


def test_dialects_errors_keep_their_status_and_message(gateway, upstream):
    def scenario(client, name, target, provider):
        try:
            client.ask("m-" + target, "error 503")
        except client.error as error:
            status = getattr(error, "status_code", None) or getattr(error, "code", None)
            assert status == 503, status
            assert "as you wish" in str(error), error
        else:
            raise AssertionError("no error")
    each(gateway, scenario)


def test_dialects_a_cut_stream_is_never_an_answer(gateway, upstream):
    def scenario(client, name, target, provider):
        for wish in ("cut", "overloaded"):
            try:
                came = client.stream("m-" + target, wish)
            except Exception:  # noqa: BLE001: each SDK has its own
                continue
            raise AssertionError((wish, came))
    each(gateway, scenario)


def test_dialects_the_ledger_has_each_row_priced(gateway, upstream):
    asked = []

    def scenario(client, name, target, provider):
        client.ask("m-" + target, f"hello from {name}")
        client.stream("m-" + target, f"hello from {name} again")
        asked.append((name, target))
    each(gateway, scenario)
    rows = gateway.rows()
    assert len(rows) == 2 * len(asked), len(rows)
    for row in rows:
        assert row["cost_pico_usd"] == COST_PICO and row["end"] == "ok", row
    assert {row["endpoint"] for row in rows} == {"chat.completions", "responses", "messages", "generate_content"}


def post(gateway, path, body, **headers):
    request = urllib.request.Request(gateway.url + path, data=body, method="POST", headers={
        "content-type": "application/json", "x-api-key": KEY, **headers})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def test_dialects_same_dialect_stays_byte_for_byte(gateway, upstream):
    provider = DialectProvider()
    try:
        configure(gateway, provider)
        body = (b'{"model" : "m-anthropic", "max_tokens":  10,"messages":[{"role":"user","content":"hello"}], '
                b'"context_management":{"edits":[]}, "x_new":1.0}')
        status, answer, _ = post(gateway, "/v1/messages", body, **{"anthropic-beta": "new-2026"})
        assert status == 200, answer
        assert provider.last_body == body.replace(b'"m-anthropic"', b'"real-anthropic"'), provider.last_body
        headers = {name.lower(): value for name, value in provider.last[2].items()}
        assert headers["x-api-key"] == "sk-anthropic" and headers["anthropic-beta"] == "new-2026", headers
        assert "authorization" not in headers, headers
        expected = json.dumps({"id": "msg_9"})[:-1].encode()
        assert answer.startswith(expected), answer  # as json.dumps of the provider wrote it
        # A block that only Anthropic knows passes; for another dialect it is refused with its place.
        block = b'{"model":"%s","max_tokens":10,"messages":[{"role":"user","content":[{"type":"search_result"}]}]}'
        assert post(gateway, "/v1/messages", block % b"m-anthropic")[0] == 200
        status, answer, _ = post(gateway, "/v1/messages", block % b"m-chat")
        error = json.loads(answer)
        assert status == 400 and error["type"] == "error", error
        assert error["error"]["type"] == "invalid_request_error" and "search_result" in error["error"]["message"], error
    finally:
        provider.shutdown()


def test_dialects_what_is_left_out_is_told(gateway, upstream):
    provider = DialectProvider()
    try:
        configure(gateway, provider)
        body = json.dumps({"model": "m-anthropic", "seed": 7, "logit_bias": {"1": 1}, "top_p": 0.5,
                           "messages": [{"role": "user", "content": "hello"}]}).encode()
        status, answer, headers = post(gateway, "/v1/chat/completions", body)
        assert status == 200, answer
        assert headers["x-leeway-dropped"] == "logit_bias,seed", headers["x-leeway-dropped"]
        assert provider.last[1]["top_p"] == 0.5 and "seed" not in provider.last[1], provider.last[1]
    finally:
        provider.shutdown()


def test_dialects_errors_of_our_own_are_in_the_callers_words(gateway, upstream):
    status, answer, _ = post(gateway, "/v1/messages", b"{nonsense")
    assert status == 400 and json.loads(answer)["type"] == "error", answer
    status, answer, _ = post(gateway, "/v1/messages", b'{"model":"nobody","max_tokens":1,"messages":[]}')
    assert status in (400, 404) and json.loads(answer)["error"]["type"] in ("not_found_error", "invalid_request_error"), answer
    status, answer, _ = post(gateway, "/v1beta/models/nobody:generateContent", b'{"contents":[{"parts":[{"text":"x"}]}]}')
    assert status == 404 and json.loads(answer)["error"]["status"] == "NOT_FOUND", answer
    status, answer, _ = post(gateway, "/v1/messages", b"{}", **{"x-api-key": "wrong"})
    assert status == 401 and json.loads(answer)["error"]["type"] == "authentication_error", answer


def test_dialects_lists_of_models_and_counts_of_tokens(gateway, upstream):
    provider = DialectProvider()
    try:
        configure(gateway, provider)
        claude = anthropic.Anthropic(base_url=gateway.url, api_key=KEY)
        assert "m-gemini" in [model.id for model in claude.models.list()]
        google = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=gateway.url))
        assert "models/m-gemini" in [model.name for model in google.models.list()]
        count = claude.messages.count_tokens(model="m-chat", messages=[{"role": "user", "content": "Hello, world"}])
        assert 3 < count.input_tokens < 40, count
        assert 3 < google.models.count_tokens(model="m-chat", contents="Hello, world").total_tokens < 40
    finally:
        provider.shutdown()


def test_dialects_a_cached_answer_is_told_in_each_dialect(gateway, upstream):
    provider = DialectProvider()
    try:
        configure(gateway, provider)
        body = {"model": "m-gemini", "temperature": 0, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 50}
        chat = json.dumps(body).encode()
        assert post(gateway, "/v1/chat/completions", chat)[0] == 200
        calls = len(provider.server.requests)
        status, answer, headers = post(gateway, "/v1/chat/completions", chat)
        assert headers["x-leeway-cache"] == "exact" and len(provider.server.requests) == calls, headers
        status, answer, headers = post(gateway, "/v1/messages", json.dumps(body).encode())
        first = json.loads(answer)
        status, answer, headers = post(gateway, "/v1/messages", json.dumps(body).encode())
        again = json.loads(answer)
        assert headers["x-leeway-cache"] == "exact", headers
        assert first["content"] == again["content"] == [{"type": "text", "text": WHOLE}], again
        assert again["usage"]["cache_read_input_tokens"] == 200, again
    finally:
        provider.shutdown()
