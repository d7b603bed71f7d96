#!/usr/bin/env python3
"""Kills the real gateway with SIGKILL under load, starts it again, and checks that no request is lost or booked
twice: every call that reached the provider has its row, every whole answer is a row "ok", what is unknown is at
most what was in flight, and the budget stands exactly where the rows add up to.

    tests/fault/kill_points.py --leeway build/release/leeway [--points 5] [--seed N] [--postgres]

--postgres: the ledger and the budgets are in a throwaway PostgreSQL.

The last line is 'N passed, N failed'.
"""
import argparse
import http.client
import http.server
import json
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import gateway as e2e  # noqa: E402

POSTGRES = pathlib.Path(__file__).resolve().parent.parent / "support" / "postgres"
THREADS = 8
KEY = "lw-fault-0123456789abcdef"
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 2, state: "{state}"}}
{ledger}
providers:
  fake: {{dialect: openai, base_url: "{upstream}", api_key: sk-upstream}}
models:
  paid: {{provider: fake, price: {{input: 2.50, output: 10.00}}}}
keys:
  - {{name: web, team: travel, secret: "{key}"}}
budgets:
  - {{name: all, scope: global, usd: 100000, per: month}}
  - {{name: travel, scope: team, match: travel, usd: 100000, rolling: 24h}}
"""


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.calls += 1
        time.sleep(self.server.random.uniform(0, 0.02))
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        try:
            if body.get("stream"):
                events = [{"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}]}] * 3
                events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
                events.append({"choices": [], "usage": usage})
                text = "".join("data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "model": "m", **e})
                               + "\n\n" for e in events) + "data: [DONE]\n\n"
                self.answer(text.encode(), "text/event-stream")
            else:
                self.answer(json.dumps({"id": "c", "object": "chat.completion", "model": "m", "usage": usage, "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]}).encode(),
                    "application/json")
        except OSError:
            self.close_connection = True

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Gateway(e2e.Gateway):
    """One that starts with a configuration that is there already."""

    def __init__(self, binary, config, log):
        self.binary, self.before, self.config, self.log = binary, [], config, log
        self.start()
        self.address = self.url.removeprefix("http://")

    def rows(self):
        return [row for row in map(json.loads, self.cli("ledger", "export", "--jsonl").splitlines()) if row["attempt"] > 0]

    def posted(self, budget):
        text = self.raw("/metrics", admin=True)[2].decode()
        return re.search(r'leeway_budget_posted\{budget="%s"[^}]*\} (\S+)' % budget, text).group(1)


def client(address, stop, answered, rng):
    host, port = address.split(":")
    connection = None
    while not stop.is_set():
        body = {"model": "paid", "messages": [{"role": "user", "content": "hello"}], "stream": rng.random() < 0.5}
        try:
            if connection is None:
                connection = http.client.HTTPConnection(host, int(port), timeout=30)
            connection.request("POST", "/v1/chat/completions", json.dumps(body),
                               {"content-type": "application/json", "authorization": "Bearer " + KEY})
            response = connection.getresponse()
            text = response.read()
            if response.status == 200 and (not body["stream"] or b"[DONE]" in text):
                answered.append(response.headers["x-leeway-id"])
            elif response.status != 200:
                answered.append(f"status {response.status}: {text[:200]}")
        except (OSError, http.client.HTTPException):
            connection = None


def usd_to_pico(text):
    whole, _, rest = text.partition(".")
    return int(whole) * 10**12 + int((rest + "0" * 12)[:12])


def check(gateway, provider, answered, unknown_before, faults):
    rows = gateway.rows()
    ids = [row["id"] for row in rows]
    by_id = {row["id"]: row for row in rows}
    if len(ids) != len(by_id):
        faults.append(f"{len(ids) - len(by_id)} rows twice")
    for one in answered:
        if one not in by_id:
            faults.append(f"lost: {one} was answered and has no row")
        elif by_id[one]["end"] != "ok":
            faults.append(f"{one} was answered and its row says {by_id[one]['end']}")
    unknown = sum(row["end"] == "unknown" for row in rows)
    if unknown - unknown_before > THREADS:
        faults.append(f"{unknown - unknown_before} unknown with {THREADS} in flight")
    if len(rows) < provider.calls:
        faults.append(f"lost: {provider.calls} calls and {len(rows)} rows")
    if len(rows) > provider.calls + unknown:
        faults.append(f"double: {provider.calls} calls, {unknown} unknown and {len(rows)} rows")
    total = sum(row["cost_pico_usd"] or 0 for row in rows)
    for budget in ("all", "travel"):
        posted = usd_to_pico(gateway.posted(budget))
        if posted != total:
            faults.append(f"budget {budget} stands at {posted}, the rows add up to {total}")
    if any(not row["cost_pico_usd"] for row in rows if row["end"] != "error"):
        faults.append("a call is booked at zero")
    return unknown, len(rows)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--leeway", required=True)
    options.add_argument("--points", type=int, default=5)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--postgres", action="store_true")
    arguments = options.parse_args()
    rng = random.Random(arguments.seed)
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    provider.daemon_threads = True
    provider.handle_error = lambda *_: None  # connections of a killed gateway break
    provider.lock, provider.calls, provider.random = threading.Lock(), 0, random.Random(arguments.seed)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    faults, unknown, rows, answered = [], 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        config = folder / "leeway.yaml"
        ledger = ""
        if arguments.postgres:
            url = subprocess.run([POSTGRES, "start", folder / "postgres"], capture_output=True, text=True, check=True)
            ledger = f'ledger: {{database: "{url.stdout.strip()}"}}'
        config.write_text(CONFIG.format(state=folder / "state", key=KEY, ledger=ledger,
                                        upstream=f"http://127.0.0.1:{provider.server_port}/v1"))
        for point in range(arguments.points + 1):
            gateway = Gateway(arguments.leeway, config, folder / f"log-{point}")
            before = len(faults)
            unknown, rows = check(gateway, provider, answered, unknown, faults)
            if len(faults) > before:
                print(f"FAILED point {point}: " + "; ".join(faults[before:before + 3]))
            if point == arguments.points:
                gateway.process.send_signal(signal.SIGTERM)
                gateway.process.wait(timeout=60)
                break
            stop = threading.Event()
            threads = [threading.Thread(target=client, args=(gateway.address, stop, answered, random.Random(rng.random())))
                       for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            time.sleep(rng.uniform(0.02, 0.3))  # the point: anywhere in the load
            gateway.process.kill()
            gateway.process.wait()
            stop.set()
            for thread in threads:
                thread.join()
        if arguments.postgres:
            subprocess.run([POSTGRES, "stop", folder / "postgres"], check=False)
    print(f"{arguments.points} kills: {provider.calls} calls, {rows} rows, {len(answered)} answered, {unknown} unknown")
    print(f"{arguments.points if not faults else 0} passed, {len(faults)} failed")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
