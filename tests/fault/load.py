"""Load for the fault scenarios: the compiled generator and provider of bench/, and what they say."""
import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request

from harness import KEY, Wrong, request_bytes

# An upstream of the provider `fake`, whose answers cost what bench_provider tells: 812 in, 50 out.
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 2, state: "{state}", drain: {{timeout: DRAIN}}}}
providers:
  fake: {{dialect: openai, base_url: "{upstream}", api_key: sk-upstream, max_connections: 2000,
         retries: {{attempts: 2, base: 20ms, cap: 1s}}}}
models:
  gpt-4o: {{provider: fake, price: {{input: 2.50, output: 10.00}}}}
keys:
  - {{name: web, team: travel, secret: "{key}"}}
budgets:
  - {{name: all, scope: global, usd: 100000, per: month}}
"""
COST = 812 * 2_500_000 + 50 * 10_000_000


def config(drain="30s"):
    return CONFIG.replace("DRAIN", drain)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Provider:
    """bench_provider in a process of its own."""

    def __init__(self, world, *arguments):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.process = subprocess.Popen([world.program("bench_provider"), "--listen", str(self.port), *map(str, arguments)])
        give_up = time.monotonic() + 20
        while True:
            try:
                self.stats()
                return
            except OSError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.02)  # polling for a start, with a deadline

    def stats(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=20) as answer:
            return json.load(answer)

    def stop(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def provider(world, *arguments):
    one = Provider(world, *arguments)
    try:
        yield one
    finally:
        one.stop()


def start_load(world, gateway, *arguments):
    address = urllib.parse.urlsplit(gateway.url)
    return subprocess.Popen([world.program("bench_load"), "--connect", f"{address.hostname}:{address.port}", "--json", "--header",
                             f"Authorization: Bearer {KEY}", *map(str, arguments)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def report_of(load, patience=120):
    """What the load saw: `sent`, `answered`, `failed`, `failures` by reason, `latency_us`."""
    out, err = load.communicate(timeout=patience)
    if not out.strip():
        raise Wrong(f"bench_load said nothing: {err[-500:]}")
    report = json.loads(out.strip().splitlines()[-1])
    report["first"] = err.strip()[:300]
    return report


async def _stream(address, body, out):
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1 << 20)
    writer.write(request_bytes(body))
    data = b""
    try:
        while more := await reader.read(65536):
            if not data:
                out["open"] += 1
            data = (data + more)[-4000:]
    except ConnectionError:
        out["reset"] += 1
    writer.close()
    out["ends"].append(data)


async def _streams(gateway, body, count, then):
    address = urllib.parse.urlsplit(gateway.url)
    out = {"open": 0, "reset": 0, "ends": []}
    tasks = []
    for _ in range(count):
        tasks.append(asyncio.create_task(_stream(address, body, out)))
        if len(tasks) % 50 == 0:
            await asyncio.sleep(0.02)  # not all connections in one burst
    give_up = time.monotonic() + 60
    while out["open"] < count and time.monotonic() < give_up:
        await asyncio.sleep(0.05)
    then()
    await asyncio.wait(tasks, timeout=60)
    return out


def hold_streams(gateway, body, count, then):
    """`count` streams at a time; when all have begun `then` is called; the last bytes of each."""
    return asyncio.run(_streams(gateway, body, count, then))


def terminate(gateway):
    gateway.process.send_signal(signal.SIGTERM)
