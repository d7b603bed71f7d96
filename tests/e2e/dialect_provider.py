"""A provider that speaks OpenAI's chat and Responses, Anthropic's Messages, Google's generateContent, Bedrock's Converse and
Cohere's chat, gives embeddings in their forms, and asks for what Azure, AWS and Vertex ask for, for the end-to-end tests of dialects.

The last text of the request says how it behaves: "tool" (asks for two tools at once), "no args", "think", "refuse", "length",
"empty", "json" (of FORM), "json twice" (the first is wrong), "echo TEXT", "escape TEXT" (the same, in ASCII alone), "error N",
"array" (a stream of Google's as one JSON array; "array cut": not whole), "firm" (an error that says not to try again), "flaky" (the first is refused with Retry-After), "slow", and for streams "cut",
"overloaded" and "endless". Anything else gets an ordinary answer. Where the request forces a tool or a schema, the answer is
a call or a text that follows it. A request that holds `#N` somewhere is kept under N, so that several tests can share one
provider at the same time.
"""
import http.server
import json
import re
import select
import threading
import time

import clouds
import cohere
import vectors

TEXT = ["Grüße", " from\u2028", " the", " provider"]
EXAMPLES = FORM = {"city": "Oslo", "degrees": 7}
CALLS = [("call_a", "get_weather", {"city": "Oslo"}), ("call_b", "get_time", {"zone": "UTC"})]


def last_text(node):
    """The last text anywhere in the request, whatever its dialect."""
    found = ""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("text", "content", "input", "output") and isinstance(value, str):
                found = value
            elif key in ("messages", "content", "contents", "parts", "input"):
                found = last_text(value) or found
    elif isinstance(node, list):
        for item in node:
            found = last_text(item) or found
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        """Of a response that it keeps: says what it was asked."""
        with self.server.lock:
            self.server.requests.append((self.path, None, dict(self.headers.items())))
        return self.json(200, {"id": "resp_9", "object": "response", "deleted": self.command == "DELETE",
                               "asked": f"{self.command} {self.path}"})

    do_DELETE = do_GET

    def do_POST(self):
        if self.path.endswith("/cancel"):
            return self.do_GET()
        body = self.rfile.read(int(self.headers["content-length"]))
        server = self.server
        if self.path == "/token":
            return self.json(*server.google.exchange(body))
        request = json.loads(body)
        entry = (self.path, request, dict(self.headers.items()))
        tags = re.findall(rb"#(\d+)", body)
        self.tag = int(tags[-1]) if tags else None
        with server.lock:
            server.requests.append(entry)
            server.bodies.append(body)
            server.tagged.setdefault(self.tag, []).append(entry)
            wish = server.wishes.setdefault(self.tag, last_text(request).split(" #")[0])
            turn = len(server.tagged[self.tag])
        if self.path.endswith("/rerank"):
            return self.json(200, {"id": "rank-1", "results": [{"index": 1, "relevance_score": 0.99}],
                                   "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 2}}})
        if self.path.split("?")[0].endswith("/embeddings"):
            return self.json(200, vectors.openai(request))
        if self.path.endswith("/embed"):
            return self.json(200, vectors.cohere(request))
        if wish not in STICKY or self.tag is None:
            wish, turn = last_text(request).split(" #")[0], 1
        if self.path.endswith("/messages"):
            kind, stream = "anthropic", request.get("stream")
        elif self.path.endswith("/responses"):
            kind, stream = "responses", request.get("stream")
        elif "/converse" in self.path:
            kind, stream = "bedrock", self.path.endswith("-stream")
            fault = clouds.signature_fault("POST", self.path, self.headers, body)
            if fault:
                return self.json(403, {"message": fault})
        elif ":" in self.path:
            kind, stream = "gemini", "streamGenerateContent" in self.path
            if "/projects/" in self.path and not server.google.good(self.headers):
                return self.json(401, {"error": {"code": 401, "message": "no good token", "status": "UNAUTHENTICATED"}})
            if self.path.endswith((":embedContent", ":batchEmbedContents", ":predict")):
                if "as you wish" in body.decode():
                    return self.json(503, ERRORS[kind](503))
                return self.json(200, vectors.google(self.path, request))
        elif self.path.endswith("/chat"):
            kind, stream = "cohere", request.get("stream")
        else:
            kind, stream = "chat", request.get("stream")
            if "/deployments/" in self.path and self.headers["api-key"] != "sk-azure":
                return self.json(401, {"error": {"message": "no api-key", "code": "401"}})
        if wish.startswith("error "):
            status = int(wish.split()[1])
            return self.json(status, ERRORS[kind](status))
        if wish == "firm":
            return self.json(500, ERRORS[kind](500), ("x-should-retry", "false"))
        if wish == "flaky" and turn == 1:
            # No 429: then the gateway would leave the provider alone for others, too, which are asking at the same time.
            return self.json(503, ERRORS[kind](503), ("retry-after", "1"))
        if wish == "slow" and select.select([self.connection], [], [], 3)[0]:  # longer than the caller waits
            with server.lock:
                server.hang_ups.add(self.tag)
            self.close_connection = True
            return None
        parts, stop = plan(wish, request, turn)
        if stream and wish == "endless":
            return self.endless(STREAMS[kind]([("text", "x" * 6000)], stop, request))
        if stream:
            events = STREAMS[kind](parts, stop, request)
            if wish.endswith("cut"):
                events = events[:len(events) // 2]
            if wish == "overloaded":
                events = events[:2] + IN_BAND[kind]
            self.send_response(200)
            framed = kind == "bedrock"
            if wish.startswith("array"):
                events = array_of(events, "cut" not in wish)
            self.send_header("content-type", "application/vnd.amazon.eventstream" if framed else
                             "application/json; charset=UTF-8" if wish.startswith("array") else "text/event-stream")
            self.request_ids()
            self.end_headers()
            if wish == "garbled":  # one bit of the last but one event
                events[-2] = events[-2][:-20] + bytes([events[-2][-20] ^ 1]) + events[-2][-19:]
            self.wfile.write(b"".join(events) if framed else in_ascii("".join(events), wish).encode())
            self.close_connection = True
            return None
        return self.json(200, ANSWERS[kind](parts, stop, request), wish=wish)

    def request_ids(self):
        """As vendors name the request for their support."""
        if self.path.endswith("/messages"):
            self.send_header("request-id", REQUEST_ID)
        elif ":" not in self.path and not self.path.endswith("/chat") and "/converse" not in self.path:
            self.send_header("x-request-id", REQUEST_ID)

    def json(self, status, value, *more, wish=""):
        text = in_ascii(json.dumps(value, ensure_ascii=False), wish).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.request_ids()
        for header in more:
            self.send_header(*header)
        self.end_headers()
        try:
            self.wfile.write(text)
        except OSError:
            pass  # who asked has gone

    def endless(self, events):
        """Sends until the other side hangs up, which is noted under the request's tag."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.close_connection = True
        try:
            for event in events:
                self.wfile.write(event.encode())
                time.sleep(0.02)
        except OSError:
            with self.server.lock:
                self.server.hang_ups.add(self.tag)


REQUEST_ID = "req_of_the_provider"
STICKY = ("flaky", "json twice")


def in_ascii(text, wish):
    """JSON as some servers write it: what is not ASCII as escapes, beyond the first plane as two of them."""
    if not wish.startswith("escape "):
        return text
    return re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)


def forced_tool(request):
    """Name and schema of the tool that the model must call, or None."""
    tools = request.get("tools") or []
    if tools and "functionDeclarations" in tools[0]:
        tools = tools[0]["functionDeclarations"]
    tools = [tool.get("function", tool) for tool in tools]
    choice = json.dumps(request.get("tool_choice") or request.get("toolConfig") or "")
    forced = [tool for tool in tools if f'"{tool.get("name")}"' in choice]
    if not forced and any(word in choice for word in ("required", '"any"', '"ANY"')):
        forced = tools
    if not forced:
        return None
    return forced[0]["name"], schema_of(forced[0], "parameters", "input_schema", "parametersJsonSchema",
                                        "parameters_json_schema")


def schema_of(node, *names):
    return next((node[name] for name in names if isinstance(node, dict) and node.get(name)), None)


def wanted_schema(request):
    """The schema that the answer's text must follow, or None."""
    form = request.get("response_format") or (request.get("text") or {}).get("format") or (
        request.get("output_config") or {}).get("format") or request.get("generationConfig") or {}
    return schema_of(form.get("json_schema", form), "schema", "responseJsonSchema", "responseSchema")


def example(schema):
    """A value that follows the schema."""
    if schema.get("enum"):
        return schema["enum"][0]
    if "properties" in schema:
        return {name: EXAMPLES.get(name) or example(one) for name, one in schema["properties"].items()}
    return {"integer": 1, "boolean": True, "array": []}.get(str(schema.get("type")).lower(), "text")


def plan(wish, request, turn):
    tool, schema = forced_tool(request), wanted_schema(request)
    if tool or schema or wish.startswith("json"):
        form = example(tool[1] if tool else schema or {"properties": EXAMPLES})
        if wish == "json twice" and turn == 1:
            form = {"city": 5, "degrees": "warm"}
        return ([("call", "call_j", tool[0], form)], "tool") if tool else ([("text", json.dumps(form))], "end")
    if wish == "empty":
        return [], "end"
    if wish == "refuse":
        return [("refusal", "I cannot.")], "refuse"
    if wish.startswith(("echo ", "escape ")):
        return [("text", wish.partition(" ")[2])], "end"
    if wish == "tool":
        return [("text", "I look."), *(("call", *call) for call in CALLS)], "tool"
    if wish == "no args":
        return [("call", "call_n", "ping", {})], "tool"
    if wish == "think":
        return [("think", "Let me see.", "c2lnbmVk"), ("text", "Done.")], "end"
    if wish == "length":
        return [("text", "half an ans")], "length"
    return [("text", "".join(TEXT))], "end"


USAGE = {"chat": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
                  "prompt_tokens_details": {"cached_tokens": 200}},
         "responses": {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100,
                       "input_tokens_details": {"cached_tokens": 200}, "output_tokens_details": {"reasoning_tokens": 0}},
         "anthropic": {"input_tokens": 800, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 0,
                       "output_tokens": 100},
         "gemini": {"promptTokenCount": 1000, "cachedContentTokenCount": 200, "candidatesTokenCount": 100,
                    "totalTokenCount": 1100}}
STOPS = {"chat": {"end": "stop", "tool": "tool_calls", "length": "length", "refuse": "stop"},
         "anthropic": {"end": "end_turn", "tool": "tool_use", "length": "max_tokens", "refuse": "refusal"},
         "gemini": {"end": "STOP", "tool": "STOP", "length": "MAX_TOKENS", "refuse": "SAFETY"}}
# What each vendor calls a refusal with a status: OpenAI's type and code, Anthropic's type, Google's status.
NAMES = {400: ("invalid_request_error", "wished", "invalid_request_error", "INVALID_ARGUMENT"),
         401: ("invalid_request_error", "invalid_api_key", "authentication_error", "UNAUTHENTICATED"),
         403: ("invalid_request_error", "unsupported_region", "permission_error", "PERMISSION_DENIED"),
         404: ("invalid_request_error", "model_not_found", "not_found_error", "NOT_FOUND"),
         429: ("requests", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"),
         500: ("server_error", "wished", "api_error", "INTERNAL"),
         503: ("server_error", "wished", "api_error", "UNAVAILABLE"),
         529: ("server_error", "wished", "overloaded_error", "UNAVAILABLE")}


def openai_error(status):
    kind, code = NAMES[status][:2]
    return {"error": {"message": "as you wish", "type": kind, "param": "x", "code": code}}


ERRORS = {"chat": openai_error, "responses": openai_error,
          "anthropic": lambda s: {"type": "error", "error": {"type": NAMES[s][2], "message": "as you wish"},
                                  "request_id": REQUEST_ID},
          "gemini": lambda s: {"error": {"code": s, "message": "as you wish", "status": NAMES[s][3]}},
          "bedrock": lambda s: {"message": "as you wish"}, "cohere": cohere.error}


def sse(value, event=None):
    text = json.dumps(value, ensure_ascii=False)
    return (f"event: {event}\n" if event else "") + f"data: {text}\n\n"


IN_BAND = {"chat": [sse({"error": {"message": "overloaded", "type": "server_error", "code": None}})],
           "responses": [sse({"type": "error", "code": "server_error", "message": "overloaded", "sequence_number": 9},
                             "error")],
           "anthropic": [sse({"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}}, "error")],
           "gemini": [sse({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}})],
           "bedrock": [clouds.frame("serviceUnavailableException", {"message": "overloaded"}, "exception")],
           "cohere": cohere.IN_BAND}


def split(text):
    return [text[i:i + 6] for i in range(0, len(text), 6)]


def chat_answer(parts, stop, request):
    message = {"role": "assistant", "content": None if parts else "", "refusal": None}
    for part in parts:
        if part[0] == "text":
            message["content"] = (message["content"] or "") + part[1]
        elif part[0] == "refusal":
            message["refusal"] = part[1]
        elif part[0] == "think":
            message["reasoning_content"] = part[1]
        else:
            message.setdefault("tool_calls", []).append({"id": part[1], "type": "function", "function": {
                "name": part[2], "arguments": json.dumps(part[3])}})
    return {"id": "chatcmpl-9", "object": "chat.completion", "created": 5, "model": request["model"] + "-real",
            "choices": [{"index": 0, "message": message, "finish_reason": STOPS["chat"][stop]}], "usage": USAGE["chat"]}


def chat_stream(parts, stop, request):
    deltas, call = [{"role": "assistant", "content": ""}], 0
    for part in parts:
        if part[0] == "text":
            deltas += [{"content": piece} for piece in split(part[1])]
        elif part[0] in ("think", "refusal"):
            deltas += [{"reasoning_content" if part[0] == "think" else "refusal": piece} for piece in split(part[1])]
        else:
            deltas.append({"tool_calls": [{"index": call, "id": part[1], "type": "function",
                                           "function": {"name": part[2], "arguments": ""}}]})
            deltas += [{"tool_calls": [{"index": call, "function": {"arguments": piece}}]}
                       for piece in split(json.dumps(part[3]))]
            call += 1
    head = {"id": "chatcmpl-9", "object": "chat.completion.chunk", "created": 5, "model": request["model"] + "-real"}
    out = [sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}) for delta in deltas]
    out.append(sse({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": STOPS["chat"][stop]}]}))
    if (request.get("stream_options") or {}).get("include_usage"):
        out.append(sse({**head, "choices": [], "usage": USAGE["chat"]}))
    return out + ["data: [DONE]\n\n"]


def block(part):
    if part[0] in ("text", "refusal"):
        return {"type": "text", "text": part[1]}
    if part[0] == "think":
        return {"type": "thinking", "thinking": part[1], "signature": part[2]}
    return {"type": "tool_use", "id": part[1], "name": part[2], "input": part[3]}


def anthropic_answer(parts, stop, request):
    return {"id": "msg_9", "type": "message", "role": "assistant", "model": request["model"] + "-real",
            "content": [block(part) for part in parts], "stop_reason": STOPS["anthropic"][stop], "stop_sequence": None,
            "usage": USAGE["anthropic"]}


def anthropic_stream(parts, stop, request):
    start = anthropic_answer([], stop, request)
    start.update(stop_reason=None, usage={**USAGE["anthropic"], "output_tokens": 1})
    out = [sse({"type": "message_start", "message": start}, "message_start"), sse({"type": "ping"}, "ping")]
    for index, part in enumerate(parts):
        empty = block(part)
        if empty["type"] == "text":
            empty["text"], deltas = "", [{"type": "text_delta", "text": piece} for piece in split(part[1])]
        elif part[0] == "think":
            empty["thinking"] = empty["signature"] = ""
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in split(part[1])]
            deltas.append({"type": "signature_delta", "signature": part[2]})
        else:
            empty["input"] = {}
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in split(json.dumps(part[3]))
                      if part[3]]
        out.append(sse({"type": "content_block_start", "index": index, "content_block": empty}, "content_block_start"))
        out += [sse({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta")
                for delta in deltas]
        out.append(sse({"type": "content_block_stop", "index": index}, "content_block_stop"))
    out.append(sse({"type": "message_delta", "delta": {"stop_reason": STOPS["anthropic"][stop], "stop_sequence": None},
                    "usage": USAGE["anthropic"]}, "message_delta"))
    return out + [sse({"type": "message_stop"}, "message_stop")]


def gemini_part(part):
    if part[0] in ("text", "refusal"):
        return {"text": part[1]}
    if part[0] == "think":
        return {"text": part[1], "thought": True, "thoughtSignature": part[2]}
    return {"functionCall": {"name": part[2], "args": part[3]}}


def gemini_answer(parts, stop, request):
    return {"candidates": [{"content": {"role": "model", "parts": [gemini_part(part) for part in parts]},
                            "finishReason": STOPS["gemini"][stop], "index": 0}],
            "usageMetadata": USAGE["gemini"], "modelVersion": "gemini-real", "responseId": "resp-9"}


def gemini_stream(parts, stop, request):
    pieces = []
    for part in parts:
        if part[0] == "text":
            pieces += [("text", piece) for piece in split(part[1])]
        else:
            pieces.append(part)
    out = []
    for index, piece in enumerate(pieces or [None]):
        chunk = gemini_answer([piece] if piece else [], stop, request)
        if index + 1 < len(pieces):
            del chunk["candidates"][0]["finishReason"]
        out.append(sse(chunk))
    return out


def array_of(events, closed):
    """As Google streams to those that do not ask for events: each element laid out over lines."""
    elements = [json.dumps(json.loads(event[len("data: "):]), indent=2, ensure_ascii=False) for event in events]
    return ["[", ",\r\n".join(elements), "\n]\n" if closed else ""]


def responses_item(number, part):
    if part[0] in ("text", "refusal"):
        content = {"type": "output_text", "text": part[1], "annotations": []}
        if part[0] == "refusal":
            content = {"type": "refusal", "refusal": part[1]}
        return {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": [content]}
    if part[0] == "think":
        return {"type": "reasoning", "id": f"rs_{number}", "summary": [{"type": "summary_text", "text": part[1]}]}
    return {"type": "function_call", "id": f"fc_{number}", "call_id": part[1], "name": part[2],
            "arguments": json.dumps(part[3]), "status": "completed"}


def responses_answer(parts, stop, request):
    return {"id": "resp_9", "object": "response", "created_at": 5, "model": request["model"] + "-real",
            "status": "incomplete" if stop == "length" else "completed", "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if stop == "length" else None,
            "output": [responses_item(number, part) for number, part in enumerate(parts)],
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": USAGE["responses"]}


def responses_item_events(part, item):
    """The events between an item's first and last, with the item as it begins."""
    if item["type"] == "message":
        content, = item["content"]
        name = "refusal" if part[0] == "refusal" else "output_text"
        field = "refusal" if part[0] == "refusal" else "text"
        place = {"content_index": 0}
        return {**item, "status": "in_progress", "content": []}, [
            {"type": "response.content_part.added", "part": {**content, field: ""}, **place},
            *({"type": f"response.{name}.delta", "delta": piece, "logprobs": [], **place} for piece in split(part[1])),
            {"type": f"response.{name}.done", field: part[1], "logprobs": [], **place},
            {"type": "response.content_part.done", "part": content, **place}]
    if item["type"] == "reasoning":
        place, summary = {"summary_index": 0}, "response.reasoning_summary_"
        return {**item, "summary": []}, [
            {"type": summary + "part.added", "part": {"type": "summary_text", "text": ""}, **place},
            *({"type": summary + "text.delta", "delta": piece, **place} for piece in split(part[1])),
            {"type": summary + "text.done", "text": part[1], **place},
            {"type": summary + "part.done", "part": item["summary"][0], **place}]
    return {**item, "status": "in_progress", "arguments": ""}, [
        *({"type": "response.function_call_arguments.delta", "delta": piece} for piece in split(item["arguments"])),
        {"type": "response.function_call_arguments.done", "name": item["name"], "arguments": item["arguments"]}]


def responses_stream(parts, stop, request):
    whole = responses_answer(parts, stop, request)
    begun = {**whole, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    events = [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]
    for index, (part, item) in enumerate(zip(parts, whole["output"])):
        first, between = responses_item_events(part, item)
        events.append({"type": "response.output_item.added", "output_index": index, "item": first})
        events += [{**event, "output_index": index, "item_id": item["id"]} for event in between]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    last = "response.incomplete" if stop == "length" else "response.completed"
    events.append({"type": last, "response": whole})
    return [sse({**event, "sequence_number": number}, event["type"]) for number, event in enumerate(events)]


ANSWERS = {"chat": chat_answer, "anthropic": anthropic_answer, "gemini": gemini_answer, "responses": responses_answer,
           "bedrock": clouds.bedrock_answer, "cohere": cohere.answer}
STREAMS = {"chat": chat_stream, "anthropic": anthropic_stream, "gemini": gemini_stream, "responses": responses_stream,
           "bedrock": clouds.bedrock_stream, "cohere": cohere.stream}


class DialectProvider:
    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.lock = threading.Lock()
        self.server.requests, self.server.bodies = [], []
        self.server.tagged, self.server.wishes, self.server.hang_ups = {}, {}, set()
        self.root = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.url = self.root + "/v1"
        self.server.google = self.google = clouds.TokenServer(self.root)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def last(self):
        """Path, body and headers of the newest request."""
        return self.server.requests[-1]

    def of(self, tag):
        """Path, body and headers of all requests with `#tag`, oldest first."""
        with self.server.lock:
            return list(self.server.tagged.get(tag, []))

    @property
    def last_body(self):
        return self.server.bodies[-1]

    def shutdown(self):
        self.server.shutdown()
        self.server.server_close()
