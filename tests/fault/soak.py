#!/usr/bin/env python3
"""Load for as long as it takes, with faults on: an upstream that refuses, breaks off before its first byte and is slow, a share
of the time. Nothing that a retry can save may fail, and memory, files and reservations must not pile up.

    tests/fault/soak.py --leeway build/release/leeway --minutes 60 --rate 1000

The share of streams is a tenth of the rate. The last line is 'N passed, N failed'.
"""
import argparse
import json
import pathlib
import sqlite3
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
import load  # noqa: E402
from harness import metric, need, open_files, process_status  # noqa: E402

LEAST_JUDGED = 10  # minutes: over less, how memory and descriptors rise is told and not judged
SAMPLE = 1.0  # seconds


def slope(points):
    """Of the straight line that fits best: (x, y) pairs; y per x."""
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    square = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / square if square else 0.0


def books(state):
    """What the ledger's database has, looked at where it lies."""
    with sqlite3.connect(f"file:{state / 'ledger' / 'ledger.db'}?mode=ro", uri=True) as db:
        one = lambda text: db.execute(text).fetchone()
        requests, bad, cost, unknown = one("SELECT count(*), sum(\"end\" <> 0), sum(cost_pico_usd), sum(cost_pico_usd IS NULL) FROM request")
        attempts, failed = one("SELECT count(*), sum(\"end\" <> 0) FROM attempt")
        (intents,) = one("SELECT count(*) FROM intent")
    return {"requests": requests, "bad": bad or 0, "cost": cost or 0, "unknown": unknown or 0, "attempts": attempts,
            "failed": failed or 0, "intents": intents}


def watch(gateway, loads, minutes):
    """Samples of (seconds, VmRSS in KiB, descriptors) until the loads end."""
    samples, begin, said = [], time.monotonic(), 0
    while any(one.poll() is None for one in loads):
        need(gateway.process.poll() is None, "the gateway ended")
        now = time.monotonic() - begin
        samples.append((now, process_status(gateway.process.pid, "VmRSS"), open_files(gateway.process.pid)))
        if now // 60 > said:
            said = now // 60
            print(f"  {now / 60:4.0f} of {minutes:.0f} min: {samples[-1][1] / 1024:.1f} MiB, {samples[-1][2]} descriptors", flush=True)
        time.sleep(SAMPLE)
    return samples


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--leeway", required=True)
    options.add_argument("--bench-dir", help="where bench_load and bench_provider lie (default: beside the program, bench/)")
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--rate", type=float, default=1000, help="requests a second (1000)")
    options.add_argument("--faults", type=int, default=40, help="of 1,000 requests, at the upstream (40)")
    options.add_argument("--connections", type=int, default=64)
    arguments = options.parse_args()
    arguments.bench_dir = arguments.bench_dir or str(pathlib.Path(arguments.leeway).parent / "bench")
    arguments.short, arguments.scale, arguments.seconds = False, 1, arguments.minutes * 60
    table = harness.Table()
    with tempfile.TemporaryDirectory(prefix="leeway-soak-") as scratch:
        arguments.scratch = scratch
        world = harness.World(arguments, table)
        with load.provider(world, "--events", 10, "--interval-ms", 10, "--faults", arguments.faults) as provider, \
                world.gateway(provider.url, load.config()) as gateway:
            soak(world, table, arguments, provider, gateway)
    print(f"{table.passed} passed, {table.failed} failed")
    return 1 if table.failed else 0


def soak(world, table, arguments, provider, gateway):
    streams = arguments.rate / 10
    loads = [load.start_load(world, gateway, "--rate", rate, "--connections", connections, "--seconds", world.seconds, *more)
             for rate, connections, more in (
                 (arguments.rate - streams, arguments.connections, ()),
                 (streams, arguments.connections, ("--stream", "--events", 10, "--include-usage", "--max-tokens", 4096)))]
    samples = watch(gateway, loads, arguments.minutes)
    reports = [load.report_of(one) for one in loads]
    time.sleep(1)  # the ledger gathers a batch for at most 50 ms
    pending, posted = metric(gateway, "leeway_budget_pending")[0], metric(gateway, "leeway_budget_posted")[0]
    retries = metric(gateway, "leeway_retries_total")[0]
    code = gateway.stop()
    stats, kept = provider.stats(), books(gateway.state)
    sent, answered = sum(one["sent"] for one in reports), sum(one["answered"] for one in reports)
    failures = [one["failures"] for one in reports]
    settled = samples[len(samples) // 5:] or samples  # after the warm-up
    growth = slope([(at / 3600, kib / 1024) for at, kib, _ in settled])
    files = [count for _, _, count in settled]  # connections are made when they are needed, so they rise at first
    first, last = files[:max(len(files) // 4, 1)], files[-max(len(files) // 4, 1):]
    whole, _, part = posted.partition(".")
    posted_pico = int(whole) * 10**12 + int((part + "0" * 12)[:12])

    def check(name, client, ledger, holds):
        table.add("soak", name, client, ledger, None if holds else "not so")
    check("nothing fails that a retry saves", f"{answered} of {sent} answered, {failures}, {stats['faults']} faults, {retries} retries",
          f"{kept['requests']} requests, {kept['bad']} not ok", answered == sent and not kept["bad"])
    # A kept connection that ends at once under a request was most likely idle too long: it is asked once more on a new one
    # within the same attempt.
    check("rows are requests, attempts are calls", f"{stats['chat']} calls, {stats['hang_ups']} hang-ups",
          f"{kept['requests']} rows, {kept['attempts']} attempts",
          kept["requests"] == sent and stats["chat"] - stats["hang_ups"] <= kept["attempts"] <= stats["chat"])
    check("all is settled", f"pending {pending}, exit {code}", f"{kept['intents']} intents, posted {posted_pico}, rows {kept['cost']} picodollars, "
          f"{kept['unknown']} unknown", float(pending) == 0 and kept["intents"] == 0 and posted_pico == kept["cost"] and not kept["unknown"] and code == 0)
    judged = arguments.minutes >= LEAST_JUDGED
    check("memory does not grow", f"{growth:+.2f} MiB/h" + ("" if judged else " (too short to be judged)"),
          f"{settled[0][1] / 1024:.1f} to {settled[-1][1] / 1024:.1f} MiB", not judged or growth <= 1)
    check("descriptors are flat", f"{min(files)} to {max(files)}" + ("" if judged else " (too short to be judged)"),
          f"mean {sum(first) / len(first):.1f}, then {sum(last) / len(last):.1f}",
          not judged or sum(last) / len(last) <= sum(first) / len(first) + 8)
    print(json.dumps({"rps": round(sum(one["rps"] for one in reports), 1), "p99_ms": [one["latency_us"]["p99"] / 1000 for one in reports]}))


if __name__ == "__main__":
    sys.exit(main())
