"""A provider that speaks OpenAI's chat and Responses, Anthropic's Messages, Google's generateContent and Bedrock's Converse,
and asks for what Azure, AWS and Vertex ask for, for the end-to-end tests of dialects. The last text of the request says how it behaves: "tool" (asks for two tools at once), "think",
"refuse", "length", "cut", "error N", "overloaded" (in a stream), "no args"; anything else gets an ordinary answer.
"""
import http.server
import json
import threading

import clouds

TEXT = ["Grüße", " from\u2028", " the", " provider"]
CALLS = [("call_a", "get_weather", {"city": "Oslo"}), ("call_b", "get_time", {"zone": "UTC"})]


def last_text(node):
    """The last text anywhere in the request, whatever its dialect."""
    found = ""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("text", "content", "input") and isinstance(value, str):
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

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        server = self.server
        if self.path == "/token":
            return self.json(*server.google.exchange(body))
        request = json.loads(body)
        with server.lock:
            server.requests.append((self.path, request, dict(self.headers.items())))
            server.bodies.append(body)
        if self.path.endswith("/rerank"):
            return self.json(200, {"id": "rank-1", "results": [{"index": 1, "relevance_score": 0.99}],
                                   "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 2}}})
        wish = last_text(request)
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
        else:
            kind, stream = "chat", request.get("stream")
            if "/deployments/" in self.path and self.headers["api-key"] != "sk-azure":
                return self.json(401, {"error": {"message": "no api-key", "code": "401"}})
        if wish.startswith("error "):
            status = int(wish.split()[1])
            return self.json(status, ERRORS[kind](status))
        parts, stop = plan(wish)
        if stream:
            events = STREAMS[kind](parts, stop, request)
            if wish == "cut":
                events = events[:len(events) // 2]
            if wish == "overloaded":
                events = events[:2] + IN_BAND[kind]
            self.send_response(200)
            framed = kind == "bedrock"
            self.send_header("content-type", "application/vnd.amazon.eventstream" if framed else "text/event-stream")
            self.end_headers()
            if wish == "garbled":  # one bit of the last but one event
                events[-2] = events[-2][:-20] + bytes([events[-2][-20] ^ 1]) + events[-2][-19:]
            self.wfile.write(b"".join(events) if framed else "".join(events).encode())
            self.close_connection = True
            return None
        return self.json(200, ANSWERS[kind](parts, stop, request))

    def json(self, status, value):
        text = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def plan(wish):
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
STOPS = {"chat": {"end": "stop", "tool": "tool_calls", "length": "length"},
         "anthropic": {"end": "end_turn", "tool": "tool_use", "length": "max_tokens"},
         "gemini": {"end": "STOP", "tool": "STOP", "length": "MAX_TOKENS"}}
ERRORS = {"chat": lambda s: {"error": {"message": "as you wish", "type": "server_error", "param": "x", "code": "wished"}},
          "responses": lambda s: {"error": {"message": "as you wish", "type": "server_error", "param": "x",
                                            "code": "wished"}},
          "anthropic": lambda s: {"type": "error", "error": {
              "type": "overloaded_error" if s == 529 else "api_error", "message": "as you wish"}},
          "gemini": lambda s: {"error": {"code": s, "message": "as you wish", "status": "UNAVAILABLE"}},
          "bedrock": lambda s: {"message": "as you wish"}}


def sse(value, event=None):
    text = json.dumps(value, ensure_ascii=False)
    return (f"event: {event}\n" if event else "") + f"data: {text}\n\n"


IN_BAND = {"chat": [sse({"error": {"message": "overloaded", "type": "server_error", "code": None}})],
           "responses": [sse({"type": "error", "code": "server_error", "message": "overloaded", "sequence_number": 9},
                             "error")],
           "anthropic": [sse({"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}}, "error")],
           "gemini": [sse({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}})],
           "bedrock": [clouds.frame("serviceUnavailableException", {"message": "overloaded"}, "exception")]}


def split(text):
    return [text[i:i + 6] for i in range(0, len(text), 6)]


def chat_answer(parts, stop, request):
    message = {"role": "assistant", "content": None}
    for part in parts:
        if part[0] == "text":
            message["content"] = (message["content"] or "") + part[1]
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
        elif part[0] == "think":
            deltas += [{"reasoning_content": piece} for piece in split(part[1])]
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
    if part[0] == "text":
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
        if part[0] == "text":
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
                    "usage": {"output_tokens": 100}}, "message_delta"))
    return out + [sse({"type": "message_stop"}, "message_stop")]


def gemini_part(part):
    if part[0] == "text":
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
    for index, piece in enumerate(pieces):
        chunk = gemini_answer([piece], stop, request)
        if index + 1 < len(pieces):
            del chunk["candidates"][0]["finishReason"]
        out.append(sse(chunk))
    return out


def responses_answer(parts, stop, request):
    output = []
    for number, part in enumerate(parts):
        if part[0] == "text":
            output.append({"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed",
                           "content": [{"type": "output_text", "text": part[1], "annotations": []}]})
        elif part[0] == "think":
            output.append({"type": "reasoning", "id": f"rs_{number}",
                           "summary": [{"type": "summary_text", "text": part[1]}]})
        else:
            output.append({"type": "function_call", "id": f"fc_{number}", "call_id": part[1], "name": part[2],
                           "arguments": json.dumps(part[3]), "status": "completed"})
    return {"id": "resp_9", "object": "response", "created_at": 5, "model": request["model"] + "-real",
            "status": "incomplete" if stop == "length" else "completed", "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if stop == "length" else None, "output": output,
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": USAGE["responses"]}


def responses_stream(parts, stop, request):
    whole = responses_answer(parts, stop, request)
    events = [{"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}}]
    for index, (part, item) in enumerate(zip(parts, whole["output"])):
        place = {"output_index": index, "item_id": item["id"]}
        events.append({"type": "response.output_item.added", "output_index": index, "item": {**item, "content": []}})
        if part[0] == "text":
            events += [{"type": "response.output_text.delta", "content_index": 0, "delta": piece, **place}
                       for piece in split(part[1])]
        elif part[0] == "think":
            events += [{"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": piece, **place}
                       for piece in split(part[1])]
        else:
            events += [{"type": "response.function_call_arguments.delta", "delta": piece, **place}
                       for piece in split(json.dumps(part[3]))]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    last = "response.incomplete" if stop == "length" else "response.completed"
    events.append({"type": last, "response": whole})
    return [sse({**event, "sequence_number": number}, event["type"]) for number, event in enumerate(events)]


ANSWERS = {"chat": chat_answer, "anthropic": anthropic_answer, "gemini": gemini_answer, "responses": responses_answer,
           "bedrock": clouds.bedrock_answer}
STREAMS = {"chat": chat_stream, "anthropic": anthropic_stream, "gemini": gemini_stream, "responses": responses_stream,
           "bedrock": clouds.bedrock_stream}


class DialectProvider:
    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.lock = threading.Lock()
        self.server.requests, self.server.bodies = [], []
        self.root = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.url = self.root + "/v1"
        self.server.google = self.google = clouds.TokenServer(self.root)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def last(self):
        """Path, body and headers of the newest request."""
        return self.server.requests[-1]

    @property
    def last_body(self):
        return self.server.bodies[-1]

    def shutdown(self):
        self.server.shutdown()
        self.server.server_close()
