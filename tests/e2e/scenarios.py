"""The scenarios of tests/e2e/run: each gets a fresh gateway and a fresh fake provider."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import openai

from gateway import KEY

ANSWER = "Hello from the fake provider"
PICO_INPUT, PICO_CACHED, PICO_OUTPUT = 2_500_000, 1_250_000, 10_000_000
COST_4O = 800 * PICO_INPUT + 200 * PICO_CACHED + 100 * PICO_OUTPUT
COST_CHEAP = 800 * 150_000 + 200 * 75_000 + 100 * 600_000


class Skip(Exception):
    pass


def sdk(gateway, key=KEY):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0, timeout=60)


def ask(content, **more):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **more}


def local_models():
    folder = pathlib.Path(os.environ.get("LEEWAY_MODELS", ""))
    if not (folder / "smollm2-135m-instruct-q4_1.gguf").exists():
        raise Skip("no local models: set LEEWAY_MODELS to the folder that tools/setup.sh fills")


def children_of(gateway):
    """Process ids of the gateway's children, the model hosts."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has ended
        if state != "Z" and int(parent) == gateway.process.pid:
            found.append(int(stat.parent.name))
    return found


def test_python_sdk_buffered_streamed_then_free(gateway, upstream):
    client = sdk(gateway)
    first = client.chat.completions.with_raw_response.create(**ask("hi", temperature=0))
    assert first.parse().choices[0].message.content == ANSWER
    assert first.headers["x-leeway-cache"] == "miss"
    assert first.headers["x-leeway-cost-usd"] == "0.00325"
    streamed = client.chat.completions.create(**ask("hi", temperature=0), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == ANSWER
    again = client.chat.completions.with_raw_response.create(**ask("hi", temperature=0))
    assert again.headers["x-leeway-cache"] == "exact" and again.headers["x-leeway-cost-usd"] == "0"
    assert again.content == first.content
    assert upstream.calls == 1
    rows = gateway.rows()
    # Ids sort by the millisecond, so rows of one millisecond come in any order: go by the id.
    attempts = {row["id"]: row["attempt"] for row in rows}
    assert len(rows) == 3 and attempts.pop(first.headers["x-leeway-id"]) == 1 and set(attempts.values()) == {0}
    assert sum(row["cost_pico_usd"] for row in rows) == COST_4O
    assert sum(row["baseline_pico_usd"] for row in rows) == 3 * COST_4O
    report = json.loads(gateway.cli("report", "--json"))
    assert int(report["totals"]["spent_pico_usd"]) == COST_4O, report
    assert int(report["totals"]["saved_pico_usd"]) == 2 * COST_4O, report


def test_streamed_answer_serves_a_buffered_request(gateway, upstream):
    client = sdk(gateway)
    chunks = list(client.chat.completions.create(**ask("s", temperature=0), stream=True,
                                                 stream_options={"include_usage": True}))
    assert chunks[-1].usage.total_tokens == 1100
    whole = client.chat.completions.create(**ask("s", temperature=0))
    assert whole.choices[0].message.content == ANSWER and whole.usage.total_tokens == 1100
    hidden = list(client.chat.completions.create(**ask("s", temperature=0), stream=True))
    assert all(chunk.usage is None for chunk in hidden) and len(hidden) == len(chunks) - 1
    assert upstream.calls == 1


def test_bytes_pass_unchanged_but_for_the_model_name(gateway, upstream):
    body = b'{ "model" : "gpt-4o",\n "messages":[{"role":"user","content":"\\u00e9"}], "new_field": [1.50, {}] }'
    status, _, answer = gateway.raw("/v1/chat/completions", body)
    assert status == 200 and json.loads(answer)["model"] == "upstream-4o-2026"
    assert upstream.bodies[-1] == body.replace(b'"gpt-4o"', b'"upstream-4o"')


def test_route_saves_against_its_baseline(gateway, upstream):
    sdk(gateway).chat.completions.create(**{**ask("r"), "model": "support"})
    (row,) = gateway.rows()
    assert (row["route"], row["model"], row["key"]) == ("support", "cheap", "web")
    assert (row["cost_pico_usd"], row["baseline_pico_usd"]) == (COST_CHEAP, COST_4O)
    assert row["usage"]["buckets"]["cached_input"] == 200


def test_unknown_price_and_missing_usage_are_never_zero(gateway, upstream):
    client = sdk(gateway)
    client.chat.completions.create(**{**ask("a"), "model": "unpriced"})
    client.chat.completions.create(**ask("no usage"))
    rows = gateway.rows()
    assert [row["cost_pico_usd"] for row in rows] == [None, None]
    (silent,) = [row for row in rows if row["model"] == "gpt-4o"]
    assert silent["usage"] is None or silent["usage"]["state"] == "missing"


def test_embedded_model_and_embeddings(gateway, upstream):
    local_models()
    client = sdk(gateway)
    question = {"model": "smollm2", "messages": [{"role": "user", "content": "What is the capital of Greece?"}],
                "temperature": 0, "max_tokens": 12}
    answer = client.chat.completions.create(**question)
    assert "Athens" in answer.choices[0].message.content and answer.usage.completion_tokens > 3
    pieces = client.chat.completions.create(**{**question, "seed": 1}, stream=True)
    assert "Athens" in "".join(chunk.choices[0].delta.content or "" for chunk in pieces)
    vectors = client.embeddings.create(model="minilm", input=["a cat", "a kitten", "tax law"])
    cat, kitten, law = (item.embedding for item in vectors.data)
    dot = lambda a, b: sum(x * y for x, y in zip(a, b))
    assert len(cat) == 384 and abs(dot(cat, cat) - 1) < 1e-3 and dot(cat, kitten) > dot(cat, law) + 0.2
    assert upstream.calls == 0


def test_model_host_crash_fails_only_its_requests(gateway, upstream):
    local_models()
    client = sdk(gateway)
    client.embeddings.create(model="minilm", input="one")
    (host,) = children_of(gateway)
    os.kill(host, signal.SIGKILL)
    assert client.chat.completions.create(**ask("still here")).choices
    give_up = time.monotonic() + 20
    while True:
        status, _, body = gateway.raw("/v1/embeddings", {"model": "minilm", "input": f"again {time.monotonic()}"})
        if status == 200:
            break
        assert status in (502, 503) and json.loads(body)["error"]["message"], body
        assert time.monotonic() < give_up


def test_the_openapi_document_is_what_docs_say(gateway, upstream):
    document = subprocess.run([gateway.binary, "openapi"], capture_output=True, text=True, check=True).stdout
    kept = pathlib.Path(__file__).parents[2] / "docs" / "openapi.json"
    assert document == kept.read_text(), "leeway openapi > docs/openapi.json"
    for path, operations in json.loads(document)["paths"].items():
        request = urllib.request.Request((gateway.admin if "servers" in operations else gateway.url) +
                                         path.replace("{model}", "mini"), method="PUT")
        try:
            urllib.request.urlopen(request, timeout=20)
            raise AssertionError(f"PUT {path} was taken")
        except urllib.error.HTTPError as answer:
            assert answer.code == 405, (path, answer.code)


def test_keys(gateway, upstream):
    body = ask("k")
    for key, code in ((None, "missing_api_key"), ("wrong", "invalid_api_key")):
        status, _, answer = gateway.raw("/v1/chat/completions", body, key=key)
        assert status == 401 and json.loads(answer)["error"]["code"] == code, answer
    assert gateway.raw("/v1/models", key=None)[0] == 401
    # Wherever an SDK puts it.
    for name in ("x-api-key", "x-goog-api-key"):
        assert gateway.raw("/v1/models", key=None, headers={name: KEY})[0] == 200, name
    for query, expected in ((f"?key={KEY}", 200), (f"?alt=sse&key={KEY}&x=1", 200), ("?key=wrong", 401), (f"?akey={KEY}", 401)):
        assert gateway.raw("/v1/models" + query, key=None)[0] == expected, query
    status, _, answer = gateway.raw("/v1/chat/completions", body, key=KEY + "-narrow")
    assert status == 403 and json.loads(answer)["error"]["code"] == "model_not_allowed", answer
    statuses = [gateway.raw("/v1/chat/completions", {**body, "model": "cheap"}, key=KEY + "-narrow")[0] for _ in range(4)]
    assert statuses[-1] == 429 and 200 in statuses, statuses
    secret = json.loads(gateway.cli("keys", "create", "temp", "--json"))
    made = secret.get("secret") or secret["key"]
    give_up = time.monotonic() + 5
    while gateway.raw("/v1/chat/completions", body, key=made)[0] != 200:
        assert time.monotonic() < give_up, "the new key is not taken"
    gateway.cli("keys", "revoke", "temp")
    give_up = time.monotonic() + 5
    while gateway.raw("/v1/chat/completions", body, key=made)[0] != 401:
        assert time.monotonic() < give_up, "the revoked key still works"
    assert upstream.calls >= 1


def test_upstream_faults_are_told_and_never_a_normal_stop(gateway, upstream):
    ids = []
    for wish, expected in (("status 500", 500), ("status 429", 429), ("not json", 502), ("cut", 502), ("slow 4", 504)):
        status, headers, body = gateway.raw("/v1/chat/completions", ask(wish))
        ids.append(headers["x-leeway-id"])
        assert status == expected and json.loads(body)["error"]["message"], (wish, status, body)
    status, _, body = gateway.raw("/v1/chat/completions", ask("cut", stream=True))
    assert b'"error"' in body and b"[DONE]" not in body and b'"stop"' not in body, body
    try:
        list(sdk(gateway).chat.completions.create(**ask("cut"), stream=True))
        raise AssertionError("the SDK took a cut stream for a whole one")
    except openai.APIError:
        pass
    rows = gateway.rows()
    ends = {row["id"]: row["end"] for row in rows}
    # Two that a retry may save are asked three times: rows of both.
    assert len(rows) == 11 and [ends.pop(i) for i in ids] == ["error", "error", "error", "cut", "timeout"], rows
    assert list(ends.values()) == ["cut", "cut"], rows


def test_bad_requests(gateway, upstream):
    cases = {b"{": 400, b'{"model":"gpt-4o","messages":"x"}': 400, b'{"model":"nope","messages":[{"role":"user","content":"x"}]}': 404,
             b'{"model":"gpt-4o","model":"cheap","messages":[{"role":"user","content":"x"}]}': 400,
             b'{"model":"gpt-4o","messages":[{"role":"user","content":"\xff"}]}': 400,
             b'{"model":"gpt-4o","messages":' + b"[" * 100 + b"]" * 100 + b"}": 400}
    for body, expected in cases.items():
        status, _, answer = gateway.raw("/v1/chat/completions", body)
        assert status == expected and json.loads(answer)["error"]["type"], (body, status, answer)
    assert gateway.raw("/v1/nothing", {})[0] == 404
    assert upstream.calls == 0
    assert gateway.raw("/healthz", admin=True)[0] == 200 and gateway.raw("/readyz", admin=True)[0] == 200
    assert b"leeway_requests_total" in gateway.raw("/metrics", admin=True)[2]


def test_smuggling_is_refused(gateway, upstream):
    address = urllib.parse.urlsplit(gateway.url)
    start = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n"
    for fields in (b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                   b"Content-Length: +2\r\n\r\n{}", b"Transfer-Encoding: gzip, chunked\r\n\r\n{}", b"X : y\r\n\r\n", b"X: y\n\r\n"):
        with socket.create_connection((address.hostname, address.port), timeout=10) as client:
            client.sendall(start + fields)
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1, (fields, answer)


def test_hang_up_stops_the_upstream(gateway, upstream):
    address = urllib.parse.urlsplit(gateway.url)
    client = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    client.request("POST", "/v1/chat/completions", json.dumps(ask("endless", stream=True)),
                   {"authorization": f"Bearer {KEY}"})
    answer = client.getresponse()
    assert answer.readline()
    answer.close()
    client.close()
    left = time.monotonic()
    while not upstream.hang_ups:
        assert time.monotonic() < left + 5, "the upstream still sends"
        time.sleep(0.01)  # polling, with a deadline
    (row,) = gateway.rows()
    assert row["end"] == "client_gone" and row["usage"]["state"] == "partial", row
    assert row["usage"]["quality"] in ("exact", "heuristic") and row["cost_pico_usd"] > 0, row


def test_concurrent_equal_requests_ask_once(gateway, upstream):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: gateway.raw("/v1/chat/completions", ask("slow 0.5", temperature=0)), range(16)))
    assert {status for status, _, _ in answers} == {200} and len({body for _, _, body in answers}) == 1
    assert upstream.calls == 1


def test_reload_is_all_or_nothing(gateway, upstream):
    text = gateway.config.read_text()
    gateway.config.write_text(text.replace("  support:", "  helpdesk:"))
    gateway.process.send_signal(signal.SIGHUP)
    give_up = time.monotonic() + 5
    while gateway.raw("/v1/models/helpdesk")[0] != 200:
        assert time.monotonic() < give_up
    gateway.config.write_text("nonsense: [")
    gateway.process.send_signal(signal.SIGHUP)
    while "refused" not in gateway.log.read_text():
        assert time.monotonic() < give_up + 5
    assert gateway.raw("/v1/models/helpdesk")[0] == 200


def test_reload_of_local_models_cuts_no_stream(gateway, upstream):
    local_models()
    client = sdk(gateway)
    question = {"messages": [{"role": "user", "content": "Count to a hundred in words."}], "max_tokens": 300,
                "temperature": 0, "logit_bias": {"2": -100}}
    stream = client.chat.completions.create(model="smollm2", stream=True, **question)
    next(stream)
    text = gateway.config.read_text()
    renamed = text.replace("  smollm2: {provider: local,", "  newname: {provider: local,") + "local: {parallel: 2}\n"
    gateway.config.write_text(renamed)
    gateway.process.send_signal(signal.SIGHUP)
    give_up = time.monotonic() + 10
    while gateway.raw("/v1/models/newname")[0] != 200:
        assert time.monotonic() < give_up
    short = {**question, "max_tokens": 5}
    assert client.chat.completions.create(model="newname", **short).choices[0].message.content
    assert gateway.raw("/v1/chat/completions", {"model": "smollm2", **short})[0] == 404
    chunks = list(stream)
    assert chunks[-1].choices[0].finish_reason == "length", "the stream that ran was cut"
    give_up = time.monotonic()
    rows = gateway.rows()
    assert sorted(row["end"] for row in rows) == ["ok", "ok"], rows
    while gateway.log.read_text().count("started as pid") < 2 or len(children_of(gateway)) != 1:
        assert time.monotonic() < give_up + 20, "the old model host is still there"
        time.sleep(0.02)  # polling, with a deadline
    gateway.config.write_text(renamed.replace("parallel: 2", "parallel: 0"))
    gateway.process.send_signal(signal.SIGHUP)
    while "refused" not in gateway.log.read_text():
        assert time.monotonic() < give_up + 30
    assert client.chat.completions.create(model="newname", **short, seed=1).choices


def test_prices_come_from_the_book_and_a_bad_one_leaves_the_old(gateway, upstream):
    book = gateway.folder / "book.json"

    def write_book(rate, currency="USD"):
        book.write_text(json.dumps({
            "format": "leeway-price-book", "version": 1, "currency": currency, "unit": "usd_per_million",
            "name": "e2e 1", "source": "a test", "licence": "none", "fetched": "2026-11-01", "providers": [
                {"id": "acme", "models": [{"id": "unpriced", "match": {"equals": "unpriced"}, "prices": [
                    {"rates": {"input": rate, "cached_input": "0.1", "output": "2"}}]}]}], "sheets": 1, "rates": 3}))

    def reload(seen):
        before = gateway.log.read_text().count(seen)
        gateway.process.send_signal(signal.SIGHUP)
        give_up = time.monotonic() + 10
        while gateway.log.read_text().count(seen) == before:
            assert time.monotonic() < give_up, gateway.log.read_text()
            time.sleep(0.02)  # polling, with a deadline

    def cost(text):
        status, headers, _ = gateway.raw("/v1/chat/completions", {**ask(text), "model": "unpriced"})
        assert status == 200
        return headers["x-leeway-cost-usd"]

    assert cost("before") == "unknown"
    write_book("1")
    gateway.config.write_text(gateway.config.read_text().replace("dialect: openai,", "dialect: openai, prices: acme,")
                              + f"prices: {{book: {book}}}\n")
    gateway.stop()
    gateway.start()
    assert cost("book") == "0.00102"  # 800 fresh, 200 cached, 100 out
    for bad in (("1", ""), ("1", "EUR"), ("0.000001", "USD"), ("0.005", "USD"), ("5000", "USD")):
        write_book(*bad)
        reload("is refused")
        assert cost(f"old stays {bad}") == "0.00102"
        assert b"leeway_price_book_refused 1" in gateway.raw("/metrics", admin=True)[2]
    book.write_bytes(book.read_bytes()[:100])
    reload("is refused")
    write_book("0.5")
    reload("prices: e2e 1")
    assert cost("new") == "0.00062"
    rows = [row for row in gateway.rows() if row["model"] == "unpriced"]
    assert [row["cost_pico_usd"] for row in rows] == [None] + [1_020_000_000] * 6 + [620_000_000]
    assert len({row.get("price_id") for row in rows}) == 3


def test_a_key_is_revoked_while_the_configuration_is_broken(gateway, upstream):
    made = json.loads(gateway.cli("keys", "create", "temp", "--json"))
    secret = made.get("secret") or made["key"]
    give_up = time.monotonic() + 10
    while gateway.raw("/v1/chat/completions", ask("k"), key=secret)[0] != 200:
        assert time.monotonic() < give_up, "the new key is not taken"
    whole = gateway.config.read_text()
    gateway.config.write_text(whole + "nonsense: 1\n")
    while "refused" not in gateway.log.read_text():
        assert time.monotonic() < give_up
        time.sleep(0.02)  # polling, with a deadline
    subprocess.run([gateway.binary, "keys", "revoke", "temp", "--state", str(gateway.state)], check=True,
                   capture_output=True, timeout=60)
    while gateway.raw("/v1/chat/completions", ask("k"), key=secret)[0] != 401:
        assert time.monotonic() < give_up + 10, "the revoked key still works"
    assert gateway.log.read_text().count("refused") == 1


def test_sigterm_lets_a_stream_finish(gateway, upstream):
    address = urllib.parse.urlsplit(gateway.url)
    client = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    client.request("POST", "/v1/chat/completions", json.dumps(ask("slow 1", stream=True)),
                   {"authorization": f"Bearer {KEY}"})
    while upstream.calls == 0:
        time.sleep(0.01)  # until the request is on its way
    gateway.process.send_signal(signal.SIGTERM)
    assert b"[DONE]" in client.getresponse().read()
    assert gateway.process.wait(timeout=30) == 0
    (row,) = gateway.rows()
    assert row["end"] == "ok"


def test_kill_9_loses_no_acknowledged_request(gateway, upstream):
    acknowledged = []
    lock = threading.Lock()

    def client_loop(stop, number):
        count = 0
        while not stop.is_set():
            count += 1
            try:
                status, headers, _ = gateway.raw("/v1/chat/completions", ask(f"{number} {count}", stream=count % 3 == 0))
            except (OSError, http.client.HTTPException):
                continue
            if status == 200:
                with lock:
                    acknowledged.append(headers["x-leeway-id"])

    for _ in range(4):
        stop = threading.Event()
        clients = [threading.Thread(target=client_loop, args=(stop, n)) for n in range(6)]
        for client in clients:
            client.start()
        time.sleep(random.uniform(0.3, 0.8))  # the moment of the kill is the test's input
        gateway.stop(signal.SIGKILL)
        stop.set()
        for client in clients:
            client.join()
        gateway.start()
    seen = [row["id"] for row in gateway.rows()]
    assert len(seen) == len(set(seen)), "a request is in the ledger twice"
    missing = set(acknowledged) - set(seen)
    assert acknowledged and not missing, f"{len(missing)} of {len(acknowledged)} acknowledged requests are lost"
