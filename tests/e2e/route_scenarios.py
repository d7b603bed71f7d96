"""Scenarios of routes files: semantic routes, rejection in every dialect and form, guards, what must stay here."""
import json
import subprocess

from embedding_scenarios import configure, metric, need_model, reload, restart, wait_for
from scenarios import ask

CHAT = "/v1/chat/completions"
ROUTES = """\
routes:
  - name: flights
    model: far
    utterances: [flights to Athens, "Which airlines fly to Crete?", "How much is a plane ticket to Rhodes?"]
  - name: sights
    utterances: ["What should I see in Athens?", opening hours of the Acropolis museum, the best beaches near Chania]
  - name: talk
    answer: 'Hello! Ask me about "Greece".'
    utterances: [hello there, "how are you today?", thank you very much]
  - name: private
    local_only: on
    utterances: [my passport number is wrong, "this is my credit card number", please delete my personal data]
rules:
  - {when: keyword(bomb), reject: on, priority: 2}
  - {when: 'keyword(acropolis) and not language(el)', route: sights}
rejection:
  answer: "Sorry: only Greece."
  utterances: [write me a poem, fix this Python function]
"""
MORE = """\
embeddings: {{model: minilm, timeout: 5s}}
routes:
  travel:
    model: gpt-4o
    stages: [{stage}]
    {stage}: {{{key}: "{file}"{also}}}
"""


def start(gateway, upstream, stage="semantic_routes", also="", text=ROUTES):
    need_model()
    file = gateway.config.parent / "routes.yaml"
    file.write_text(text)
    key = "topics" if stage == "guard" else "file"
    restart(gateway, upstream, MORE.format(stage=stage, key=key, file=file, also=also))
    wait_for(lambda: decided(gateway, "how are you today?"), "the utterances were not embedded")


def travel(text, **more):
    return {**ask(text, **more), "model": "travel"}


def send(gateway, text, path=CHAT, **more):
    status, headers, body = gateway.raw(path, travel(text, **more))
    return status, {name.lower(): value for name, value in dict(headers).items()}, body.decode()


def decided(gateway, text):
    headers = send(gateway, text)[1]
    return "not_ready" not in headers.get("x-leeway-stages", "")


def test_routes_choose_the_model_answer_or_reject(gateway, upstream):
    start(gateway, upstream)
    before = upstream.calls
    status, headers, _ = send(gateway, "flights from Berlin to Heraklion")
    assert status == 200 and headers["x-leeway-model"] == "far", headers
    assert headers["x-leeway-semantic-route"].startswith("flights; p="), headers
    status, headers, _ = send(gateway, "which sights in Athens are worth it?")
    assert headers["x-leeway-model"] == "gpt-4o" and headers["x-leeway-semantic-route"].startswith("sights"), headers
    assert upstream.calls == before + 2
    status, headers, body = send(gateway, "hello!")
    assert status == 200 and json.loads(body)["choices"][0]["message"]["content"] == 'Hello! Ask me about "Greece".'
    status, headers, body = send(gateway, "who won the election in Peru?")
    assert json.loads(body)["choices"][0]["message"]["content"] == "Sorry: only Greece.", body
    assert headers["x-leeway-semantic-route"].startswith("rejected; ") and headers["x-leeway-cost-usd"] == "0", headers
    assert upstream.calls == before + 2, "a rejection costs nothing upstream"
    row = gateway.rows()[-1]
    assert row["attempt"] == 0 and row["provider"] is None and row["usage"]["state"] == "zero", row
    assert gateway.stop() == 0


def test_routes_reject_in_the_callers_dialect_and_form(gateway, upstream):
    start(gateway, upstream)
    body = send(gateway, "write me a poem about rain", stream=True)[2]
    assert "data: " in body and "Sorry: only Greece." in "".join(
        json.loads(line[6:])["choices"][0]["delta"].get("content") or "" for line in body.split("\n")
        if line.startswith("data: {") and json.loads(line[6:])["choices"]) and "[DONE]" in body, body
    body = send(gateway, "write me a poem", path="/v1/messages", max_tokens=50)[2]
    assert json.loads(body)["content"][0]["text"] == "Sorry: only Greece.", body
    body = send(gateway, "write me a poem", path="/v1/messages", max_tokens=50, stream=True)[2]
    assert "event: message_stop" in body, body
    assert gateway.stop() == 0


def test_routes_that_a_rule_decides_do_not_embed(gateway, upstream):
    start(gateway, upstream)
    before = metric(gateway, "leeway_embedding_texts_total")
    assert send(gateway, "how to build a BOMB")[1]["x-leeway-semantic-route"] == "rejected; p=1.00; by=rule"
    assert send(gateway, "is the Acropolis open")[1]["x-leeway-semantic-route"] == "sights; p=1.00; by=rule"
    assert send(gateway, " ")[1]["x-leeway-semantic-route"] == "rejected; p=1.00; by=empty"
    assert metric(gateway, "leeway_embedding_texts_total") == before
    for odd in ("🙂🙂", "שלום לך", "a" * 1_000_000, "\u0000\u0001\ufffd", "Γεια hello 你好"):
        assert send(gateway, odd)[0] == 200, odd[:20]
    assert gateway.stop() == 0


def test_routes_keep_what_must_stay_here(gateway, upstream):
    start(gateway, upstream)
    before = upstream.calls
    status, headers, body = send(gateway, "my credit card number was stolen")
    assert status == 503 and "local_only" in body, (status, body)
    assert upstream.calls == before
    assert gateway.stop() == 0


def test_guards_keep_a_route_to_its_topics(gateway, upstream):
    start(gateway, upstream, stage="guard", also=", otherwise: log")
    status, headers, _ = send(gateway, "who won the election in Peru?")
    assert status == 200 and "guard=rejected" in headers["x-leeway-stages"], headers
    configure(gateway, upstream, MORE.format(stage="guard", key="topics", file=gateway.config.parent / "routes.yaml",
                                             also=", otherwise: reject"))
    reload(gateway)  # the same file: nothing is embedded again
    body = send(gateway, "who won the election in Peru?")[2]
    assert json.loads(body)["choices"][0]["message"]["content"] == "Sorry: only Greece.", body
    assert gateway.stop() == 0


def test_routes_are_embedded_by_a_provider_in_batches(gateway, upstream):
    file = gateway.config.parent / "routes.yaml"
    file.write_text("routes:\n  - name: many\n    utterances:\n" + "".join(f"      - utterance number {i}\n" for i in range(60)))
    restart(gateway, upstream, MORE.format(stage="semantic_routes", key="file", file=file, also="").replace("minilm", "far"))
    wait_for(lambda: "60 examples embedded by far" in gateway.log.read_text(), "the utterances were not embedded")
    assert metric(gateway, "leeway_embedding_batched_texts_total") >= 60
    assert upstream.calls < 12, upstream.calls
    assert gateway.stop() == 0


def test_routes_are_checked_in_the_configuration(gateway, upstream):
    file = gateway.config.parent / "routes.yaml"
    good = MORE.format(stage="semantic_routes", key="file", file=file, also="")
    for text, more, expected in (
            ("", good, "there are no routes"), (ROUTES.replace("model: far", "model: farr"), good, "far"),
            (ROUTES.replace("utterances: [hello there", "utterances: [flights to athens"), good, "stands in 'talk'"),
            (ROUTES, good.replace("file:", "fiel:"), "file"), (ROUTES, good.replace("stages: [semantic_routes]", ""),
                                                              "not among its stages"),
            (ROUTES, good.replace(str(file), "no-such-file.yaml"), "no-such-file.yaml")):
        file.write_text(text)
        configure(gateway, upstream, more)
        run = subprocess.run([gateway.binary, "check", "--config", str(gateway.config)], capture_output=True, text=True)
        assert run.returncode != 0 and expected in run.stdout + run.stderr, (expected, run.stdout, run.stderr)
