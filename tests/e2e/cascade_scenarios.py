"""Scenarios of `leeway evaluate cascade` on a small table of outcomes that is drawn here."""
import csv
import gzip
import json
import math
import os
import random
import subprocess

MODELS = (("small", 0.3, 0.00002), ("medium", 0.8, 0.0001), ("large", 1.6, 0.0005))


def table(gateway, name="outcomes.csv.gz", rows=900, tasks=("one", "two"), change=None):
    """Dearer models are right more often, and all of them know when they are."""
    chance = random.Random(7)
    path = gateway.folder / name
    with (gzip.open if name.endswith(".gz") else open)(path, "wt", newline="") as file:
        out = csv.writer(file)
        out.writerow(["qid", "task", "split", "query"] +
                     [f"{model}|{column}" for model, _, _ in MODELS for column in ("quality", "mean_logprob", "cost_usd")])
        for task in tasks:
            for i in range(rows):
                hard = chance.gauss(0, 1)
                row = [f"{task}-{i}", task, "test", f"question {i} of {task}"]
                for model, skill, cost in MODELS:
                    able = skill - hard + chance.gauss(0, 1)
                    sure = max(0.0, able + 0.7 * chance.gauss(0, 1))
                    logprob = math.log1p(-math.exp(-sure)) if sure > 0 else -math.inf
                    cells = [1 if able > 0 else 0, "-inf" if math.isinf(logprob) else repr(logprob),
                             repr(cost * math.exp(0.2 * chance.gauss(0, 1)))]
                    row += change(task, i, model, cells) if change else cells
                out.writerow(row)
    return str(path)


def run(gateway, *arguments):
    """(exit status, standard output, standard error)"""
    done = subprocess.run([gateway.binary, "evaluate", "cascade", *arguments], timeout=120, capture_output=True, text=True,
                          env={**os.environ, "NO_COLOR": "1"})
    return done.returncode, done.stdout, done.stderr


def told(gateway, *arguments):
    status, out, err = run(gateway, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def test_cascade_gains_and_certificates_as_json(gateway, upstream):
    del upstream
    outcomes = table(gateway)
    figures = told(gateway, "--outcomes", outcomes, "--splits", "4")
    assert set(figures["tasks"]) == {"one", "two"} and figures["labels"] == 400 and not figures["skipped"]
    for task in figures["tasks"].values():
        assert task["gain_pp_at_20"] > 1 and task["ci"][0] < task["gain_pp_at_20"] < task["ci"][1], task
        assert abs(task["cost_ratio"] - 1) < 0.03
        methods = [method["method"] for method in task["at"][0]["methods"]]
        assert methods[0] == "cascade" and "FrugalGPT" in methods and "naive pairs" in methods
        assert all(method["quality"] <= task["at"][0]["oracle_quality"] + 0.01 for method in task["at"][0]["methods"])
    # The same seed tells the same; only the time that a fit took may differ.
    def timeless(value):
        for task in value["tasks"].values():
            del task["fit_ms"]
        return value
    assert timeless(told(gateway, "--outcomes", outcomes, "--splits", "4")) == timeless(figures)
    several = told(gateway, "--outcomes", outcomes, "--task", "one", "--labels", "50,2000", "--splits", "2")
    assert [one["labels"] for one in several["runs"]] == [50, 2000]
    assert "too few" in several["runs"][1]["skipped"]["one"]

    one = told(gateway, "--outcomes", outcomes, "--task", "one", "--certify", "small,large", "--resplits", "200")
    assert one["certified"] is True and 0 < one["saving"] < 1 and one["harm"] <= 0.03
    assert (one["alpha"], one["delta"], one["n"], one["resplits"]) == (0.03, 0.1, 600, 200)
    assert one["violations"] <= 20 + 3 * math.sqrt(200 * 0.09)
    few = told(gateway, "--outcomes", outcomes, "--certify", "small,large", "--alpha", "0.01", "--labels", "100", "--resplits", "50")
    assert few["certified"] is False and few["saving"] == 0 and "not enough evidence" in few["why"]
    assert set(few["tasks"]) == {"one", "two"} and few["clusters"]["certified"] is False
    both = told(gateway, "--outcomes", outcomes, "--certify", "small,large", "--labels", "1000", "--resplits", "100")["clusters"]
    assert both["certified"] is True and both["violations"] <= 10 + 3 * math.sqrt(100 * 0.09)
    pairs = told(gateway, "--outcomes", outcomes, "--certify", "all", "--resplits", "10")
    assert [(pair["weak"], pair["strong"]) for pair in pairs["certificates"]] == \
        [("small", "medium"), ("small", "large"), ("medium", "large")]


def test_cascade_drift_and_budgets(gateway, upstream):
    del upstream

    def worse(task, row, model, cells):
        """In the second task the small model is as sure as can be, and wrong every third time."""
        return [0 if row % 3 == 0 else cells[0], "-1e-4", cells[2]] if task == "two" and model == "small" else cells

    outcomes = table(gateway, change=worse)
    drift = told(gateway, "--outcomes", outcomes, "--certify", "small,large", "--drift", "one,two")
    assert drift["in_time"] >= 0.95 and drift["passed_unwatched"] == drift["certified"] > 0
    assert drift["harm_before"] <= 0.03 < drift["harm_after"] and drift["wait"] < 100
    back = told(gateway, "--outcomes", outcomes, "--certify", "small,large", "--drift", "two,one")
    assert back["from"] == "two"
    paced = told(gateway, "--outcomes", outcomes, "--pace", "--splits", "2")["pacing"]
    assert {one["stream"] for one in paced} >= {"one, shuffled", "one then two"}
    for one in paced:
        assert one["cap_passed"] == 0
        # Where the small model is always sure nothing is left to spend on, however much there is.
        assert one["ample"] == 2 or one["cost_ratio"] < 1.03, one
        assert "then" in one["stream"] or one["ample"] > 0 or one["cost_ratio"] > 0.97, one
    for arguments in ((), ("--certify", "small,large", "--resplits", "20"), ("--pace", "--splits", "2"),
                      ("--certify", "small,large", "--drift", "one,two")):
        status, out, err = run(gateway, "--outcomes", outcomes, *arguments)
        assert status == 0 and out.endswith("\n") and "nan" not in out, (arguments, out, err)


def test_cascade_says_what_is_wrong(gateway, upstream):
    del upstream
    good = table(gateway, rows=120)
    no_cost = gateway.folder / "free.csv"
    no_cost.write_text("qid,task,query,a|quality,b|quality\n" + "".join(f"{i},t,q{i},1,0\n" for i in range(9)))
    missing = table(gateway, "missing.csv", rows=120, tasks=("one",),
                    change=lambda task, i, model, cells: ["", "", ""] if (i + len(model)) % 2 else cells)
    negative = table(gateway, "negative.csv", rows=20, tasks=("one",),
                     change=lambda task, i, model, cells: [*cells[:2], "-1"] if i == 3 else cells)
    for arguments, status, complaint in (
            (("--outcomes", good, "--task", "three"), 1, "one, two"),
            (("--outcomes", "missing.csv.gz"), 1, "missing.csv.gz"),
            (("--outcomes", good, "--certify", "small,tiny"), 1, "tiny"),
            (("--outcomes", good, "--certify", "small,small"), 1, "itself"),
            (("--outcomes", good, "--certify", "small"), 2, "two models"),
            (("--outcomes", good, "--drift", "one,two"), 2, "--certify"),
            (("--outcomes", good, "--pace", "--certify", "small,large"), 2, "one of them"),
            (("--outcomes", good, "--price", "small"), 1, "no price"),
            (("--outcomes", good, "--alpha", "0"), 2, "--alpha"),
            (("--outcomes", good, "--labels", "0"), 2, "--labels"),
            (("--outcomes", str(no_cost)), 1, "--price"),
            (("--outcomes", str(no_cost), "--price", "a=1", "--price", "b=2", "--certify", "a,b"), 1, "log-probabilities"),
            (("--outcomes", str(no_cost), "--price", "a=1", "--price", "b=2", "--certify", "all"), 1, "no pair"),
            (("--outcomes", missing), 1, "outcome of all models"),
            (("--outcomes", negative), 1, "negative"),
            ((), 2, "--outcomes")):
        done = run(gateway, *arguments)
        assert done[0] == status and done[1] == "" and complaint in done[2], (arguments, done)
    # Prices make costs; without log-probabilities there is nothing to cascade on, and that is no error.
    figures = told(gateway, "--outcomes", str(no_cost), "--price", "a=1", "--price", "b=2")
    assert "too few" in figures["skipped"]["t"]
