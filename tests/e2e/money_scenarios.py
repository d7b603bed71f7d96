"""Scenarios of money: the tier that a row is priced at, commitments, and what providers told against our own prices."""
import datetime
import json
import subprocess

from dialect_provider import DialectProvider
from scenarios import ask

# USD per million: what an answer of 800 fresh, 200 cached and 100 output tokens costs follows by hand.
RATES = {"standard": ("2", "1", "10"), "flex": ("1", "0.5", "5"), "priority": ("4", "2", "20")}
COSTS = {"standard": 2_800_000_000, "flex": 1_400_000_000, "priority": 5_600_000_000}


def configure(gateway, providers, models):
    sheets = [{"tier": tier, "rates": {"input": rates[0], "cached_input": rates[1], "output": rates[2]}}
              for tier, rates in RATES.items()]
    for sheet in sheets:
        if sheet["tier"] == "standard":
            del sheet["tier"]
    book = {"format": "leeway-price-book", "version": 1, "currency": "USD", "unit": "usd_per_million", "name": "e2e",
            "source": "a test", "licence": "none", "fetched": "2026-09-01", "confidence": "single-source",
            "providers": [{"id": "acme", "name": "Acme", "url": "https://api\\.acme\\.test", "models": [
                {"id": "big", "match": {"starts_with": "big"}, "prices": sheets}]}], "sheets": 3, "rates": 9}
    path = gateway.folder / "book.json"
    path.write_text(json.dumps(book))
    text = gateway.config.read_text()
    gateway.stop()
    gateway.config.write_text(text.replace("  local: {dialect", providers + "  local: {dialect")
                              .replace("  unpriced:", models + "  unpriced:") + f"prices: {{book: {path}}}\n")
    gateway.start()


def send(gateway, model, answer, path="/v1/chat/completions", headers=None, **members):
    words = "answer " + json.dumps(answer)
    body = {"model": model, "input": words, **members} if path == "/v1/responses" else {
        **ask(words), "model": model, "temperature": 1, **members}
    status, _, told = gateway.raw(path, body, headers=headers)
    assert status == 200, told
    return gateway.rows()[-1]


def test_rows_are_priced_at_the_tier_that_was_billed_or_else_asked_for(gateway, upstream):
    configure(gateway, f'  acme: {{dialect: openai, base_url: "{upstream.url}", prices: acme}}\n',
              "  big-1: {provider: acme}\n")
    for asked, billed, want in ((None, None, "standard"), ("auto", None, "standard"), ("default", None, "standard"),
                                ("flex", None, "flex"), ("priority", None, "priority"), ("flex", "flex", "flex"),
                                ("priority", "default", "standard"), ("flex", "priority", "priority"),
                                (None, "flex", "flex"), ("a new word", None, "standard")):
        row = send(gateway, "big-1", {"service_tier": billed} if billed else {},
                   **({"service_tier": asked} if asked else {}))
        assert row["cost_pico_usd"] == COSTS[want], (asked, billed, row)
        assert row.get("tier", "standard") == want, (asked, billed, row)
        assert row["baseline_pico_usd"] == COSTS[want], "the caller chose the tier: nothing was saved by it"
    # Translated requests ask for it in the provider's words, and are priced alike.
    row = send(gateway, "big-1", {}, "/v1/responses", service_tier="flex")
    assert json.loads(upstream.bodies[-1])["service_tier"] == "flex"
    assert (row["cost_pico_usd"], row["tier"]) == (COSTS["flex"], "flex"), row
    # A stream that breaks off tells no tier: what was made of it is priced as asked.
    status, _, _ = gateway.raw("/v1/chat/completions", {**ask("cut"), "model": "big-1", "stream": True,
                                                        "service_tier": "priority"})
    row = gateway.rows()[-1]
    assert row["end"] == "cut" and row["tier"] == "priority", row
    # What has no price for a tier has an unknown cost, never another tier's.
    row = send(gateway, "gpt-4o", {}, service_tier="flex")
    assert (row["cost_pico_usd"], row["tier"]) == (None, "flex"), row


def usd(pico):
    whole, part = divmod(abs(pico), 10**12)
    text = f"{whole}.{part:012}".rstrip("0").rstrip(".")
    return "-" + text if pico < 0 else text


def test_commitments_show_what_is_used_and_left(gateway, upstream):
    commitments = ('commitments: [{name: all, usd: 0.01, per: month}, {name: flexible, usd: 100, per: year, from: 2025-03-01, '
                   'models: ["big-*"]}, {name: over, usd: 0.001, per: term, from: 2026-01-01, to: 2126-01-01, '
                   'models: [big-2]}, {name: later, usd: 5, from: 2126-01-01}]')
    configure(gateway, f'  acme: {{dialect: openai, base_url: "{upstream.url}", prices: acme, {commitments}}}\n',
              "  big-1: {provider: acme}\n  big-2: {provider: acme}\n  other: {provider: acme}\n")
    for model in ("big-1", "big-1", "big-2", "other", "gpt-4o"):
        send(gateway, model, {})
    send(gateway, "big-1", {}, service_tier="flex")
    rows = [row for row in gateway.rows() if row["provider"] == "acme"]
    report = json.loads(gateway.cli("report", "--commitments", "--json"))["commitments"]
    assert [one["name"] for one in report] == ["all", "flexible", "over", "later"]
    month = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-01")
    assert (report[0]["from"], report[0]["state"], report[3]["state"]) == (month, "running", "upcoming")
    fits = {"all": lambda model: True, "flexible": lambda model: model.startswith("big-"),
            "over": lambda model: model == "big-2", "later": lambda model: False}
    for one in report:
        mine = [row["cost_pico_usd"] for row in rows if fits[one["name"]](row["model"])]
        used = sum(cost for cost in mine if cost is not None)
        committed = one["committed_pico_usd"]
        assert one["attempts"] == len(mine) and one["unknown_price_attempts"] == mine.count(None), one
        assert (one["used_pico_usd"], one["used_usd"]) == (used, usd(used)), one
        assert one["left_pico_usd"] == max(committed - used, 0) and one["beyond_pico_usd"] == max(used - committed, 0)
    assert report[0]["unknown_price_attempts"] == 1, "`other` has no price"
    assert report[2]["beyond_pico_usd"] == COSTS["standard"] - 10**9
    table = gateway.cli("report", "--commitments")
    assert "$0.0098" in table and "1 calls have an unknown price" in table, table
    csv = gateway.cli("report", "--commitments", "--csv").splitlines()
    assert csv[0].startswith("commitment,provider,models,per,from,to,state,") and len(csv) == 5
    refused = subprocess.run([gateway.binary, "report", "--commitments", "--user", "x", "--config", str(gateway.config)],
                             capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "windows of its own" in refused.stderr
    good = gateway.config.read_text()
    for change, said in ((("usd: 0.01, ", ""), "needs its amount"), (("per: month", "per: week"), "week"),
                         (("models: [big-2]", "models: [big-9]"), "big-9"), (("name: over", "name: all"), "two commitments"),
                         ((", to: 2126-01-01", ""), "needs `from:` and `to:`"), (("name: later, ", ""), "needs a name"),
                         (("from: 2026-01-01, to: 2126-01-01", "from: 2026-02-01, to: 2026-02-01"), "later than 'from'")):
        gateway.config.write_text(good.replace(*change))
        run = subprocess.run([gateway.binary, "check", "--config", str(gateway.config)], capture_output=True, text=True,
                             timeout=60)
        assert run.returncode == 1 and said in run.stdout + run.stderr, (change, run.stdout + run.stderr)
    gateway.config.write_text(good)


def test_cost_differences_list_where_the_provider_bills_otherwise(gateway, upstream):
    configure(gateway, f'  acme: {{dialect: openai, base_url: "{upstream.url}", prices: acme, usage: openrouter}}\n',
              "  big-1: {provider: acme}\n  big-2: {provider: acme}\n  other: {provider: acme}\n")
    ids = {}
    for model, cost in (("big-1", "0.0028"), ("big-1", "0.002800000001"), ("big-1", "0.0029"), ("big-1", "0.0056"),
                        ("big-2", "0.001"), ("other", "0.25")):
        row = send(gateway, model, {"usage": {"cost": float(cost)}})
        ids[model, cost] = row["id"]
    send(gateway, "gpt-4o", {})
    told = json.loads(gateway.cli("report", "--cost-differences", "--json"))
    rows = [row for row in gateway.rows() if "reported_cost_pico_usd" in row]
    assert len(rows) == 6
    for group in told["rows"]:
        mine = [row for row in rows if row["model"] == group["model"]]
        both = [row for row in mine if row.get("computed_cost_pico_usd") is not None]
        own = sum(row["computed_cost_pico_usd"] for row in both)
        reported = sum(row["reported_cost_pico_usd"] for row in both)
        assert (group["attempts"], group["compared"]) == (len(mine), len(both))
        if both:
            assert (group["own_pico_usd"], group["reported_pico_usd"]) == (own, reported), group
            assert group["difference_usd"] == usd(reported - own), group
        else:
            assert group["own_usd"] is None and group["difference_pico_usd"] is None, group
    by_model = {group["model"]: group for group in told["rows"]}
    big = by_model["big-1"]
    assert (big["beyond_tolerance"], big["own_pico_usd"]) == (2, 4 * COSTS["standard"])
    assert [one["id"] for one in big["worst"]] == [ids["big-1", cost] for cost in ("0.0056", "0.0029", "0.002800000001")]
    assert big["worst"][-1]["difference_pico_usd"] == 1
    assert by_model["other"]["unknown_price_reported_usd"] == "0.25", by_model["other"]
    few = json.loads(gateway.cli("report", "--cost-differences", "--json", "--tolerance", "60", "--worst", "1",
                                 "--model", "big-1"))
    assert [(row["model"], row["beyond_tolerance"], len(row["worst"])) for row in few["rows"]] == [("big-1", 0, 1)]
    table = gateway.cli("report", "--cost-differences")
    assert ids["big-1", "0.0056"] in table and "$0.000000000001" in table, table
    csv = gateway.cli("report", "--cost-differences", "--csv").splitlines()
    assert len(csv) == 4 and csv[0].endswith(",worst") and ids["big-2", "0.001"] in "".join(csv)


def test_routes_and_models_ask_for_flex_and_save_by_it(gateway, upstream):
    typed = DialectProvider()
    said = f'dialect: openai, base_url: "{upstream.url}", prices: acme'
    configure(gateway, f'  acme: {{{said}, quirks: {{service_tier: on}}}}\n  plain: {{{said}}}\n'
                       f'  typed: {{dialect: responses, base_url: "{typed.url}", prices: acme}}\n',
              "  big-1: {provider: acme}\n  big-2: {provider: acme, tier: flex}\n  big-3: {provider: plain, tier: flex}\n"
              "  big-4: {provider: typed, tier: flex}\n  big-5: {provider: acme, flex_wait: 10m}\n"
              "  big-6: {provider: plain, flex_wait: 10m}\n")
    text = gateway.config.read_text()
    gateway.stop()
    gateway.config.write_text(text.replace("routes:\n", "routes:\n  patient: {model: big-1, tier: flex}\n"
                                                         "  quick: {model: big-5, flex_wait: 5m}\n"))
    gateway.start()
    # (asked model, what the caller says, what goes out, at which price it is, and what it would have been without us)
    for model, said, sent, billed, baseline in (
            ("big-1", None, None, "standard", "standard"), ("big-2", None, "flex", "flex", "standard"),
            ("patient", None, "flex", "flex", "standard"), ("big-3", None, None, "standard", "standard"),
            ("big-2", "priority", "priority", "priority", "priority"), ("big-2", "soon", "soon", "standard", "standard"),
            ("patient", "flex", "flex", "flex", "flex")):
        row = send(gateway, model, {}, **({"service_tier": said} if said else {}))
        assert json.loads(upstream.bodies[-1]).get("service_tier") == sent, (model, said, upstream.bodies[-1])
        assert upstream.bodies[-1].count(b"service_tier") == (1 if sent else 0)
        assert (row["cost_pico_usd"], row["baseline_pico_usd"]) == (COSTS[billed], COSTS[baseline]), (model, said, row)
    # Those that can wait are asked at flex where a model or a route says how long is enough.
    for model, wait, sent in (("big-5", None, None), ("big-5", "9m", None), ("big-5", "10m", "flex"), ("big-5", "1h", "flex"),
                              ("quick", "5m", "flex"), ("quick", "299s", None), ("big-6", "1h", None), ("big-1", "1h", None)):
        row = send(gateway, model, {}, headers={"x-leeway-wait": wait} if wait else {})
        assert json.loads(upstream.bodies[-1]).get("service_tier") == sent, (model, wait, upstream.bodies[-1])
        billed = COSTS[sent or "standard"]
        assert (row["cost_pico_usd"], row["baseline_pico_usd"]) == (billed, COSTS["standard"]), (model, wait, row)
    for wait in ("soon", "-1s", "1 week", ""):
        status, _, body = gateway.raw("/v1/chat/completions", {**ask("hello"), "model": "big-5"}, headers={"x-leeway-wait": wait})
        assert status == 400 and "x-leeway-wait" in json.loads(body)["error"]["message"], (wait, body)
    # Where less than flex was given, it is billed as told.
    row = send(gateway, "big-2", {"service_tier": "default"})
    assert row["cost_pico_usd"] == COSTS["standard"] == row["baseline_pico_usd"], row
    # Translated requests ask for it, too.
    row = send(gateway, "big-2", {}, "/v1/responses")
    assert json.loads(upstream.bodies[-1])["service_tier"] == "flex" and row["cost_pico_usd"] == COSTS["flex"], row
    # And those that pass in the dialect of Responses, whose other bytes stay as they are.
    status, _, _ = gateway.raw("/v1/responses", b'{ "model": "big-4",  "input" :"hello"}')
    assert status == 200 and typed.last[1] == {"service_tier": "flex", "model": "big-4", "input": "hello"}, typed.last
    typed.shutdown()
    gateway.stop()
    gateway.config.write_text(text.replace("big-2: {provider: acme, tier: flex}", "big-2: {provider: acme, tier: batch}"))
    check = subprocess.run([gateway.binary, "serve", "--config", str(gateway.config)], capture_output=True, text=True,
                           timeout=60)
    assert check.returncode == 1 and "tier: batch is of routes" in check.stderr, check.stderr
