#!/usr/bin/env python3
"""Two gateways on one PostgreSQL (or, with --redis, on one Redis) and parallel requests on the last cent of four
budgets: what the rows add up to must never pass a limit. The provider is a fake that bills what the gateway reserved
at most, so one request too many is one cent too many. Then the server goes away and comes back, while gateways run and
before one starts: nothing is admitted that is not covered, no row is lost or doubled, and all comes back by itself.

    tests/fault/races.py --leeway build/release/leeway [--trials 2] [--requests 1000] [--redis]

The last line is 'N passed, N failed', and ', 1 skipped' where the server is not installed.
"""
import argparse
import http.client
import http.server
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from kill_points import Gateway, Provider

POSTGRES = pathlib.Path(__file__).resolve().parent.parent / "support" / "postgres"
PSQL = "/usr/lib/postgresql/15/bin/psql"
KEY = "lw-fault-0123456789abcdef"
THREADS = 64
# A request with these bounds reserves, and the fake answer then costs, the same every time.
BODY = {"model": "paid", "user": "ada", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 2, state: "{state}"}}
ledger: {{database: "{database}"}}
{leases}
providers:
  fake: {{dialect: openai, base_url: "{upstream}", api_key: sk-upstream}}
models:
  paid: {{provider: fake, price: {{input: 2.50, output: 10.00}}}}
keys:
  - {{name: web, team: travel, secret: "{key}"}}
budgets:
  - {{name: all-{trial}, scope: global, usd: {all}, per: month}}
  - {{name: travel-{trial}, scope: team, match: travel, usd: {team}, rolling: 24h}}
  - {{name: web-{trial}, scope: key, match: web, usd: {web}, per: day}}
  - {{name: ada-{trial}, scope: user, match: ada, usd: {user}, per: week}}
"""


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024  # the usual 5 make the kernel drop connections, which come back seconds later


class Fake(Provider):
    """Bills each call at exactly the reservation: the byte bound of the input and all of max_tokens."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        request = json.loads(body)
        with self.server.lock:
            self.server.calls += 1
            self.server.bytes = max(self.server.bytes, len(body))
        time.sleep(0.002)
        usage = {"prompt_tokens": self.server.input_tokens(len(body)), "completion_tokens": request["max_tokens"]}
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
        self.answer(json.dumps({"id": "c", "object": "chat.completion", "model": "m", "usage": usage, "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]}).encode(),
            "application/json")


def send(address, results, count):
    """`count` requests one after the other; the statuses and costs that came back."""
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    for _ in range(count):
        connection.request("POST", "/v1/chat/completions", json.dumps(BODY),
                           {"content-type": "application/json", "authorization": "Bearer " + KEY})
        response = connection.getresponse()
        text = response.read()
        results.append((response.status, response.headers.get("x-leeway-cost-usd"), text))


def pico(text):
    whole, _, rest = text.partition(".")
    return int(whole) * 10**12 + int((rest + "0" * 12)[:12])


def usd(amount):
    return f"{amount // 10**12}.{amount % 10**12:012d}"


class World:
    def __init__(self, binary, folder, database, leases, provider):
        self.binary, self.folder, self.database, self.leases = binary, folder, database, leases
        self.upstream = f"http://127.0.0.1:{provider.server_port}/v1"
        self.started = 0

    def gateways(self, trial, limits):
        """Two processes with state folders of their own, one new database and the same budgets."""
        name = f"trial_{trial}"
        subprocess.run([PSQL, "-q", self.database, "-c", f"CREATE DATABASE {name}"], check=True)
        database = self.database.replace("/postgres?", f"/{name}?")
        out = []
        for number in range(2):
            config = self.folder / f"gateway-{number}.yaml"
            config.write_text(CONFIG.format(state=self.folder / f"state-{trial}-{number}", key=KEY, trial=trial,
                                            database=database, leases=self.leases, upstream=self.upstream,
                                            **limits))
            self.started += 1
            out.append(Gateway(self.binary, config, self.folder / f"log-{self.started}"))
        return out


def stop(gateways):
    for gateway in gateways:
        gateway.process.send_signal(signal.SIGTERM)
    for gateway in gateways:
        gateway.process.wait(timeout=60)


def cost_of_one(world, provider):
    gateways = world.gateways("price", dict.fromkeys(("all", "team", "web", "user"), "1000"))
    results = []
    send(gateways[0].address, results, 1)
    stop(gateways)
    if results[0][0] != 200:
        raise RuntimeError(f"the first request failed: {results[0]}")
    return pico(results[0][1])


def trial(world, number, cost, requests):
    """Faults of one trial: `requests` at once where only a quarter fits."""
    fits = requests // 4
    tight = ("all", "team", "web", "user")[number % 4]
    limits = {name: usd(fits * cost + (cost // 2 if name == tight else 50 * cost))
              for name in ("all", "team", "web", "user")}
    gateways = world.gateways(number, limits)
    results, threads = [], []
    for index in range(THREADS):
        share = requests // THREADS + (index < requests % THREADS)
        threads.append(threading.Thread(target=send, args=(gateways[index % 2].address, results, share)))
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - started
    admitted = sum(status == 200 for status, _, _ in results)
    spent = sum(pico(text) for status, text, _ in results if status == 200)
    faults = []
    odd = [(status, text[:160]) for status, _, text in results
           if status != 200 and not (status == 429 and b"budget_exceeded" in text)]
    if odd:
        faults.append(f"{len(odd)} answers are neither 200 nor budget_exceeded, such as {odd[0]}")
    if len(results) != requests:
        faults.append(f"{len(results)} answers to {requests} requests")
    if spent > pico(limits[tight]):
        faults.append(f"overshoot: {usd(spent)} of {limits[tight]}")
    # Slices that a gateway holds and does not use come back within seconds: in the end nothing is left over.
    until = time.monotonic() + 8
    while admitted < fits and time.monotonic() < until:
        time.sleep(0.5)
        late = []
        for gateway in gateways:
            send(gateway.address, late, 1)
        admitted += sum(status == 200 for status, _, _ in late)
        spent += sum(pico(text) for status, text, _ in late if status == 200)
    if admitted != fits or spent > pico(limits[tight]):
        faults.append(f"{admitted} of {fits} were admitted in the end, {usd(spent)} of {limits[tight]}")
    stop(gateways)
    return faults, took


def ready(gateway):
    try:
        return urllib.request.urlopen(gateway.admin + "/readyz", timeout=30).status == 200
    except urllib.error.HTTPError:
        return False


def eventually(holds, patience=20):
    until = time.monotonic() + patience
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def one(gateway):
    results = []
    send(gateway.address, results, 1)
    return results[0][0]


def outage(world, cost, stop_server, start_server):
    """The server of pool and ledger goes away under two gateways, then before one starts."""
    limit = usd(400 * cost)
    gateways = world.gateways("outage", dict.fromkeys(("all", "team", "web", "user"), limit))
    faults, admitted = [], 0
    for gateway in gateways:
        admitted += one(gateway) == 200
    if admitted != 2:
        faults.append("not admitted before the outage")
    stop_server()
    # What is left of the slices is spent, then nothing more is admitted, and the gateways say so.
    for gateway in gateways:
        statuses = []
        while not statuses or (statuses[-1] == 200 and len(statuses) < 400):
            statuses.append(one(gateway))
        admitted += statuses.count(200)
        if statuses[-1] != 503:
            faults.append(f"status {statuses[-1]} while the pool cannot be asked")
        if not eventually(lambda: not ready(gateway)):
            faults.append("ready while the pool cannot be asked")
    start_server()
    for gateway in gateways:
        if not eventually(lambda: ready(gateway)):
            faults.append("not ready after the pool came back")
        status = one(gateway)
        admitted += status == 200
        if status != 200:
            faults.append(f"status {status} after the pool came back")
    stop(gateways)
    rows = [row for row in gateways[0].rows() if row["end"] == "ok"]
    if len(rows) != admitted or len({row["id"] for row in rows}) != admitted:
        faults.append(f"{len(rows)} rows for {admitted} answers")
    # Gone before the start: up, not ready, nothing paid; then it joins.
    stop_server()
    gateway = Gateway(world.binary, gateways[0].config, world.folder / "log-late")
    if ready(gateway):
        faults.append("ready before the database ever answered")
    if (status := one(gateway)) != 503:
        faults.append(f"status {status} before the database ever answered")
    start_server()
    if not eventually(lambda: ready(gateway)):
        faults.append("did not join the database that came late")
    if (status := one(gateway)) != 200:
        faults.append(f"status {status} after the database came late")
    stop([gateway])
    return faults


def forgetful(world, cost, client):
    """A Redis that forgot what was leased admits nothing more for those who know it."""
    gateways = world.gateways("flush", dict.fromkeys(("all", "team", "web", "user"), usd(400 * cost)))
    faults = []
    if one(gateways[0]) != 200:
        faults.append("not admitted before the flush")
    subprocess.run(client + ["FLUSHALL"], check=True, stdout=subprocess.DEVNULL)
    statuses = [one(gateways[0]) for _ in range(120)]
    if statuses[-1] != 503:
        faults.append(f"status {statuses[-1]} after the pool was emptied")
    # Longer than the gateway waits before it asks by itself: a server that answers but forgot is no ready pool.
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        if ready(gateways[0]):
            faults.append("ready with a pool that was emptied")
            break
        time.sleep(0.02)
    stop(gateways)
    return faults


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--leeway", required=True)
    options.add_argument("--trials", type=int, default=2)
    options.add_argument("--requests", type=int, default=1000)
    options.add_argument("--redis", action="store_true")
    arguments = options.parse_args()
    provider = Server(("127.0.0.1", 0), Fake)
    provider.daemon_threads = True
    provider.handle_error = lambda *_: None  # connections of a killed gateway break
    provider.lock, provider.calls, provider.bytes = threading.Lock(), 0, 0
    # docs/formats/budgets.md: a token per byte, 16 a message, 512 a request.
    provider.input_tokens = lambda size: len(json.dumps(BODY)) + 16 + 512
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        server = folder / "postgres"
        started = subprocess.run([POSTGRES, "start", server], capture_output=True, text=True)
        if started.returncode == 77:
            print(started.stderr.strip() + "\n0 passed, 0 failed, 1 skipped")
            return 0
        redis, leases = None, ""
        try:
            if arguments.redis:
                if not shutil.which("redis-server"):
                    print("redis-server is not installed; tools/setup.sh test installs it\n0 passed, 0 failed, 1 skipped")
                    return 0
                socket = folder / "redis.sock"
                redis = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(socket), "--appendonly",
                                          "yes", "--appendfsync", "always", "--dir", str(folder)],
                                         stdout=subprocess.DEVNULL)
                leases = f'budget_leases: "redis+unix://{socket}"'
                while not socket.exists():
                    time.sleep(0.01)
            world = World(arguments.leeway, folder, started.stdout.strip(), leases, provider)
            cost = cost_of_one(world, provider)
            for number in range(arguments.trials):
                faults, took = trial(world, number, cost, arguments.requests)
                failed += bool(faults)
                print(f"trial {number}: {arguments.requests} requests in {took:.2f} s: " + ("; ".join(faults) or "ok"))
            if arguments.redis:
                faults = forgetful(world, cost, ["redis-cli", "-s", str(socket)])
            else:
                faults = outage(world, cost, lambda: subprocess.run([POSTGRES, "stop", server], check=True),
                                lambda: subprocess.run([POSTGRES, "start", server], check=True,
                                                       stdout=subprocess.DEVNULL))
            failed += bool(faults)
            print("outage: " + ("; ".join(faults) or "ok"))
        finally:
            if redis is not None:
                redis.terminate()
                redis.wait()
            subprocess.run([POSTGRES, "stop", server], check=False)
    print(f"{arguments.trials + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
