"""The secrets canary: every served route and every kind of error, with marked values for the keys of providers and callers and for
what is said; then all that the gateway wrote or answered is searched for them."""
import http.server
import json
import pathlib
import re
import signal
import subprocess
import threading

from harness import KEY, Wrong, connect, read_to_end

# Made to be found: no part of them stands anywhere else.
PROVIDER, HOOK, MINE, QUERY = "sk-Kanarie1provider7Q", "Kanarie2hook8W5hookhook", "lw-Kanarie3caller9E22", "lw-Kanarie4query0R111"
WRONG, PROMPT, SAID = "lw-Kanarie5wrong1T333", "Kanarie6prompt2Y", "Kanarie7answer3U"
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 1, state: "{state}"}}
log: {{level: debug, format: FORMAT}}
providers:
  open: {{dialect: openai, base_url: "{upstream}", api_key: PROVIDER, batches: on, retries: {{attempts: 0}}, breaker: {{failures: 0}}}}
  claude: {{dialect: anthropic, base_url: "{upstream}", api_key: PROVIDER, retries: {{attempts: 0}}, breaker: {{failures: 0}}}}
  google: {{dialect: gemini, base_url: "{upstream}", api_key: PROVIDER, retries: {{attempts: 0}}, breaker: {{failures: 0}}}}
  away: {{dialect: openai, base_url: "http://127.0.0.1:1/PROVIDER", api_key: PROVIDER, retries: {{attempts: 0}}, breaker: {{failures: 0}}}}
models:
  mini: {{provider: open, price: {{input: 1, output: 1}}}}
  haiku: {{provider: claude, price: {{input: 1, output: 1}}}}
  flash: {{provider: google, price: {{input: 1, output: 1}}}}
  gone: {{provider: away, price: {{input: 1, output: 1}}}}
keys:
  - {{name: web, secret: "{key}"}}
  - {{name: mine, secret: "MINE"}}
  - {{name: query, secret: "QUERY"}}
budgets:
  - {{name: all, scope: global, usd: 0.5, hard: false, per: day, alerts: [1%]}}
webhook: {{url: "{upstream}/hook", secret: "HOOK"}}
"""
CALLERS = ({}, {"key": "mine"}, {"key": "wrong"}, {"key": "none"}, {"key": "query"}, {"key": "x-api-key"}, {"key": "x-goog-api-key"})


class Echo(http.server.BaseHTTPRequestHandler):
    """Says what it was told, its credentials too; how, the prompt says."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.do_POST()

    do_DELETE = do_GET

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("content-length") or 0)).decode("utf-8", "replace")
        told = " ".join(f"{name}: {value}" for name, value in self.headers.items()) + self.path
        found = re.search(r"wish-(\w+)", text)
        wish = found[1] if found else ""
        if wish in ("401", "500", "429"):
            value = {"error": {"message": f"Incorrect API key provided: {told}", "type": "invalid_request_error", "code": "invalid_api_key",
                               "param": None}}
            return self.send(int(wish), json.dumps(value), "application/json")
        if wish == "html":
            return self.send(502, f"<html>{told} {SAID}</html>", "text/html")
        if wish == "text":
            return self.send(200, f"{told} {SAID}", "text/plain")
        if wish == "stream":
            # What is said in the middle of an answer passes as it came: no credentials here.
            event = json.dumps({"error": {"message": SAID, "type": "server_error"}})
            chunk = json.dumps({"choices": [{"index": 0, "delta": {"content": SAID}, "finish_reason": None}]})
            return self.send(200, f"data: {chunk}\n\ndata: {event}\n\n", "text/event-stream")
        if wish == "first":
            value = {"type": "error", "error": {"message": told, "type": "server_error"}}
            name = "event: error\n" if "/messages" in self.path else ""
            return self.send(200, f"{name}data: {json.dumps(value)}\n\n", "text/event-stream")
        if wish == "cut":
            self.send(200, f'{{"choices": [{{"message": {{"content": "{SAID}', "application/json", 500)
            self.close_connection = True
            return None
        value = {"id": "x", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                 "choices": [{"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}]}
        return self.send(200, json.dumps(value), "application/json")

    def send(self, status, text, kind, length=None):
        data = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(length or len(data)))
        self.send_header("x-request-id", "req_1")
        self.end_headers()
        self.wfile.write(data)


def bodies(path):
    """What is sent to a route: an ordinary body for it with each wish, broken ones, and too much."""
    wishes = ["fine", "wish-401", "wish-500", "wish-429", "wish-html", "wish-text", "wish-stream", "wish-first", "wish-cut"]
    for wish in wishes:
        said = f"{PROMPT} {wish}"
        for model in ("mini", "haiku", "flash", "gone", f"no-{PROMPT}"):
            if "generateContent" in path or "GenerateContent" in path or "countTokens" in path:
                yield {"contents": [{"role": "user", "parts": [{"text": said}]}]}
                break
            if "responses" in path:
                yield {"model": model, "input": said, "stream": "stream" in wish or "first" in wish}
            elif "embeddings" in path:
                yield {"model": model, "input": said}
            elif "completions" in path and "chat" not in path:
                yield {"model": model, "prompt": said}
            elif "rerank" in path:
                yield {"model": model, "query": said, "documents": [said]}
            else:
                yield {"model": model, "messages": [{"role": "user", "content": said}], "max_tokens": 9,
                       "stream": "stream" in wish or "first" in wish}
    for broken in (f'{{"model": "{PROMPT}', f'{PROMPT}', f'{{"model": "mini", "messages": "{PROMPT}"}}', f'{{"{PROMPT}": 1}}',
                   f'{{"model": "mini", "messages": [{{"role": "{PROMPT}", "content": 1}}], "n": "{PROMPT}"}}',
                   f'{{"model": "mini", "model": "{PROMPT}"}}', f'{{"model": "mini", "messages": [{{"role": "user", "content": "{PROMPT}\\ud800"}}]}}'):
        yield broken.encode()


def send(gateway, method, path, body, caller):
    """The whole answer to one request."""
    fields = {"key": [f"Authorization: Bearer {KEY}"], "mine": [f"Authorization: Bearer {MINE}"], "wrong": [f"Authorization: Bearer {WRONG}"],
              "none": [], "query": [], "x-api-key": [f"x-api-key: {MINE}"], "x-goog-api-key": [f"x-goog-api-key: {WRONG}"]}[caller]
    if caller == "query":
        path += ("&" if "?" in path else "?") + f"key={QUERY}"
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    head = [f"{method} {path} HTTP/1.1", "Host: gateway", "Connection: close", *fields, "Content-Type: application/json",
            *([f"Content-Length: {len(data)}"] if method == "POST" or data else [])]
    with connect(gateway) as end:
        end.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + data)
        return read_to_end(end)[0]


def places(gateway):
    document = json.loads(subprocess.run([gateway.binary, "openapi"], capture_output=True, text=True, check=True).stdout)
    for path, operations in document["paths"].items():
        if "servers" not in operations:
            for method in operations:
                yield method.upper(), path


def fault_secrets(world):
    for form in ("json",) if world.short else ("text", "json"):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        server.daemon_threads = True
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = CONFIG
        for name, value in {"FORMAT": form, "PROVIDER": PROVIDER, "HOOK": HOOK, "MINE": MINE, "QUERY": QUERY}.items():
            config = config.replace(name, value)
        try:
            with world.gateway(f"http://127.0.0.1:{server.server_port}/v1", config) as gateway, \
                    world.case("secrets", f"every route and error, log in {form}") as said:
                said["client"], said["ledger"] = search(world, gateway, form)
        finally:
            server.shutdown()


def search(world, gateway, form):
    made = json.loads(gateway.cli("keys", "create", "made", "--json"))["secret"]
    answers, statuses = {}, {}
    for method, path in places(gateway):
        for place in [path.replace("{model}", "flash").replace("{id}", f"id-{PROMPT}"), path.replace("{model}", "mini").replace("{id}", "x")]:
            for body in (bodies(place) if method == "POST" else [None]):
                data = send(gateway, method, place, body, "key")
                answers.setdefault(f"{method} {place}", []).append(data)
            for caller in ("mine", "wrong", "none", "query", "x-api-key", "x-goog-api-key"):
                body = next(bodies(place)) if method == "POST" else None
                answers.setdefault(f"{method} {place} as {caller}", []).append(send(gateway, method, place, body, caller))
    for method, place in (("GET", f"/{PROMPT}"), ("POST", f"/v1/unknown?key={QUERY}"), ("PUT", "/v1/models"), ("GET", f"/v1/models?key={WRONG}"),
                          ("BREW", "/v1/models"), ("GET", f"/v1/models/{PROMPT}")):
        answers.setdefault(f"{method} {place}", []).append(send(gateway, method, place, None, "wrong"))
    for raw in (f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {WRONG}\r\nX: \x01\r\n\r\n",
                f"GET /v1/models HTTP/9.9\r\nHost: x\r\nAuthorization: {WRONG}\r\n\r\n",
                f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {WRONG}\r\nX-Long: {'y' * 40_000}\r\n\r\n",
                f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {MINE}\r\nContent-Length: 99999999999\r\n\r\n{PROMPT}"):
        with connect(gateway) as end:
            end.sendall(raw.encode("latin-1"))
            answers.setdefault(raw[:40], []).append(read_to_end(end)[0])
    for data in (one for each in answers.values() for one in each):
        statuses[data[9:12]] = statuses.get(data[9:12], 0) + 1
    # A configuration that is refused, keys that are revoked, a reload, an end: what is said of them.
    good = gateway.config.read_text()
    gateway.config.write_text(good.replace("api_key:", "api_kee:", 1))
    gateway.process.send_signal(signal.SIGHUP)
    sinks = {"refused configuration": gateway_says(gateway, "check")}
    gateway.config.write_text(good)
    for words in (("keys", "list"), ("keys", "revoke", "made"), ("report",), ("report", "--by", "user,key"), ("ledger", "export", "--jsonl"),
                  ("budgets",), ("providers",), ("check",), ("models",), ("prices",)):
        sinks["leeway " + " ".join(words)] = gateway_says(gateway, *words)
    for path in ("/metrics", "/healthz", "/readyz"):
        sinks[path] = gateway.raw(path, admin=True)[2]
    sinks["command line"] = pathlib.Path(f"/proc/{gateway.process.pid}/cmdline").read_bytes()
    gateway.stop()
    sinks["log"] = gateway.log.read_bytes()
    for path in gateway.state.rglob("*"):
        if path.is_file():
            sinks[f"state/{path.relative_to(gateway.state)}"] = path.read_bytes()
    found = []
    for name, data in sinks.items():
        for mark in (PROVIDER, HOOK, MINE, QUERY, WRONG, made, PROMPT, SAID):
            if mark.encode() in data and not told_on_purpose(name, mark):
                at = data.index(mark.encode())
                found.append(f"{mark} in {name}: …{data[max(0, at - 80):at + 40]!r}")
    for name, all_of in answers.items():
        for data in all_of:
            # Its own key comes back to no caller, and nobody's does to another; what was said may.
            found += [f"{mark} in the answer to {name}: {data[-300:]!r}" for mark in (PROVIDER, HOOK, MINE, QUERY, made, WRONG)
                      if mark.encode() in data]
    if found:
        raise Wrong(f"{len(found)} found: " + "\n       ".join(found[:6]))
    count = sum(map(len, answers.values()))
    return (f"{count} answers ({', '.join(f'{n} × {s.decode()}' for s, n in sorted(statuses.items()))}), 0 findings",
            f"{len(sinks)} sinks, {sum(map(len, sinks.values())) >> 10} KiB, 0 findings")


def told_on_purpose(sink, mark):
    """Where a marked value belongs: the model that a caller asked for by name stands in the ledger, and what callers of
    Responses let us keep in its store."""
    if sink.startswith("state/responses.db"):
        return mark in (PROMPT, SAID)
    return mark == PROMPT and ("ledger" in sink or "report" in sink)


def gateway_says(gateway, *words):
    run = subprocess.run([gateway.binary, *words, "--config", str(gateway.config)], capture_output=True, timeout=60)
    return run.stdout + run.stderr
