"""What only callers and providers of Google's have: embeddings by embedContent and batchEmbedContents, and streams that are
one JSON array. Both over providers of other dialects, too."""
import json
import urllib.error
import urllib.request

import openai
from bad_input import restart
from budget_scenarios import standing
from dialect_provider import TEXT, DialectProvider
from dialect_scenarios import TARGETS, configure
from gateway import KEY
from vectors import VECTOR

WHOLE = "".join(TEXT)


class Setting:
    """A gateway with a model m-TARGET for each dialect of providers."""

    def __init__(self, gateway, more=""):
        self.gateway, self.more = gateway, more

    def __enter__(self):
        self.provider = DialectProvider()
        configure(self.gateway, self.provider, self.more)
        return self.provider

    def __exit__(self, *_):
        self.provider.shutdown()


def post(gateway, path, body):
    """(status, bytes, headers) of a request with Google's header."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(gateway.url + path, data, {"content-type": "application/json", "x-goog-api-key": KEY})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def content(text):
    return {"content": {"parts": [{"text": text}]}}


def test_gemini_embeddings_stay_byte_for_byte(gateway, upstream):
    with Setting(gateway) as provider:
        for version in ("v1beta", "v1"):
            body = (b'{"model" : "models/m-gemini",  "content":{"parts":[{"text":"one %s"}]}, "x_new":1.0}' %
                    version.encode())
            status, answer, headers = post(gateway, f"/{version}/models/m-gemini:embedContent", body)
            assert status == 200 and answer == json.dumps({"embedding": {"values": VECTOR}}).encode(), answer
            assert provider.last[0] == "/v1/models/real-gemini:embedContent", provider.last[0]
            assert provider.last_body == body.replace(b"m-gemini", b"real-gemini"), provider.last_body
            assert provider.last[2]["x-goog-api-key"] == "sk-gemini" and "x-leeway-dropped" not in headers
        body = (b'{"requests":[{"model":"models/m-gemini","taskType":"CLUSTERING","content":{"parts":[{"text":"a"}]}}, '
                b'{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"aa"}}]},"model":"models/m-gemini"}]}')
        status, answer, _ = post(gateway, "/v1beta/models/m-gemini:batchEmbedContents", body)
        assert status == 200 and json.loads(answer) == {"embeddings": [{"values": VECTOR}] * 2}, answer
        assert provider.last[0] == "/v1/models/real-gemini:batchEmbedContents", provider.last[0]
        assert provider.last_body == body.replace(b"m-gemini", b"real-gemini"), provider.last_body
        # Only its own provider understands a picture.
        status, answer, _ = post(gateway, "/v1beta/models/m-chat:batchEmbedContents", body)
        assert status == 400 and json.loads(answer)["error"]["status"] == "INVALID_ARGUMENT", answer


def test_gemini_embeddings_over_every_provider(gateway, upstream):
    with Setting(gateway) as provider:
        one = {**content("a cat"), "taskType": "RETRIEVAL_QUERY", "title": "Cats", "outputDimensionality": 2}
        batch = {"requests": [{**one, "model": "models/any"}, {**one, **content("a dog")}]}
        for target, dropped in (("chat", "taskType,title"), ("azure", "taskType,title"), ("cohere", "title"),
                                ("vertex", None), ("gemini", None)):
            status, answer, headers = post(gateway, f"/v1beta/models/m-{target}:embedContent", one)
            assert status == 200 and json.loads(answer)["embedding"] == {"values": VECTOR}, (target, answer)
            assert headers["x-leeway-dropped"] == dropped, (target, headers["x-leeway-dropped"])
            status, answer, headers = post(gateway, f"/v1/models/m-{target}:batchEmbedContents", batch)
            assert status == 200 and json.loads(answer)["embeddings"] == [{"values": VECTOR}] * 2, (target, answer)
            path, sent = provider.last[:2]
            if target == "chat":
                assert sent == {"model": "real-chat", "input": ["a cat", "a dog"], "dimensions": 2}, sent
                assert json.loads(answer)["usageMetadata"] == {"promptTokenCount": 5}, answer
            if target == "cohere":
                assert path == "/v1/embed" and sent == {
                    "model": "real-cohere", "texts": ["a cat", "a dog"], "input_type": "search_query",
                    "embedding_types": ["float"], "output_dimension": 2}, (path, sent)
            if target == "vertex":
                assert path.endswith("/publishers/google/models/real-vertex:predict"), path
                assert sent["instances"][1] == {"content": "a dog", "task_type": "RETRIEVAL_QUERY", "title": "Cats"}, sent
                assert sent["parameters"] == {"outputDimensionality": 2}, sent
        for target in ("anthropic", "responses", "bedrock"):
            status, answer, _ = post(gateway, f"/v1beta/models/m-{target}:embedContent", one)
            assert status == 400 and "embeddings" in json.loads(answer)["error"]["message"], answer


def test_gemini_provider_gives_openai_embeddings(gateway, upstream):
    with Setting(gateway) as provider:
        client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)
        for target in ("gemini", "vertex", "cohere"):
            # The SDK asks for packed numbers of its own accord, and then unpacks them.
            for form, vector in (({}, VECTOR), ({"encoding_format": "float"}, VECTOR),
                                 ({"encoding_format": "base64"}, "AAAAPwAAgL4=")):
                came = client.embeddings.create(model=f"m-{target}", input=["a cat", "a dog"], dimensions=2, **form)
                assert [one.embedding for one in came.data] == [vector] * 2, came
                assert [one.index for one in came.data] == [0, 1], (target, form, came)
                assert came.usage.prompt_tokens == came.usage.total_tokens > 0, came.usage
        came = client.embeddings.with_raw_response.create(model="m-gemini", input=["one"], user="u", extra_body={
            "task_type": "CLASSIFICATION", "title": "T", "dimensions": 2})
        assert provider.last[0] == "/v1/models/real-gemini:batchEmbedContents", provider.last[0]
        assert provider.last[1] == {"requests": [{"model": "models/real-gemini", **content("one"), "title": "T",
                                                  "taskType": "CLASSIFICATION", "outputDimensionality": 2}]}, provider.last[1]
        assert came.headers["x-leeway-dropped"] == "user", came.headers
        try:
            client.embeddings.create(model="m-gemini", input=[[1, 2], [3]])
        except openai.BadRequestError as error:
            assert error.param == "input" and error.code == "untranslatable", error
        else:
            raise AssertionError("token numbers were taken")
        try:
            client.embeddings.create(model="m-gemini", input=["as you wish"])
        except openai.APIStatusError as error:
            assert error.status_code == 503 and "as you wish" in str(error), error
        else:
            raise AssertionError("no error")


def test_gemini_embeddings_are_priced_and_cached(gateway, upstream):
    with Setting(gateway) as provider:
        body = {"requests": [{**content("a cat"), "taskType": "CLUSTERING"}, {**content("a dog"), "taskType": "CLUSTERING"}]}
        path = "/v1beta/models/m-gemini:batchEmbedContents"
        first = post(gateway, path, body)
        calls = len(provider.server.requests)
        again = post(gateway, path, body)
        assert len(provider.server.requests) == calls and again[2]["x-leeway-cache"] == "exact", again[2].items()
        assert json.loads(again[1])["embeddings"] == json.loads(first[1])["embeddings"], again
        # What the vectors are for counts.
        body["requests"] = [content("a cat"), content("a dog")]
        assert "exact" != post(gateway, path, body)[2]["x-leeway-cache"] and len(provider.server.requests) == calls + 1
        post(gateway, "/v1beta/models/m-chat:batchEmbedContents", body)
        rows = gateway.rows()
        assert {row["endpoint"] for row in rows} == {"embed_content"} and len(rows) == 4, rows
        own, _, _, told = rows
        # Google tells no usage here: it is counted by us, and said to be so.
        assert own["usage"]["state"] == "partial" and own["usage"]["prompt_tokens"] > 0, own
        assert own["usage"]["quality"] in ("calibrated", "heuristic"), own
        assert own["cost_pico_usd"] == own["usage"]["prompt_tokens"] * 2_500_000, own
        assert told["usage"]["state"] == "final" and told["usage"]["prompt_tokens"] == 5, told
        assert told["cost_pico_usd"] == 5 * 2_500_000, told


def test_gemini_embeddings_under_a_budget(gateway, upstream):
    with Setting(gateway) as provider:
        restart(gateway, ("keys:\n", "budgets:\n  - {name: all, scope: global, tokens: 700, per: month}\nkeys:\n"))
        client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)
        for target, spent in (("gemini", None), ("chat", 5), ("cohere", 6)):
            before = standing(gateway, "all")
            status, answer, _ = post(gateway, f"/v1beta/models/m-{target}:batchEmbedContents", {"requests": [content("a cat")]})
            assert status == 200, answer
            row = gateway.rows()[-1]
            assert spent in (None, row["usage"]["prompt_tokens"]), row
            assert standing(gateway, "all")["spent_tokens"] - before["spent_tokens"] == row["usage"]["prompt_tokens"] > 0, (target, row)
        calls = len(provider.server.requests)
        status, answer, _ = post(gateway, "/v1beta/models/m-gemini:embedContent", content("a dog " * 400))
        assert status == 429 and json.loads(answer)["error"]["status"] == "RESOURCE_EXHAUSTED", answer
        try:
            client.embeddings.create(model="m-cohere", input=["a dog " * 400])
        except openai.RateLimitError as error:
            assert error.code == "budget_exceeded", error
        else:
            raise AssertionError("it passed its budget")
        assert len(provider.server.requests) == calls


def test_gemini_what_chat_cannot_say_is_another_request(gateway, upstream):
    """The exact cache keeps requests as OpenAI's chat says them: what that leaves out must still count."""
    with Setting(gateway) as provider:
        path = "/v1beta/models/m-gemini:generateContent"
        body = {"contents": [{"parts": [{"text": "hello"}]}], "generationConfig": {"temperature": 0}}
        for more in ({}, {"safetySettings": [{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"}]},
                     {"safetySettings": [{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_ONLY_HIGH"}]}):
            calls = len(provider.server.requests)
            assert post(gateway, path, {**body, **more})[2]["x-leeway-cache"] == "miss"
            assert post(gateway, path, {**body, **more})[2]["x-leeway-cache"] == "exact"
            assert len(provider.server.requests) == calls + 1, more


def test_gemini_embeddings_bad_input(gateway, upstream):
    with Setting(gateway):
        path = "/v1beta/models/m-gemini:"
        for method, body in (("embedContent", {}), ("embedContent", {"content": "x"}), ("embedContent", {"content": {"parts": []}}),
                             ("batchEmbedContents", {"requests": []}), ("batchEmbedContents", {"requests": [5]}),
                             ("batchEmbedContents", {"requests": {}}), ("embedContent", b"{nonsense"),
                             ("embedContent", {**content("x"), "outputDimensionality": "many"})):
            status, answer, _ = post(gateway, path + method, body)
            error = json.loads(answer).get("error")
            assert status == 400 and error and error["status"] == "INVALID_ARGUMENT", (method, body, answer)
        status, answer, _ = post(gateway, "/v1beta/models/nobody:embedContent", content("x"))
        assert status == 404 and json.loads(answer)["error"]["status"] == "NOT_FOUND", answer


def stream(gateway, target, text, query=""):
    return post(gateway, f"/v1beta/models/m-{target}:streamGenerateContent{query}",
                {"contents": [{"role": "user", "parts": [{"text": text}]}]})


def said(chunks):
    return "".join(part.get("text", "") for chunk in chunks for one in chunk.get("candidates", [])
                   for part in one.get("content", {}).get("parts", []))


def test_gemini_streams_as_one_array_over_every_provider(gateway, upstream):
    with Setting(gateway, ", retries: {attempts: 0}, breaker: {failures: 0}"):
        for target in TARGETS:
            status, answer, headers = stream(gateway, target, "hello there")
            assert status == 200 and headers["content-type"].startswith("application/json"), (target, headers.items())
            chunks = json.loads(answer)
            assert said(chunks) == WHOLE and len(chunks) > 2, (target, answer)
            assert chunks[-1]["candidates"][0]["finishReason"] == "STOP", (target, chunks[-1])
            assert chunks[-1]["usageMetadata"]["promptTokenCount"] == 1000, (target, chunks[-1])
            calls = [part["functionCall"]["name"] for chunk in json.loads(stream(gateway, target, "tool")[1])
                     for part in chunk["candidates"][0]["content"]["parts"] if "functionCall" in part]
            assert calls == ["get_weather", "get_time"], (target, calls)
            # What was cut or failed is never a whole array.
            for wish in ("cut", "overloaded"):
                status, answer, headers = stream(gateway, target, wish)
                text = answer.decode()
                assert status == 200 and text.startswith("[{"), (target, wish, text)
                try:
                    raise AssertionError((target, wish, json.loads(text)))
                except json.JSONDecodeError:
                    pass
                error = json.loads(text + "]")[-1]["error"]
                assert error["code"] >= 500 and error["status"], (target, error)
            status, answer, _ = stream(gateway, target, "error 503")
            assert status == 503 and json.loads(answer)["error"]["status"] == "UNAVAILABLE", (target, answer)
        ends = {row["end"] for row in gateway.rows()}
        assert ends == {"ok", "cut", "error"}, ends
        assert stream(gateway, "chat", "again", "?alt=sse")[2]["content-type"].startswith("text/event-stream")


def test_gemini_arrays_of_a_provider_are_streams(gateway, upstream):
    with Setting(gateway, ", retries: {attempts: 0}, breaker: {failures: 0}"):
        sse = stream(gateway, "gemini", "array", "?alt=sse")
        assert sse[2]["content-type"].startswith("text/event-stream"), sse[2].items()
        events = [json.loads(line[6:]) for line in sse[1].decode().split("\n") if line.startswith("data: ")]
        assert said(events) == WHOLE and sse[1].endswith(b"\n\n"), sse[1]
        array = stream(gateway, "gemini", "array")
        assert json.loads(array[1]) == events and array[2]["content-type"].startswith("application/json"), array[1]
        client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)
        ask = {"model": "m-gemini", "stream": True}
        chunks = list(client.chat.completions.create(**ask, messages=[{"role": "user", "content": "array"}]))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == WHOLE, chunks
        try:
            list(client.chat.completions.create(**ask, messages=[{"role": "user", "content": "array cut"}]))
        except openai.APIError as error:
            assert "ended before" in str(error), error
        else:
            raise AssertionError("a cut stream was taken for whole")
        for query in ("", "?alt=sse"):
            text = stream(gateway, "gemini", "array cut", query)[1].decode()
            assert '"error"' in text and not text.rstrip().endswith("]"), text


def test_gemini_array_from_the_cache(gateway, upstream):
    with Setting(gateway) as provider:
        path = "/v1beta/models/m-chat:streamGenerateContent"
        body = {"contents": [{"parts": [{"text": "hello"}]}], "generationConfig": {"temperature": 0}}
        first = post(gateway, path, body)
        calls = len(provider.server.requests)
        again = post(gateway, path, body)
        assert again[2]["x-leeway-cache"] == "exact" and len(provider.server.requests) == calls, again[2].items()
        assert again[2]["content-type"].startswith("application/json"), again[2].items()
        assert said(json.loads(again[1])) == said(json.loads(first[1])) == WHOLE, again[1]
