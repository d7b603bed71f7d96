"""What deciding about a request costs the gateway: `bench/run router`."""
import csv
import os
import random
import subprocess
from statistics import median

from harness import NotAvailable
from report import Section, ratios, spread
from scenarios import CHAT, alternate, start_all

SUMS = ["What is {a} times {b}?", "Calculate {a} + {b} * 3.", "How much is {a} divided by {b}?"]
TALK = ["How do I change delivery address {a} of order {b}?", "Thank you for order {a}, have a nice day {b}!",
        "Please tell me about the status of my orders {a} and {b}."]


def policy(bench):
    """A policy of 2,000 outcomes of two models, of which the dear one is worth its price for sums only."""
    chance = random.Random(1)
    table, out = bench.dir / "outcomes.csv", bench.dir / "support.router"
    with open(table, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["query", "gpt-4o-mini|quality", "gpt-4o-mini|cost_usd", "gpt-4o|quality", "gpt-4o|cost_usd"])
        for number in range(2000):
            text = (SUMS if number % 2 else TALK)[number // 2 % 3].format(a=chance.randrange(10**6), b=chance.randrange(10**6))
            rows.writerow([text, int(chance.random() < (0.1 if number % 2 else 0.95)), 0.0002, int(chance.random() < 0.97), 0.0035])
    done = subprocess.run([bench.leeway(), "tune", "router", "--outcomes", table, "--lambda", "100", "--output", out],
                          capture_output=True, text=True, env={**os.environ, "LEEWAY_MODELS": bench.options.models}, check=False)
    if done.returncode != 0:
        raise NotAvailable(f"leeway tune router: {done.stderr or done.stdout}")


def router(bench):
    section = Section("router", "Router and cascade on a route",
                      "The same 3.7 KB request again and again, so that its vector is in the memo: what is measured is deciding, not "
                      "embedding. Key, ledger and metrics are on. `leeway-router` has the stages router (two models, 2,000 past queries) and "
                      "cascade, and sends it to the cheap model; `leeway-router_plain` has no stages. No answer comes from a cache.",
                      ["target", "CPU µs/request, median (range)", "× without, median of rounds (range)", "upstream calls/request", "failed"])
    policy(bench)
    upstream = bench.provider()
    names = ["leeway-router_plain", "leeway-router"]
    targets = start_all(bench, section, names, upstream)
    arguments = [*CHAT, "--same", "--model", "support"]
    rounds = alternate(bench, section, targets, upstream, [*arguments, "--seconds", bench.options.seconds],
                       [*arguments, "--seconds", 0.5])
    for name in names:
        r = rounds[name]
        section.row(name, spread([x["cpu_us"] for x in r]), spread(ratios(r, rounds[names[0]]), 2),
                    f"{median(x['upstream'] for x in r):.3f}", sum(x["failed"] for x in r))
    section.goal("router and cascade on, without embedding, × without", median(ratios(rounds[names[1]], rounds[names[0]])), 1.3)
    return section
