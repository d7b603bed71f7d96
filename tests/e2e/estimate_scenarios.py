"""Scenarios of `leeway estimate`: what it foretells is computed again here, from prices of the configuration."""
import json
import os
import pathlib
import random
import subprocess
import sys

from scenarios import COST_4O, PICO_CACHED, PICO_INPUT, PICO_OUTPUT, Skip, ask, sdk

ROOT = pathlib.Path(__file__).resolve().parents[2]

CHAT = {"model": "gpt-4o", "messages": [{"role": "system", "content": "You answer briefly."},
                                        {"role": "user", "content": "What is the capital of Greece?"}]}
WORKLOAD = """\
model: gpt-4o
flows:
  - {{name: faq, kind: qa, requests_per_month: 1000, system: {system}, question: 200, output: 300}}
  - name: coder
    kind: multi-agent
    requests_per_month: 100
    shared: 1000
    roles:
      - {{name: planner, calls: 1, system: 500, question: 100, output: 50}}
      - {{name: coder, calls: 3, system: 700, tools: 300, growth: 400, output: 200}}
"""


def run(gateway, *arguments):
    """(exit status, standard output, standard error)"""
    done = subprocess.run([gateway.binary, "estimate", *arguments, "--config", str(gateway.config)], timeout=60,
                          capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    return done.returncode, done.stdout, done.stderr


def estimate(gateway, *arguments):
    status, out, err = run(gateway, *arguments, "--json")
    assert status == 0, err
    told = json.loads(out)
    for model in told["models"]:
        for outcome in filter(None, (model["base"], model["what_if"])):
            if outcome["known"]:
                adds_up(outcome)
    return told


def adds_up(outcome):
    mean = int(outcome["per_request"]["mean_pico"])
    for by in ("by_part", "by_bucket"):
        assert sum(int(row["mean_pico"]) for row in outcome[by]) == mean, (by, outcome)
    for spread in filter(None, (outcome["per_request"], outcome["per_thousand"], outcome["per_month"])):
        assert 0 < int(spread["p10_pico"]) <= int(spread["p50_pico"]) <= int(spread["p90_pico"]) <= int(
            spread["p99_pico"]), spread


def write(gateway, name, content):
    path = gateway.folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_estimate_of_a_workload_is_exact_where_all_is_told(gateway, upstream):
    faq = 1200 * PICO_INPUT + 300 * PICO_OUTPUT
    planner = 1600 * PICO_INPUT + 50 * PICO_OUTPUT
    coder = (3 * 2000 + 400 + 800) * PICO_INPUT + 600 * PICO_OUTPUT
    month = 1000 * faq + 100 * (planner + coder)
    path = write(gateway, "workload.yaml", WORKLOAD.format(system=1000))
    told = estimate(gateway, "--workload", path, "--budget", "9.50", "--what-if", "cache=on")
    base = told["models"][0]["base"]
    assert {name: base["per_month"][name + "_pico"] for name in ("p10", "p50", "p90", "p99", "mean")} == \
        dict.fromkeys(("p10", "p50", "p90", "p99", "mean"), str(month)), (month, base["per_month"])
    flows = {flow["name"]: flow for flow in base["flows"]}
    assert int(flows["faq"]["per_request"]["p50_pico"]) == faq
    assert int(flows["coder"]["per_request"]["p90_pico"]) == planner + coder
    assert int(flows["coder"]["month_mean_pico"]) == 100 * (planner + coder)
    assert base["within_budget"] == (1 if month <= 9.5e12 else 0)
    assert base["most_requests_per_month"] == int(9.5e12) * 1100 // month
    # The second and third call of the coder read what the one before sent, in steps of 128; nothing is written.
    cached = told["models"][0]["what_if"]
    read = (2000 // 128 + 2400 // 128) * 128
    assert int(cached["flows"][1]["per_request"]["p10_pico"]) == \
        planner + coder - read * (PICO_INPUT - PICO_CACHED), cached["flows"][1]
    levers = told["models"][0]["levers"]
    assert [int(row["saves_pico"]) for row in levers] == sorted((int(row["saves_pico"]) for row in levers), reverse=True)
    halved = {row["change"]: int(row["saves_pico"]) for row in levers}
    assert halved["output halved"] == (1000 * 150 + 100 * 300 + 100 * 25) * PICO_OUTPUT
    assert told == estimate(gateway, "--workload", path, "--budget", "9.50", "--what-if", "cache=on")


def test_estimate_counts_every_dialect_alike(gateway, upstream):
    system, question = (message["content"] for message in CHAT["messages"])
    forms = {
        "openai": CHAT,
        "responses": {"model": "gpt-4o", "instructions": system, "input": question},
        "anthropic": {"model": "gpt-4o", "max_tokens": 50, "system": system,
                      "messages": [{"role": "user", "content": [{"type": "text", "text": question}]}]},
        "gemini": {"system_instruction": {"parts": [{"text": system}]},
                   "contents": [{"role": "user", "parts": [{"text": question}]}]},
    }
    counts = {}
    for name, body in forms.items():
        path = write(gateway, name + ".json", body)
        told = estimate(gateway, path, "--models", "gpt-4o")
        assert told == estimate(gateway, path, "--models", "gpt-4o", "--dialect", name), name
        assert told["assumptions"][0] == f"the request is in the form of {name}", told
        counts[name] = told["models"][0]["input_tokens"]
    assert set(map(json.dumps, counts.values())) == {json.dumps(counts["openai"])}, counts
    assert counts["openai"] == {"count": 22, "low": 22, "high": 22, "quality": "exact"}, counts
    # 22 tokens in, one out: nothing is left to chance.
    one = estimate(gateway, write(gateway, "chat.json", CHAT), "--max-tokens", "1", "--requests-per-month", "7")
    cost = 22 * PICO_INPUT + PICO_OUTPUT
    assert one["models"][0]["base"]["per_request"]["p99_pico"] == str(cost), one
    assert one["models"][0]["base"]["per_month"]["p10_usd"] == "0.000455", one


def test_estimate_never_calls_an_unknown_price_zero(gateway, upstream):
    path = write(gateway, "chat.json", CHAT)
    told = estimate(gateway, path, "--models", "gpt-4o,unpriced,no-such-model", "--what-if", "tier=priority")
    known, unpriced, unheard = (model["base"] for model in told["models"])
    assert known["known"] and not told["models"][0]["what_if"]["known"], told
    for outcome in (unpriced, unheard):
        assert outcome["known"] is False and outcome["per_request"] is None and outcome["unknown_because"], outcome
    status, out, _ = run(gateway, path, "--models", "no-such-model")
    assert status == 0 and "unknown" in out and "0.00" not in out, out
    _, text, _ = run(gateway, path, "--models", "cheap")
    assert "0.0000 " not in text and " 0.00 " not in text, text


def test_estimate_of_a_template_with_rows(gateway, upstream):
    prompt = write(gateway, "prompt.txt", "Classify the ticket of {{ who }}:\n{{text}}\n")
    csv = write(gateway, "rows.csv", 'who,text\nAda,"wrong, they ""say"""\nGrace,it crashes\n')
    lines = write(gateway, "rows.jsonl", '{"who":"Ada","text":"wrong, they \\"say\\""}\n{"who":"Grace","text":"it crashes"}\n')
    arguments = ["--template", prompt, "--models", "gpt-4o"]
    assert estimate(gateway, *arguments, "--rows", csv) == estimate(gateway, *arguments, "--rows", lines)
    for name, rows, complaint in (("a.csv", "who\nAda\n", "no column 'text'"), ("b.csv", "who,text\nAda\n", "1 fields"),
                                  ("c.csv", 'who,text\n"Ada,x', "not closed"), ("d.jsonl", "{\n", "line 1"),
                                  ("e.jsonl", "[]\n", "not a JSON object"), ("f.csv", "who,text\n", "no rows")):
        status, out, err = run(gateway, *arguments, "--rows", write(gateway, name, rows))
        assert (status, out) == (1, "") and complaint in err, (name, err)


def test_estimate_of_recorded_traffic(gateway, upstream):
    status, _, err = run(gateway, "--recorded", "--since", "2020-01-01", "--until", "2020-01-02")
    assert status == 1 and "recorded" in err, err
    client = sdk(gateway)
    for i in range(120):
        client.chat.completions.create(**ask(f"question {i}"))
    rows = gateway.rows()
    told = estimate(gateway, "--recorded", "--since", "1h", "--requests-per-month", "1000")
    base = told["models"][0]["base"]
    # All answers of the fake provider have the same usage, so the next ones cost what these did.
    assert told["models"][0]["model"] == "gpt-4o" and int(base["per_request"]["p50_pico"]) == COST_4O, told
    assert int(base["per_month"]["mean_pico"]) == 1000 * COST_4O, base
    assert {row["cost_pico_usd"] for row in rows} == {COST_4O}
    # Another model at the same lengths. How it counts is not known, so its input has an interval.
    cheap = estimate(gateway, "--recorded", "--models", "cheap", "--requests-per-month", "10")["models"][0]
    assert cheap["input_tokens"]["quality"] == "heuristic" and \
        cheap["input_tokens"]["low"] < 1000 < cheap["input_tokens"]["high"], cheap
    assert [row["mean_pico"] for row in cheap["base"]["by_bucket"] if row["bucket"] == "output"] == [str(100 * 600_000)]
    lines = write(gateway, "export.jsonl", gateway.cli("ledger", "export", "--jsonl"))
    assert estimate(gateway, "--recorded", "--ledger", lines, "--requests-per-month", "1000")["models"][0]["base"] == base
    tested = json.loads(run(gateway, "backtest", "--recorded", "--json")[1])
    assert tested["tested"] == 60 and tested["within_p10_p90"] == 1 and tested["flows"][0]["median_absolute_error"] == 0
    # A request is estimated with the answers of its model, not with a prior.
    asked = estimate(gateway, write(gateway, "chat.json", CHAT))["models"][0]
    assert asked["output_from"] == "120 recorded answers of gpt-4o", asked
    assert int(asked["base"]["per_request"]["p90_pico"]) == 22 * PICO_INPUT + 100 * PICO_OUTPUT, asked


def test_estimate_backtest_holds_what_it_promises(gateway, upstream):
    rng = random.Random(4)
    calls = "".join(json.dumps({"model": "gpt-4o", "input_tokens": rng.randrange(1, 5000),
                                "output_tokens": int(rng.lognormvariate(5, 1))}) + "\n" for _ in range(4000))
    told = json.loads(run(gateway, "backtest", write(gateway, "calls.jsonl", calls), "--json")[1])
    assert told["tested"] == 2000 and 0.75 <= told["within_p10_p90"] <= 0.85, told
    assert told["flows"][0]["error_of"] == "cost" and 0 < told["flows"][0]["median_absolute_error"] < 1, told
    for bad in ('{"model":"m","input_tokens":-1,"output_tokens":2}', "no json", '{"model":"m","input_tokens":1}'):
        status, out, err = run(gateway, "backtest", write(gateway, "bad.jsonl", bad + "\n"))
        assert (status, out) == (1, "") and err, bad


def test_estimate_backtest_on_public_recordings(gateway, upstream):
    data = pathlib.Path(os.environ.get("LEEWAY_TEST_DATA") or ROOT.parent / "shared/data")
    if not (data / "load").is_dir():
        raise Skip(f"no recordings: there is no folder {data}/load")
    done = subprocess.run([sys.executable, str(ROOT / "tools/fit/backtest.py"), "--leeway", gateway.binary, "--data",
                           str(data), "--json"], capture_output=True, text=True, timeout=60)
    told = json.loads(done.stdout)
    assert told["tested"] > 30_000 and abs(told["within_p10_p90"] - 0.8) <= 0.05, told
    for flow in told["flows"]:
        # Of few calls chance decides; three services have thousands.
        assert flow["tested"] < 1000 or abs(flow["within_p10_p90"] - 0.8) <= 0.05, flow
        assert flow["median_absolute_error"] < 0.4, flow


def test_estimate_diff_for_continuous_integration(gateway, upstream):
    base = write(gateway, "base.yaml", WORKLOAD.format(system=1000))
    head = write(gateway, "head.yaml", WORKLOAD.format(system=1100))
    same = run(gateway, "diff", base, base, "--threshold", "0")
    assert same[0] == 0, same
    # faq's mean rises by 100 tokens, weighed 1000 : 100 with the coder's: exactly this many percent.
    status, out, _ = run(gateway, "diff", base, head, "--json", "--threshold", "1")
    told = json.loads(out)["models"][0]
    rise = (int(told["head_request_pico"]) - int(told["base_request_pico"]))
    assert status == 1 and abs(rise * 1100 - 1000 * 100 * PICO_INPUT) <= 1100, told
    assert int(told["head_month_pico"]) - int(told["base_month_pico"]) == 1000 * 100 * PICO_INPUT, told
    assert run(gateway, "diff", base, head, "--threshold", "50")[0] == 0
    assert run(gateway, "diff", head, base, "--threshold", "0")[0] == 0  # it became cheaper
    status, comment, _ = run(gateway, "diff", base, head, "--threshold", "1", "--markdown")
    assert status == 1 and comment.startswith("### What this change costs\n") and "| MODEL | BASE | HEAD |" in comment
    # What --json printed takes the place of a file.
    saved = write(gateway, "base.json", run(gateway, "--workload", base, "--json")[1])
    assert json.loads(run(gateway, "diff", saved, head, "--json")[1])["models"] == \
        json.loads(run(gateway, "diff", base, head, "--json")[1])["models"]
    chat = write(gateway, "chat.json", CHAT)
    assert run(gateway, "diff", chat, chat, "--models", "no-such-model")[0] == 1  # unknown is not within
    for arguments in ((base, "missing.json"), (write(gateway, "bad.json", "{"), base),
                      (write(gateway, "bad.yaml", "flows: [{kind: tea}]"), base), (chat, chat, "--threshold", "x"),
                      (write(gateway, "odd.json", {"estimate": "request", "models": [{"model": "m"}]}), base)):
        status, out, err = run(gateway, "diff", *arguments)
        assert (status, out) == (2, "") and "error:" in err, (arguments, status, out, err)


def test_estimate_says_what_is_wrong_with_its_input(gateway, upstream):
    chat = write(gateway, "chat.json", CHAT)
    gemini = write(gateway, "gemini.json", {"contents": "hi"})
    for arguments, complaint in (((), "nothing to estimate"), ((chat, "--recorded"), "one thing"),
                                 ((gemini,), "which model"), ((chat, "--budget", "-3"), "--budget"),
                                 ((chat, "--what-if", "tier=tea"), "--what-if"), ((chat, "--dialect", "gemini"), "contents"),
                                 ((write(gateway, "x.json", "[]"),), "not a JSON object"),
                                 ((write(gateway, "y.json", {"messages": []}), "--models", "gpt-4o"), "no messages")):
        status, out, err = run(gateway, *arguments)
        assert (status, out) == (1, "") and complaint in err, (arguments, err)
    bad = "flows:\n  - {kind: rag, requests_per_month: 5, system: 1}\n  - {kind: qa, question: x, colour: red}\n"
    _, _, err = run(gateway, "--workload", write(gateway, "bad.yaml", bad))
    for complaint in ("bad.yaml:2", "'chunks'", "'requests_per_month'", "colour", "not a whole number"):
        assert complaint in err, (complaint, err)
