#!/usr/bin/env python3
"""Whether tenants of the semantic cache can see each other: canaries, and the clock.

    tests/fault/isolation.py --leeway build/release/leeway [--tenants 1000] [--requests 100000] [--timings 2000]

Every tenant asks the same questions, and the provider answers each with a canary of its own (by the body's `user`, which parts no questions). A
byte of another tenant's canary is a leak. Then one tenant's cache is full, and another one asks what is in it and what is not: a classifier that
orders both by their time must not tell them apart (area under its curve; 0.5 is chance). The last line is JSON. Needs LEEWAY_MODELS.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import re
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from gateway import Gateway  # noqa: E402
from semantic_scenarios import Answers, CONFIG, FORMS, KEY, TOPICS  # noqa: E402


class Canaries(Answers):
    def said(self, request, question):
        return f"{self.answer(question)} for CANARY-{request.get('user', 'nobody')}."


def connect(url):
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)


def ask(connection, tenant, question):
    body = json.dumps({"model": "faq", "user": tenant, "messages": [{"role": "user", "content": question}]})
    begin = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json", "authorization": f"Bearer {KEY}-{tenant}"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    return answer.headers["x-leeway-cache"] or "", text, time.perf_counter() - begin


def crowd(url, tenants, requests, seed):
    """(requests, hits, foreign canaries) of one client that speaks for all of them in turn."""
    chance = random.Random(seed)
    connection = connect(url)
    hits = foreign = 0
    for _ in range(requests):
        tenant = chance.choice(tenants)
        status, text, _ = ask(connection, tenant, chance.choice(FORMS).format(chance.choice(TOPICS[:6])))
        hits += status.startswith("hit")
        foreign += any(canary != tenant for canary in re.findall(r"CANARY-(\w+)\.", text.decode()))
    return requests, hits, foreign


def area(ones, others):
    """The probability that one of `ones` is less than one of `others`: what a threshold on the time can tell at best."""
    ranked = sorted([(value, 0) for value in ones] + [(value, 1) for value in others])
    sum_of_ranks = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0)
    below = sum_of_ranks - len(ones) * (len(ones) + 1) / 2
    return 1 - below / (len(ones) * len(others))


def clock(url, victim, stranger, timings):
    """A stranger asks once what the victim has in its cache, and as often what it has not, in any order; the texts are of one kind."""
    connection = connect(url)
    chance = random.Random(1)
    halls = {"".join(chance.choice("BCDFGKLMNPRST") + chance.choice("AEIOU") for _ in range(3)) for _ in range(timings * 2)}
    questions = [f"When does the hall {hall} open?" for hall in sorted(halls)]
    chance.shuffle(questions)
    questions = questions[:timings]
    known = questions[:timings // 2]
    for _ in range(2):
        for question in known:
            ask(connection, victim, question)
    hits = sum(ask(connection, victim, question)[0].startswith("hit") for question in known[:100])
    order = [(question, i < len(known)) for i, question in enumerate(questions)]
    chance.shuffle(order)
    seen = {True: [], False: []}
    for question, foreign in order:
        seen[foreign].append(ask(connection, stranger, question)[2])
    auc = area(seen[True], seen[False])
    return hits / 100, max(auc, 1 - auc)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leeway", required=True)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--timings", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    tenants = [f"t{i}" for i in range(options.tenants)]
    keys = "".join(f'\n  - {{{{name: {tenant}, secret: "{KEY}-{tenant}"}}}}' for tenant in tenants + ["victim", "stranger"])
    config = CONFIG[:CONFIG.index("keys:")].replace("max_error: 0.05", "max_error: 0.2").replace("{judge}", "exact") + "keys:" + keys + "\n"
    provider = Canaries()
    with tempfile.TemporaryDirectory(prefix="leeway-isolation-") as folder:
        gateway = Gateway(os.path.abspath(options.leeway), folder, provider.url, config)
        try:
            begin = time.monotonic()
            with concurrent.futures.ProcessPoolExecutor(options.clients) as pool:
                each = options.requests // options.clients
                done = list(pool.map(crowd, [gateway.url] * options.clients, [tenants] * options.clients, [each] * options.clients,
                                     range(options.clients)))
            took = time.monotonic() - begin
            full, auc = clock(gateway.url, "victim", "stranger", options.timings)
        finally:
            gateway.stop()
    out = {"tenants": options.tenants, "requests": sum(one[0] for one in done), "hits": sum(one[1] for one in done),
           "foreign": sum(one[2] for one in done), "seconds": round(took, 1), "timings": options.timings,
           "victim_hit_share": round(full, 2), "auc": round(auc, 3)}
    print(json.dumps(out))
    return 0 if out["foreign"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
