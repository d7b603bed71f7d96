"""Scenarios of budgets and rate limits: exact stops, cut streams, refusals, cheaper answers, alerts, and what-ifs."""
import concurrent.futures
import hashlib
import hmac
import http.server
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time

import openai

from bad_input import Mount, error_of, restart
from gateway import KEY
from scenarios import PICO_INPUT, PICO_OUTPUT, Skip, ask, sdk

CHAT = "/v1/chat/completions"
# The fake provider says 1,000 tokens of input whatever it gets, so a request that shall not be surprised is long.
LONG = " and so on" * 100
# Of what one exact row says and these scenarios add up: 800 fresh, 200 cached input, 100 output.
COST_4O = 800 * PICO_INPUT + 200 * 1_250_000 + 100 * PICO_OUTPUT


def with_budgets(gateway, text, *changes):
    restart(gateway, ("keys:\n", text + "keys:\n"), *changes)


def events_of(body):
    return [line[6:] for line in body.decode().splitlines() if line.startswith("data: ")]


def words_of(events):
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk.get("choices"))


def count(gateway, *arguments, text):
    run = subprocess.run([gateway.binary, "tokens", "--json", *arguments], input=text, capture_output=True, text=True,
                         timeout=60)
    if "no vocabulary" in run.stderr + run.stdout:
        raise Skip("no vocabularies: tools/setup.sh makes them")
    told = json.loads(run.stdout)
    return (told["models"] or [told])[0]["count"]


def standing(gateway, budget):
    """The budget's line once nothing is under way in the ledger."""
    time.sleep(0.15)
    (line,) = [b for b in json.loads(gateway.cli("budgets", "--json"))["budgets"] if b["budget"] == budget]
    return line


def ledger(gateway, query, *values):
    with sqlite3.connect(f"file:{gateway.state / 'ledger' / 'ledger.db'}?mode=ro", uri=True) as db:
        return db.execute(query, values).fetchall()


def wait_for(condition, what, seconds=10):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.02)  # polling, with a deadline


class Receiver(http.server.ThreadingHTTPServer):
    """A webhook: answers with the statuses it is given, then with 204, and keeps what came."""
    daemon_threads = True

    def __init__(self, *statuses):
        self.statuses = list(statuses)
        self.came = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                self.server.came.append((self.path, dict(self.headers.items()), body))
                self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
                self.send_header("content-length", "0")
                self.end_headers()

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"


def test_a_stream_is_stopped_at_the_exact_token(gateway, upstream):
    with_budgets(gateway, "budgets:\n  - {name: all, scope: global, usd: 1, per: month}\n")
    for choices in (1, 2):
        body = ask("words 300", stream=True, max_tokens=20, n=choices)
        status, _, answer = gateway.raw(CHAT, body)
        events = events_of(answer)
        assert status == 200 and "[DONE]" not in events, events[-1]
        error = json.loads(events[-1])["error"]
        assert error["code"] == "budget_exceeded" and error["type"] == "insufficient_quota", error
        assert not any(json.loads(event).get("choices", [{}])[0].get("finish_reason") for event in events[:-1])
        # "Hello from the fake provider" has five tokens, " the" one.
        assert count(gateway, "--vocabulary", "o200k_base", text=words_of(events[:-1])) == 20 * choices
        row = gateway.rows()[-1]
        assert row["end"] == "cut" and row["error"] == "budget_exceeded", row
        assert row["usage"]["state"] == "partial" and row["usage"]["quality"] == "exact", row
        assert row["usage"]["completion_tokens"] == 20 * choices + 1, row
        inputs = count(gateway, "--request", "--model", "gpt-4o", text=json.dumps(body))
        assert row["usage"]["prompt_tokens"] == inputs, (row, inputs)
        assert row["cost_pico_usd"] == inputs * PICO_INPUT + (20 * choices + 1) * PICO_OUTPUT
    wait_for(lambda: len(upstream.hang_ups) == 2 or upstream.calls == 2, "the upstream still sends")
    assert standing(gateway, "all")["spent_pico_usd"] == sum(row["cost_pico_usd"] for row in gateway.rows())
    assert standing(gateway, "all")["reserved_pico_usd"] == 0
    # An answer that keeps to its limit is not touched, usage and all.
    chunks = list(sdk(gateway).chat.completions.create(**ask("fine", stream=True, max_tokens=20)))
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_cut_stream_is_priced_by_our_own_count(gateway, upstream):
    with_budgets(gateway, "budgets:\n  - {name: all, scope: global, usd: 1, per: month}\n")
    body = ask("cut", stream=True)
    _, headers, answer = gateway.raw(CHAT, body)
    events = events_of(answer)
    assert json.loads(events[-1])["error"]["code"] == "upstream_stream_cut", events
    (row,) = gateway.rows()
    words = words_of(events[:-1])
    assert words == "Hello from"
    inputs = count(gateway, "--request", "--model", "gpt-4o", text=json.dumps(body))
    outputs = count(gateway, "--vocabulary", "o200k_base", text=words)
    assert row["usage"]["quality"] == "exact" and row["usage"]["state"] == "partial", row
    assert (row["usage"]["prompt_tokens"], row["usage"]["completion_tokens"]) == (inputs, outputs)
    assert row["cost_pico_usd"] == inputs * PICO_INPUT + outputs * PICO_OUTPUT > 0
    assert standing(gateway, "all")["spent_pico_usd"] == row["cost_pico_usd"]
    assert ledger(gateway, "SELECT usage_quality FROM request") == [(1,)]
    # A model whose tokenizer nobody knows: a rule of thumb, and it says so.
    gateway.raw(CHAT, {**body, "model": "cheap"})
    row = gateway.rows()[-1]
    assert row["usage"]["quality"] == "heuristic" and row["cost_pico_usd"] > 0, row


def test_refusals_say_which_budget_what_is_left_and_when(gateway, upstream):
    with_budgets(gateway, "budgets:\n"
                          "  - {name: team-day, scope: team, match: travel, usd: 0.02, per: day}\n"
                          "  - {name: each-user, scope: user, tokens: 3000, rolling: 15m}\n",
                 ("name: web,", "name: web, team: travel,"))
    client = sdk(gateway)
    client.chat.completions.create(**ask("a" + LONG, max_tokens=500))
    for user, name, scope, words in (("", "team-day", "team:travel", "USD"), ("ada", "each-user", "user:ada", "tokens")):
        try:
            client.chat.completions.create(**(ask("b" + 2 * LONG, max_tokens=800) if user else ask("b", max_tokens=1700)), extra_headers={
                "x-leeway-user": user, **({"x-leeway-tag": "t"} if user else {})})
        except openai.RateLimitError as error:
            assert error.code == "budget_exceeded" and error.type == "insufficient_quota"
            message = error.body["message"]
            assert f"'{name}' ({scope})" in message and words in message and "are left" in message, message
            assert "resets at 20" in message, message
            wait = int(error.response.headers["retry-after"])
            assert 1 <= wait <= (86_400 if not user else 1800), wait
        else:
            raise AssertionError(name)
    assert upstream.calls == 1
    left = standing(gateway, "team-day")
    assert left["left_pico_usd"] == 20_000_000_000 - COST_4O and left["scope"] == "team:travel"


def test_an_answer_is_made_shorter_or_cheaper_instead_of_refused(gateway, upstream):
    with_budgets(gateway, "budgets:\n"
                          "  - {name: short, scope: tag, match: short, usd: 0.01, per: day, on_exceeded: lower_max_tokens}\n"
                          "  - {name: cheap, scope: tag, match: cheap, usd: 0.01, per: day, on_exceeded: degrade,"
                          " degrade_model: cheap}\n")
    tag = {"x-leeway-tag": "short"}
    for body in (ask("x", max_tokens=5000), ask("x", max_tokens=5000, max_completion_tokens=4000),
                 ask("x", max_tokens=None, max_completion_tokens=5000)):
        status, headers, _ = gateway.raw(CHAT, body, headers=tag)
        sent = json.loads(upstream.bodies[-1])
        granted = int(headers["x-leeway-budget"].partition("=")[2])
        for name in ("max_tokens", "max_completion_tokens"):
            assert sent.get(name) == (granted if body.get(name) else body.get(name)), (sent, granted)
        assert status == 200 and 1 <= granted < 1000, headers.items()
        # What was granted is all that the budget had: with one token more it would have been too much.
        wait_for(lambda: ledger(gateway, "SELECT notes FROM request ORDER BY id DESC LIMIT 1")
                 == [(f"budget=max_tokens:{granted}",)], "the row says it", 3)
        if standing(gateway, "short")["left_pico_usd"] < 3_000_000_000:
            break
    status, headers, _ = gateway.raw(CHAT, ask("y", max_tokens=5000), headers={"x-leeway-tag": "cheap"})
    assert status == 200 and headers["x-leeway-budget"] == "model=cheap" and headers["x-leeway-model"] == "cheap"
    assert json.loads(upstream.bodies[-1])["model"] == "cheap"
    wait_for(lambda: ledger(gateway, "SELECT notes FROM request ORDER BY id DESC LIMIT 1") == [("budget=model:cheap",)],
             "the row says it", 3)
    # Not even one token: refused all the same.
    for _ in range(5):
        status, headers, answer = gateway.raw(CHAT, ask("z", max_tokens=5000), headers=tag)
        if status != 200:
            break
    assert status == 429 and json.loads(answer)["error"]["code"] == "budget_exceeded", answer


def test_rate_limits_and_their_headers(gateway, upstream):
    with_budgets(gateway, "limits:\n"
                          "  - {name: web-all, scope: key, match: web, requests_per_minute: 5, tokens_per_minute: 100000}\n"
                          "  - {name: each-user, scope: user, tokens_per_minute: 3000}\n"
                          "  - {name: each-tag, scope: tag, parallel: 1}\n")
    status, headers, _ = gateway.raw(CHAT, ask("a", max_tokens=1000))
    assert status == 200 and headers["x-ratelimit-limit-requests"] == "5"
    assert headers["x-ratelimit-remaining-requests"] == "4" and headers["x-ratelimit-reset-requests"] == "12s"
    assert headers["x-ratelimit-limit-tokens"] == "100000"
    assert 98_000 < int(headers["x-ratelimit-remaining-tokens"]) < 99_000 and headers["x-ratelimit-reset-tokens"]
    # Tokens: 1,100 were used, whatever was thought before; then the user's 3,000 are too few for 2,500 more.
    ada = {"x-leeway-user": "ada"}
    assert gateway.raw(CHAT, ask("b", max_tokens=2000), headers=ada)[0] == 200
    status, headers, body = gateway.raw(CHAT, ask("c", max_tokens=2500), headers=ada)
    error = json.loads(body)["error"]
    assert status == 429 and error["code"] == "rate_limit_exceeded" and error["type"] == "rate_limit_error"
    assert "'each-user' (user:ada)" in error["message"] and "of 3000 tokens per minute are left" in error["message"]
    assert 10 <= int(headers["retry-after"]) <= 30 and headers["x-ratelimit-limit-tokens"] == "3000"
    status, headers, body = gateway.raw(CHAT, ask("c", max_tokens=4000), headers={"x-leeway-user": "eve"})
    assert status == 429 and headers["retry-after"] is None and "larger than the limit" in json.loads(body)["error"]["message"]
    # A reload forgets nothing.
    gateway.config.write_text(gateway.config.read_text().replace("requests_per_minute: 5", "requests_per_minute: 6"))
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "configuration loaded" in gateway.log.read_text(), "not read again")
    status, headers, _ = gateway.raw(CHAT, ask("d"))
    assert status == 200 and headers["x-ratelimit-limit-requests"] == "6", headers.items()
    assert headers["x-ratelimit-remaining-requests"] in ("1", "2")
    while status == 200:
        status, headers, body = gateway.raw("/v1/models")
    assert status == 429 and "'web-all' (key:web)" in json.loads(body)["error"]["message"]
    assert headers["x-ratelimit-remaining-requests"] == "0" and 1 <= int(headers["retry-after"]) <= 10
    # Parallel ones: another key, since this one is used up.
    narrow = {"key": KEY + "-narrow", "headers": {"x-leeway-tag": "batch"}}
    slow = threading.Thread(target=gateway.raw, args=(CHAT, {**ask("slow 1"), "model": "cheap"}), kwargs=narrow)
    calls = upstream.calls
    slow.start()
    wait_for(lambda: upstream.calls > calls, "not asked")
    status, headers, body = gateway.raw(CHAT, {**ask("e"), "model": "cheap"}, **narrow)
    assert status == 429 and "requests at a time" in json.loads(body)["error"]["message"], body
    assert headers["retry-after"] == "1"
    slow.join()
    assert gateway.raw(CHAT, {**ask("e"), "model": "cheap"}, **narrow)[0] == 200


def test_alerts_reach_the_webhook_once(gateway, upstream):
    hook = Receiver(500, 503)
    with_budgets(gateway, f"webhook: {{url: \"{hook.url}\", secret: webhook-secret-1}}\n"
                          "budgets:\n  - {name: day, scope: global, usd: 0.01, per: day, alerts: [50%, 80%, 1.0]}\n")
    assert COST_4O == 3_250_000_000
    for i in range(2):  # 65 %
        assert gateway.raw(CHAT, ask(f"q{i}", max_tokens=10))[0] == 200
    wait_for(lambda: len(hook.came) == 3, "two failures and one delivery", 15)
    told = [json.loads(body) for _, _, body in hook.came]
    assert told[0] == told[1] == told[2]
    assert {name: told[2][name] for name in ("type", "budget", "scope", "unit", "threshold_percent", "limit", "spent", "left")} == {
        "type": "budget_alert", "budget": "day", "scope": "global", "unit": "usd", "threshold_percent": 50, "limit": "0.01",
        "spent": "0.0065", "left": "0.0035"}, told
    path, headers, body = hook.came[2]
    headers = {name.lower(): value for name, value in headers.items()}
    stamp, _, mac = headers["x-leeway-signature"].partition(",v1=")
    want = hmac.new(b"webhook-secret-1", f"{stamp[2:]}.".encode() + body, hashlib.sha256).hexdigest()
    assert mac == want and path == "/hook" and headers["x-leeway-delivery"] == told[2]["id"]
    assert headers["content-type"] == "application/json" and abs(int(stamp[2:]) - time.time()) < 60
    # Killed and started again it says nothing twice; what comes next is told.
    gateway.stop(signal.SIGKILL)
    gateway.start()
    assert gateway.raw(CHAT, ask("q3", max_tokens=10))[0] == 200  # 97.5 %
    # A delivery that the kill kept from being noted comes again, under its id: so receivers know it.
    def told_by_id():
        return {one["id"]: one["threshold_percent"] for one in (json.loads(body) for _, _, body in hook.came)}
    wait_for(lambda: len(told_by_id()) == 2, "80 % is told")
    assert sorted(told_by_id().values()) == [50, 80]
    # While nobody listens it waits, over a restart too.
    hook.shutdown()
    hook.server_close()
    assert gateway.log.read_text().count("% of the limit are spent") == 2
    time.sleep(0.5)
    assert len(told_by_id()) == 2


def test_an_alert_outlives_the_process_that_could_not_deliver_it(gateway, upstream):
    hook = Receiver(*[500] * 1000)
    with_budgets(gateway, f"webhook: {{url: \"{hook.url}\"}}\n"
                          "budgets:\n  - {name: day, scope: global, usd: 0.01, per: day, alerts: [0.3]}\n")
    assert gateway.raw(CHAT, ask("q", max_tokens=10))[0] == 200
    wait_for(lambda: hook.came, "tried")
    gateway.stop(signal.SIGKILL)
    hook.statuses.clear()
    tries = len(hook.came)
    gateway.start()
    wait_for(lambda: len(hook.came) > tries, "tried again", 15)
    assert len({body for _, _, body in hook.came}) == 1
    assert not any(name.lower() == "x-leeway-signature" for name in hook.came[0][1])


def test_budgets_command_agrees_with_the_gateway(gateway, upstream):
    with_budgets(gateway, "budgets:\n"
                          "  - {name: all, scope: global, usd: 1, per: month}\n"
                          "  - {name: each, scope: tag, tokens: 50000, rolling: 1h, hard: false}\n")
    assert "\nall" in gateway.cli("budgets")
    gateway.raw(CHAT, ask("a", max_tokens=10), headers={"x-leeway-tag": "b"})
    slow = threading.Thread(target=gateway.raw, args=(CHAT, ask("slow 1.5", max_tokens=1000)))
    slow.start()
    wait_for(lambda: standing(gateway, "all")["reserved_pico_usd"] > 0, "the reservation shows")
    line = standing(gateway, "all")
    metrics = gateway.raw("/metrics", key=None, admin=True)[2].decode()
    pending = [one for one in metrics.splitlines() if one.startswith('leeway_budget_pending{budget="all"')]
    assert pending[0].rpartition(" ")[2] in (line["reserved_usd"], str(line["reserved_pico_usd"] / 1e12)), (pending, line)
    assert line["left_pico_usd"] == 10**12 - line["spent_pico_usd"] - line["reserved_pico_usd"]
    slow.join()
    tokens = standing(gateway, "each")
    assert (tokens["spent_tokens"], tokens["left_tokens"], tokens["scope"], tokens["hard"]) == (1100, 48900, "tag:b", False)
    assert standing(gateway, "all")["spent_pico_usd"] == 2 * COST_4O
    gateway.stop()
    line = standing(gateway, "all")
    assert (line["spent_pico_usd"], line["reserved_pico_usd"]) == (2 * COST_4O, 0) and line["resets"].endswith("Z")
    table = gateway.cli("budgets")
    assert "█" in table and "tag:b" in table and "0.0065" in table, table


def test_a_budget_changed_while_money_is_reserved(gateway, upstream):
    with_budgets(gateway, "budgets:\n  - {name: all, scope: global, usd: 1, per: day}\n")
    slow = threading.Thread(target=gateway.raw, args=(CHAT, ask("slow 1.5", max_tokens=1000)))
    slow.start()
    wait_for(lambda: upstream.calls == 1, "not asked")
    gateway.config.write_text(gateway.config.read_text().replace("usd: 1, per: day", "usd: 0.012, per: day"))
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "configuration loaded" in gateway.log.read_text(), "not read again")
    # What is reserved counts against the new limit, too.
    status, error = error_of(gateway.raw(CHAT, ask("b", max_tokens=1000)))
    assert status == 429 and error["code"] == "budget_exceeded" and "'all'" in error["message"], error
    slow.join()
    assert standing(gateway, "all")["spent_pico_usd"] == COST_4O
    assert gateway.raw(CHAT, ask("c", max_tokens=100))[0] == 200


def test_a_key_revoked_in_flight_is_settled(gateway, upstream):
    with_budgets(gateway, "budgets:\n  - {name: each-key, scope: key, usd: 1, per: day}\n")
    made = json.loads(gateway.cli("keys", "create", "temp", "--json"))
    secret = made.get("secret") or made["key"]
    wait_for(lambda: gateway.raw("/v1/models", key=secret)[0] == 200, "the new key is not taken")
    answers = []
    slow = threading.Thread(target=lambda: answers.append(gateway.raw(CHAT, ask("slow 1.5"), key=secret)))
    slow.start()
    wait_for(lambda: upstream.calls == 1, "not asked")
    gateway.cli("keys", "revoke", "temp")
    wait_for(lambda: gateway.raw("/v1/models", key=secret)[0] == 401, "the revoked key still works")
    slow.join()
    assert answers[0][0] == 200, "what was admitted is answered"
    (line,) = [b for b in json.loads(gateway.cli("budgets", "--json"))["budgets"] if b["scope"] == "key:temp"]
    wait_for(lambda: standing(gateway, "each-key")["spent_pico_usd"] == COST_4O, "settled once", 3)
    assert standing(gateway, "each-key")["reserved_pico_usd"] == 0, line


def test_a_locked_database_delays_rows_and_loses_none(gateway, upstream):
    """LEEWAY_LOCK_SECONDS=30 for the whole time; fewer seconds show the same."""
    with_budgets(gateway, "budgets:\n  - {name: all, scope: global, usd: 0.06, per: day}\n")
    assert gateway.raw(CHAT, ask("before" + LONG, max_tokens=100))[0] == 200
    time.sleep(0.2)
    db = sqlite3.connect(gateway.state / "ledger" / "ledger.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    until = time.monotonic() + float(os.environ.get("LEEWAY_LOCK_SECONDS", "4"))
    answered = 1
    statuses = []
    while time.monotonic() < until or len(statuses) < 20:
        statuses.append(gateway.raw(CHAT, ask(f"during {len(statuses)}" + LONG, max_tokens=100))[0])
        answered += statuses[-1] == 200
        time.sleep(0.2)
    db.execute("ROLLBACK")
    db.close()
    # The budget holds without the database: 0.06 USD are at most 18 answers of 0.00325.
    assert set(statuses) == {200, 429} and 10 < answered <= 18, statuses
    wait_for(lambda: len([row for row in gateway.rows() if row["attempt"]]) == answered, "all rows come", 40)
    assert standing(gateway, "all")["spent_pico_usd"] == answered * COST_4O <= 60_000_000_000
    gateway.stop(signal.SIGKILL)
    gateway.start()
    assert standing(gateway, "all")["spent_pico_usd"] == answered * COST_4O


def test_a_full_disk_under_a_budget_reserves_nothing(gateway, upstream):
    with Mount(gateway.folder / "disk", "size=12m") as disk:
        # Long names make long intents and rows: the journal, which has its place already, is full soon.
        long = {"x-leeway-session": "s" * 128, "x-leeway-user": "u" * 128,
                "x-leeway-tag": ",".join(f"{i}" * 60 for i in range(8))}
        with_budgets(gateway, "budgets:\n  - {name: all, scope: global, usd: 1000, per: month}\n",
                     (str(gateway.state), str(disk / "state")), ("workers: 2", "workers: 1"))
        gateway.state = disk / "state"
        try:
            with open(disk / "filler", "wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(b"x" * 65536)
                except OSError:
                    pass
            give_up = time.monotonic() + 60

            def fill(_):
                while True:
                    status, _, body = gateway.raw(CHAT, ask("q" + LONG), headers=long)
                    if status != 200:
                        return status, json.loads(body)["error"]["code"]
                    assert time.monotonic() < give_up

            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                assert set(pool.map(fill, range(8))) == {(503, "ledger_unavailable")}
            calls = upstream.calls
            assert gateway.raw(CHAT, ask("q" + LONG))[0] == 503 and upstream.calls == calls
            os.unlink(disk / "filler")
            wait_for(lambda: gateway.raw("/readyz", admin=True)[0] == 200, "not ready again", 60)
            assert gateway.raw(CHAT, ask("q" + LONG))[0] == 200
            wait_for(lambda: standing(gateway, "all")["spent_pico_usd"] == upstream.calls * COST_4O, "all is charged", 30)
            assert standing(gateway, "all")["reserved_pico_usd"] == 0
            assert sum(row["cost_pico_usd"] for row in gateway.rows() if row["attempt"]) == upstream.calls * COST_4O
        finally:
            gateway.stop(signal.SIGKILL)


def test_parallel_requests_on_the_last_cent_never_overshoot(gateway, upstream):
    with_budgets(gateway, "budgets:\n"
                          "  - {name: all, scope: global, usd: 0.02, per: day}\n"
                          "  - {name: team, scope: team, usd: 0.02, per: month}\n"
                          "  - {name: key, scope: key, usd: 0.02, rolling: 24h}\n"
                          "  - {name: user, scope: user, usd: 0.02, per: week}\n",
                 ("name: web,", "name: web, team: travel,"))
    statuses = []
    lock = threading.Lock()

    def client(number):
        for i in range(6):
            status, _, _ = gateway.raw(CHAT, ask(f"q{number}-{i}" + LONG, max_tokens=100), headers={"x-leeway-user": "ada"})
            with lock:
                statuses.append(status)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 429}, set(statuses)
    paid = statuses.count(200) * COST_4O
    for name in ("all", "team", "key", "user"):
        line = standing(gateway, name)
        assert line["spent_pico_usd"] == paid <= 20_000_000_000 and line["reserved_pico_usd"] == 0, line
    assert sum(row["cost_pico_usd"] for row in gateway.rows() if row["attempt"]) == paid


def test_the_cache_answers_under_a_budget_too(gateway, upstream):
    with_budgets(gateway, "budgets:\n  - {name: day, scope: global, usd: 1, per: day}\n")
    body = {"model": "gpt-4o", "temperature": 0, "messages": [{"role": "user", "content": "again"}]}
    status, headers, _ = gateway.raw(CHAT, body)
    assert status == 200 and headers["x-leeway-budget"].startswith("max_tokens="), headers
    status, headers, _ = gateway.raw(CHAT, body)
    assert status == 200 and headers["x-leeway-cache"] == "exact", headers
