"""Scenarios of the ledger: who a request was for, reports by every dimension, savings, hold-out, bills."""
import datetime
import json
import random
import subprocess

import recompute
from gateway import KEY
from scenarios import COST_4O, COST_CHEAP, ask, sdk


def traffic(gateway, count=60):
    client = sdk(gateway)
    rng = random.Random(4)
    for i in range(count):
        headers = {}
        if rng.random() < 0.7:
            headers["x-leeway-user"] = rng.choice(["ada", "grace"])
        if rng.random() < 0.6:
            headers["x-leeway-tag"] = rng.choice(["beta", "team=search, beta", "x,y ,x", "\"quoted\""])
        if rng.random() < 0.5:
            headers["x-leeway-session"] = f"s{rng.randrange(5)}"
        if rng.random() < 0.5:
            headers["x-leeway-agent"] = rng.choice(["planner", "coder"])
        model = rng.choice(["gpt-4o", "support", "cheap", "unpriced"])
        words = rng.choice([f"q{rng.randrange(6)}", "no usage", "long " + "words " * 2000])
        body = {**ask(words), "model": model, "temperature": 0}
        if rng.random() < 0.3:
            body["user"] = "größe, \"x\""
        client.chat.completions.create(**body, extra_headers=headers)
    return gateway.rows()


def same_report(gateway, rows, by, *filters):
    words = [word for name, value in filters for word in (f"--{name}", value)]
    told = json.loads(gateway.cli("report", "--json", "--by", ",".join(by), *words))
    want = recompute.report(rows, by, filters)
    got = {}
    for row in told["rows"]:
        group = (row["group"],) if len(by) == 1 else tuple(row[name] for name in by)
        got[group] = {"requests": row["requests"], "spent": row["spent_pico_usd"],
                      "baseline": row["baseline_pico_usd"], "saved": row["saved_pico_usd"]}
    assert got == want, (by, filters, got, want)
    total = recompute.report(rows, (), filters).get((), {"requests": 0, "spent": 0})
    assert (told["totals"]["requests"], told["totals"]["spent_pico_usd"] or 0) == \
        (total["requests"], total["spent"] or 0), (by, filters)
    csv = gateway.cli("report", "--csv", "--by", ",".join(by), *words).splitlines()
    assert len(csv) == 1 + len(want) and csv[0].startswith(",".join(by) + ",requests,errors,input_tokens,")


def test_reports_by_every_dimension_agree_with_an_independent_sum(gateway, upstream):
    rows = traffic(gateway)
    names = ["day", "hour", "key", "user", "route", "model", "tag", "session", "agent"]
    for name in names:
        same_report(gateway, rows, [name])
    for first, second in (("model", "day"), ("user", "tag"), ("day", "user"), ("tag", "session"), ("agent", "model")):
        same_report(gateway, rows, [first, second])
    same_report(gateway, rows, ["day"], ("user", "ada"))
    same_report(gateway, rows, ["user"], ("tag", "beta"))
    same_report(gateway, rows, ["model"], ("user", ""), ("route", "default"))
    same_report(gateway, rows, ["tag"], ("tag", "team=search"))
    same_report(gateway, rows, ["day"], ("session", "s1"), ("agent", "coder"))
    same_report(gateway, rows, ["day"], ("user", "nobody"))
    assert {row.get("user") for row in rows} == {None, "ada", "grace", "größe, \"x\""}
    assert ["team=search" in row.get("tags", []) for row in rows].count(True) > 0
    told = json.loads(gateway.cli("report", "--json", "--by", "provider"))
    assert [row["group"] for row in told["rows"]] == ["fake"]


def test_dimensions_are_cleaned_and_never_sent_upstream(gateway, upstream):
    heads = {"x-leeway-user": "u" * 500, "x-leeway-tag": ",".join(f"t{i}" for i in range(50)),
             "x-leeway-agent": "a\tb", "x-leeway-session": "s1"}
    body = {**ask("dims"), "metadata": {"user": "body", "note": "stays"}}
    status, _, _ = gateway.raw("/v1/chat/completions", body, headers=heads)
    assert status == 200
    sent = json.loads(upstream.bodies[-1])
    assert sent["metadata"] == body["metadata"], "the caller's own body is not touched"
    assert not any(name.lower().startswith("x-leeway") for name in upstream.headers[-1]), upstream.headers[-1]
    (row,) = gateway.rows()
    assert row["user"] == "u" * 128 and len(row["tags"]) == 8 and row["agent"] == "ab" and row["session"] == "s1"


def test_savings_waterfall_agrees_with_an_independent_sum(gateway, upstream):
    rows = traffic(gateway)
    told = json.loads(gateway.cli("report", "--savings", "--json"))
    want = recompute.savings(rows)
    got = {}
    for step in told["steps"]:
        for label in ("computed", "modelled", "measured"):
            if step[label + "_pico_usd"]:
                got[step["step"], label] = step[label + "_pico_usd"]
    assert got == want["steps"], (got, want)
    assert (told["baseline_pico_usd"], told["actual_pico_usd"], told["unknown_requests"]) == \
        (want["baseline"], want["actual"], want["unknown"])
    assert want["unknown"] > 0, "unknown prices stay unknown"
    assert want["baseline"] == want["actual"] + sum(want["steps"].values())
    assert abs(sum(told["shares"].values()) - 1) < 1e-9 and told["shares"]["computed"] > 0
    by_key = json.loads(gateway.cli("report", "--savings", "--json", "--key", "web"))
    assert by_key["baseline_pico_usd"] == want["baseline"], "rows and roll-ups say the same"
    table = gateway.cli("report", "--savings")
    assert "baseline" in table and "exact_cache" in table and "% computed" in table
    assert gateway.cli("report", "--savings", "--csv").splitlines()[0] == "step,label,requests,amount_usd,amount_pico_usd"


def test_the_database_refuses_a_waterfall_that_does_not_add_up(gateway, upstream):
    import sqlite3
    sdk(gateway).chat.completions.create(**{**ask("r"), "model": "support"})
    (row,) = gateway.rows()
    assert row["waterfall"] == {"route": {"saved_pico_usd": COST_4O - COST_CHEAP, "label": "modelled"}}
    gateway.stop()
    with sqlite3.connect(gateway.state / "ledger" / "ledger.db") as db:
        for change in ("saved_route_pico_usd = saved_route_pico_usd + 1", "cost_pico_usd = cost_pico_usd - 1",
                       "baseline_pico_usd = NULL", "saved_tier_pico_usd = NULL", "saving_labels = NULL"):
            try:
                db.execute("UPDATE request SET " + change)
            except sqlite3.IntegrityError as error:
                assert "waterfall_adds_up" in str(error)
            else:
                raise AssertionError(change)


def test_holdout_is_answered_without_us_and_compared(gateway, upstream):
    text = gateway.config.read_text()
    gateway.stop()
    gateway.config.write_text(text.replace("support: {", "support: {holdout: 0.3, "))
    gateway.start()
    client = sdk(gateway)
    few = json.loads(gateway.cli("report", "--savings", "--json"))
    assert few["holdout"] == []
    for i in range(20):
        client.chat.completions.create(**{**ask(f"h{i}"), "model": "support"})
    gateway.rows()
    (early,) = json.loads(gateway.cli("report", "--savings", "--json"))["holdout"]
    assert early["claim"] == "too_little_evidence" and early["low_usd_per_request"] is None
    for i in range(180):
        client.chat.completions.create(**{**ask(f"h{i % 40}"), "model": "support", "temperature": 0})
    rows = [row for row in gateway.rows() if row["route"] == "support"]
    held = [row for row in rows if row["held_out"]]
    assert 30 <= len(held) <= 100 and len(rows) == 200
    assert all(row["model"] == "gpt-4o" and row["cache"] is None and row["cost_pico_usd"] == COST_4O for row in held)
    assert all("waterfall" not in row for row in held), "held out: nothing was saved"
    (late,) = json.loads(gateway.cli("report", "--savings", "--json"))["holdout"]
    spent = sum(row["cost_pico_usd"] for row in rows if not row["held_out"])
    mean = (COST_4O - spent / (200 - len(held))) / 1e12
    assert late["claim"] == "saves" and late["held_out"]["requests"] == len(held)
    assert abs(late["difference_usd_per_request"] - mean) < 1e-9
    assert late["low_usd_per_request"] < mean < late["high_usd_per_request"]


def test_a_key_without_the_baselines_model_is_never_held_out(gateway, upstream):
    text = gateway.config.read_text()
    gateway.stop()
    gateway.config.write_text(text.replace("support: {", "support: {holdout: 0.5, ")
                              .replace("requests_per_minute: 3", "requests_per_minute: 0"))
    gateway.start()
    client = sdk(gateway, KEY + "-narrow")
    for i in range(20):
        client.chat.completions.create(**{**ask(f"n{i}"), "model": "support"})
    assert all(row["model"] == "cheap" and "held_out" not in row for row in gateway.rows())


def reconcile(gateway, path, *words):
    run = subprocess.run([gateway.binary, "reconcile", str(path), "--config", str(gateway.config), "--json", *words],
                         capture_output=True, text=True, timeout=60)
    return run.returncode, json.loads(run.stdout) if run.stdout else run.stderr


def test_reconcile_explains_a_bill(gateway, upstream):
    client = sdk(gateway)
    for i in range(4):
        client.chat.completions.create(**ask(f"b{i}"))
        client.chat.completions.create(**{**ask(f"b{i}"), "model": "unpriced"})
    rows = gateway.rows()
    day = rows[0]["ts"][:10]
    (name,) = {row["model_reported"] for row in rows if row["model"] == "gpt-4o"}
    start = int(datetime.datetime.fromisoformat(day + "T00:00:00+00:00").timestamp())
    usage = {"object": "organization.usage.completions.result", "input_tokens": 4000, "input_cached_tokens": 800,
             "output_tokens": 400, "num_model_requests": 4, "model": name}
    page = {"object": "page", "data": [{"object": "bucket", "start_time": start, "end_time": start + 86400,
                                        "results": [usage]}]}
    path = gateway.folder / "bill"
    path.write_text(json.dumps(page))
    status, told = reconcile(gateway, path, "--fail-above", "0")
    first = [row for row in told["rows"] if row["model"] == name]
    assert first and first[0]["difference_tokens"] == 0 and first[0]["ledger_requests"] == 4, told
    # Equal to the cent, then a price, tokens, calls that are missing.
    def csv(*lines):
        path.write_text("date,model,requests,input_tokens,output_tokens,cost_usd\n" + "".join(lines))
        status, told = reconcile(gateway, path, "--fail-above", "0.5")
        for row in told["rows"]:
            assert sum(row["causes"].values()) == row["difference_pico_usd"], row
        return status, {row["model"]: row["causes"] for row in told["rows"]}
    usd = 4 * COST_4O / 1e12
    other = [row["model_reported"] for row in rows if row["model"] == "unpriced"][0]
    priced = f"{day},{other},4,4000,400,0.01\n"
    status, causes = csv(f"{day},{name},4,4000,400,{usd:.2f}\n", priced)
    assert set(causes[name]) <= {"rounding_pico_usd"} and set(causes[other]) == {"unpriced_pico_usd"}, causes
    assert status == 1
    status, causes = csv(f"{day},{name},4,4000,400,{usd * 2:.6f}\n", priced)
    assert set(causes[name]) == {"price_pico_usd"}, causes
    status, causes = csv(f"{day},{name},8,8000,800,{usd * 2:.6f}\n", priced)
    assert causes[name] == {"missing_calls_pico_usd": 4 * COST_4O}, causes
    status, causes = csv(f"{day},{name},4,8000,800,{usd * 2:.6f}\n", priced)
    assert causes[name] == {"tokens_pico_usd": 4 * COST_4O}, causes
    status, causes = csv(priced)
    assert causes[name] == {"not_billed_pico_usd": -4 * COST_4O}, causes
    costs = {"data": [{"starting_at": day + "T00:00:00Z", "ending_at": day + "T23:59:59Z", "results": [
        {"currency": "USD", "amount": str(4 * COST_4O / 1e10), "model": name, "cost_type": "tokens"}]}]}
    path.write_text(json.dumps(costs))
    _, told = reconcile(gateway, path)
    assert told["form"] == "anthropic" and told["billed_pico_usd"] == 4 * COST_4O, told
    for broken in ("", "{", "a,b\n1,2\n", "date,model,requests\n2026-01-01,x,-1\n",
                   json.dumps({"data": [{"start_time": start, "results": [{"amount": {"value": 1, "currency": "eur"}}]}]})):
        path.write_text(broken)
        status, said = reconcile(gateway, path)
        assert status == 1 and "leeway reconcile:" in said, (broken, said)
