"""Scenarios of `leeway replay`: what a gateway answered, under another policy."""
import json
import math
import pathlib
import random
import subprocess
import sys

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
    told = subprocess.run([sys.executable, demo, "--leeway", gateway.binary], capture_output=True, text=True, timeout=280)
    assert told.returncode == 0, told
    for words in ("not enough evidence", "certified: at most 3.00 %", "small answered", "harmed", "◆ policy"):
        assert words in told.stdout, (words, told.stdout)


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
            (["--policy", str(policy)], 2, "--ledger"),
            (["--file", str(table), "--ledger", "--policy", str(policy)], 2, "--file"),
            (["--file", str(table), "--route", "x", "--policy", str(policy)], 2, "--ledger"),
            (["--ledger", "--state", str(gateway.folder / "none"), "--policy", str(policy)], 1, "no recorded requests")):
        code, _, error = replay(gateway, *arguments)
        assert code == status and word in error, (arguments, code, error)

