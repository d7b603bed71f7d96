"""Scenarios of callers that leave, and of those that ask again with the same idempotency key."""
import concurrent.futures
import json
import signal
import socket
import time
import urllib.parse

from gateway import KEY
from scenarios import ANSWER, COST_4O, ask
from traffic_scenarios import CHAT, NO_BREAKER, QUICK, Scripted, ScriptedProvider, metric

CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 2, state: "{state}", drain: {{timeout: {grace}}}}}
providers:
  one: {{dialect: openai, base_url: "{one}", {QUICK}, {NO_BREAKER}}}
  claude: {{dialect: anthropic, base_url: "{two}", api_key: sk-ant}}
models:
  gpt-4o: {{provider: one, price: {{input: 2.50, cached_input: 1.25, output: 10.00}}}}
  sonnet: {{provider: claude, price: {{input: 3, output: 15}}}}
routes:
  default: {{stages: [exact_cache]}}
keys:
  - {{name: web, secret: "{KEY}"}}
  - {{name: patient, secret: "{KEY}-patient", on_disconnect: drain}}
{more}
"""
PATIENT = KEY + "-patient"


class Paced(Scripted):
    """Streams with a pause before each event."""

    def event(self, data):
        time.sleep(self.server.pace)
        super().event(data)


def patience(gateway, more="", grace="30s"):
    one, two = ScriptedProvider(), ScriptedProvider()
    one.RequestHandlerClass = Paced
    one.pace = 0
    gateway.stop()
    gateway.config.write_text(CONFIG.format(state=gateway.state, one=one.url, two=two.url, QUICK=QUICK, NO_BREAKER=NO_BREAKER,
                                            KEY=KEY, more=more, grace=grace))
    gateway.start()
    return one, two


def leave(gateway, key, body, when, headers=""):
    """Sends a request and hangs up as soon as `when` says so of the bytes that have come; those bytes."""
    address = urllib.parse.urlsplit(gateway.url)
    text = json.dumps(body).encode()
    with socket.create_connection((address.hostname, address.port)) as caller:
        caller.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{headers}"
                       f"Content-Length: {len(text)}\r\n\r\n".encode() + text)
        caller.settimeout(0.02)
        came, end = b"", time.monotonic() + 20
        while not when(came) and time.monotonic() < end:
            try:
                came += caller.recv(65536)
            except TimeoutError:
                pass
    return came


def in_stream(came):
    return b"data:" in came


def row_of(gateway, within=5):
    """The only line of the ledger, when it is there."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        rows = gateway.rows()
        if rows:
            (row,) = rows
            return row
    raise AssertionError("no row came")


def test_drain_a_stream_goes_on_without_its_caller(gateway, upstream):
    one, _ = patience(gateway)
    one.pace = 0.2  # eight events
    came = leave(gateway, PATIENT, ask("hi", stream=True), in_stream)
    assert b"200 OK" in came and b"[DONE]" not in came, came
    assert metric(gateway, "leeway_draining_answers") == ["1"]
    row = row_of(gateway)
    assert (row["error"], row["end"], row["status"], row["finish_reason"]) == ("client_gone", "ok", 200, "stop"), row
    assert (row["cost_pico_usd"], row["usage"]["state"]) == (COST_4O, "final"), row
    assert one.hang_ups == [] and metric(gateway, "leeway_drains_total") == ["1"]
    assert metric(gateway, "leeway_draining_answers") == ["0"]


def test_drain_is_not_what_others_get(gateway, upstream):
    one, _ = patience(gateway)
    one.pace = 0.2
    leave(gateway, KEY, ask("hi", stream=True), in_stream)
    left = time.monotonic()
    row = row_of(gateway)
    assert (row["error"], row["end"], row["usage"]["state"]) == ("client_gone", "client_gone", "partial"), row
    assert 0 < row["cost_pico_usd"] < COST_4O, row
    while not one.hang_ups and time.monotonic() < left + 3:
        time.sleep(0.02)  # until the provider's next write fails
    assert one.hang_ups and metric(gateway, "leeway_drains_total") == ["0"]


def test_drain_an_answer_that_comes_at_once_is_waited_for(gateway, upstream):
    one, _ = patience(gateway)
    one.play(("slow", 0.6))
    leave(gateway, PATIENT, ask("hi", temperature=0), lambda _: one.times)
    row = row_of(gateway)
    assert (row["error"], row["end"], row["cost_pico_usd"]) == ("client_gone", "ok", COST_4O), row
    # Nobody got it, but it was paid for: the next who asks has it from the cache.
    status, headers, _ = gateway.raw(CHAT, ask("hi", temperature=0), key=PATIENT)
    assert (status, headers["x-leeway-cache"], one.calls) == (200, "exact", 1), headers
    # A refusal is not tried again for nobody.
    one.play(("slow", 0.4, 503))
    leave(gateway, PATIENT, ask("no"), lambda _: one.times)
    time.sleep(0.8)
    assert one.calls == 1
    assert [row["error"] for row in gateway.rows()][-1] == "client_gone"


def test_drain_is_bounded_in_number_and_time(gateway, upstream):
    one, _ = patience(gateway, more="drains: {parallel: 1, time: 500ms}")
    one.pace = 0.6
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda i: leave(gateway, PATIENT, ask(f"hi {i}", stream=True), in_stream), range(2)))
    left = time.monotonic()
    while len(one.hang_ups) < 2 and time.monotonic() < left + 10:
        time.sleep(0.02)
    rows = gateway.rows()
    assert [row["usage"]["state"] for row in rows] == ["partial", "partial"], rows
    assert (metric(gateway, "leeway_drains_total"), metric(gateway, "leeway_drains_refused_total")) == (["1"], ["1"])
    assert {row["error"] for row in rows} == {"client_gone"}


def test_drain_ends_with_the_gateway(gateway, upstream):
    one, _ = patience(gateway, grace="400ms")
    one.pace = 0.5
    leave(gateway, PATIENT, ask("hi", stream=True), in_stream)
    begin = time.monotonic()
    assert gateway.stop(signal.SIGTERM) == 0
    assert time.monotonic() - begin < 2.5
    row = row_of(gateway)
    assert (row["error"], row["usage"]["state"]) == ("client_gone", "partial"), row


def replay(gateway, body, key="k1", caller=KEY, **headers):
    return gateway.raw(CHAT, body, key=caller, headers={"idempotency-key": key, **headers})


def test_idempotency_the_same_key_costs_once(gateway, upstream):
    one, _ = patience(gateway)
    body = ask("hi", temperature=1)
    first = replay(gateway, body)
    again = replay(gateway, body)
    assert (first[0], again[0], one.calls) == (200, 200, 1)
    assert first[2] == again[2] and again[1]["x-leeway-cost-usd"] == again[1]["x-leeway-baseline-usd"] == "0"
    told = again[1]["x-leeway-stages"]
    assert told == "idempotency=replay_of:" + first[1]["x-leeway-id"], told
    assert (again[1]["x-leeway-model"], again[1]["content-type"]) == ("gpt-4o", first[1]["content-type"])
    assert again[1]["x-leeway-id"] != first[1]["x-leeway-id"]
    rows = gateway.rows()
    assert [(row["attempt"], row["cost_pico_usd"], row["baseline_pico_usd"]) for row in rows] == [
        (1, COST_4O, COST_4O), (0, 0, 0)], rows
    # Another caller's key is another key, also for the provider, where both share our account.
    assert replay(gateway, body, caller=PATIENT)[0] == 200 and one.calls == 2
    status, headers, answer = replay(gateway, ask("other"))
    error = json.loads(answer)["error"]
    assert (status, error["code"], headers["x-should-retry"], one.calls) == (409, "idempotency_key_reused", "false", 2), answer
    assert metric(gateway, "leeway_idempotency_replays_total") == ["1"]
    assert metric(gateway, "leeway_idempotency_conflicts_total") == ["1"]
    message = {"model": "sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    status, _, answer = gateway.raw("/v1/messages", message, headers={"idempotency-key": "k1"})
    assert (status, json.loads(answer)["type"]) == (409, "error"), answer


def test_idempotency_streams_are_replayed_as_streams(gateway, upstream):
    one, _ = patience(gateway)
    body = ask("hi", stream=True)
    first = replay(gateway, body)
    again = replay(gateway, body)
    assert (one.calls, first[2] == again[2], again[1]["content-type"]) == (1, True, first[1]["content-type"])
    assert again[2].endswith(b"data: [DONE]\n\n") and ANSWER.split()[0].encode() in again[2]
    # One that waits for an answer under way gets it, and so do all others.
    one.pace = 0.05
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        came = list(pool.map(lambda _: replay(gateway, body, key="k2"), range(8)))
    assert {status for status, _, _ in came} == {200} and len({text for _, _, text in came}) == 1
    assert one.calls == 2


def test_idempotency_what_failed_may_be_sent_again(gateway, upstream):
    one, _ = patience(gateway)
    for script in (500, 429, 400):
        one.play(script)
        key = f"k{script}"
        assert replay(gateway, ask("hi"), key=key, **{"x-leeway-retries": "0"})[0] == script
        assert replay(gateway, ask("hi"), key=key)[0] == 200 and one.calls == 2
    one.play("cut after")
    assert b"upstream_stream_cut" in replay(gateway, ask("hi", stream=True), key="cut")[2]
    assert replay(gateway, ask("hi", stream=True), key="cut")[2].endswith(b"data: [DONE]\n\n") and one.calls == 2
    # Those that wait for one that fails go on one by one, and only as long as it fails.
    one.play(("slow", 0.4, 500), ("slow", 0.4, 500))
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        came = sorted(pool.map(lambda _: replay(gateway, ask("hi"), key="wait", **{"x-leeway-retries": "0"})[0], range(6)))
    assert came == [200] * 4 + [500] * 2 and one.calls == 3, (came, one.calls)


def test_idempotency_keeps_what_a_caller_that_left_did_not_get(gateway, upstream):
    one, _ = patience(gateway)
    one.pace = 0.2
    leave(gateway, PATIENT, ask("hi", stream=True), in_stream, headers="Idempotency-Key: k9\r\n")
    status, headers, body = replay(gateway, ask("hi", stream=True), key="k9", caller=PATIENT)  # waits for its end
    assert (status, one.calls) == (200, 1) and body.endswith(b"data: [DONE]\n\n"), body
    assert headers["x-leeway-stages"].startswith("idempotency=replay_of:")


def test_idempotency_is_off_where_it_is_not_wanted(gateway, upstream):
    one, _ = patience(gateway)
    for _ in range(2):
        assert replay(gateway, ask("hi"), **{"cache-control": "no-store"})[0] == 200
    assert one.calls == 2
    one, _ = patience(gateway, more="idempotency: {memory: 0}")
    for _ in range(2):
        assert replay(gateway, ask("hi"))[0] == 200
    assert one.calls == 2


def test_idempotency_providers_see_one_key_for_each_model(gateway, upstream):
    one, _ = patience(gateway)
    seen = []
    plain = one.RequestHandlerClass.do_POST

    def noting(self):
        seen.append(self.headers["idempotency-key"])
        return plain(self)

    one.RequestHandlerClass = type("Noting", (Paced,), {"do_POST": noting})
    one.play(500)
    assert replay(gateway, ask("hi"))[0] == 200
    assert replay(gateway, ask("hi"), caller=PATIENT)[0] == 200
    assert seen[0] == seen[1] != seen[2] and seen[0].startswith("lw-") and "k1" not in "".join(seen), seen
