"""The other end of the demo: a provider with two made-up models that do sums. `large` is nearly always right. `small` costs a sixteenth, is right on the
easy ones, and the probabilities of its tokens tell how sure it is, as those of a real model do: not perfectly."""
import hashlib
import http.server
import json
import math
import re
import threading
import time


def chance(*parts):
    """A number from 0 to 1, always the same one for the same parts."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:6]) / 2**48


def answer_of(model, question):
    """What a model says to a sum, and the mean log-probability of its tokens."""
    left, right = map(int, re.search(r"(\d+) × (\d+)", question).groups())
    hard = (left > 20) + (right > 20)
    knows = (0.99, 0.93, 0.55)[hard] if model == "small" else 0.985
    right_one = chance(model, question) < knows
    said = left * right if right_one else left * right + 10
    # Sure answers are mostly right ones.
    doubt = (0.0005, 0.004, 0.1)[hard] * (1 if right_one else 6) * (0.3 + 2 * chance("doubt", question))
    return said, -min(doubt, 3) if model == "small" else -0.001


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said, logprob = answer_of(request["model"], request["messages"][-1]["content"])
        time.sleep(0.002)
        choice = {"index": 0, "message": {"role": "assistant", "content": str(said)}, "finish_reason": "stop"}
        if request.get("logprobs"):
            choice["logprobs"] = {"content": [{"token": str(said), "logprob": logprob, "bytes": None, "top_logprobs": []}]}
        body = json.dumps({"id": "chatcmpl-demo", "object": "chat.completion", "created": int(time.time()), "model": request["model"],
                           "choices": [choice], "usage": {"prompt_tokens": 220, "completion_tokens": 40, "total_tokens": 260}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass  # connections that the gateway closes


def start():
    """Listens on a port of this machine; returns its base URL."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"
