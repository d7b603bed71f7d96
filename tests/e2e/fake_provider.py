"""A scriptable OpenAI-compatible provider for the end-to-end tests: the other end of the gateway.

The last user message (or the prompt of a legacy completion) says how it behaves: "cut", "status 500", "not json", "no usage", "slow N", "words N" (in a
stream: whatever max_tokens says), "answer {…}" (with these members, those of `usage` added to the usual ones), or anything else for an ordinary answer. It counts what arrives and keeps the last body.
"""
import http.server
import json
import threading
import time

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
         "prompt_tokens_details": {"cached_tokens": 200}}
WORDS = ["Hello", " from", " the", " fake", " provider"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        request = json.loads(body)
        with self.server.lock:
            self.server.calls += 1
            self.server.bodies.append(body)
            self.server.headers.append(list(self.headers.keys()))
        if self.path.endswith("/embeddings"):
            many = len(request["input"]) if isinstance(request["input"], list) else 1
            return self.answer(200, {"object": "list", "model": request["model"], "data": [
                {"object": "embedding", "index": i, "embedding": [0.5, -0.5]} for i in range(many)],
                "usage": {"prompt_tokens": 3, "total_tokens": 3}})
        legacy = not self.path.endswith("/chat/completions")
        prompts = request.get("prompt", "")
        prompts = prompts if isinstance(prompts, list) else [prompts]
        wish = str(prompts[0] if legacy else request["messages"][-1].get("content", ""))
        if wish.startswith("slow "):
            time.sleep(float(wish.split()[1]))
        if wish.startswith("status "):
            return self.answer(int(wish.split()[1]), {"error": {"message": "as you wish", "type": "server_error",
                                                               "param": None, "code": None}})
        if wish == "not json":
            return self.send(200, b"<html>hello</html>", "text/html")
        if request.get("stream"):
            return self.stream(request, wish, self.text_chunk if legacy else self.chunk)
        answer = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": request["model"] + "-2026",
                  "choices": [{"index": i, "text": (prompt if request.get("echo") else "") + "".join(WORDS), "logprobs": None,
                               "finish_reason": "length"} for i, prompt in enumerate(prompts)]} if legacy else {
                  "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": request["model"] + "-2026",
                  "choices": [{"index": 0, "message": {"role": "assistant", "content": "".join(WORDS)},
                               "finish_reason": "stop"}]}
        if wish != "no usage":
            answer["usage"] = USAGE
        if wish.startswith("answer "):
            told = json.loads(wish[7:])
            answer["usage"] = {**USAGE, **told.pop("usage", {})}
            answer.update(told)
        if wish == "cut":
            text = json.dumps(answer).encode()
            self.head(200, "application/json", len(text))
            self.wfile.write(text[:40])
            self.close_connection = True
            return None
        return self.answer(200, answer)

    def stream(self, request, wish, chunk_of):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        with_usage = (request.get("stream_options") or {}).get("include_usage")
        deltas = [{"role": "assistant", "content": ""}] + [{"content": word} for word in WORDS]
        if wish.startswith("words "):
            deltas += [{"content": " the"}] * int(wish.split()[1])
        chunks = [chunk_of(request, delta, None) for delta in deltas]
        if wish == "cut":
            chunks = chunks[:3]
        else:
            chunks.append(chunk_of(request, {}, "stop"))
        if with_usage:
            for chunk in chunks:
                chunk["usage"] = None
            if wish != "cut":
                chunks.append({**chunk_of(request, {}, None), "choices": [], "usage": USAGE})
        try:
            for chunk in chunks:
                self.event(json.dumps(chunk, separators=(",", ":")))
                if wish == "endless":
                    for _ in range(600):
                        time.sleep(0.05)
                        self.event(json.dumps(chunk, separators=(",", ":")))
            if wish == "cut":
                self.close_connection = True
                return
            self.event("[DONE]")
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            with self.server.lock:
                self.server.hang_ups.append(time.monotonic())

    @staticmethod
    def chunk(request, delta, finish):
        return {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1, "model": request["model"],
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    @staticmethod
    def text_chunk(request, delta, finish):
        return {"id": "cmpl-2", "object": "text_completion", "created": 1, "model": request["model"],
                "choices": [{"text": delta.get("content", ""), "index": 0, "logprobs": None, "finish_reason": finish}]}

    def event(self, data):
        text = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def answer(self, status, value):
        self.send(status, json.dumps(value).encode(), "application/json")

    def head(self, status, kind, length):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(length))
        self.end_headers()

    def send(self, status, text, kind):
        self.head(status, kind, len(text))
        self.wfile.write(text)


class FakeProvider(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.calls = 0
        self.bodies = []
        self.headers = []
        self.hang_ups = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is part of the tests

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"
