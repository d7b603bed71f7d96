"""Scenarios of feedback: what callers, and shadows, say of answers of live traffic, and what a cascade learns from it."""
import http.client
import json
import math
import signal
import subprocess
import time
import urllib.parse

from embedding_scenarios import need_model
from fake_provider import WORDS
from gateway import KEY
from scenarios import ANSWER, COST_4O, COST_CHEAP, ask
from traffic_scenarios import CHAT, NO_BREAKER, ScriptedProvider, metric
from trial_scenarios import SURE, UNSURE, Sure, notes

FEEDBACK = "/v1/feedback"
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 2, state: "{state}"}}
providers:
  one: {{dialect: openai, base_url: "{one}", {NO_BREAKER}}}
  two: {{dialect: openai, base_url: "{two}", {NO_BREAKER}}}
  local: {{dialect: embedded}}
models:
  strong: {{provider: one, price: {{input: 2.50, cached_input: 1.25, output: 10.00}}}}
  weak: {{provider: two, price: {{input: 0.15, cached_input: 0.075, output: 0.60}}}}
  minilm: {{provider: local, file: all-minilm-l6-v2-q8_0.gguf, price: {{input: 0, output: 0}}, tags: [embedding]}}
routes:
  default: {{stages: [exact_cache], outcomes: on}}
  quiet: {{model: strong, stages: []}}
  support: {{model: strong, outcomes: {keep}, {more}}}
keys:
  - {{name: web, secret: "{KEY}"}}
  - {{name: other, secret: "{KEY}-other"}}
{top}
"""


class Says(Sure):
    """Answers with other words where the server has some."""

    def answer(self, status, value):
        if status == 200 and self.server.says is not None and "choices" in value:
            value["choices"][0]["message"]["content"] = self.server.says
        super().answer(status, value)


def feedback_gateway(gateway, keep="on", more="stages: []", top="outcomes: {texts: on}"):
    one, two = ScriptedProvider(), ScriptedProvider()
    for provider in (one, two):
        provider.RequestHandlerClass, provider.sure, provider.says = Says, SURE, None
    gateway.stop()
    gateway.config.write_text(CONFIG.format(state=gateway.state, one=one.url, two=two.url, keep=keep, more=more, top=top,
                                            NO_BREAKER=NO_BREAKER, KEY=KEY))
    gateway.start()
    return one, two


def say(gateway, id_, key=KEY, **fields):
    status, headers, body = gateway.raw(FEEDBACK, {"id": id_, **fields}, key=key)
    assert headers["content-type"] == "application/json", headers
    return status, json.loads(body)


def stats(gateway):
    return json.loads(gateway.cli("outcomes", "stats", "--json"))


def outcomes_of(gateway, source="feedback"):
    return {one["model"]: (one["outcomes"], one["mean_quality"]) for one in stats(gateway)["outcomes"] if one["source"] == source}


def until(gateway, wanted, source):
    give_up = time.monotonic() + 20
    while outcomes_of(gateway, source) != wanted:
        assert time.monotonic() < give_up, (outcomes_of(gateway, source), wanted)
        time.sleep(0.05)  # polling, with a deadline


def answered(gateway, content, key=KEY, **more):
    status, headers, body = gateway.raw(CHAT, ask(content, **more), key=key)
    assert status == 200, body
    return headers["x-leeway-id"]


def test_feedback_on_an_answer_and_on_a_stream(gateway, upstream):
    feedback_gateway(gateway)
    whole = answered(gateway, "one", model="support")
    assert say(gateway, whole, value=True, comment="good") == (200, {"object": "feedback", "id": whole, "taken": ["value", "comment"]})
    streamed = answered(gateway, "two", model="support", stream=True)
    assert say(gateway, streamed, value=0.25)[0] == 200
    assert outcomes_of(gateway) == {"strong": (2, 0.625)}, stats(gateway)
    told = stats(gateway)
    assert (told["queries"], told["answers"], told["feedback"]) == (2, 2, 2), told
    assert told["outcomes"][0]["with_cost"] == 2 and told["outcomes"][0]["cost_usd"] == f"{2 * COST_4O / 1e12:.12f}".rstrip("0"), told
    # Later feedback takes the place of what was said before; what it does not say stays.
    assert say(gateway, whole, value=False, correction="This is right.")[0] == 200
    assert outcomes_of(gateway) == {"strong": (2, 0.125)}, stats(gateway)
    first, second = (json.loads(line) for line in gateway.cli("outcomes", "feedback").splitlines())
    both = {first["id"]: first, second["id"]: second}
    assert both[whole] | {"at_s": 0} == {"id": whole, "key": "web", "route": "support", "model": "strong", "value": 0, "comment": "good",
                                         "correction": "This is right.", "at_s": 0}, both
    assert "comment" not in both[streamed] and both[streamed]["value"] == 0.25
    assert metric(gateway, "leeway_outcome_answers_total") == ["2"] and metric(gateway, "leeway_outcomes_total") == ["3"]
    assert metric(gateway, "leeway_outcomes_dropped_total") == ["0"]


def test_feedback_names_only_what_its_key_was_answered(gateway, upstream):
    feedback_gateway(gateway)
    mine = answered(gateway, "one", model="support")
    theirs = answered(gateway, "one", model="support", key=KEY + "-other")
    quiet = answered(gateway, "one", model="quiet")
    answered(gateway, "same", model="strong", temperature=0)
    cached = answered(gateway, "same", model="strong", temperature=0)
    failed = gateway.raw(CHAT, ask("x", model="nobody"))[1]["x-leeway-id"]
    private = gateway.raw(CHAT, ask("private", model="support"), headers={"cache-control": "no-store"})[1]["x-leeway-id"]
    # Nothing tells them apart.
    answers = [say(gateway, id_, value=True) for id_ in (theirs, quiet, cached, failed, private, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "no id", "é")]
    assert {status for status, _ in answers} == {404} and len({json.dumps(body) for _, body in answers}) == 1, answers
    assert answers[0][1]["error"]["code"] == "answer_not_found" and answers[0][1]["error"]["param"] == "id", answers[0]
    assert say(gateway, mine, key="wrong-" + KEY, value=True)[0] == 401
    assert gateway.raw(FEEDBACK)[0] == 405  # GET
    assert outcomes_of(gateway) == {}
    # Each key's own.
    assert say(gateway, theirs, key=KEY + "-other", value=False)[0] == 200 and say(gateway, mine, value=True)[0] == 200
    assert outcomes_of(gateway) == {"strong": (2, 0.5)}, stats(gateway)


def test_feedback_that_is_no_feedback(gateway, upstream):
    feedback_gateway(gateway)
    id_ = answered(gateway, "one", model="support")
    for fields, param in (({}, "value"), ({"value": None}, "value"), ({"value": 1.01}, "value"), ({"value": -0.1}, "value"), ({"value": "yes"}, "value"),
                          ({"value": [1]}, "value"), ({"comment": 5}, "comment"), ({"correction": True}, "correction"), ({"score": 1}, "score"),
                          ({"value": 1, "comment": "x" * 20_000}, "comment"), ({"id": 5, "value": 1}, "id"), ({"id": "", "value": 1}, "id")):
        status, body = say(gateway, **{"id_": id_, **{("id_" if k == "id" else k): v for k, v in fields.items()}})
        assert status == 400 and body["error"]["param"] == param and body["error"]["type"] == "invalid_request_error", (fields, body)
    for raw in (b"", b"{", b"[]", b'"x"', b"{\"id\": \"\xff\"}", b"{\"id\": \"" + id_.encode() + b"\", \"value\": 1e999}"):
        assert gateway.raw(FEEDBACK, raw)[0] == 400, raw
    assert gateway.raw(FEEDBACK, json.dumps({"id": id_, "comment": "x" * 2 ** 20}).encode())[0] == 413
    # A body that is cut is nobody's feedback.
    place = urllib.parse.urlsplit(gateway.url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    connection.putrequest("POST", FEEDBACK)
    for name, value in (("authorization", f"Bearer {KEY}"), ("content-type", "application/json"), ("content-length", "500")):
        connection.putheader(name, value)
    connection.endheaders(json.dumps({"id": id_, "value": True}).encode())
    connection.sock.close()
    assert outcomes_of(gateway) == {} and say(gateway, id_, value=1)[0] == 200
    assert outcomes_of(gateway) == {"strong": (1, 1)}


def test_feedback_after_a_restart_and_erased(gateway, upstream):
    secret = "Where is the treasure of Knossos"
    one, _ = feedback_gateway(gateway)
    ids = [answered(gateway, f"{secret}? {i}", model="support") for i in range(3)]
    gateway.stop()
    gateway.start()
    for id_ in ids:
        assert say(gateway, id_, value=True, comment="under the bull")[0] == 200
    # What was said is where it belongs, and nowhere else; what was asked is nowhere.
    assert b"bull" not in gateway.log.read_bytes() and b"Knossos" not in gateway.log.read_bytes()
    gateway.cli("outcomes", "erase", "--tenant", "web")
    assert stats(gateway)["queries"] == 0 and gateway.cli("outcomes", "feedback") == ""
    assert say(gateway, ids[0], value=True)[0] == 404
    gateway.stop()
    for file in gateway.state.iterdir():
        if file.name.startswith("outcomes.db"):
            assert b"bull" not in file.read_bytes() and b"Knossos" not in file.read_bytes(), file
    gateway.start()


def test_feedback_keeps_texts_only_where_that_is_wanted(gateway, upstream):
    feedback_gateway(gateway, top="")
    id_ = answered(gateway, "one", model="support")
    status, body = say(gateway, id_, value=True, comment="secret words")
    assert status == 400 and body["error"]["code"] == "texts_not_kept", body
    assert say(gateway, id_, value=True)[0] == 200
    # Where no route keeps outcomes there is nothing to be named.
    gateway.stop()
    gateway.config.write_text(gateway.config.read_text().replace("outcomes: on", "outcomes: off"))
    gateway.start()
    status, body = say(gateway, answered(gateway, "one", model="support"), value=True)
    assert status == 404 and body["error"]["code"] == "answer_not_found", body


def test_feedback_is_kept_so_long(gateway, upstream):
    feedback_gateway(gateway, top="outcomes: {retention: 1s, rows: 10}")
    id_ = answered(gateway, "one", model="support")
    assert say(gateway, id_, value=True)[0] == 200
    time.sleep(2.1)
    gateway.stop()
    gateway.start()  # sweeps at once
    give_up = time.monotonic() + 20
    while stats(gateway)["queries"]:
        assert time.monotonic() < give_up
        time.sleep(0.05)  # polling, with a deadline
    assert say(gateway, id_, value=True)[0] == 404


def test_feedback_of_a_route_that_keeps_vectors(gateway, upstream):
    need_model()
    feedback_gateway(gateway, keep="embed")
    give_up = time.monotonic() + 60
    while not stats(gateway)["embeddings"]:  # the model is being loaded
        assert say(gateway, answered(gateway, "How do I bake bread?", model="support"), value=True)[0] == 200
        assert time.monotonic() < give_up
        time.sleep(0.1)  # polling, with a deadline
    assert stats(gateway)["embeddings"][0]["queries"] == 1 and stats(gateway)["queries"] == 1


def test_feedback_certifies_a_cascade(gateway, upstream):
    policy = gateway.folder / "policy.json"
    cascade = f'stages: [cascade], cascade: {{models: [weak, strong], policy: "{policy}", max_harm: 0.03, confidence: 0.9}}'

    def tune():
        told = subprocess.run([gateway.binary, "tune", "cascade", "--outcomes", gateway.state / "outcomes.db", "--models", "weak,strong", "--task",
                               "default", "--output", policy], capture_output=True, text=True, timeout=60)
        return told.returncode, told.stdout + told.stderr

    def teach(first, last):
        for i in range(first, last):
            for model in ("weak", "strong"):
                id_ = answered(gateway, f"question {i}", model=model, logprobs=True)
                assert say(gateway, id_, value=True)[0] == 200

    _, two = feedback_gateway(gateway)
    teach(0, 30)
    code, text = tune()
    assert code == 3 and "not enough evidence" in text and "30 rows" in text, text
    gateway.stop()
    gateway.config.write_text(gateway.config.read_text().replace("outcomes: on, stages: []", f"outcomes: on, {cascade}"))
    gateway.start()
    assert "cascade=no_evidence" in notes(gateway.raw(CHAT, ask("hi", model="support"))[1])
    teach(30, 100)
    code, text = tune()
    assert code == 0 and "certified: at most 3.00 %" in text and "100 rows" in text, text
    assert json.loads(policy.read_text())["outcomes"] == "outcomes.db"
    gateway.process.send_signal(signal.SIGHUP)
    give_up = time.monotonic() + 20
    while "cascade=kept" not in notes(gateway.raw(CHAT, ask(f"hi {time.monotonic()}", model="support"))[1]):
        assert time.monotonic() < give_up
    # The call that is named is that of the model whose answer was told.
    id_ = answered(gateway, "kept", model="support")
    assert say(gateway, id_, value=True)[0] == 200
    two.sure = UNSURE
    id_ = answered(gateway, "refused", model="support")
    assert say(gateway, id_, value=True)[0] == 200
    assert outcomes_of(gateway) == {"strong": (101, 1), "weak": (101, 1)}, stats(gateway)


def audited(gateway, more="audit: 0.5", rows=2000, top=""):
    """A cascade by a policy that is certified, whose scores are all the same (and a little lower than those of traffic: a table's are rounded)."""
    table = gateway.folder / "outcomes.csv"
    table.write_text("query,weak|quality,weak|mean_logprob,weak|cost_usd,weak|tok_in,strong|quality,strong|cost_usd\n" +
                     "".join(f"question {i},1,{math.log(SURE) - 1e-6:.17g},0.0001,1000,1,0.002\n" for i in range(rows)))
    policy = gateway.folder / "policy.json"
    told = subprocess.run([gateway.binary, "tune", "cascade", "--outcomes", table, "--models", "weak,strong", "--max-harm", "0.05", "--output", policy],
                          capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told
    return policy, feedback_gateway(gateway, more=f'stages: [cascade], cascade: {{models: [weak, strong], policy: "{policy}", {more}}}', top=top)


def words(gateway, content):
    return notes(gateway.raw(CHAT, ask(content, model="support"))[1])


def cascade_metric(gateway, name):
    return int(metric(gateway, f"leeway_cascade_{name}")[0])


def audits(gateway):
    return [row for row in gateway.rows() if row.get("tags") == ["cascade_audit"]]


def test_feedback_audits_leave_a_good_certificate_alone(gateway, upstream):
    _, (one, two) = audited(gateway)
    for i in range(100):
        assert "cascade=kept" in words(gateway, f"question {i}")
    give_up = time.monotonic() + 20
    while cascade_metric(gateway, "audited_total") < one.calls:
        assert time.monotonic() < give_up
        time.sleep(0.05)  # polling, with a deadline
    assert 25 <= one.calls <= 75 and two.calls == 100, (one.calls, two.calls)
    assert [cascade_metric(gateway, name) for name in ("serving", "decided_total", "harmed_total")] == [1, 100, 0]
    rows = audits(gateway)
    assert len(rows) == one.calls and all(row["key"] is None and row["cost_pico_usd"] == COST_4O for row in rows), rows[:2]


def test_feedback_audits_demote_a_certificate_for_good(gateway, upstream):
    policy, (one, two) = audited(gateway)
    one.says = "Something else."
    asked = 0
    while "cascade=kept" in words(gateway, f"question {asked}"):
        asked += 1
        assert asked < 400
    assert asked >= 2 and "cascade=demoted:harm" in words(gateway, "again"), asked
    assert cascade_metric(gateway, "serving") == 0 and cascade_metric(gateway, "harmed_total") >= 2
    assert gateway.raw(CHAT, ask("who", model="support"))[1]["x-leeway-model"] == "strong"
    # Neither a reload nor a restart makes it good.
    gateway.process.send_signal(signal.SIGHUP)
    give_up = time.monotonic() + 20
    while metric(gateway, "leeway_config_reloads_total") != ["1"]:
        assert time.monotonic() < give_up
        time.sleep(0.05)  # polling, with a deadline
    assert "cascade=demoted:harm" in words(gateway, "reloaded")
    gateway.stop()
    gateway.start()
    assert "cascade=demoted:harm" in words(gateway, "restarted") and "demoted" in (gateway.state / "cascades.json").read_text()
    # Another policy does.
    audited(gateway, rows=2001)
    assert "cascade=kept" in words(gateway, "anew")
    # A file that cannot be read is told, and does not keep the gateway from starting.
    gateway.stop()
    (gateway.state / "cascades.json").write_text("{")
    gateway.start()
    assert "cascades.json" in gateway.log.read_text() and "cascade=kept" in words(gateway, "broken")


def test_feedback_audits_notice_other_traffic(gateway, upstream):
    _, (one, two) = audited(gateway, more="audit: 0.01")
    two.sure = UNSURE
    asked = 0
    while "cascade=demoted:drift" not in words(gateway, f"question {asked}"):
        asked += 1
        assert asked < 100


def test_feedback_audits_ask_a_judge_where_texts_do_not_tell(gateway, upstream):
    _, (one, two) = audited(gateway, more="audit: 1")
    gateway.stop()
    text = gateway.config.read_text().replace("audit: 1", "audit: 1, judge: judge").replace("  minilm:", "  judge: {provider: three, price: {input: 1, output: 1}}\n  minilm:")
    three = ScriptedProvider()
    three.RequestHandlerClass, three.sure, three.says = Says, SURE, "SAME"
    gateway.config.write_text(text.replace("  local:", f'  three: {{dialect: openai, base_url: "{three.url}"}}\n  local:'))
    gateway.start()
    two.says = "A long answer that says in very many words what the other one says. " * 3
    for i in range(10):
        assert "cascade=kept" in words(gateway, f"question {i}")
    give_up = time.monotonic() + 20
    while cascade_metric(gateway, "audited_total") < 10:
        assert time.monotonic() < give_up
        time.sleep(0.05)  # polling, with a deadline
    assert three.calls == 10 and cascade_metric(gateway, "harmed_total") == 0
    assert len([row for row in gateway.rows() if row.get("tags") == ["cascade_judge"]]) == 10
    three.says = "DIFFERENT"
    asked = 0
    while "cascade=demoted:harm" not in words(gateway, f"else {asked}"):
        asked += 1
        assert asked < 200


def test_feedback_audits_are_checked_before_the_start(gateway, upstream):
    policy, _ = audited(gateway)
    good = gateway.config.read_text()
    for old, new, why in (("audit: 0.5", "audit: 1.5", "is no share"), (f'policy: "{policy}"', "accept: 0.9", "what is audited is a `policy`"),
                          ("audit: 0.5", "audit: 0.5, judge: nobody", "nobody"), ("audit: 0.5", "judge: strong", "a judge is for audits")):
        gateway.config.write_text(good.replace(old, new))
        checked = subprocess.run([gateway.binary, "check", "--config", gateway.config], capture_output=True, text=True, timeout=60)
        assert checked.returncode != 0 and why in checked.stdout + checked.stderr, (new, checked)


LEARNS = "max_harm: 0.2, audit: 1, learn: 1"


def learner(gateway, more=LEARNS, **options):
    """A cascade that has nothing to go by at first."""
    return feedback_gateway(gateway, more=f"stages: [cascade], cascade: {{models: [weak, strong], {more}}}", **options)


def learn_until_it_serves(gateway, stream=False):
    """How many requests the strong model answered before."""
    give_up = time.monotonic() + 90
    for asked in range(3000):
        assert time.monotonic() < give_up
        note = notes(gateway.raw(CHAT, ask(f"question {asked}", model="support", stream=stream))[1])
        if "cascade=kept" in note:
            return asked
        assert "cascade=no_evidence" in note or "cascade=demoted" in note, note
    raise AssertionError("it never served")


def test_feedback_a_cascade_certifies_itself(gateway, upstream):
    one, two = learner(gateway)
    assert cascade_metric(gateway, "serving") == 0
    assert learn_until_it_serves(gateway) >= 300
    assert cascade_metric(gateway, "serving") == 1 and cascade_metric(gateway, "learned_total") >= 300
    assert json.loads(two.bodies[0])["logprobs"] is True
    give_up = time.monotonic() + 20
    while "certified by its own evidence" not in gateway.log.read_text():
        assert time.monotonic() < give_up
        time.sleep(0.05)  # polling, with a deadline
    rows = [row for row in gateway.rows() if row.get("tags") == ["cascade_learn"]]
    assert len(rows) >= 300 and all(row["key"] is None and row["model"] == "weak" and row["cost_pico_usd"] == COST_CHEAP for row in rows)
    # It is as good after a restart, but not for another promise.
    gateway.stop()
    gateway.start()
    assert "cascade=kept" in words(gateway, "again")
    gateway.stop()
    good = gateway.config.read_text()
    gateway.config.write_text(good.replace("max_harm: 0.2", "max_harm: 0.1"))
    gateway.start()
    assert "cascade=no_evidence" in words(gateway, "another promise")


def test_feedback_a_cascade_that_certified_itself_is_demoted_for_harm(gateway, upstream):
    one, two = learner(gateway)
    learn_until_it_serves(gateway, stream=True)
    two.says = "Something else."
    for asked in range(400):
        if "cascade=kept" not in words(gateway, f"else {asked}"):
            break
    assert "cascade=demoted:harm" in words(gateway, "else")
    gateway.stop()
    gateway.start()
    assert "cascade=demoted:harm" in words(gateway, "restarted")


def test_feedback_learning_asks_nobody_where_it_must_not(gateway, upstream):
    one, two = learner(gateway)
    for body, headers in ((ask("one", model="support"), {"cache-control": "no-store"}),
                          (ask("two", model="support", n=2), {}),
                          (ask("three", model="support", tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}]), {})):
        assert gateway.raw(CHAT, body, headers=headers)[0] == 200
    assert "cascade=no_evidence" in words(gateway, "four")
    give_up = time.monotonic() + 20
    while cascade_metric(gateway, "learned_total") < 1:
        assert time.monotonic() < give_up
        time.sleep(0.05)  # polling, with a deadline
    assert two.calls == 1


def test_feedback_learning_is_checked_before_the_start(gateway, upstream):
    learner(gateway)
    good = gateway.config.read_text()
    for new, why in (("max_harm: 0.2, learn: 1", "must be watched"), ("audit: 1, learn: 1", "needs the promise"), ("max_harm: 0.2, audit: 1, learn: 2", "is no share"),
                     ("accept: 0.9, max_harm: 0.2, audit: 1, learn: 1", "two ways")):
        gateway.config.write_text(good.replace(LEARNS, new))
        checked = subprocess.run([gateway.binary, "check", "--config", gateway.config], capture_output=True, text=True, timeout=60)
        assert checked.returncode != 0 and why in checked.stdout + checked.stderr, (new, checked)


def test_feedback_store_is_no_table(gateway, upstream):
    feedback_gateway(gateway)
    assert say(gateway, answered(gateway, "one", model="support"), value=True)[0] == 200
    store = gateway.state / "outcomes.db"
    for command, why in ((("evaluate", "router", "--outcomes", store), "has no texts of queries"),
                         (("outcomes", "import", store, "--state", gateway.folder / "s"), "has no texts of queries"),
                         (("tune", "cascade", "--outcomes", store, "--models", "weak,strong"), "has no outcomes of weak"),
                         (("tune", "cascade", "--outcomes", store, "--models", "weak,strong", "--task", "none"), "no outcome of these"),
                         (("tune", "cascade", "--outcomes", store, "--models", "weak,strong", "--price", "weak=1"), "--price is for tables")):
        told = subprocess.run([gateway.binary, *command], capture_output=True, text=True, timeout=60)
        assert told.returncode not in (0, 3) and why in told.stderr, (command, told)


def test_feedback_of_a_shadow(gateway, upstream):
    one, two = feedback_gateway(gateway, more="stages: [], shadow: {model: weak, share: 1}")
    answered(gateway, "one", model="support")
    until(gateway, {"strong": (1, 1), "weak": (1, 1)}, "shadow")
    # It was asked for one whole answer, and how sure it is; the stream that was told is compared as well.
    assert json.loads(two.bodies[-1])["logprobs"] is True
    two.says = "Something else."
    answered(gateway, "two", model="support", stream=True)
    until(gateway, {"strong": (2, 1), "weak": (2, 0.5)}, "shadow")
    assert not json.loads(two.bodies[-1]).get("stream")
    # What the texts do not tell is not judged.
    two.says = "A long answer that says in very many other words what the other one says. " * 3
    answered(gateway, "three", model="support")
    shadows = [row for row in gateway.rows() if row.get("tags") == ["shadow"]]
    assert [row["cost_pico_usd"] for row in shadows] == [COST_CHEAP] * 3, shadows
    assert outcomes_of(gateway, "shadow") == {"strong": (2, 1), "weak": (2, 0.5)}, stats(gateway)
    assert ANSWER == "".join(WORDS)
