"""A provider of OpenAI's files and batches for the end-to-end tests. A batch runs until the test says `finish`."""
import http.server
import json
import re
import threading
import urllib.parse

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


class AnyMethod(http.server.BaseHTTPRequestHandler):
    """Answers every method by `handle_one`."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.handle_one()

    do_GET = do_DELETE = do_POST

    def answer(self, status, value):
        self.send(status, json.dumps(value).encode(), "application/json")

    def send(self, status, text, kind):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Handler(AnyMethod):
    def handle_one(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urllib.parse.urlsplit(self.path)
        path = url.path.removeprefix("/v1")
        if server.fail == (self.command, path, "wait"):
            server.waiting += 1
            server.go_on.wait(30)
            self.close_connection = True
            return None
        with server.lock:
            server.asked.append((self.command, self.path, dict(self.headers), body))
            if server.fail and re.fullmatch(server.fail[1], path) and self.command == server.fail[0]:
                if server.fail[2] is None:
                    self.close_connection = True
                    return None
                return self.answer(server.fail[2], {"error": {"message": "as you wish", "type": "server_error",
                                                              "param": None, "code": None}})
            return self.route(path, dict(urllib.parse.parse_qsl(url.query)), body)

    def route(self, path, query, body):
        server, parts = self.server, path.strip("/").split("/")
        store = server.files if parts[0] == "files" else server.batches
        if len(parts) == 1 and self.command == "GET":
            return self.page(list(store.values())[::-1], query)
        if parts == ["files"]:
            return self.answer(200, server.add_file(self.content_of(body), self.part(body, "purpose")))
        if parts == ["batches"]:
            return self.answer(200, server.add_batch(json.loads(body)))
        if parts[1] not in store:
            return self.answer(404, {"error": {"message": "no such object", "type": "invalid_request_error",
                                               "param": "id", "code": None}})
        if parts[0] == "files" and self.command == "DELETE":
            del store[parts[1]]
            return self.answer(200, {"id": parts[1], "object": "file", "deleted": True})
        if parts[2:] == ["content"]:
            return self.send(200, server.contents[parts[1]], "application/octet-stream")
        if parts[2:] == ["cancel"]:
            store[parts[1]]["status"] = "cancelling"
        return self.answer(200, store[parts[1]])

    def page(self, items, query):
        ids = [item["id"] for item in items]
        begin = ids.index(query["after"]) + 1 if "after" in query else 0
        some = items[begin:begin + min(int(query.get("limit", 20)), self.server.page)]
        return self.answer(200, {"object": "list", "data": some, "first_id": some[0]["id"] if some else None,
                                 "last_id": some[-1]["id"] if some else None,
                                 "has_more": begin + len(some) < len(items)})

    def part(self, body, name):
        boundary = self.headers["content-type"].split("boundary=")[1].strip('"').encode()
        for part in body.split(b"--" + boundary):
            head, _, content = part.partition(b"\r\n\r\n")
            if re.search(rb'[ ;]name="?%s"?(;|\r|$)' % name.encode(), head):
                return content[:-2].decode()
        raise KeyError(name)

    def content_of(self, body):
        return self.part(body, "file").encode()


class BatchProvider(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.RLock()
        self.asked = []
        self.files, self.contents, self.batches = {}, {}, {}
        self.page = 3  # small, so that lists have many
        self.fail = None  # (method, pattern of a path, status; None: no answer; "wait": none until go_on)
        self.waiting, self.go_on = 0, threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def add_file(self, content, purpose):
        name = f"file-{len(self.contents) + 1}"
        self.contents[name] = content
        self.files[name] = {"id": name, "object": "file", "bytes": len(content), "created_at": 1, "filename": "x.jsonl",
                            "purpose": purpose, "status": "processed"}
        return self.files[name]

    def add_batch(self, request):
        name = f"batch_{len(self.batches) + 1}"
        self.batches[name] = {"id": name, "object": "batch", "endpoint": request["endpoint"], "errors": None,
                              "input_file_id": request["input_file_id"], "completion_window": "24h",
                              "status": "in_progress", "output_file_id": None, "error_file_id": None, "created_at": 1,
                              "request_counts": {"total": 0, "completed": 0, "failed": 0}, "metadata": None}
        return self.batches[name]

    def finish(self, name, status="completed", usage=None, refused=0):
        """The batch is over; the first `refused` of its lines were refused."""
        with self.lock:
            batch = self.batches[name]
            lines = [json.loads(line) for line in self.contents[batch["input_file_id"]].splitlines() if line.strip()]
            out = []
            for i, line in enumerate(lines):
                body = {"error": {"message": "no"}} if i < refused else {
                    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": line["body"]["model"] + "-2026",
                    "service_tier": "default", "usage": usage or USAGE, "choices": [
                        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
                out.append(json.dumps({"id": f"r{i}", "custom_id": line["custom_id"], "error": None, "response": {
                    "status_code": 400 if i < refused else 200, "request_id": "q", "body": body}}))
            batch["status"] = status
            batch["output_file_id"] = self.add_file("\n".join(out).encode() + b"\n", "batch_output")["id"]
