"""A provider of Anthropic's message batches for the end-to-end tests. A batch runs until the test says `finish`."""
import http.server
import json
import re
import threading
import urllib.parse

from batch_provider import AnyMethod

USAGE = {"input_tokens": 1000, "output_tokens": 100}


class Handler(AnyMethod):
    def handle_one(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urllib.parse.urlsplit(self.path)
        with server.lock:
            server.asked.append((self.command, self.path, dict(self.headers), body))
            if server.fail and self.command == server.fail[0] and re.fullmatch(server.fail[1], url.path):
                if server.fail[2] is None:
                    self.close_connection = True
                    return None
                return self.error(server.fail[2], "as you wish")
            return self.route(url.path.removeprefix("/v1/messages/batches").strip("/").split("/"),
                              dict(urllib.parse.parse_qsl(url.query)), body)

    def route(self, parts, query, body):
        server = self.server
        if parts == [""]:
            if self.command == "POST":
                return self.answer(200, server.add(json.loads(body)["requests"]))
            return self.page(list(server.batches.values())[::-1], query)
        batch = server.batches.get(parts[0])
        if batch is None:
            return self.error(404, "no such batch")
        if parts[1:] == ["results"]:
            if parts[0] not in server.results:
                return self.error(404, "no results yet")
            return self.send(200, server.results[parts[0]], "application/x-jsonl")
        if parts[1:] == ["cancel"]:
            batch["processing_status"], batch["cancel_initiated_at"] = "canceling", "2026-09-01T00:00:00Z"
        if self.command == "DELETE":
            if batch["processing_status"] != "ended":
                return self.error(400, "cancel it first")
            del server.batches[parts[0]]
            del server.results[parts[0]]
            return self.answer(200, {"id": parts[0], "type": "message_batch_deleted"})
        return self.answer(200, batch)

    def page(self, items, query):
        ids = [item["id"] for item in items]
        size = min(int(query.get("limit", 20)), self.server.page)
        if "before_id" in query:
            end = ids.index(query["before_id"])
            begin = max(0, end - size)
            more = begin > 0
        else:
            begin = ids.index(query["after_id"]) + 1 if "after_id" in query else 0
            end = min(begin + size, len(items))
            more = end < len(items)
        some = items[begin:end]
        return self.answer(200, {"data": some, "has_more": more, "first_id": some[0]["id"] if some else None,
                                 "last_id": some[-1]["id"] if some else None})

    def error(self, status, message):
        self.answer(status, {"type": "error", "error": {"type": "invalid_request_error" if status < 500 else "api_error",
                                                        "message": message}})


class MessageBatchProvider(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.RLock()
        self.asked, self.batches, self.requests, self.results = [], {}, {}, {}
        self.page = 3  # small, so that lists have many
        self.fail = None  # (method, pattern of a path, status; None: no answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def add(self, requests):
        name = f"msgbatch_{len(self.requests) + 1}"
        self.requests[name] = requests
        self.batches[name] = {
            "id": name, "type": "message_batch", "processing_status": "in_progress", "results_url": None,
            "request_counts": {"processing": len(requests), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
            "created_at": "2026-09-01T00:00:00Z", "expires_at": "2026-09-02T00:00:00Z", "ended_at": None,
            "cancel_initiated_at": None, "archived_at": None}
        return self.batches[name]

    def finish(self, name, *types):
        """The batch is over: `types` of its results in order; the others succeeded."""
        with self.lock:
            batch, lines = self.batches[name], []
            counts = dict.fromkeys(batch["request_counts"], 0)
            for i, request in enumerate(self.requests[name]):
                kind = types[i] if i < len(types) else "succeeded"
                counts[kind] += 1
                result = {"type": kind}
                if kind == "succeeded":
                    result["message"] = {"id": "msg_1", "type": "message", "role": "assistant", "stop_sequence": None,
                                         "model": request["params"]["model"], "stop_reason": "end_turn", "usage": USAGE,
                                         "content": [{"type": "text", "text": "hi"}]}
                elif kind == "errored":
                    result["error"] = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
                lines.append(json.dumps({"custom_id": request["custom_id"], "result": result}))
            batch.update(processing_status="ended", request_counts=counts, ended_at="2026-09-01T01:00:00Z",
                         results_url=f"https://api.anthropic.com/v1/messages/batches/{name}/results")
            self.results[name] = "\n".join(lines).encode()
