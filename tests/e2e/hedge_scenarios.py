"""Scenarios of second targets: hedges, shadows, targets that are full or at their limit, and the caller's own deadline."""
import concurrent.futures
import json
import signal
import time

from drain_scenarios import leave
from gateway import KEY
from scenarios import COST_4O, COST_CHEAP, ask
from traffic_scenarios import CHAT, NO_BREAKER, QUICK, ScriptedProvider, attempts_of, metric, standing

CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 1, state: "{state}"}}
providers:
  one: {{dialect: openai, base_url: "{one}", {one_more}}}
  two: {{dialect: openai, base_url: "{two}", {QUICK}, {NO_BREAKER}}}
models:
  gpt-4o: {{provider: one, price: {{input: 2.50, cached_input: 1.25, output: 10.00}}, fallbacks: {fallbacks}}}
  cheap: {{provider: two, price: {{input: 0.15, cached_input: 0.075, output: 0.60}}}}
routes:
  quick: {{model: gpt-4o, fallbacks: [cheap], hedge: {{after: 200ms}}, {quick_more}}}
  shadowed: {{model: gpt-4o, shadow: {{model: cheap, share: {share}}}}}
keys:
  - {{name: web, secret: "{KEY}", {key_more}}}
{more}
"""


def doubles(gateway, one_more=f"{QUICK}, {NO_BREAKER}", quick_more="", share="1", key_more="", more="", fallbacks="[]"):
    one, two = ScriptedProvider(), ScriptedProvider()
    gateway.stop()
    gateway.config.write_text(CONFIG.format(state=gateway.state, one=one.url, two=two.url, one_more=one_more, QUICK=QUICK,
                                            NO_BREAKER=NO_BREAKER, quick_more=quick_more, share=share, key_more=key_more,
                                            KEY=KEY, more=more, fallbacks=fallbacks).replace(", }", "}"))
    gateway.start()
    return one, two


def timed(gateway, body, **headers):
    begin = time.monotonic()
    status, told, text = gateway.raw(CHAT, body, headers=headers)
    return status, told, text, time.monotonic() - begin


def test_hedge_the_second_wins(gateway, upstream):
    one, two = doubles(gateway)
    one.play(("slow", 4))
    status, headers, _, took = timed(gateway, ask("hi", model="quick"))
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "cheap", "2"), headers
    assert 0.2 <= took < 3, took
    assert headers["x-leeway-stages"] == "hedge=cheap:won" and headers["x-leeway-cost-usd"] == "unknown"
    # What the one that was stopped bills nobody knows: it had the request.
    assert attempts_of(gateway, headers) == [("gpt-4o", 0, None), ("cheap", 200, COST_CHEAP)]
    assert [row["end"] for row in gateway.rows()] == ["client_gone", "ok"]
    one.play(("slow", 4))
    status, headers, body, took = timed(gateway, ask("hi", model="quick", stream=True))
    assert status == 200 and took < 3 and body.endswith(b"data: [DONE]\n\n") and body.count(b'"role"') == 1, body
    lost, won = [row for row in gateway.rows() if row["id"] == headers["x-leeway-id"]]
    assert (lost["end"], won["end"], won["cost_pico_usd"]) == ("client_gone", "ok", COST_CHEAP), (lost, won)
    assert lost["cost_pico_usd"] > 0 and lost["usage"]["quality"] != "provider", lost
    assert won["waterfall"]["attempts"]["saved_pico_usd"] == -lost["cost_pico_usd"], won
    assert (metric(gateway, "leeway_hedges_total"), metric(gateway, "leeway_hedges_won_total")) == (["2"], ["2"])


def test_hedge_the_first_wins_after_all(gateway, upstream):
    one, two = doubles(gateway)
    one.play(("slow", 0.5))
    two.play(("slow", 4))
    status, headers, _, took = timed(gateway, ask("hi", model="quick"))
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "gpt-4o", "2"), headers
    assert 0.5 <= took < 3 and headers["x-leeway-stages"] == "hedge=cheap:lost", headers["x-leeway-stages"]
    assert attempts_of(gateway, headers) == [("gpt-4o", 200, COST_4O), ("cheap", 0, None)]
    assert metric(gateway, "leeway_hedges_won_total") == ["0"]


def test_hedge_is_made_only_where_it_helps(gateway, upstream):
    one, two = doubles(gateway)
    for _ in range(3):
        status, headers, _, _ = timed(gateway, ask("hi", model="quick"))
        assert (status, headers["x-leeway-attempts"], headers["x-leeway-stages"]) == (200, None, None)
    one.play(("slow", 0.4))
    assert timed(gateway, ask("hi"))[1]["x-leeway-attempts"] is None, "the route must allow it"
    assert two.calls == 0
    # A refusal in time is met as ever: by retries, then by fallbacks.
    one.play(503)
    status, headers, _, _ = timed(gateway, ask("hi", model="quick"))
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"], two.calls) == (200, "gpt-4o", "2", 0)
    # One that comes late leaves the answer to the other.
    one.play(("slow", 0.4, 503))
    two.play(("slow", 0.5))
    status, headers, _, _ = timed(gateway, ask("hi", model="quick"))
    assert (status, headers["x-leeway-stages"]) == (200, "hedge=cheap:won"), headers["x-leeway-stages"]
    assert attempts_of(gateway, headers) == [("gpt-4o", 503, 0), ("cheap", 200, COST_CHEAP)]
    # When both fail, the first is asked again, and its failure is what is told.
    one.play(("slow", 0.4, 500), 500, 500)
    two.play(500)
    status, headers, body, _ = timed(gateway, ask("hi", model="quick"))
    assert (status, headers["x-leeway-stages"]) == (500, "hedge=cheap:failed"), (status, headers["x-leeway-stages"])
    assert [row[:2] for row in attempts_of(gateway, headers)] == [("gpt-4o", 500), ("cheap", 500), ("gpt-4o", 500), ("gpt-4o", 500)]
    assert metric(gateway, "leeway_hedges_total") == ["2"]


def test_hedge_held_out_requests_have_none(gateway, upstream):
    one, two = doubles(gateway, quick_more="holdout: 0.5")
    one.play(*[("slow", 0.35)] * 30)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        came = list(pool.map(lambda i: timed(gateway, ask(f"q{i}", model="quick")), range(16)))
    drawn = [headers for _, headers, _, _ in came if "holdout=drawn" in (headers["x-leeway-stages"] or "")]
    others = [headers for _, headers, _, _ in came if "holdout=drawn" not in (headers["x-leeway-stages"] or "")]
    assert drawn and {headers["x-leeway-attempts"] for headers in drawn} == {None}
    assert any("hedge=" in (headers["x-leeway-stages"] or "") for headers in others), others


def test_hedge_both_are_reserved_and_settled(gateway, upstream):
    budget = "budgets: [{name: all, scope: global, usd: 0.1, per: day}]\n"
    one, two = doubles(gateway, more=budget)
    one.play(("slow", 4))
    status, headers, _, took = timed(gateway, ask("hi", model="quick", max_tokens=1000))
    assert status == 200 and took < 3
    rows = attempts_of(gateway, headers)
    assert rows[0][2] > 10**10 and rows[1] == ("cheap", 200, COST_CHEAP), rows
    line = standing(gateway)
    assert (line["reserved_pico_usd"], line["spent_pico_usd"]) == (0, rows[0][2] + rows[1][2]), line
    # Without room for a second one there is none.
    one.play(("slow", 0.5))
    body = ask("hi", model="quick", max_tokens=6000)
    status, headers, _, _ = timed(gateway, body)
    assert (status, headers["x-leeway-attempts"], headers["x-leeway-model"]) in (
        (200, None, "gpt-4o"), (200, "2", "cheap")), headers
    line = standing(gateway)
    assert line["reserved_pico_usd"] == 0, line


def test_hedge_a_caller_that_leaves_ends_both(gateway, upstream):
    one, two = doubles(gateway)
    one.play(("slow", 3))
    two.play(("slow", 3))
    leave(gateway, KEY, ask("hi", model="quick"), lambda _: one.times and two.times)
    end = time.monotonic() + 3
    while not (rows := gateway.rows()) and time.monotonic() < end:
        pass
    assert [(row["attempt"], row["model"], row["end"], row["error"]) for row in rows] == [
        (1, "gpt-4o", "client_gone", "client_gone"), (2, "cheap", "client_gone", "client_gone")], rows


def test_hedge_does_not_multiply_an_outage(gateway, upstream):
    one, two = doubles(gateway)
    one.play(*[("slow", 0.5)] * 100)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        came = list(pool.map(lambda i: timed(gateway, ask(f"q{i}", model="quick"))[0], range(48)))
    assert came == [200] * 48
    assert 10 <= two.calls <= 20, two.calls  # ten at hand, then one for five requests
    assert int(metric(gateway, "leeway_hedges_left_total")[0]) == 48 - two.calls


def test_hedge_after_what_is_usual(gateway, upstream):
    one, two = doubles(gateway)
    gateway.stop()
    gateway.config.write_text(gateway.config.read_text().replace("after: 200ms", "after: p95"))
    gateway.start()
    one.play(("slow", 0.5))
    assert timed(gateway, ask("first", model="quick"))[1]["x-leeway-attempts"] is None, "too few are known"
    for i in range(25):
        assert timed(gateway, ask(f"q{i}", model="quick"))[0] == 200
    one.play(("slow", 5))
    status, headers, _, took = timed(gateway, ask("hi", model="quick"))
    assert (status, headers["x-leeway-model"]) == (200, "cheap") and took < 2, (headers, took)


def shadow_rows(gateway, count, within=5):
    end = time.monotonic() + within
    while True:
        rows = gateway.rows()
        found = [row for row in rows if row.get("tags") == ["shadow"]]
        if len(found) >= count or time.monotonic() > end:
            return found, [row for row in rows if row.get("tags") != ["shadow"]]


def test_shadow_a_copy_is_sent_and_nobody_waits_for_it(gateway, upstream):
    one, two = doubles(gateway)
    two.play(("slow", 2))
    status, headers, body, took = timed(gateway, ask("hi", model="shadowed"))
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "gpt-4o", None) and took < 1.5
    (shadow,), (own,) = shadow_rows(gateway, 1)
    assert (shadow["model"], shadow["provider"], shadow["cost_pico_usd"], shadow["baseline_pico_usd"]) == ("cheap", "two", COST_CHEAP, 0)
    assert (shadow["key"], shadow["route"], shadow["end"]) == (None, "shadowed", "ok"), shadow
    assert shadow["waterfall"] == {"gateway": {"saved_pico_usd": -COST_CHEAP, "label": "computed"}}, shadow
    assert (own["cost_pico_usd"], own["baseline_pico_usd"]) == (COST_4O, COST_4O)
    assert json.loads(two.bodies[0])["model"] == "cheap" and json.loads(two.bodies[0])["messages"] == ask("hi")["messages"]
    # Streams too.
    status, headers, body, _ = timed(gateway, ask("hi", model="shadowed", stream=True))
    shadows, _ = shadow_rows(gateway, 2)
    assert [row["cost_pico_usd"] for row in shadows] == [COST_CHEAP] * 2 and shadows[1]["stream"], shadows
    report = json.loads(gateway.cli("report", "--by", "tag", "--json"))
    (line,) = [row for row in report["rows"] if row["group"] == "shadow"]
    assert (line["requests"], line["spent_pico_usd"], line["saved_pico_usd"]) == (2, 2 * COST_CHEAP, -2 * COST_CHEAP), line
    assert gateway.cli("report", "--savings"), "the waterfalls must add up"
    assert metric(gateway, "leeway_shadows_total") == ["2"]


def test_shadow_only_of_what_may_be_copied(gateway, upstream):
    one, two = doubles(gateway)
    assert timed(gateway, ask("hi", model="shadowed"), **{"cache-control": "no-store"})[0] == 200
    one.play(400)
    assert timed(gateway, ask("hi", model="shadowed"))[0] == 400
    assert timed(gateway, ask("hi"))[0] == 200
    one, two2 = doubles(gateway, key_more="models: [gpt-4o]")
    assert timed(gateway, ask("hi", model="shadowed"))[0] == 200
    one, two3 = doubles(gateway, share="0.5")
    for i in range(40):
        assert timed(gateway, ask(f"q{i}", model="shadowed"))[0] == 200
    time.sleep(0.3)  # for a copy that should not have been sent
    assert two.calls == 0 and two2.calls == 0
    assert 8 <= two3.calls <= 32, two3.calls


def test_shadow_has_its_own_budget(gateway, upstream):
    more = "budgets: [{name: shadows, scope: tag, match: shadow, usd: 0.0046, per: day}, {name: web, scope: key, match: web, usd: 1, per: day}]\n"
    one, two = doubles(gateway, more=more)
    for i in range(3):
        assert timed(gateway, ask(f"q{i}", model="shadowed", max_tokens=7000))[0] == 200
        time.sleep(0.2)  # one after the other
    shadows, own = shadow_rows(gateway, 1)
    budgets = {line["budget"]: line for line in json.loads(gateway.cli("budgets", "--json"))["budgets"]}
    assert budgets["shadows"]["spent_pico_usd"] == sum(row["cost_pico_usd"] for row in shadows), (budgets, shadows)
    assert budgets["web"]["spent_pico_usd"] == 3 * COST_4O and budgets["shadows"]["reserved_pico_usd"] == 0
    left = int(metric(gateway, "leeway_shadows_left_total")[0])
    assert left >= 1 and left + len(shadows) == 3, (left, shadows)


def test_shadow_ends_with_the_gateway(gateway, upstream):
    one, two = doubles(gateway)
    two.play(("slow", 20))
    assert timed(gateway, ask("hi", model="shadowed"))[0] == 200
    end = time.monotonic() + 5
    while not two.times and time.monotonic() < end:
        time.sleep(0.01)  # until the copy has arrived
    begin = time.monotonic()
    assert gateway.stop(signal.SIGTERM) == 0 and time.monotonic() - begin < 3
    (shadow,), _ = shadow_rows(gateway, 1)
    assert (shadow["cost_pico_usd"], shadow["error"]) == (None, "shutting_down"), shadow


def test_limits_of_a_provider_are_learnt(gateway, upstream):
    one, two = doubles(gateway)
    one.play((429, {"retry-after": "60"}))
    assert timed(gateway, ask("hi"))[0] == 429
    status, headers, body, _ = timed(gateway, ask("hi"))
    assert (status, json.loads(body)["error"]["code"], one.calls) == (429, "upstream_limited", 1), body
    assert 55 <= int(headers["retry-after"]) <= 60
    status, headers, _, _ = timed(gateway, ask("hi", model="quick"))
    assert (status, headers["x-leeway-model"], one.calls) == (200, "cheap", 1), "a fallback is asked at once"
    # A short rest is waited for, by those that have nobody else to ask.
    one, two = doubles(gateway)
    one.play((429, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "5s"}))
    assert timed(gateway, ask("hi"), **{"x-leeway-retries": "0"})[0] == 429
    status, headers, _, took = timed(gateway, ask("hi"))
    assert (status, headers["x-leeway-attempts"], one.calls) == (200, None, 2) and 0.4 < took < 1.5, (headers, took)


def test_limits_so_many_calls_at_a_time(gateway, upstream):
    one, two = doubles(gateway, one_more=f"{QUICK}, {NO_BREAKER}, parallel: 2")
    one.play(*[("slow", 0.6)] * 2)
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        came = list(pool.map(lambda i: timed(gateway, ask(f"q{i}")), range(5)))
    assert sorted(status for status, _, _, _ in came) == [200, 200, 429, 429, 429]
    busy = next(body for status, _, body, _ in came if status == 429)
    assert json.loads(busy)["error"]["code"] == "upstream_busy", busy
    assert timed(gateway, ask("hi"))[0] == 200, "places become free"


def test_limits_slow_counts_as_down(gateway, upstream):
    one, two = doubles(gateway, one_more=f"{QUICK}, breaker: {{failures: 3, open: 60s, slow: 100ms}}", fallbacks="[cheap]")
    one.play(*[("slow", 0.2)] * 3)
    models = [timed(gateway, ask("hi"))[1]["x-leeway-model"] for _ in range(4)]
    assert models == ["gpt-4o"] * 3 + ["cheap"], models


def test_deadline_of_the_caller_goes_through_all_attempts(gateway, upstream):
    one, two = doubles(gateway, fallbacks="[cheap]")
    for headers in ({"x-leeway-timeout": "600ms"}, {"x-leeway-timeout": "0.6"}, {"x-stainless-timeout": "0.6"},
                    {"x-stainless-read-timeout": "0.6"}):
        one.play(("slow", 0.3, 500), ("slow", 2))
        status, told, body, took = timed(gateway, ask("hi"), **headers)
        assert (status, told["x-leeway-attempts"]) == (504, "2") and 0.55 < took < 1.2, (headers, status, took)
    # What an SDK waits for the next byte of a stream is no limit on all of it; and no wish can be longer than our own limit.
    one.play(("slow", 0.5))
    assert timed(gateway, ask("hi", stream=True), **{"x-stainless-timeout": "0.2"})[0] == 200
    for wish in ("soon", "0", "-1", "", "1e3", "9" * 30):
        one.play()
        assert timed(gateway, ask("hi"), **{"x-leeway-timeout": wish})[0] == 200, wish


def test_doubles_configuration_errors_have_a_remedy(gateway, upstream):
    import subprocess
    text = gateway.config.read_text()
    old = "support: {model: cheap,"
    for new, expected in ((f"{old} hedge: {{}},", "after: 2s"), (f"{old} hedge: {{after: soon}},", "after"),
                          (f"{old} shadow: {{model: cheap}},", "needs its `model` and its `share`"),
                          (f"{old} shadow: {{model: cheep, share: 0.1}},", "cheap"),
                          (f"{old} shadow: {{model: cheap, share: 2}},", "no share of requests"),
                          (f"{old} shadow: {{model: cheap, share: 0.1, who: x}},", "who")):
        assert old in text
        gateway.config.write_text(text.replace(old, new))
        run = subprocess.run([gateway.binary, "check", "--config", str(gateway.config)], capture_output=True, text=True)
        assert run.returncode != 0 and expected in run.stdout + run.stderr, (new, run.stdout + run.stderr)
