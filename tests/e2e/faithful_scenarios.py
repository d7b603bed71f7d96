"""What callers notice first when a gateway is careless, byte by byte: ids, numbers, errors, ends, and who is still at work for
whom when the caller has gone."""
import http.server
import json
import socket
import threading
import time
import urllib.parse

from bad_input import restart
from dialect_provider import REQUEST_ID, TEXT, DialectProvider
from dialect_scenarios import TARGETS, configure, post
from gateway import KEY

WHOLE = "".join(TEXT)
# Where each caller asks, with {} for the model in the address.
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "anthropic": "/v1/messages",
         "gemini": "/v1beta/models/{}:generateContent"}


def request(name, model, text, **more):
    """Path and body of a request of the caller `name`."""
    if name == "gemini":
        path = PATHS[name].format(model)
        if more.pop("stream", False):
            path = path.replace(":generateContent", ":streamGenerateContent") + "?alt=sse"
        return path, {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}
    body = {"model": model, "input" if name == "responses" else "messages": [{"role": "user", "content": text}], **more}
    if name == "anthropic":
        body.setdefault("max_tokens", 100)
    return PATHS[name], body


def ask(gateway, name, target, text, **more):
    """(status, answer, headers)."""
    path, body = request(name, f"m-{target}", text, **more)
    status, answer, headers = post(gateway, path, json.dumps(body).encode())
    return status, answer if more.get("stream") else json.loads(answer), headers


def events(stream):
    return [json.loads(line[6:]) for line in stream.decode().split("\n") if line.startswith("data: {")]


def over_all(gateway, scenario, callers=tuple(PATHS)):
    """Runs the scenario for each caller and target; says all that went wrong."""
    provider = DialectProvider()
    wrong = []
    try:
        configure(gateway, provider, ", retries: {attempts: 0}, breaker: {failures: 0}")
        for name in callers:
            for target in TARGETS:
                try:
                    scenario(name, target, provider)
                except Exception as error:  # noqa: BLE001: all pairs are to be told
                    wrong.append(f"{name} -> {target}: {type(error).__name__}: {error}")
        assert not wrong, "\n".join(wrong)
    finally:
        provider.shutdown()


def wait_for(done, seconds, what):
    give_up = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < give_up, what
        time.sleep(0.01)  # polling, with a deadline


def test_faithful_a_caller_that_gives_up_frees_the_upstream(gateway, upstream):
    """Before the first byte, streamed or not: nobody pays for what nobody waits for."""
    tags = []

    def scenario(name, target, provider):
        for stream in (False, True):
            tag = 9000 + len(tags)
            tags.append(tag)
            path, body = request(name, f"m-{target}", f"slow #{tag}", **({"stream": True} if stream else {}))
            data = json.dumps(body).encode()
            address = urllib.parse.urlsplit(gateway.url)
            with socket.create_connection((address.hostname, address.port)) as caller:
                caller.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-type: application/json\r\n"
                               f"content-length: {len(data)}\r\n\r\n".encode() + data)
                wait_for(lambda: provider.of(tag), 5, "the provider was not asked")
            # It would answer after 3 s.
            wait_for(lambda: tag in provider.server.hang_ups, 2, "the upstream call is still open")
    over_all(gateway, scenario)
    rows = gateway.rows()
    assert len(rows) == len(tags) and {row["end"] for row in rows} == {"client_gone"}, {row["end"] for row in rows}


def test_faithful_the_chunk_of_usage_has_no_choice(gateway, upstream):
    def scenario(name, target, provider):
        status, stream, _ = ask(gateway, name, target, "hello", stream=True, stream_options={"include_usage": True})
        assert status == 200 and stream.endswith(b"data: [DONE]\n\n"), stream
        chunks = events(stream)
        assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["prompt_tokens"] == 1000, chunks[-1]
        assert all(not chunk.get("usage") and chunk["choices"] for chunk in chunks[:-1]), chunks
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks[:-1]) == WHOLE  # with U+2028
    over_all(gateway, scenario, ("chat",))


def test_faithful_pings_keep_callers_of_other_dialects_connected(gateway, upstream):
    def scenario(name, target, provider):
        if target != "anthropic" or name == "anthropic":
            return
        _, stream, _ = ask(gateway, name, target, "hello", stream=True)
        assert stream.count(b": \n\n") == (0 if name == "gemini" else 1), stream  # the provider sends one ping
    over_all(gateway, scenario)


def test_faithful_errors_keep_status_code_param_and_type(gateway, upstream):
    openai = ("chat", "responses", "azure")

    def scenario(name, target, provider):
        status, answer, _ = ask(gateway, name, target, "error 400")
        error = answer["error"]
        assert status == 400 and "as you wish" in error["message"], answer
        if name in ("chat", "responses") and target in openai:
            assert (error["code"], error["param"]) == ("wished", "x"), error
        status, answer, _ = ask(gateway, name, target, "error 529")
        error = answer["error"]
        assert status == 529 and "as you wish" in error["message"], answer
        if name == "anthropic":
            assert error["type"] == "overloaded_error", error
        elif target == "anthropic" and name != "gemini":
            assert error["code"] == "overloaded_error", error
    over_all(gateway, scenario)


def test_faithful_errors_of_our_own(gateway, upstream):
    """An unknown model is 404, and what is no JSON 400, in the caller's own form."""
    forms = {"chat": ("model_not_found", "invalid_json"), "responses": ("model_not_found", "invalid_json"),
             "anthropic": ("not_found_error", "invalid_request_error"), "gemini": ("NOT_FOUND", "INVALID_ARGUMENT")}
    places = {"chat": "code", "responses": "code", "anthropic": "type", "gemini": "status"}
    for name, (unknown, broken) in forms.items():
        path, body = request(name, "nobody", "hello")
        status, answer, headers = post(gateway, path, json.dumps(body).encode())
        answer = json.loads(answer)
        assert status == 404 and answer["error"][places[name]] == unknown and "nobody" in answer["error"]["message"], answer
        assert headers["request-id" if name == "anthropic" else "x-request-id"], headers.items()
        status, answer, _ = post(gateway, path, b'{"model": "gpt-4o", "messages": [')
        answer = json.loads(answer)
        assert status == 400 and answer["error"][places[name]] == broken, (name, answer)
        assert (answer.get("type") == "error") == (name == "anthropic"), answer


def test_faithful_fields_find_their_place(gateway, upstream):
    provider = DialectProvider()
    tool = {"name": "f", "description": "d"}
    try:
        configure(gateway, provider)
        status, _, headers = ask(
            gateway, "chat", "anthropic", "hello", stop=["END"], user="u-1", metadata={"team": "blue"}, x_new=1,
            tools=[{"type": "function", "function": {**tool, "parameters": {"type": "object"}}}], parallel_tool_calls=False)
        sent = provider.last[1]
        assert status == 200 and sent["stop_sequences"] == ["END"] and sent["metadata"] == {"user_id": "u-1"}, sent
        assert sent["tool_choice"]["disable_parallel_tool_use"] is True, sent
        assert set(headers["x-leeway-dropped"].split(",")) == {"metadata", "x_new"}, headers["x-leeway-dropped"]
        status, _, _ = ask(gateway, "anthropic", "chat", "hello", stop_sequences=["END"], metadata={"user_id": "u-1"},
                           tools=[{**tool, "input_schema": {"type": "object"}}],
                           tool_choice={"type": "auto", "disable_parallel_tool_use": True})
        sent = provider.last[1]
        assert status == 200 and sent["stop"] == ["END"] and sent["user"] == "u-1" and not sent["parallel_tool_calls"], sent
        for target, place in (("anthropic", "system"), ("gemini", "systemInstruction"), ("responses", "input"),
                              ("chat", "messages"), ("cohere", "messages")):
            body = {"model": f"m-{target}", "max_completion_tokens": 9, "messages": [
                {"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hello"}]}
            assert post(gateway, PATHS["chat"], json.dumps(body).encode())[0] == 200
            assert "Be brief." in json.dumps([provider.last[1].get(place), provider.last[1].get("instructions")]), provider.last
        status, answer, _ = ask(gateway, "chat", "responses", "refuse")
        assert answer["choices"][0]["message"]["refusal"] == "I cannot.", answer
        status, answer, _ = ask(gateway, "responses", "chat", "refuse")
        assert answer["output"][-1]["content"] == [{"type": "refusal", "refusal": "I cannot."}], answer
        status, answer, _ = ask(gateway, "anthropic", "chat", "refuse")
        assert answer["stop_reason"] == "refusal" and answer["content"][0]["text"] == "I cannot.", answer
    finally:
        provider.shutdown()


def test_faithful_responses_events_are_numbered(gateway, upstream):
    def scenario(name, target, provider):
        for wish in ("hello", "tool"):
            numbers = [event["sequence_number"] for event in events(ask(gateway, name, target, wish, stream=True)[1])]
            assert numbers == list(range(len(numbers))) and len(numbers) > 5, numbers
    over_all(gateway, scenario, ("responses",))


def test_faithful_every_answer_has_a_request_id(gateway, upstream):
    def scenario(name, target, provider):
        for more in ({}, {"stream": True}):
            _, _, headers = ask(gateway, name, target, f"hello {len(more)}", **more)
            told = headers["request-id" if name == "anthropic" else "x-request-id"]
            assert told == (REQUEST_ID if target in ("chat", "responses", "anthropic", "azure") else headers["x-leeway-id"]), told
            if more:  # whatever framing the provider has
                assert headers["content-type"].startswith("text/event-stream"), headers["content-type"]
    over_all(gateway, scenario)


# Answers that no writer of JSON would write so, and streams with comments, ids, blanks and both ends of lines.
ODD_ANSWERS = {
    "chat": b'{ "usage":{"total_tokens":3,"completion_tokens":1,"prompt_tokens":2},"x":1.0e+2, "choices":[ {"finish_reason":"stop",'
            b'"message":{"content":"\\u0047r\\/","role":"assistant"},"index":0}],"id":"c"}\n',
    "responses": b'{ "status":"completed","x":1.50, "output":[{"type":"message","content":[{"text":"a\\/","type":"output_text"}]}],'
                 b'"usage":{"output_tokens":1,"input_tokens":2},"id":"r","object":"response"}',
    "anthropic": b'{"stop_reason":"end_turn", "x":-0.0,"content":[ {"text":"a\\/","type":"text"}],"usage":{"output_tokens":1,'
                 b'"input_tokens":2},"type":"message","role":"assistant","id":"m","model":"x"}',
    "gemini": b'{"usageMetadata":{"promptTokenCount":2,"candidatesTokenCount":1,"totalTokenCount":3},"x":1E5, "candidates":[ '
              b'{"finishReason":"STOP","content":{"parts":[{"text":"a\\/"}],"role":"model"}}]}'}
ODD_STREAMS = {
    "chat": b': hello\n\nid: 7\ndata: {"choices":[{"delta":{"content":"\\u0047"} ,"index":0}],"x":1.0}\r\n\r\n'
            b'data:{"choices":[{"finish_reason":"stop","delta":{},"index":0}]}\n\n: bye\n\ndata: [DONE]\n\n',
    "responses": b': hello\n\nid: 7\nevent: response.created\ndata: {"response":{"id":"r"} , "type":"response.created","x":1.0}\n\n'
                 b'event: response.completed\r\ndata: {"type":"response.completed","response":{"status":"completed","output":[]}}\r\n\r\n',
    "anthropic": b': hello\n\nid: 7\nevent: message_start\ndata: {"message":{"usage":{"input_tokens":2,"output_tokens":1} } , '
                 b'"type":"message_start","x":1.0}\n\nevent: message_delta\r\ndata: {"usage":{"output_tokens":1},"delta":{"stop_reason":'
                 b'"end_turn"},"type":"message_delta"}\r\n\r\nevent: message_stop\ndata:{"type":"message_stop"}\n\n',
    "gemini": b': hello\n\nid: 7\ndata: {"x":1.0, "candidates":[{"content":{"parts":[{"text":"\\u0047"}]}}]}\r\n\r\n'
              b'data:{"candidates":[ {"finishReason":"STOP","content":{"parts":[]}}]}\n\n: bye\n\n'}


class OddProvider(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        ends = (("/chat/completions", "chat"), ("/responses", "responses"), ("/messages", "anthropic"), ("", "gemini"))
        name = next(name for end, name in ends if self.path.endswith(end))
        stream = self.headers["accept"] == "text/event-stream"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if stream else "application/json")
        self.end_headers()
        self.wfile.write((ODD_STREAMS if stream else ODD_ANSWERS)[name])


def test_faithful_answers_stay_byte_for_byte(gateway, upstream):
    """In the caller's own dialect nothing is written anew: numbers, escapes, order of keys, comments, ids, ends of lines."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OddProvider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    dialects = {"chat": "openai", "responses": "responses", "anthropic": "anthropic", "gemini": "gemini"}
    providers = "".join(f'  o-{name}: {{dialect: {dialect}, base_url: "{url}", api_key: k}}\n' for name, dialect in dialects.items())
    models = "".join(f"  m-{name}: {{provider: o-{name}}}\n" for name in dialects)
    try:
        restart(gateway, ("providers:\n", "providers:\n" + providers), ("models:\n", "models:\n" + models))
        for name in dialects:
            for more, told in (({}, ODD_ANSWERS), ({"stream": True}, ODD_STREAMS)):
                usage = {"stream_options": {"include_usage": True}} if name == "chat" and more else {}
                path, body = request(name, f"m-{name}", "hello", **more, **usage)
                status, answer, _ = post(gateway, path, json.dumps(body).encode())
                assert status == 200 and answer == told[name], (name, answer)
        assert {row["end"] for row in gateway.rows()} == {"ok"}, gateway.rows()
    finally:
        server.shutdown()
        server.server_close()


def get(gateway, path, key_header, **headers):
    status, _, answer = gateway.raw(path, key=None, headers={key_header: KEY, **headers})
    return status, json.loads(answer)


def test_faithful_googles_other_address(gateway, upstream):
    provider = DialectProvider()
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}).encode()
    try:
        configure(gateway, provider)
        for target in ("gemini", "chat"):
            for method in ("generateContent", "streamGenerateContent", "streamGenerateContent?alt=sse", "countTokens"):
                assert post(gateway, f"/v1/models/m-{target}:{method}", body)[0] == 200, (target, method)
    finally:
        provider.shutdown()


def test_faithful_models_as_the_callers_vendor_lists_them(gateway, upstream):
    provider = DialectProvider()
    anthropic = {"anthropic-version": "2023-06-01"}
    try:
        configure(gateway, provider)
        for version in ("v1", "v1beta"):
            status, answer = get(gateway, f"/{version}/models/m-chat", "x-goog-api-key")
            assert status == 200 and answer["name"] == "models/m-chat", answer
            assert {"generateContent", "embedContent"} <= set(answer["supportedGenerationMethods"]), answer
            status, answer = get(gateway, f"/{version}/models", "x-goog-api-key")
            assert "models/m-chat" in [one["name"] for one in answer["models"]], answer
        status, answer = get(gateway, "/v1/models/m-chat", "x-api-key", **anthropic)
        assert (answer["id"], answer["type"]) == ("m-chat", "model") and answer["display_name"] and answer["created_at"], answer
        status, answer = get(gateway, "/v1/models", "x-api-key", **anthropic)
        assert answer["has_more"] is False and answer["first_id"] == answer["data"][0]["id"], answer
        assert answer["last_id"] == answer["data"][-1]["id"], answer
        status, answer = get(gateway, "/v1/models/m-chat", "x-api-key")
        assert answer["object"] == "model" and answer["owned_by"] == "p-chat", answer
        status, answer = get(gateway, "/v1/models", "x-api-key")
        assert answer["object"] == "list" and "m-chat" in [one["id"] for one in answer["data"]], answer
        for path, key, more in (("/v1beta/models/nobody", "x-goog-api-key", {}), ("/v1/models/nobody", "x-api-key", {}),
                                ("/v1/models/nobody", "x-api-key", anthropic)):
            status, answer = get(gateway, path, key, **more)
            assert status == 404 and "nobody" in answer["error"]["message"], answer
    finally:
        provider.shutdown()
