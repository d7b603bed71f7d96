"""Scenarios of retries, fallbacks and circuit breakers, against upstreams that fail by a script."""
import concurrent.futures
import json
import re
import socket
import subprocess
import time
import urllib.parse

from fake_provider import FakeProvider, Handler
from gateway import KEY
from scenarios import ANSWER, COST_4O, COST_CHEAP, ask

CHAT = "/v1/chat/completions"
QUICK = "retries: {attempts: 2, base: 20ms, cap: 2s}"
NO_BREAKER = "breaker: {failures: 0}"
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 1, state: "{state}"}}
providers:
  one: {{dialect: openai, base_url: "{one}", {one_more}}}
  two: {{dialect: {two_dialect}, base_url: "{two}", {two_more}}}
  keyless: {{dialect: openai, base_url: "{two}", api_key: "${{E2E_NEVER_SET}}"}}
models:
  gpt-4o: {{provider: one, price: {{input: 2.50, cached_input: 1.25, output: 10.00}}, fallbacks: {fallbacks}}}
  cheap: {{provider: two, price: {{input: 0.15, cached_input: 0.075, output: 0.60}}}}
  sister: {{provider: one, price: {{input: 0.15, cached_input: 0.075, output: 0.60}}}}
  both: {{targets: [{{provider: one, name: x, weight: 3}}, {{provider: two, name: y}}], balance: {balance},
         price: {{input: 2.50, cached_input: 1.25, output: 10.00}}}}
  off: {{provider: keyless, price: {{input: 1, output: 1}}, fallbacks: {off_fallbacks}}}
routes:
  support: {{model: cheap, baseline: gpt-4o, fallbacks: [gpt-4o]}}
keys:
  - {{name: web, secret: "{key}"}}
  - {{name: narrow, secret: "{key}-narrow", models: [gpt-4o]}}
{more}
"""


class Scripted(Handler):
    """Each request takes the next step of the server's script; when it is over, all is well."""

    def do_POST(self):
        with self.server.lock:
            step = self.server.script.pop(0) if self.server.script else "ok"
            self.server.times.append(time.monotonic())
        if isinstance(step, tuple) and step[0] == "slow":
            time.sleep(step[1])
            step = step[2] if len(step) > 2 else "ok"
        if step == "ok":
            return super().do_POST()
        self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.calls += 1
        if step == "hang up":
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if step in ("cut before", "cut after", "error event", "error after"):
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            if step in ("cut after", "error after"):
                self.event(json.dumps(self.chunk({"model": "m"}, {"role": "assistant", "content": "Hel"}, None)))
            if step.startswith("error"):
                self.event(json.dumps({"error": {"message": "overloaded", "type": "server_error", "param": None, "code": None}}))
            self.wfile.flush()
            self.close_connection = True
            return None
        status, headers = step if isinstance(step, tuple) else (step, {})
        text = json.dumps({"type": "error", "error": {"message": f"scripted {status}", "type": "overloaded_error",
                                                      "param": None, "code": None}}).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)


class ScriptedProvider(FakeProvider):
    def __init__(self):
        super().__init__()
        self.script, self.times = [], []
        self.RequestHandlerClass = Scripted

    def play(self, *script):
        with self.lock:
            self.script, self.times, self.calls = list(script), [], 0


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def traffic(gateway, one_more=f"{QUICK}, {NO_BREAKER}", two_more=f"{QUICK}, {NO_BREAKER}", fallbacks="[]", more="",
            one_url=None, two_dialect="openai", balance="weighted", off_fallbacks="[cheap]"):
    one, two = ScriptedProvider(), ScriptedProvider()
    gateway.stop()
    gateway.config.write_text(CONFIG.format(state=gateway.state, one=one_url or one.url, two=two.url, one_more=one_more,
                                            two_more=two_more, two_dialect=two_dialect, balance=balance, fallbacks=fallbacks, off_fallbacks=off_fallbacks, key=KEY,
                                            more=more))
    gateway.start()
    return one, two


def attempts_of(gateway, headers):
    """What the ledger says of one answer, attempt by attempt; their costs must sum to the request's."""
    rows = [row for row in gateway.rows() if row["id"] == headers["x-leeway-id"]]
    costs = [row["cost_pico_usd"] for row in rows]
    told = headers["x-leeway-cost-usd"]
    if told and None not in costs:
        whole, _, part = told.partition(".")
        assert int(whole) * 10**12 + int((part + "0" * 12)[:12]) == sum(costs), (told, costs)
    else:
        assert told in (None, "unknown"), told
    assert [row["attempt"] for row in rows] == list(range(1, len(rows) + 1)), rows
    return [(row["model"], row["status"], row["cost_pico_usd"]) for row in rows]


def metric(gateway, name):
    text = gateway.raw("/metrics", admin=True)[2].decode()
    return [line.rpartition(" ")[2] for line in text.splitlines() if re.match(re.escape(name) + r"[ {]", line)]


def test_traffic_fails_twice_then_succeeds(gateway, upstream):
    one, _ = traffic(gateway, one_more=f"retries: {{attempts: 2, base: 200ms, cap: 2s}}, {NO_BREAKER}")
    one.play(503, 529)
    status, headers, body = gateway.raw(CHAT, ask("hi"))
    assert (status, headers["x-leeway-attempts"]) == (200, "3"), (status, headers)
    assert json.loads(body)["choices"][0]["message"]["content"] == ANSWER
    waits = [later - earlier for earlier, later in zip(one.times, one.times[1:])]
    assert 0.1 <= waits[0] < 0.4 and 0.2 <= waits[1] < 0.6, waits
    assert attempts_of(gateway, headers) == [("gpt-4o", 503, 0), ("gpt-4o", 529, 0), ("gpt-4o", 200, COST_4O)]
    # When it does not get well, the caller gets what the last attempt got.
    one.play(500, 408, (409, {"x-request-id": "req_3"}))
    status, headers, body = gateway.raw(CHAT, ask("hi"))
    assert (status, headers["x-leeway-attempts"], headers["x-request-id"]) == (409, "3", "req_3"), headers
    assert json.loads(body)["error"]["message"] == "scripted 409" and one.calls == 3
    assert attempts_of(gateway, headers) == [("gpt-4o", s, 0) for s in (500, 408, 409)]
    assert metric(gateway, "leeway_retries_total") == ["4"]
    # A usual answer says nothing of attempts.
    assert gateway.raw(CHAT, ask("hi"))[1]["x-leeway-attempts"] is None


def test_traffic_retry_after_is_obeyed_up_to_the_cap(gateway, upstream):
    one, _ = traffic(gateway)
    for headers, least in (({"retry-after": "1"}, 1.0), ({"retry-after-ms": "300", "retry-after": "1"}, 0.3)):
        one.play((429, headers))
        assert gateway.raw(CHAT, ask("hi"))[0] == 200
        wait = one.times[1] - one.times[0]
        assert least <= wait < least + 0.3, wait
    # Each at a model of its own, since one that is at its limit is left alone.
    for model, answer in (("gpt-4o", (429, {"retry-after": "60"})), ("sister", (503, {"x-should-retry": "false"}))):
        one.play(answer)
        begin = time.monotonic()
        status, headers, _ = gateway.raw(CHAT, ask("hi", model=model))
        assert (status, one.calls) == (answer[0], 1) and time.monotonic() - begin < 0.5
    assert headers["retry-after"] is None


def test_traffic_all_of_it_inside_one_deadline(gateway, upstream):
    one, _ = traffic(gateway, one_more=f"timeouts: {{total: 1s}}, {QUICK}, {NO_BREAKER}", fallbacks="[cheap]")
    one.play((503, {"retry-after": "2"}))
    begin = time.monotonic()
    status, headers, _ = gateway.raw(CHAT, ask("hi"))
    assert (status, headers["x-leeway-model"]) == (200, "cheap") and time.monotonic() - begin < 0.9
    one.play(("slow", 0.7, 503), ("slow", 0.7, 503))
    begin = time.monotonic()
    status, headers, body = gateway.raw(CHAT, ask("hi"))
    assert status == 504 and 0.9 < time.monotonic() - begin < 1.4, (status, body)
    assert [row[1] for row in attempts_of(gateway, headers)] == [503, 0]


def test_traffic_the_caller_may_switch_retries_off(gateway, upstream):
    one, two = traffic(gateway, fallbacks="[cheap]")
    for wish, calls in (("0", 1), ("1", 2), ("9", 3)):
        one.play(500, 500, 500)
        status, headers, _ = gateway.raw(CHAT, ask("hi"), headers={"x-leeway-retries": wish})
        assert (status, headers["x-leeway-model"], one.calls) == (200, "cheap", calls), (wish, status, one.calls)


def test_traffic_connect_refused_then_a_fallback(gateway, upstream):
    _, two = traffic(gateway, fallbacks="[sister, cheap]", one_url=f"http://127.0.0.1:{closed_port()}/v1")
    status, headers, body = gateway.raw(CHAT, ask("hi", temperature=0))
    assert (status, headers["x-leeway-model"]) == (200, "cheap"), (status, body)
    # Nothing reached the upstream, so nothing was billed.
    assert attempts_of(gateway, headers) == [("gpt-4o", 0, 0)] * 3 + [("sister", 0, 0)] * 3 + [("cheap", 200, COST_CHEAP)]
    assert "fallback=gpt-4o:upstream_unreachable" in headers["x-leeway-stages"], headers["x-leeway-stages"]
    status, headers, body = gateway.raw(CHAT, ask("hi"), key=KEY + "-narrow")
    assert status == 502 and two.calls == 1, "a key that may not use the fallback must not get it"
    assert json.loads(body)["error"]["code"] == "upstream_unreachable"
    assert metric(gateway, "leeway_fallbacks_total") == ["2"]


def test_traffic_connections_that_hang_are_tried_again_elsewhere(gateway, upstream):
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for waiting in (first, second):  # its queue is full: the next connection is not answered
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        traffic(gateway, one_more=f"timeouts: {{connect: 150ms}}, {QUICK}, {NO_BREAKER}", one_url=url, fallbacks="[cheap]")
        begin = time.monotonic()
        status, headers, _ = gateway.raw(CHAT, ask("hi"))
        assert (status, headers["x-leeway-model"]) == (200, "cheap") and 0.45 < time.monotonic() - begin < 2
        assert attempts_of(gateway, headers) == [("gpt-4o", 0, 0)] * 3 + [("cheap", 200, COST_CHEAP)]


def test_traffic_a_caller_that_leaves_ends_the_waiting(gateway, upstream):
    one, two = traffic(gateway, fallbacks="[cheap]")
    one.play((503, {"retry-after": "1"}))
    address = urllib.parse.urlsplit(gateway.url)
    body = json.dumps(ask("hi")).encode()
    with socket.create_connection((address.hostname, address.port)) as caller:
        caller.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
                       % (CHAT.encode(), KEY.encode(), len(body), body))
        time.sleep(0.4)  # into the wait before the retry
    time.sleep(0.2)  # the ledger gathers a batch for at most 50 ms
    (row,) = gateway.rows()  # the wait would last till one second
    assert (row["status"], row["cost_pico_usd"], row["error"]) == (503, 0, "client_gone"), row
    time.sleep(1.0)  # beyond it
    assert (one.calls, two.calls) == (1, 0)


def test_traffic_a_stream_is_retried_before_its_first_byte_only(gateway, upstream):
    one, two = traffic(gateway, fallbacks="[cheap]")
    one.play("cut before")
    status, headers, body = gateway.raw(CHAT, ask("hi", stream=True))
    assert (status, headers["x-leeway-attempts"], one.calls) == (200, "2", 2), (status, headers)
    assert body.endswith(b"data: [DONE]\n\n") and body.count(b'"role"') == 1
    rows = [row for row in gateway.rows() if row["id"] == headers["x-leeway-id"]]
    # A provider bills the input of a stream that it begins: the row says what we count of it.
    assert [(row["attempt"], row["end"], row["status"]) for row in rows] == [(1, "cut", 200), (2, "ok", 200)], rows
    assert rows[0]["cost_pico_usd"] > 0 and rows[0]["usage"]["quality"] != "provider"
    assert rows[1]["waterfall"]["attempts"]["saved_pico_usd"] == -rows[0]["cost_pico_usd"], rows[1]
    one.play("cut after")
    status, headers, body = gateway.raw(CHAT, ask("hi", stream=True))
    assert (status, headers["x-leeway-attempts"], one.calls) == (200, None, 1), headers
    assert b'"Hel"' in body and b"upstream_stream_cut" in body and b"[DONE]" not in body
    assert two.calls == 0


def test_traffic_an_error_as_the_first_event_is_a_failure(gateway, upstream):
    one, two = traffic(gateway, fallbacks="[cheap]")
    one.play("error event", "error event", "error event")
    status, headers, body = gateway.raw(CHAT, ask("hi", stream=True))
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "cheap", "4"), (status, headers)
    assert body.endswith(b"data: [DONE]\n\n") and b"overloaded" not in body
    assert [row[2] for row in attempts_of(gateway, headers)][:3] == [0, 0, 0]
    assert "fallback=gpt-4o:502" in headers["x-leeway-stages"], headers["x-leeway-stages"]
    # When none answers, the caller gets it as an error of HTTP, which no client takes for an answer.
    one.play("error event", "error event", "error event")
    two.play("error event", "error event", "error event")
    status, headers, body = gateway.raw(CHAT, ask("hi", stream=True))
    assert (status, headers["content-type"]) == (502, "application/json"), (status, headers.items())
    assert json.loads(body)["error"]["message"] == "overloaded" and headers["x-leeway-attempts"] == "6"
    # Behind words it is too late.
    one.play("error after")
    status, headers, body = gateway.raw(CHAT, ask("hi", stream=True))
    assert (status, headers["x-leeway-attempts"]) == (200, None) and b'"Hel"' in body and b"overloaded" in body


def test_traffic_what_a_fallback_says_is_not_shared(gateway, upstream):
    one, two = traffic(gateway, fallbacks="[cheap]",
                       more="cache: {ttl: 1h}\n")
    text = gateway.config.read_text().replace("routes:", "routes:\n  default: {stages: [exact_cache]}")
    gateway.stop()
    gateway.config.write_text(text)
    gateway.start()
    # The first of two equal requests falls back; the one that waits for it makes its own attempts.
    one.play(("slow", 0.4, 401))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        came = list(pool.map(lambda _: gateway.raw(CHAT, ask("same", temperature=0)), range(2)))
    models = sorted(headers["x-leeway-model"] for status, headers, _ in came if status == 200)
    assert models == ["cheap", "gpt-4o"], came
    assert (one.calls, two.calls) == (2, 1)
    # Only what the model itself said is kept.
    status, headers, _ = gateway.raw(CHAT, ask("same", temperature=0))
    assert (status, headers["x-leeway-cache"], headers["x-leeway-model"]) == (200, "exact", "gpt-4o"), headers.items()


def test_traffic_what_may_be_billed_twice_is_said(gateway, upstream):
    one, _ = traffic(gateway)
    one.play("hang up")
    status, headers, _ = gateway.raw(CHAT, ask("hi"))
    assert (status, headers["x-leeway-attempts"], headers["x-leeway-cost-usd"]) == (200, "2", "unknown"), headers
    assert attempts_of(gateway, headers) == [("gpt-4o", 0, None), ("gpt-4o", 200, COST_4O)]


def test_traffic_whose_fault_it_is_decides(gateway, upstream):
    one, two = traffic(gateway, fallbacks="[cheap]")
    for status in (400, 404, 413, 422):
        one.play(status)
        got, headers, body = gateway.raw(CHAT, ask("hi"))
        assert (got, one.calls, two.calls, headers["x-leeway-model"]) == (status, 1, 0, "gpt-4o"), (status, got)
    one.play(401)
    got, headers, _ = gateway.raw(CHAT, ask("hi"))
    assert (got, one.calls, headers["x-leeway-model"]) == (200, 1, "cheap"), "our key is no fault of the caller"
    # What only the fallback refuses says nothing about the model that was asked for.
    one.play(503, 503, 503)
    two.play(400)
    got, headers, body = gateway.raw(CHAT, ask("hi"))
    assert (got, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (503, "gpt-4o", "4"), (got, body)
    assert [row[1] for row in attempts_of(gateway, headers)] == [503, 503, 503, 400]


def test_traffic_a_slow_target_is_left_for_another(gateway, upstream):
    one, _ = traffic(gateway, one_more=f"timeouts: {{first_byte: 200ms}}, {QUICK}, {NO_BREAKER}", fallbacks="[cheap]")
    one.play(("slow", 1))  # it may be at work on it still, so it is not asked twice
    status, headers, _ = gateway.raw(CHAT, ask("hi"))
    assert (status, headers["x-leeway-model"], one.calls) == (200, "cheap", 0), headers
    assert attempts_of(gateway, headers) == [("gpt-4o", 0, None), ("cheap", 200, COST_CHEAP)]


def test_traffic_a_disabled_target_and_a_routes_own_fallbacks(gateway, upstream):
    one, two = traffic(gateway)
    status, headers, _ = gateway.raw(CHAT, ask("hi", model="off"))
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "cheap", None), headers
    two.play(500, 500, 500)
    status, headers, _ = gateway.raw(CHAT, ask("hi", model="support"))
    assert (status, headers["x-leeway-model"], headers["x-leeway-route"]) == (200, "gpt-4o", "support"), headers
    assert headers["x-leeway-baseline-usd"] == headers["x-leeway-cost-usd"] == "0.00325"


def test_traffic_fallbacks_cross_dialects(gateway, upstream):
    one, two = traffic(gateway, two_dialect="anthropic",
                       more="", two_more=f"api_key: sk-ant, {QUICK}, {NO_BREAKER}")
    two.play(529, 529, 529)
    body = {"model": "support", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    status, headers, answer = gateway.raw("/v1/messages", body)
    answer = json.loads(answer)
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "gpt-4o", "4"), answer
    assert answer["content"] == [{"type": "text", "text": ANSWER}] and answer["type"] == "message", answer
    two.play(529, 529, 529)
    one.play(500, 500, 500)
    status, _, answer = gateway.raw("/v1/messages", body)
    assert (status, json.loads(answer)["type"], json.loads(answer)["error"]["message"]) == (500, "error", "scripted 500")


def test_traffic_retries_never_multiply_an_outage(gateway, upstream):
    one, _ = traffic(gateway, one_more=f"retries: {{attempts: 2, base: 1ms}}, {NO_BREAKER}")
    one.play(*[500] * 400)
    for _ in range(100):
        assert gateway.raw(CHAT, ask("hi"))[0] == 500
    assert 110 <= one.calls <= 130, one.calls  # ten at hand, then one for five requests
    assert int(metric(gateway, "leeway_retries_total")[0]) == one.calls - 100
    assert int(metric(gateway, "leeway_retries_refused_total")[0]) >= 70


def test_traffic_a_breaker_opens_and_lets_one_probe_through(gateway, upstream):
    one, two = traffic(gateway, one_more="retries: {attempts: 0}, breaker: {failures: 3, open: 1s}")
    one.play(500, 500, 500)
    for _ in range(3):
        assert gateway.raw(CHAT, ask("hi"))[0] == 500
    opened = time.monotonic()
    status, headers, body = gateway.raw(CHAT, ask("hi"))
    assert (status, headers["retry-after"], one.calls) == (503, "1", 3), (status, headers)
    assert json.loads(body)["error"]["code"] == "upstream_unwell"
    assert '{provider="one",model="gpt-4o",upstream="gpt-4o"} 2' in gateway.raw("/metrics", admin=True)[2].decode()
    status, _, body = gateway.raw("/readyz", admin=True)
    assert status == 200 and "gpt-4o" in json.loads(body)["reason"], body
    assert gateway.raw(CHAT, ask("hi", model="sister"))[0] == 200, "each model has its own breaker"
    time.sleep(max(0.0, opened + 1.05 - time.monotonic()))  # until the breaker lets one through
    one.play(("slow", 0.6, 500), ("slow", 0.6))
    for expected in ([500] + [503] * 7, [200] + [503] * 7):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            came = sorted(status for status, _, _ in pool.map(lambda _: gateway.raw(CHAT, ask("hi")), range(8)))
        assert came == sorted(expected), came
        time.sleep(1.05 if 500 in expected else 0)  # the failed probe opened it for another second
    assert one.calls == 2
    assert gateway.raw(CHAT, ask("hi"))[0] == 200
    assert "reason" not in json.loads(gateway.raw("/readyz", admin=True)[2])
    told = gateway.raw("/metrics", admin=True)[2].decode()
    assert 'opened_total{provider="one",model="gpt-4o",upstream="gpt-4o"} 2' in told, told


def test_traffic_an_open_breaker_goes_straight_to_the_fallback(gateway, upstream):
    one, _ = traffic(gateway, one_more="retries: {attempts: 0}, breaker: {failures: 1, open: 60s}", fallbacks="[cheap]")
    one.play(500)
    for expected in ("2", None):
        status, headers, _ = gateway.raw(CHAT, ask("hi"))
        assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "cheap", expected), headers
    assert one.calls == 1


def standing(gateway):
    time.sleep(0.15)  # the ledger gathers a batch for at most 50 ms
    (line,) = json.loads(gateway.cli("budgets", "--json"))["budgets"]
    return line


def test_traffic_each_attempt_has_its_reservation(gateway, upstream):
    # Room for one answer of gpt-4o with its input: a reservation of the first attempt that stayed would leave none.
    budget = "budgets: [{name: all, scope: global, usd: 0.03, per: day}]\n"
    one, two = traffic(gateway, fallbacks="[cheap]", more=budget, off_fallbacks="[gpt-4o, cheap]")
    one.play("hang up", 500, 500)
    status, headers, body = gateway.raw(CHAT, ask("hi", max_tokens=1000))
    assert (status, headers["x-leeway-attempts"], headers["x-leeway-model"]) == (200, "4", "cheap"), (status, body)
    rows = attempts_of(gateway, headers)
    assert [row[1] for row in rows] == [0, 500, 500, 200]
    assert rows[0][2] > 10**10, "what may be billed is charged as reserved"
    line = standing(gateway)
    assert line["reserved_pico_usd"] == 0, line
    assert line["spent_pico_usd"] == sum(row[2] for row in rows), (line, rows)
    # What is left is enough for the cheap model, not for the dear one: the fallback is not asked.
    one.play()
    two.play(500, 500, 500)
    status, headers, body = gateway.raw(CHAT, ask("hi", model="support", max_tokens=2500))
    assert (status, one.calls, headers["x-leeway-model"]) == (500, 0, "cheap"), (status, body)
    after = standing(gateway)
    assert (after["reserved_pico_usd"], after["spent_pico_usd"]) == (0, line["spent_pico_usd"]), after
    # The same where the first attempt of all is that of a model that stands in: the next one has room.
    status, headers, body = gateway.raw(CHAT, ask("hi", model="off", max_tokens=2500))
    assert (status, one.calls, headers["x-leeway-model"]) == (200, 0, "cheap"), (status, body)


def models_asked(*providers):
    return [json.loads(body)["model"] for provider in providers for body in provider.bodies]


def test_traffic_targets_share_by_weight_and_stand_in_for_each_other(gateway, upstream):
    one, two = traffic(gateway)
    for i in range(200):
        status, headers, _ = gateway.raw(CHAT, ask(f"q{i}", model="both"))
        assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "both", None)
    assert (one.calls + two.calls, set(models_asked(one)), set(models_asked(two))) == (200, {"x"}, {"y"})
    assert 125 <= one.calls <= 175, one.calls  # 150; four standard deviations are 25
    # One of them is out of order, and nobody notices. It is no other model: the answer costs and saves as ever.
    one.play(*[500] * 60)
    for i in range(20):
        status, headers, _ = gateway.raw(CHAT, ask(f"r{i}", model="both"), headers={"x-leeway-retries": "0"})
        assert (status, headers["x-leeway-cost-usd"], headers["x-leeway-baseline-usd"]) == (200, "0.00325", "0.00325")
        if headers["x-leeway-attempts"]:
            assert "target=one:500" in headers["x-leeway-stages"], headers["x-leeway-stages"]
            assert attempts_of(gateway, headers) == [("both", 500, 0), ("both", 200, COST_4O)]
    assert one.calls >= 5
    rows = [row for row in gateway.rows() if row["model"] == "both" and row["status"] == 200]
    assert {row["provider"] for row in rows} == {"one", "two"}


def test_traffic_sticky_keeps_a_session_at_its_target(gateway, upstream):
    one, two = traffic(gateway, balance="sticky")
    for session in range(12):
        before = (one.calls, two.calls)
        for i in range(5):
            assert gateway.raw(CHAT, ask(f"q{i}", model="both"), headers={"x-leeway-session": f"s{session}"})[0] == 200
        assert sorted((one.calls - before[0], two.calls - before[1])) == [0, 5], session
    assert one.calls > 0 and two.calls > 0
    # Without a session, those that begin with the same kibibyte.
    begin = {"role": "system", "content": "You are helpful. " * 80}
    before = (one.calls, two.calls)
    for i in range(5):
        messages = [begin, {"role": "user", "content": f"q{i}"}]
        assert gateway.raw(CHAT, {"model": "both", "messages": messages})[0] == 200
    assert sorted((one.calls - before[0], two.calls - before[1])) == [0, 5]


def test_traffic_the_busy_and_the_slow_target_get_less(gateway, upstream):
    for balance in ("least_pending", "peak_ewma"):
        one, two = traffic(gateway, balance=balance)
        one.play(*[("slow", 0.3)] * 200)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            came = list(pool.map(lambda i: gateway.raw(CHAT, ask(f"{balance} {i}", model="both"))[0], range(120)))
        assert came == [200] * 120
        # By weight `one` would have got 90.
        assert len(one.times) < 40 and two.calls > 80, (balance, len(one.times), two.calls)


def test_traffic_configuration_errors_have_a_remedy(gateway, upstream):
    text = gateway.config.read_text()
    for old, new, expected in (
            ("api_key: sk-upstream-secret,", "retries: {attempts: 99},", "attempts"),
            ("api_key: sk-upstream-secret,", "breaker: {error_rate: 0%},", "failures: 0 switches the breaker off"),
            ("local: {dialect: embedded}", "local: {dialect: embedded, retries: {attempts: 1}}", "has no retries"),
            ("unpriced: {provider: fake}", "unpriced: {provider: fake, fallbacks: [gpt4o]}", "gpt-4o"),
            ("unpriced: {provider: fake}", "unpriced: {provider: fake, fallbacks: [unpriced]}", "stand in for itself"),
            ("unpriced: {provider: fake}", "unpriced: {provider: fake, fallbacks: [cheap, cheap]}", "twice"),
            ("unpriced: {provider: fake}", "unpriced: {provider: fake, balance: sticky}", "needs `targets`"),
            ("unpriced: {provider: fake}", "unpriced: {provider: fake, targets: [{provider: fake}]}", "of its own"),
            ("unpriced: {provider: fake}", "unpriced: {targets: [{name: x}]}", "a target needs a provider"),
            ("unpriced: {provider: fake}", "unpriced: {targets: [{provider: fakee}]}", "fake"),
            ("unpriced: {provider: fake}", "unpriced: {targets: [{provider: local}]}", "embedded")):
        assert old in text
        gateway.config.write_text(text.replace(old, new))
        import subprocess
        run = subprocess.run([gateway.binary, "check", "--config", str(gateway.config)], capture_output=True, text=True)
        assert run.returncode != 0 and expected in run.stdout + run.stderr, (new, run.stdout + run.stderr)
