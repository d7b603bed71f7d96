#!/usr/bin/env python3
"""The demo of `./run demo`: a route that earns its savings. No key, no network, half a minute.

    examples/demo/demo.py --leeway build/release/leeway [--keep DIR]

Two made-up models (provider.py) do sums; the gateway, its stages, its ledger and all figures are the real ones.
"""
import argparse
import collections
import concurrent.futures
import http.client
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

import provider

HERE = pathlib.Path(__file__).resolve().parent
PARALLEL = 8


def say(text=""):
    print(text, flush=True)


def step(number, text):
    say(f"\n\033[1m{number}. {text}\033[0m" if sys.stdout.isatty() else f"\n{number}. {text}")


def question(chances):
    left, right = (chances.choice((chances.randint(2, 20), chances.randint(2, 20), chances.randint(21, 99))) for _ in range(2))
    return f"What is {left} × {right}?"


class Demo:
    def __init__(self, leeway, folder):
        self.leeway, self.folder = str(leeway), folder
        self.policy = folder / "sums.json"
        self.config = folder / "leeway.yaml"
        template = (HERE / "leeway.yaml").read_text()
        self.config.write_text(template.replace("{provider}", provider.start()).replace("{folder}", str(folder)))
        self.chances = random.Random(7)
        self.local = threading.local()
        self.process = None

    def start(self):
        self.log = open(self.folder / "gateway.log", "w", encoding="utf-8")
        self.process = subprocess.Popen([self.leeway, "serve", "--config", str(self.config)], stdout=self.log, stderr=self.log)
        give_up = time.monotonic() + 30
        while not (found := re.search(r"http://(127\.0\.0\.1:\d+)", (self.folder / "gateway.log").read_text())):
            if self.process.poll() is not None or time.monotonic() > give_up:
                sys.exit("the gateway did not start:\n" + (self.folder / "gateway.log").read_text())
            time.sleep(0.02)
        self.address = found.group(1)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)

    def command(self, *arguments):
        told = subprocess.run([self.leeway, *map(str, arguments)], capture_output=True, text=True, check=False)
        return told.returncode, told.stdout + told.stderr

    def ask(self, text):
        """One request; which model answered, what the cascade said, whether the sum is right."""
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection(self.address, timeout=30)
        self.local.connection.request("POST", "/v1/chat/completions", json.dumps(
            {"model": "sums", "messages": [{"role": "user", "content": text}]}), {"content-type": "application/json"})
        response = self.local.connection.getresponse()
        body = json.loads(response.read())
        if response.status != 200:
            sys.exit(f"the gateway said {response.status}: {body}")
        left, right = map(int, re.findall(r"\d+", text))
        return (response.headers["x-leeway-model"], response.headers["x-leeway-stages"] or "",
                body["choices"][0]["message"]["content"] == str(left * right))

    def send(self, count):
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            told = list(pool.map(self.ask, [question(self.chances) for _ in range(count)]))
        by = collections.Counter(model for model, _, _ in told)
        right = sum(good for _, _, good in told)
        say(f"   {count} sums: " + ", ".join(f"{model} answered {times}" for model, times in by.most_common()) +
            f"; {100 * right / count:.1f} % right")
        return told

    def labels(self, least):
        """Waits until so many comparisons of the shadow are in the store."""
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            code, text = self.command("outcomes", "stats", "--config", self.config, "--json")
            known = {one["model"]: one["outcomes"] for one in json.loads(text)["outcomes"]} if code == 0 else {}
            if known.get("small", 0) >= least:
                break
            time.sleep(0.1)

    def tune(self):
        code, text = self.command("tune", "cascade", "--outcomes", self.folder / "state" / "outcomes.db", "--models", "small,large",
                                  "--max-harm", "0.03", "--confidence", "0.9", "--output", self.policy)
        if code not in (0, 3):
            sys.exit(text)
        say("\n".join("   " + line for line in text.replace(str(self.folder), "…").strip().splitlines()))
        return code


def run(demo):
    step(1, "A route with a cascade that has no evidence yet: everything goes to the strong model, half of it also, unseen, to the cheap one")
    say("   " + "\n   ".join(line for line in demo.config.read_text().splitlines() if "sums:" in line or line.startswith("      ")))
    nothing = demo.folder / "one.csv"
    nothing.write_text("query,small|quality,small|cost_usd,small|mean_logprob,large|quality,large|cost_usd\nWhat is 2 × 2?,1,0.0001,-0.001,1,0.001\n")
    code, text = demo.command("tune", "cascade", "--outcomes", nothing, "--models", "small,large", "--output", demo.policy)
    if code != 3:
        sys.exit(f"one row must not certify anything: {text}")
    demo.start()
    demo.send(60)
    step(2, "leeway tune cascade: is that enough to trust the cheap model?")
    demo.labels(20)
    if demo.tune() != 3:
        sys.exit("thirty comparisons must not be enough")
    step(3, "More traffic")
    demo.send(2400)
    step(4, "leeway tune cascade, once more; and a reload")
    demo.labels(900)
    if demo.tune() != 0:
        sys.exit("the evidence was expected to be enough now")
    demo.process.send_signal(signal.SIGHUP)
    give_up = time.monotonic() + 20
    while "no_evidence" in demo.ask("What is 2 × 2?")[1]:
        if time.monotonic() > give_up:
            sys.exit("the reload did not come")
        time.sleep(0.05)
    step(5, "The same kind of traffic under the certified policy")
    demo.send(1200)
    demo.stop()
    step(6, "leeway report --savings: the bill, to the last picodollar")
    say(demo.command("report", "--savings", "--config", demo.config)[1])
    step(7, "leeway replay --ledger: what last minute's requests would have cost under a policy that promises more (harm at most 1.5 %); right is what the strong model said")
    stricter = demo.folder / "stricter.json"
    demo.command("tune", "cascade", "--outcomes", demo.folder / "state" / "outcomes.db", "--models", "small,large", "--max-harm", "0.015",
                 "--output", stricter)
    say(demo.command("replay", "--ledger", "--config", demo.config, "--route", "sums", "--policy", stricter)[1])


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--leeway", required=True, type=pathlib.Path)
    options.add_argument("--keep", type=pathlib.Path, help="a folder for configuration, ledger and policy, which stays")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="leeway-demo-") as temporary:
        folder = arguments.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        demo = Demo(arguments.leeway, folder.resolve())
        try:
            run(demo)
        finally:
            demo.stop()
        if arguments.keep:
            say(f"\nAll of it lies in {folder}: try `leeway report --by model --config {folder}/leeway.yaml`.")


if __name__ == "__main__":
    main()
