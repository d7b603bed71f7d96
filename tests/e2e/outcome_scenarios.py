"""Scenarios of outcome tables: `leeway outcomes` and `leeway evaluate router` on a table that is made here, with the real embedding model."""
import csv
import gzip
import io
import json
import os
import pathlib
import random
import subprocess

from embedding_scenarios import need_model
from scenarios import Skip

COOKING = ["bread", "soup", "a cake", "noodles", "an omelette", "rice", "a salad", "pancakes", "fish", "a stew"]
CODE = ["a list", "a tree", "a hash map", "a string", "a queue", "a graph", "a matrix", "a file", "a socket", "a stack"]


def run(gateway, *arguments):
    """(exit status, standard output, standard error)"""
    done = subprocess.run([gateway.binary, *arguments], timeout=240, capture_output=True, text=True,
                          env={**os.environ, "NO_COLOR": "1"})
    return done.returncode, done.stdout, done.stderr


def table(rows=240):
    """The small model can cook and cannot program; the large one can both and costs ten times as much."""
    chances = random.Random(7)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["qid", "task", "split", "query", "small|quality", "small|cost_usd", "large|quality", "large|cost_usd"])
    for i in range(rows):
        cooks = chances.random() < 0.5
        text = f"How long do I cook {chances.choice(COOKING)} for {i} guests?" if cooks else \
            f"def f{i}(x): write Python code that sorts {chances.choice(CODE)}"
        right = cooks != (chances.random() < 0.05)
        writer.writerow([i, "mixed", "train", text, float(right), 0.0001, 1.0, 0.001])
    return out.getvalue()


def test_outcomes_are_imported_counted_and_replaced(gateway, upstream):
    folder = pathlib.Path(gateway.config).parent
    file = folder / "outcomes.csv.gz"
    text = table(40) + '40,mixed,test,"How long do I cook bread for 0 guests?",,0.1,1,0.2\r\n'
    file.write_bytes(gzip.compress(text.encode()))
    state = str(folder / "outcomes-state")
    status, out, err = run(gateway, "outcomes", "stats", "--state", state, "--json")
    assert status == 0 and json.loads(out)["queries"] == 0, out + err
    for _ in range(2):  # the second time replaces
        status, out, err = run(gateway, "outcomes", "import", str(file), "--state", state, "--json")
        assert status == 0, err
        told = json.loads(out)
    status, out, err = run(gateway, "outcomes", "stats", "--state", state, "--json")
    assert status == 0, err
    stats = json.loads(out)
    assert stats["queries"] == told["queries"], (stats, told)
    assert [(one["model"], one["source"], one["outcomes"]) for one in stats["outcomes"]] == \
        [("large", "imported", told["queries"]), ("small", "imported", told["outcomes"] - told["queries"])], stats
    small = stats["outcomes"][1]
    assert abs(float(small["cost_usd"]) - 0.0001 * small["outcomes"]) < 1e-9, small
    # What was asked is not in the file.
    assert b"guests" not in (folder / "outcomes-state" / "outcomes.db").read_bytes()


def test_a_router_is_evaluated_beside_its_rivals(gateway, upstream):
    need_model()
    file = pathlib.Path(gateway.config).parent / "outcomes.csv"
    file.write_text(table())
    status, out, err = run(gateway, "evaluate", "router", "--outcomes", str(file), "--resamples", "200", "--no-embedding-cache", "--json")
    assert status == 0, err
    told = json.loads(out)
    # So few rows do not tell two hundredths from nothing.
    assert told["n"] == 240 and told["methods"][0]["worst"] > -0.02, told
    # The query tells nearly all: most of the gap must be recovered, and its interval lie around the figure.
    low, high = told["gap_recovered_ci"]
    assert 0.7 < told["gap_recovered"] <= 1.05 and low <= told["gap_recovered"] <= high, told
    assert [one["name"] for one in told["methods"]] == \
        ["leeway", "leeway without fall-back", "kNN-5", "matrix factorisation", "random mix"], told
    assert told["skipped"] == [{"name": "FrugalGPT", "why": "fewer_than_three_models"}] and "frugal_curve" not in told, told
    assert abs(told["methods"][4]["hull_gap_recovered"]) < 0.1, told
    assert abs(told["models"][1]["quality"] - 1) < 1e-9 and abs(told["models"][1]["cost_usd"] - 0.001) < 1e-9, told
    status, out, err = run(gateway, "evaluate", "router", "--outcomes", str(file), "--resamples", "100")
    assert status == 0 and "gap from zero router to oracle recovered" in out and "kNN-5" in out, out + err
    assert "without FrugalGPT (fewer_than_three_models)" in out, out


def test_frugal_gpt_stands_beside_a_router(gateway, upstream):
    need_model()
    folder = pathlib.Path(gateway.config).parent
    chances = random.Random(3)
    lines = ["query," + ",".join(f"{model}|{column}" for model in ("small", "middle", "large") for column in ("quality", "cost_usd", "mean_logprob"))]
    for i in range(240):
        hard = chances.random()
        cells = []
        for able, cost in ((0.4, 0.0001), (0.7, 0.0003), (0.98, 0.001)):
            right = hard < able
            cells += [int(right), cost, -0.01 if right else -2]
        lines.append(f"question number {i}," + ",".join(map(str, cells)))
    file, picture = folder / "sure.csv", folder / "router.svg"
    file.write_text("\n".join(lines) + "\n")
    options = ("evaluate", "router", "--outcomes", str(file), "--resamples", "100", "--no-embedding-cache")
    status, out, err = run(gateway, *options, "--json", "--svg", str(picture))
    assert status == 0, err
    told = json.loads(out)
    frugal = next(one for one in told["methods"] if one["name"] == "FrugalGPT")
    # The models know when they are right, and the queries do not tell.
    assert told["skipped"] == [] and frugal["hull_gap_recovered"] > 0.2 > told["gap_recovered"], told
    assert len(told["frugal_curve"]) == 21 and "FrugalGPT" in picture.read_text(), told["frugal_curve"]
    status, out, err = run(gateway, *options)
    assert status == 0 and "FrugalGPT" in out and "without FrugalGPT" not in out, out + err


def test_bad_outcomes_are_refused_with_their_place(gateway, upstream):
    folder = pathlib.Path(gateway.config).parent
    file = folder / "bad.csv"

    def refused(text, *words):
        file.write_text(text)
        status, out, err = run(gateway, "evaluate", "router", "--outcomes", str(file))
        assert status == 1 and out == "", (status, out)
        for word in words:
            assert word in err, (word, err)

    head = "query,a|quality,a|cost_usd,b|quality,b|cost_usd\n"
    refused(head + "q,1,0.1,0,0.2\nr,1,0.1,0,-0.2\n", "bad.csv: line 3, column 5 (b|cost_usd)", "negative cost")
    refused(head + '"q,1,0.1,0,0.2\n', "line 2", "not closed")
    refused(head, "no outcome")
    refused("query,a|quality,b|quality\n" + "".join(f"q{i},1,0\n" for i in range(60)), "--price", "a, b")
    packed = gzip.compress((head + "".join(f"q{i * 7919 % 9973},1,0.1,0,0.2\n" for i in range(3000))).encode())
    cut = folder / "cut.csv.gz"
    cut.write_bytes(packed[:len(packed) // 2])
    status, out, err = run(gateway, "outcomes", "import", str(cut), "--state", str(folder / "s"))
    assert status == 1 and "cut.csv.gz: the gzip file is cut" in err, err
    status, _, err = run(gateway, "evaluate", "router", "--outcomes", str(folder / "none.csv"))
    assert status == 1 and "none.csv" in err, err


def test_a_router_gains_on_two_tasks_of_a_public_table(gateway, upstream):
    need_model()
    file = pathlib.Path(os.environ.get("LEEWAY_TEST_DATA", "")) / "outcomes" / "llmrouter_9models.csv.gz"
    if not file.exists():
        raise Skip("no test data: outcomes/llmrouter_9models.csv.gz ($LEEWAY_TEST_DATA)")
    # Their texts are short, and other models are good at the one than at the other.
    status, out, err = run(gateway, "evaluate", "router", "--outcomes", str(file), "--task", "natural_qa", "--task", "commonsense_qa",
                           "--resamples", "200", "--json")
    assert status == 0, err
    told = json.loads(out)
    assert told["n"] == 1050 and len(told["models"]) == 9, told
    assert told["below_zero_router"] == 0 and told["gap_recovered"] > 0, told
    assert told["methods"][0]["below_zero_router"] <= told["methods"][2]["below_zero_router"], told
