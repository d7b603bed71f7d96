"""Scenarios of the cascade: a cheap model answers first, and where its tokens do not convince, the strong one answers."""
import json
import math
import random
import signal
import subprocess
import time

import anthropic

from fake_provider import USAGE, WORDS
from gateway import KEY
from scenarios import ANSWER, COST_4O, COST_CHEAP, ask, sdk
from traffic_scenarios import CHAT, NO_BREAKER, Scripted, ScriptedProvider, attempts_of, metric

CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 1, state: "{state}"}}
providers:
  one: {{dialect: openai, base_url: "{one}", {NO_BREAKER}, retries: {{attempts: 0}}}}
  two: {{dialect: openai, base_url: "{two}", {NO_BREAKER}}}
models:
  strong: {{provider: one, price: {{input: 2.50, cached_input: 1.25, output: 10.00}}}}
  weak: {{provider: two, price: {{input: 0.15, cached_input: 0.075, output: 0.60}}, fallbacks: [other]}}
  other: {{provider: two, price: {{input: 0.15, cached_input: 0.075, output: 0.60}}}}
routes:
  support: {{model: strong, stages: [exact_cache, cascade], cache: {{exact: on}}, cascade: {{models: [weak, strong], {more}}}}}
keys:
  - {{name: web, secret: "{KEY}"}}
  - {{name: narrow, secret: "{KEY}-narrow", models: [strong], routes: [support]}}
{budgets}
"""
SURE, UNSURE = 0.99, 0.5


class Sure(Scripted):
    """Tells how sure it is where it is asked to."""

    def answer(self, status, value):
        sure = self.server.sure
        wanted = json.loads(self.server.bodies[-1]).get("logprobs")
        if status == 200 and wanted and sure is not None:
            tokens = [{"token": word, "logprob": math.log(sure), "bytes": None, "top_logprobs": []} for word in WORDS]
            value["choices"][0]["logprobs"] = {"content": tokens, "refusal": None}
        super().answer(status, value)


def cascade(gateway, more="accept: 0.9", budgets=""):
    one, two = ScriptedProvider(), ScriptedProvider()
    two.RequestHandlerClass, two.sure = Sure, SURE
    gateway.stop()
    gateway.config.write_text(CONFIG.format(state=gateway.state, one=one.url, two=two.url, more=more, budgets=budgets,
                                            NO_BREAKER=NO_BREAKER, KEY=KEY))
    gateway.start()
    return one, two


def notes(headers):
    return headers["x-leeway-stages"] or ""


def test_trial_keeps_what_convinces(gateway, upstream):
    one, two = cascade(gateway)
    status, headers, body = gateway.raw(CHAT, ask("hi", model="support"))
    assert (status, headers["x-leeway-model"], one.calls, two.calls) == (200, "weak", 0, 1), headers
    assert "cascade=kept:0.990" in notes(headers), headers
    assert attempts_of(gateway, headers) == [("weak", 200, COST_CHEAP)]
    told = json.loads(body)
    assert told["choices"][0]["message"]["content"] == ANSWER and told["usage"]["prompt_tokens"] == 1000
    assert told["choices"][0].get("logprobs") is None, told  # nobody asked for them
    assert json.loads(two.bodies[-1])["logprobs"] is True
    # What it saved against the strong model stands in the headers.
    assert headers["x-leeway-baseline-usd"] == f"{COST_4O / 1e12:.12f}".rstrip("0"), headers
    assert metric(gateway, 'leeway_cascade_total{route="support",verdict="kept"}') == ["1"]
    # It is not kept as the strong model's answer.
    assert gateway.raw(CHAT, ask("hi", model="support"))[1]["x-leeway-model"] == "weak" and two.calls == 2


def test_trial_asks_the_strong_model_else(gateway, upstream):
    one, two = cascade(gateway)
    two.sure = UNSURE
    status, headers, body = gateway.raw(CHAT, ask("hi", model="support"))
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "strong", "2"), headers
    assert "cascade=refused:0.500" in notes(headers), headers
    assert attempts_of(gateway, headers) == [("weak", 200, COST_CHEAP), ("strong", 200, COST_4O)]
    assert "logprobs" not in json.loads(one.bodies[-1]) and json.loads(body)["choices"][0]["message"]["content"] == ANSWER
    # The strong model's answer is kept as any.
    assert gateway.raw(CHAT, ask("hi", model="support"))[1]["x-leeway-cache"] == "exact"
    # Without log-probabilities nothing convinces.
    two.sure = None
    assert "cascade=refused:no_logprobs" in notes(gateway.raw(CHAT, ask("else", model="support"))[1])


def test_trial_in_streams_and_other_dialects(gateway, upstream):
    one, two = cascade(gateway)
    for sure, calls in ((SURE, 0), (UNSURE, 1)):
        two.sure, one.calls = sure, 0
        stream = sdk(gateway).chat.completions.create(model="support", stream=True, stream_options={"include_usage": True},
                                                      messages=[{"role": "user", "content": "hi"}], temperature=sure)
        chunks = list(stream)
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == ANSWER and chunks[-1].usage.total_tokens == USAGE["total_tokens"], chunks
        assert sum(1 for c in chunks if c.choices and c.choices[0].finish_reason) == 1 and one.calls == calls
        assert not json.loads(two.bodies[-1]).get("stream"), two.bodies[-1]
        client = anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0)
        message = client.messages.create(model="support", max_tokens=50, messages=[{"role": "user", "content": f"a {sure}"}])
        assert message.content[0].text == ANSWER and message.stop_reason == "end_turn", message
        with client.messages.stream(model="support", max_tokens=50,
                                    messages=[{"role": "user", "content": f"b {sure}"}]) as events:
            assert events.get_final_text() == ANSWER
        assert one.calls == 3 * calls


def test_trial_passes_what_it_cannot_judge(gateway, upstream):
    one, two = cascade(gateway)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    for more, why in (({"tools": [tool]}, "tools"), ({"n": 2}, "choices")):
        status, headers, _ = gateway.raw(CHAT, ask("hi", model="support", **more))
        assert (status, headers["x-leeway-model"], two.calls) == (200, "strong", 0), headers
        assert f"cascade={why}" in notes(headers), headers
    # A key that may not use the weak model is none the worse.
    status, headers, _ = gateway.raw(CHAT, ask("narrow", model="support"), key=KEY + "-narrow")
    assert (status, headers["x-leeway-model"], two.calls) == (200, "strong", 0) and "cascade=key" in notes(headers), headers
    # A caller that asks for log-probabilities gets them, from either.
    body = json.loads(gateway.raw(CHAT, ask("mine", model="support", logprobs=True))[2])
    assert len(body["choices"][0]["logprobs"]["content"]) == len(WORDS), body


def test_trial_weak_model_fails(gateway, upstream):
    one, two = cascade(gateway)
    for step in (503, 400, "hang up", (429, {"retry-after": "30"})):
        two.play(step, step)  # a kept connection that is closed is tried anew
        status, headers, _ = gateway.raw(CHAT, ask(f"hi {step}", model="support"))
        assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "strong", "2"), (step, headers)
        assert [row["model"] for row in gateway.rows() if row["id"] == headers["x-leeway-id"]] == ["weak", "strong"]
    # One that is over its rate is not waited for.
    one, two = cascade(gateway)
    two.play((429, {"retry-after": "1"}))
    assert gateway.raw(CHAT, ask("hi", model="support"))[1]["x-leeway-model"] == "strong"
    status, headers, _ = gateway.raw(CHAT, ask("again", model="support"))
    assert (status, headers["x-leeway-model"], two.calls) == (200, "strong", 1), headers


def test_trial_strong_model_fails(gateway, upstream):
    one, two = cascade(gateway)
    two.sure = UNSURE
    one.play(503)
    status, headers, _ = gateway.raw(CHAT, ask("hi", model="support"))
    assert status == 503 and attempts_of(gateway, headers) == [("weak", 200, COST_CHEAP), ("strong", 503, 0)], headers
    one, two = cascade(gateway, more="accept: 0.9, if_strong_fails: weak_answer")
    two.sure = UNSURE
    one.play(503, 400)
    status, headers, body = gateway.raw(CHAT, ask("hi", model="support"))
    assert (status, headers["x-leeway-model"]) == (200, "weak") and "cascade=strong_failed" in notes(headers), headers
    assert json.loads(body)["choices"][0]["message"]["content"] == ANSWER
    assert attempts_of(gateway, headers) == [("weak", 200, COST_CHEAP), ("strong", 503, 0)]
    # What the strong model finds wrong with the request is wrong.
    assert gateway.raw(CHAT, ask("hi", model="support"))[0] == 400


def test_trial_under_a_budget(gateway, upstream):
    one, two = cascade(gateway, budgets="budgets:\n  - {name: all, scope: global, usd: 0.03, per: day}\n")
    two.sure = UNSURE
    asked = ask("hi", model="support", max_tokens=1000)
    status, headers, _ = gateway.raw(CHAT, asked)
    assert status == 200 and attempts_of(gateway, headers) == [("weak", 200, COST_CHEAP), ("strong", 200, COST_4O)], headers
    # There is room for the weak model's attempt, and none for the strong one's: nothing is asked that is not reserved.
    status, headers, body = gateway.raw(CHAT, {**asked, "max_tokens": 2900})
    rows = [row["model"] for row in gateway.rows() if row["id"] == headers["x-leeway-id"]]
    assert status == 429 and rows == ["weak"] and one.calls == 1, (status, rows, body)


def test_trial_without_evidence(gateway, upstream):
    one, two = cascade(gateway, more="")
    status, headers, _ = gateway.raw(CHAT, ask("hi", model="support"))
    assert (status, headers["x-leeway-model"], two.calls) == (200, "strong", 0) and "cascade=no_evidence" in notes(headers)


def outcomes(gateway, rows):
    """A cheap model that is right when it is sure, and a strong one that mostly is."""
    chance = random.Random(5)
    path = gateway.folder / f"outcomes-{rows}.csv"
    with open(path, "w", encoding="utf-8") as file:
        file.write("qid,task,split,query,weak|quality,weak|mean_logprob,weak|cost_usd,strong|quality,strong|mean_logprob,strong|cost_usd\n")
        for number in range(rows):
            sure = chance.random()
            right = chance.random() < sure ** 0.2
            file.write(f"{number},t,test,question {number},{int(right)},{math.log(max(sure, 1e-6))},0.0001,"
                       f"{int(chance.random() < 0.95)},-0.1,0.002\n")
    return path


def tune(gateway, rows, *more, models="weak,strong"):
    policy = gateway.folder / "policy.json"
    told = subprocess.run([gateway.binary, "tune", "cascade", "--outcomes", outcomes(gateway, rows), "--models", models,
                           "--output", policy, *more], capture_output=True, text=True, timeout=60)
    return told.returncode, told.stdout + told.stderr, policy


def test_trial_a_policy_switches_itself_on(gateway, upstream):
    code, text, policy = tune(gateway, 30)
    assert code == 3 and "not enough evidence" in text and policy.exists(), text
    one, two = cascade(gateway, more=f'policy: "{policy}", max_harm: 0.03, confidence: 0.9')
    assert "cascade=no_evidence" in notes(gateway.raw(CHAT, ask("hi", model="support"))[1]) and two.calls == 0
    code, text, policy = tune(gateway, 3000)
    assert code == 0 and "certified: at most 3.00 %" in text, text
    gateway.process.send_signal(signal.SIGHUP)
    give_up = time.monotonic() + 20
    while "cascade=kept" not in notes(gateway.raw(CHAT, ask(f"hi {time.monotonic()}", model="support"))[1]):
        assert time.monotonic() < give_up
    two.sure = UNSURE
    assert "cascade=refused:0.500" in notes(gateway.raw(CHAT, ask("you", model="support"))[1])
    # What does not fit is told with its reason, and what ran goes on.
    for change, why in ((lambda text: text.replace('"max_harm":0.03', '"max_harm":0.02'), "its seal does not fit"),
                        (lambda text: "", "this is no cascade"), (lambda text: text[:200], "this is no cascade")):
        whole = policy.read_text()
        policy.write_text(change(whole))
        checked = subprocess.run([gateway.binary, "check", "--config", gateway.config], capture_output=True, text=True, timeout=60)
        assert checked.returncode != 0 and why in checked.stdout + checked.stderr, checked
        policy.write_text(whole)
    for more, why in (("max_harm: 0.01", "allows a harm of 0.03"), ("confidence: 0.95", "its confidence is 0.9"),
                      ("accept: 0.5", "keep one")):
        gateway.config.write_text(gateway.config.read_text().replace("max_harm: 0.03, confidence: 0.9", more))
        checked = subprocess.run([gateway.binary, "check", "--config", gateway.config], capture_output=True, text=True, timeout=60)
        assert checked.returncode != 0 and why in checked.stdout + checked.stderr, checked
        gateway.config.write_text(gateway.config.read_text().replace(more, "max_harm: 0.03, confidence: 0.9"))


def test_trial_tune_tells_what_is_wrong(gateway, upstream):
    for more, models, why in (((), "weak,nobody", "nobody"), (("--max-harm", "2"), "weak,strong", "max-harm"),
                              (("--task", "none"), "weak,strong", "no outcome of these tasks"), ((), "weak", "models")):
        code, text, _ = tune(gateway, 50, *more, models=models)
        assert code not in (0, 3) and why in text, (more, code, text)
