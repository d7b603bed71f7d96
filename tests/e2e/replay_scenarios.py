"""Scenarios of `leeway replay`: what a gateway answered, under another policy."""
import json
import math
import pathlib
import random
import subprocess
import sys

import router_scenarios
from scenarios import COST_4O, COST_CHEAP, ask
from traffic_scenarios import CHAT
from trial_scenarios import cascade, tune


def replay(gateway, *arguments):
    told = subprocess.run([gateway.binary, "replay", *arguments], capture_output=True, text=True, timeout=60)
    return told.returncode, told.stdout, told.stderr


def usd(pico):
    return pico / 1e12


def test_replay_of_the_ledger(gateway, upstream):
    one, two = cascade(gateway, "accept: 0.9")
    _, _, policy = tune(gateway, 3000)
    strictest = 1 - math.exp(-json.loads(policy.read_text())["cut"])
    assert 0.5 < strictest < 0.9995, strictest
    # Twelve that the weak model answered, of which four are below what the policy takes; eight that were refused.
    for number in range(20):
        two.sure = 0.9995 if number < 8 else 0.91 if number < 12 else 0.5
        assert gateway.raw(CHAT, ask(f"question {number}", model="support"))[0] == 200
    # One that no cascade was tried on.
    assert gateway.raw(CHAT, ask("direct", model="strong"))[0] == 200
    gateway.stop()
    place = ["--ledger", "--state", str(gateway.state), "--route", "support", "--policy", str(policy)]
    code, text, error = replay(gateway, *place, "--json")
    assert code == 0, error
    told = json.loads(text)
    kept = 8 if strictest > 0.91 else 12
    assert told["requests"] == 20 and told["undecided"] == 0, told
    assert told["decisions"] == {"kept": kept, "refused": 20 - kept}, (told, strictest)
    expected = usd(20 * COST_CHEAP + (20 - kept) * COST_4O) / 20
    assert abs(told["cost_usd"] - expected) < 1e-12, (told, expected)
    assert abs(told["saving"] - (1 - expected / usd(COST_4O))) < 1e-9, told
    assert told["quality"] is None and told["harm"]["compared"] == 0, told
    code, text, _ = replay(gateway, *place)
    assert code == 0 and "quality          not known" in text, text
    # All of the ledger: the request that no cheap model saw is left out, and said so.
    place.remove("--route"), place.remove("support")
    told = json.loads(replay(gateway, *place, "--json")[1])
    assert told["requests"] == 21 and told["undecided"] == 1, told


def test_replay_of_outcomes(gateway, upstream):
    _, _, policy = tune(gateway, 3000)
    chances = random.Random(5)
    rows = ["query,weak|quality,weak|cost_usd,weak|mean_logprob,strong|quality,strong|cost_usd"]
    for number in range(400):
        right = chances.random() < 0.7
        known = f"{int(chances.random() < 0.9)},0.002" if number % 2 else ","
        rows.append(f"question {number},{int(right)},0.0001,{-0.0001 if right else -0.7},{known}")
    table = gateway.folder / "recorded.csv"
    table.write_text("\n".join(rows) + "\n")
    picture = gateway.folder / "picture.svg"
    code, text, error = replay(gateway, "--file", str(table), "--policy", str(policy), "--json", "--svg", str(picture))
    assert code == 0, error
    told = json.loads(text)
    strong = told["models"][1]
    assert (strong["quality_known"], strong["quality_estimated"]) == (200, 200), told
    assert strong["quality_ci"][0] < 0.9 < strong["quality_ci"][1], told
    assert told["harm"]["compared"] >= 200 and 0 < told["harm"]["limit"] < 1, told
    assert picture.read_text().startswith("<svg")


def test_replay_demo(gateway, upstream):
    demo = pathlib.Path(__file__).resolve().parents[2] / "examples" / "demo" / "demo.py"
    told = subprocess.run([sys.executable, demo, "--leeway", gateway.binary], capture_output=True, text=True, timeout=900)
    assert told.returncode == 0, told
    for words in ("not enough evidence", "certified: at most 3.00 %", "small answered", "harmed", "◆ policy"):
        assert words in told.stdout, (words, told.stdout)


def later_outcomes(folder, rows, half=False):
    """Queries like those that routers are tuned on, and none of them. `half`: of each, one of the two models answered."""
    chance = random.Random(11)
    lines = ["query,weak|quality,weak|cost_usd,strong|quality,strong|cost_usd"]
    for number in range(rows):
        is_sum = number % 2 == 0
        form = (router_scenarios.SUMS if is_sum else router_scenarios.CHATS)[number // 2 % 6]
        query = form.format(a=chance.randrange(11, 999), b=chance.randrange(11, 999), n=chance.choice(router_scenarios.NAMES))
        weak = f"{int(chance.random() < (0.05 if is_sum else 0.95))},0.00021"
        strong = f"{int(chance.random() < 0.97)},0.0035"
        if half:
            weak, strong = (weak, ",") if chance.random() < (0.3 if is_sum else 0.7) else (",", strong)
        lines.append(f'"{query} (later {number})",{weak},{strong}')
    path = folder / f"later-{half}.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_replay_of_a_router_on_outcomes(gateway, upstream):
    policy = str(router_scenarios.policy_of(gateway))
    picture = gateway.folder / "router.svg"
    options = ("--policy", policy, "--no-embedding-cache")
    code, text, error = replay(gateway, "--file", later_outcomes(gateway.folder, 300), *options, "--json", "--svg", str(picture))
    assert code == 0, error
    told = json.loads(text)
    assert told["policy"]["kind"] == "router" and told["policy"]["reference"] == "strong" and not told["policy"]["same_outcomes"], told
    assert told["requests"] == told["replayed"] == sum(told["decisions"].values()) == 300 and told["without_vector"] == 0, told
    # Nearly all sums go to the strong model, and nearly all talk to the weak one.
    weak, strong = told["models"]
    assert abs(told["decisions"]["weak"] - 150) < 15 and weak["answered"] == told["decisions"]["weak"], told
    assert abs(weak["share"] + strong["share"] - 1) < 1e-9 and weak["share"] == weak["answered"] / 300, told
    cost = (weak["answered"] * 0.00021 + strong["answered"] * 0.0035) / 300
    assert abs(told["cost_usd"] - cost) < 1e-12 and told["cost_usd_estimated"] == 0, told
    assert told["quality"] > 0.9 and told["gain_pp_at_cost_ci"][0] > 10 and told["gain_pp_over_random_ci"][0] > 10, told
    mix = weak["share"] * weak["quality"] + strong["share"] * strong["quality"]
    assert abs(told["random_mix"]["quality"] - mix) < 1e-9 and abs(told["random_mix"]["cost_usd"] - cost) < 1e-9, told
    assert abs(told["quality"] - told["zero_router"]["quality"] - told["gain_pp_at_cost"] / 100) < 1e-9, told
    assert picture.read_text().startswith("<svg") and "Router of 2 models" in picture.read_text()
    # Where each query has the answer of one model only, the others are estimated.
    code, text, error = replay(gateway, "--file", later_outcomes(gateway.folder, 600, half=True), *options, "--json")
    assert code == 0, error
    half = json.loads(text)
    weak, strong = half["models"]
    assert weak["quality_known"] + strong["quality_known"] == 600 and weak["quality_estimated"] == strong["quality_known"], half
    assert abs(weak["quality"] - 0.5) < 0.08 and abs(strong["quality"] - 0.97) < 0.05, half
    assert half["quality_estimated"] > 100 and abs(half["quality"] - 0.96) < 0.05, half
    code, text, _ = replay(gateway, "--file", later_outcomes(gateway.folder, 300), *options)
    assert code == 0 and "zero router" in text and "random mix" in text and "◆ policy" in text, text
    # At another price of money all goes to the cheap one.
    told = json.loads(replay(gateway, "--file", later_outcomes(gateway.folder, 60), *options, "--lambda", "1e9", "--json")[1])
    assert told["models"][0]["answered"] == 60 and told["policy"]["lambda"] == 1e9, told
    # What it was tuned on flatters it, and that is said.
    tuned_on = str(router_scenarios.outcomes(gateway.folder, 300))
    code, text, error = replay(gateway, "--file", tuned_on, *options)
    assert code == 0 and "fitted to these very outcomes" in text, text + error
    table = later_outcomes(gateway.folder, 60)
    other = gateway.folder / "no.gguf"
    for arguments, status, word in (
            (["--reference", "nobody"], 1, "no model 'nobody'"), (["--models", "weak"], 1, "the policy has 2 models"),
            (["--models", "weak,middle"], 1, "no model 'middle'"), (["--budget", "1", "--lambda", "1"], 2, "--lambda"),
            (["--model", str(other)], 1, "no.gguf")):
        code, _, error = replay(gateway, "--file", table, *options, *arguments)
        assert code == status and word in error, (arguments, code, error)


def test_replay_of_a_router_on_the_ledger(gateway, upstream):
    router_scenarios.start(gateway)
    for text in (router_scenarios.SUM, router_scenarios.TALK):
        router_scenarios.send(gateway, text)
    policy = str(gateway.folder / "support.router")
    place = ["--ledger", "--state", str(gateway.state), "--route", "support", "--policy", policy]
    gateway.stop()
    code, _, error = replay(gateway, *place)
    assert code == 1 and "none of the 2 requests has a vector" in error and "outcomes: embed" in error, error
    # From then on they are kept.
    router_scenarios.start(gateway, more=", outcomes: embed")
    texts = [form.format(a=77, b=number, n="Vera") for number in range(5) for form in (router_scenarios.SUMS[number], router_scenarios.CHATS[number])]
    models = [router_scenarios.send(gateway, text)[0] for text in texts]
    gateway.stop()
    code, text, error = replay(gateway, *place, "--json")
    assert code == 0, error
    told = json.loads(text)
    assert told["requests"] == 12 and told["without_vector"] == told["undecided"] == 2, told
    # The same stage, the same vectors: what the gateway decided.
    assert told["decisions"] == {name: models.count(name) for name in set(models)}, (told, models)
    expected = usd(models.count("weak") * COST_CHEAP + models.count("strong") * COST_4O) / 10
    assert abs(told["cost_usd"] - expected) < 1e-12 and told["quality"] is None, (told, expected)
    code, text, _ = replay(gateway, *place)
    assert code == 0 and "2 of them have no vector" in text and "quality          not known" in text, text
    code, _, error = replay(gateway, *place, "--model", "minilm")
    assert code == 2 and "--model" in error, error


def test_replay_says_what_is_wrong(gateway, upstream):
    _, _, policy = tune(gateway, 3000)
    torn = gateway.folder / "torn.json"
    torn.write_text(policy.read_text()[:-20])
    table = gateway.folder / "some.csv"
    table.write_text("query,a|quality,a|cost_usd\nq,1,0.1\n")
    for arguments, status, word in (
            (["--file", str(table), "--policy", str(torn)], 1, "torn.json"),
            (["--file", str(table), "--policy", str(policy)], 1, "no model 'weak'"),
            (["--file", str(table), "--policy", str(policy), "--models", "a,a", "--svg", "/nowhere/p.svg"], 1, "/nowhere"),
            (["--file", str(table), "--policy", str(table)], 1, "this is no policy"),
            (["--file", str(table), "--policy", str(policy), "--budget", "1"], 1, "the policy is a cascade"),
            (["--file", str(table), "--policy", str(policy), "--models", "a"], 1, "the policy has 2 models"),
            (["--policy", str(policy)], 2, "--ledger"),
            (["--file", str(table), "--ledger", "--policy", str(policy)], 2, "--file"),
            (["--file", str(table), "--route", "x", "--policy", str(policy)], 2, "--ledger"),
            (["--ledger", "--state", str(gateway.folder / "none"), "--policy", str(policy)], 1, "no recorded requests")):
        code, _, error = replay(gateway, *arguments)
        assert code == status and word in error, (arguments, code, error)

