"""Scenarios of dynamic routes: arguments that stand in the text, a small model for the others, and what each costs."""
import datetime
import json
import socket
import threading
import time

from budget_scenarios import ledger
from embedding_scenarios import configure, need_model, wait_for
from gateway import KEY
from scenarios import ask
from semantic_scenarios import Answers

CHAT = "/v1/chat/completions"
ROUTES = """\
routes:
  - name: flights
    utterances: [flights to Athens, "Which airlines fly to Crete?"]
    arguments_model: small
    arguments:
      type: object
      required: [destination, date]
      properties:
        origin: {{type: string}}
        destination: {{type: string}}
        date: {{type: string, format: date}}
        passengers: {{type: integer, minimum: 1, words: [people]}}
  - name: hours
    answer: "{{place}} opens at 8."
    utterances: ["When does the museum open?"]
    arguments: {{properties: {{place: {{enum: [Acropolis, Knossos]}}}}}}
rules:
  - {{when: keyword(flight), route: flights}}
  - {{when: keyword(open), route: hours}}
arguments_within: {within}
"""
MORE = """\
embeddings: {{model: minilm, timeout: 5s}}
routes:
  travel: {{model: gpt-4o, stages: [semantic_routes], semantic_routes: {{file: "{file}"}}}}
{more}
"""
SMALL = 1000 * 150_000 + 100 * 600_000  # what Answers says that it used, in pico-USD


class Small(Answers):
    """The small model: says `says` after `delay` seconds."""
    says, delay = "", 0

    def said(self, request, question):
        time.sleep(self.delay)
        return self.says


def start(gateway, upstream, within="2s", more=""):
    need_model()
    small = Small()
    file = gateway.config.parent / "routes.yaml"
    file.write_text(ROUTES.format(within=within))
    gateway.stop()
    configure(gateway, upstream, MORE.format(file=file, more=more))
    config = gateway.config.read_text()
    gateway.config.write_text(config.replace("  local: {dialect: embedded}\n",
                                             f'  local: {{dialect: embedded}}\n  near: {{dialect: openai, base_url: "{small.url}"}}\n')
                              .replace("models:\n", "models:\n  small: {provider: near, price: {input: 0.15, output: 0.60}}\n"))
    gateway.start()
    return small


def send(gateway, text, key=KEY, **more):
    status, headers, body = gateway.raw(CHAT, {**ask(text, **more), "model": "travel"}, key=key)
    headers = {name.lower(): value for name, value in dict(headers).items()}
    return status, headers, json.loads(headers.get("x-leeway-route-arguments", "null")), body


def own_rows(gateway):
    return [row for row in gateway.rows() if "arguments" in row.get("tags", [])]


def today():
    return datetime.datetime.now(datetime.timezone.utc).date()


def test_arguments_that_stand_in_the_text_cost_nothing(gateway, upstream):
    small = start(gateway, upstream)
    tomorrow = (today() + datetime.timedelta(days=1)).isoformat()
    status, headers, told, _ = send(gateway, "a flight from Zürich to Athens tomorrow for two people")
    if tomorrow != (today() + datetime.timedelta(days=1)).isoformat():
        return  # midnight came between
    assert status == 200 and told == {"arguments": {"origin": "Zürich", "destination": "Athens", "date": tomorrow, "passengers": 2}}, told
    assert headers["x-leeway-route-arguments"].isascii() and "arguments=found:4/4" in headers["x-leeway-stages"], headers
    assert small.asked == [] and own_rows(gateway) == []
    status, headers, told, _ = send(gateway, "a flight to Athens on 2027-05-14", stream=True)
    assert told["arguments"] == {"destination": "Athens", "date": "2027-05-14"}, "streams tell them too"
    gateway.rows()  # they are in the ledger by now
    (notes,), = ledger(gateway, "SELECT notes FROM request WHERE notes LIKE '%arguments=found:2/4%'")
    assert "semantic_routes=flights" in notes, notes
    assert gateway.stop() == 0


def test_arguments_that_are_missing_are_asked_for_once_and_priced(gateway, upstream):
    small = start(gateway, upstream)
    small.says = '{"date": "2027-06-15"}'
    status, headers, told, _ = send(gateway, "a flight to Athens when school is out")
    assert status == 200 and headers["x-leeway-model"] == "gpt-4o", headers
    assert told == {"arguments": {"destination": "Athens", "date": "2027-06-15"}, "by_model": ["date"]}, told
    assert "arguments=found:2/4,model:asked" in headers["x-leeway-stages"], headers
    assert len(small.asked) == 1, "one call"
    asked = small.asked[0]
    assert asked["response_format"]["type"] == "json_schema" and asked["max_tokens"] > 0, asked
    assert asked["messages"][-1]["content"] == "a flight to Athens when school is out", asked
    row, = own_rows(gateway)
    assert row["model"] == "small" and row["cost_pico_usd"] == SMALL and row["status"] == 200, row
    assert row["waterfall"]["gateway"]["saved_pico_usd"] == -SMALL, row
    assert ledger(gateway, "SELECT count(*) FROM request WHERE notes = ?", "arguments=of:" + headers["x-leeway-id"]) == [(1,)]
    # The caller's own row has its own cost alone.
    mine = next(one for one in gateway.rows() if one["id"] == headers["x-leeway-id"])
    assert mine["cost_pico_usd"] == 1000 * 2_500_000 + 100 * 10_000_000, mine
    assert gateway.stop() == 0


def test_arguments_of_a_model_that_errs_are_those_of_the_text(gateway, upstream):
    small = start(gateway, upstream, within="400ms")
    rest = {"arguments": {"destination": "Athens"}, "missing": ["date"]}
    for says in ("", "I do not know", '{"date": "soon"}', '{"date": "2027-02-30"}', '{"destination": "Kos", "date": "2027-06-15"}', "[]"):
        small.says = says
        status, headers, told, _ = send(gateway, "a flight to Athens")
        assert status == 200 and told == rest and "model:" in headers["x-leeway-stages"], (says, told, headers)
    small.says, small.delay = '{"date": "2027-06-15"}', 3
    begin = time.monotonic()
    status, headers, told, _ = send(gateway, "a flight to Athens")
    assert status == 200 and told == rest and "model:no_answer" in headers["x-leeway-stages"], (told, headers)
    assert time.monotonic() - begin < 2.5, "the request did not wait for it"
    late = own_rows(gateway)[-1]
    assert late["error"] == "upstream_error" and late["cost_pico_usd"] != 0, late
    small.shutdown()
    small.server_close()
    small.delay = 0
    status, headers, told, _ = send(gateway, "a flight to Athens")
    assert status == 200 and told == rest and "model:no_answer" in headers["x-leeway-stages"], (told, headers)
    assert own_rows(gateway)[-1]["cost_pico_usd"] == 0, "nothing was sent"
    assert gateway.stop() == 0


def test_arguments_are_not_asked_for_beyond_a_budget_or_a_key(gateway, upstream):
    small = start(gateway, upstream, more="budgets:\n  - {name: tiny, scope: tag, match: arguments, usd: 0.000001, per: day}")
    small.says = '{"date": "2027-06-15"}'
    status, headers, told, _ = send(gateway, "a flight to Athens")
    assert status == 200 and told["missing"] == ["date"] and "model:left_out" in headers["x-leeway-stages"], (told, headers)
    assert small.asked == [] and own_rows(gateway) == []
    gateway.stop()
    gateway.config.write_text(gateway.config.read_text().replace("keys:\n", 'keys:\n  - {name: narrow, secret: "'
                                                                 + KEY + '-narrow", models: [gpt-4o]}\n'))
    gateway.start()
    status, headers, told, _ = send(gateway, "a flight to Athens", key=KEY + "-narrow")
    assert status == 200 and "model:not_allowed" in headers["x-leeway-stages"], (status, headers)
    assert small.asked == []
    assert gateway.stop() == 0


def test_arguments_of_a_caller_who_leaves_are_given_up(gateway, upstream):
    small = start(gateway, upstream, within="20s")
    small.delay = 15
    host, port = gateway.url.removeprefix("http://").split(":")
    body = json.dumps({**ask("a flight to Athens"), "model": "travel"}).encode()
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " + KEY.encode()
                       + b"\r\ncontent-type: application/json\r\ncontent-length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
        wait_for(lambda: small.asked, "the small model was not asked")
    wait_for(lambda: own_rows(gateway), "the call went on", seconds=10)
    row, = own_rows(gateway)
    assert row["error"] == "client_gone", row
    threading.Thread(target=small.shutdown).start()
    assert gateway.stop() == 0


def test_arguments_fill_fixed_words(gateway, upstream):
    start(gateway, upstream)
    before = upstream.calls
    body = send(gateway, "When does Knossos open?")[3]
    assert json.loads(body)["choices"][0]["message"]["content"] == "Knossos opens at 8.", body
    assert upstream.calls == before
    status, headers, told, _ = send(gateway, "When does the museum open?")
    assert status == 200 and upstream.calls == before + 1 and told == {"arguments": {}}, "a model answers where one is missing"
    for odd in ("flight " + "a" * 1_000_000, "flight 🙂🙂 to 🙂", "flight אל אתונה", "flight \u0000\u0001\ufffd from"):
        assert send(gateway, odd)[0] == 200, odd[:20]
    assert gateway.stop() == 0


def test_arguments_that_are_undecided_can_be_rejected(gateway, upstream):
    start(gateway, upstream)
    gateway.stop()
    gateway.config.write_text(gateway.config.read_text().replace("embeddings: {model: minilm, timeout: 5s}",
                                                                 "embeddings: {model: lost, timeout: 100ms}")
                              .replace("models:\n", "models:\n  lost: {provider: local, file: no-such.gguf, price: {input: 0, output: 0}}\n"))
    gateway.start()
    before = upstream.calls
    assert send(gateway, "something else")[0] == 200 and upstream.calls == before + 1, "it passes"
    gateway.stop()
    gateway.config.write_text(gateway.config.read_text().replace("semantic_routes: {file:", "semantic_routes: {undecided: reject, file:"))
    gateway.start()
    status, headers, _, body = send(gateway, "something else")
    assert status == 200 and b"cannot help" in body and upstream.calls == before + 1, (headers, body)
    assert "semantic_routes=" in headers["x-leeway-stages"], headers
    assert gateway.stop() == 0
