"""Table 3.4, the rows of our own stores: Redis that is slow, gone, emptied or full of something else; PostgreSQL that goes
away under load; a locked database. What needs two gateways is in races.py, what kills ours in kill_points.py."""
import pathlib
import shutil
import sqlite3
import subprocess
import threading
import time

import load
from harness import Skip, ask, eventually, need, talk

POSTGRES = pathlib.Path(__file__).resolve().parent.parent / "support" / "postgres"
# `free` belongs to no hard budget: what is wrong with the pool must not touch it.
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 1, state: "{state}"}}
budget_leases: "LEASES"
providers:
  fake: {{dialect: openai, base_url: "{upstream}", api_key: sk-upstream}}
models:
  gpt-4o: {{provider: fake, price: {{input: 2.50, output: 10.00}}}}
keys:
  - {{name: web, team: travel, secret: "{key}"}}
  - {{name: free, secret: "{key}-free"}}
budgets:
  - {{name: travel, scope: team, match: travel, usd: 1, per: month}}
"""


class Redis:
    def __init__(self, folder):
        if not shutil.which("redis-server"):
            raise Skip("redis-server is not installed; tools/setup.sh test installs it")
        self.folder, self.socket = folder, folder / "redis.sock"
        self.start()

    def start(self):
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--appendonly", "yes",
                                         "--appendfsync", "always", "--dir", str(self.folder)], stdout=subprocess.DEVNULL)
        eventually(lambda: subprocess.run(["redis-cli", "-s", str(self.socket), "PING"], capture_output=True).stdout == b"PONG\n",
                   "Redis does not start")

    def __call__(self, *words):
        run = subprocess.run(["redis-cli", "-s", str(self.socket), *words], capture_output=True, text=True, check=True, timeout=60)
        return run.stdout.split()

    def kill(self):
        self.process.kill()
        self.process.wait()


def times(gateway, count, **more):
    """The statuses of requests one after the other, and the longest time of one."""
    statuses, longest = [], 0.0
    for _ in range(count):
        begin = time.monotonic()
        statuses.append(talk(gateway, ask(model="gpt-4o"), **more).status)
        longest = max(longest, time.monotonic() - begin)
    return statuses, longest


def told(statuses):
    return ", ".join(f"{statuses.count(one)} × {one}" for one in sorted(set(statuses)))


def fault_redis(world):
    """Paused, gone, of a wrong type, emptied: nobody waits for it, paid work under a budget fails closed, the rest goes on."""
    folder = world.scratch / "redis"
    folder.mkdir()
    redis = Redis(folder)
    free = {"key": None}
    try:
        with load.provider(world) as provider, \
                world.gateway(provider.url, CONFIG.replace("LEASES", f"redis+unix://{redis.socket}")) as gateway:
            free["key"] = "lw-e2e-0123456789abcdef-free"
            need(times(gateway, 3)[0] == [200] * 3, "before")

            def phase(name, count, wrong_for_paid, then):
                with world.case("Redis", name) as said:
                    paid, paid_longest = times(gateway, count)
                    unbudgeted, free_longest = times(gateway, 10, **free)
                    said["client"] = f"{told(paid)} under a budget (at most {paid_longest * 1000:.0f} ms), {told(unbudgeted)} without"
                    need(unbudgeted == [200] * 10, "who has no budget is not touched:", unbudgeted)
                    need(set(paid) <= {200, 503} and (paid[-1] == 503) == wrong_for_paid, paid)
                    need(max(paid_longest, free_longest) < 2.5, "longer than the patience of two seconds")
                    then()
                    eventually(lambda: talk(gateway, ask(model="gpt-4o")).status == 200, "it does not come back", 15)
                    eventually(lambda: gateway.raw("/readyz", admin=True)[0] == 200, "not ready again", 15)
                    said["ledger"] = "ready again"
            redis("CLIENT", "PAUSE", "3000", "ALL")
            phase("paused for 3 s (CLIENT PAUSE)", 20, False, lambda: time.sleep(3))
            redis.kill()
            phase("killed, then started again", 70, True, redis.start)
            keys = redis("KEYS", "leeway:budget:*")
            need(keys, "no account of a budget")
            for key in keys:
                redis("RENAME", key, f"kept:{key}")
                redis("SET", key, "this is no hash")

            def mend():
                for key in keys:
                    redis("DEL", key)
                    redis("RENAME", f"kept:{key}", key)
            phase("an account is of a wrong type (a text)", 70, True, mend)
            with world.case("Redis", "emptied (FLUSHALL): refused, and not taken for a full pool") as said:
                redis("FLUSHALL")
                time.sleep(3.5)  # what was leased goes back, so that the pool is asked
                statuses = [talk(gateway, ask(model="gpt-4o")).status for _ in range(40)]
                unbudgeted, _ = times(gateway, 10, **free)
                said["client"] = f"{told(statuses)} under a budget, {told(unbudgeted)} without"
                need(statuses[-1] == 503 and unbudgeted == [200] * 10, statuses[-3:], unbudgeted)
                said["ledger"] = f"{gateway.raw('/readyz', admin=True)[0]} of /readyz"
                need(gateway.raw("/readyz", admin=True)[0] == 503, "ready")
            need(gateway.process.poll() is None, "the gateway ended")
    finally:
        redis.kill()


def fault_postgres_under_load(world):
    """PostgreSQL goes away and comes back under load: no request notices, no row is lost or doubled."""
    folder = world.scratch / "postgres"
    started = subprocess.run([POSTGRES, "start", folder], capture_output=True, text=True)
    if started.returncode == 77:
        raise Skip(started.stderr.strip())
    text = load.config().replace("budgets:\n  - {{name: all, scope: global, usd: 100000, per: month}}\n", "") + \
        f'ledger: {{{{database: "{started.stdout.strip()}"}}}}\n'
    try:
        with load.provider(world) as provider, world.gateway(provider.url, text) as gateway, \
                world.case("PostgreSQL", "gone in the middle of a load, and back (no hard budget)") as said:
            running = load.start_load(world, gateway, "--rate", 150, "--connections", 16, "--seconds", world.seconds)
            time.sleep(world.seconds / 4)
            subprocess.run([POSTGRES, "stop", folder], check=True)
            time.sleep(world.seconds / 3)
            subprocess.run([POSTGRES, "start", folder], check=True, stdout=subprocess.DEVNULL)
            report = load.report_of(running)
            eventually(lambda: len(gateway.rows()) == report["answered"], "not all rows come", 30)
            rows = gateway.rows()
            said["client"] = f"{report['answered']} × 200, {report['failed']} failed, p99 {report['latency_us']['p99'] / 1000:.1f} ms"
            said["ledger"] = f"{len(rows)} rows"
            need(report["failed"] == 0, report["failures"], report["first"])
            need(len({row["id"] for row in rows}) == len(rows) == provider.stats()["chat"], "rows and calls")
    finally:
        subprocess.run([POSTGRES, "stop", folder], check=False)


def fault_locked(world):
    """Another process locks the ledger's database: requests go on, and the rows follow."""
    with load.provider(world) as provider, world.gateway(provider.url, load.config()) as gateway, \
            world.case("SQLite", f"locked for {world.seconds:.0f} s under load") as said:
        running = load.start_load(world, gateway, "--rate", 100, "--connections", 16, "--seconds", world.seconds)
        time.sleep(0.3)
        lock = sqlite3.connect(gateway.state / "ledger" / "ledger.db", timeout=20)
        lock.execute("BEGIN EXCLUSIVE")
        threading.Event().wait(world.seconds)
        lock.rollback()
        lock.close()
        report = load.report_of(running)
        eventually(lambda: len(gateway.rows()) == report["answered"], "not all rows come", 30)
        said["client"] = f"{report['answered']} × 200, {report['failed']} failed, p99 {report['latency_us']['p99'] / 1000:.1f} ms"
        said["ledger"] = f"{len(gateway.rows())} rows"
        need(report["failed"] == 0, report["failures"], report["first"])
