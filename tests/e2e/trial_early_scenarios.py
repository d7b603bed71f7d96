"""Scenarios of a cascade that decides before the weak model's answer is whole: by the beginning of its stream, or by its time."""
import json
import math
import subprocess
import time

import anthropic

from drain_scenarios import in_stream, leave
from fake_provider import USAGE, WORDS
from gateway import KEY
from scenarios import ANSWER, COST_4O, COST_CHEAP, ask, sdk
from traffic_scenarios import CHAT, ScriptedProvider, attempts_of, metric, standing
from trial_scenarios import SURE, UNSURE, Sure, cascade, notes, tune

WEAK = ANSWER.upper()


class SureStream(Sure):
    """Streams with log-probabilities where they are wanted, and shouts, so that its words can be told from the strong model's."""

    said, wanted = 0, False

    def stream(self, request, wish, chunk_of):
        self.said, self.wanted = 0, request.get("logprobs")
        if self.server.whole:
            answer = {"id": "chatcmpl-3", "object": "chat.completion", "created": 1, "model": request["model"], "usage": USAGE,
                      "choices": [{"index": 0, "message": {"role": "assistant", "content": WEAK}, "finish_reason": "stop"}]}
            return self.answer(200, answer)
        return super().stream(request, wish, chunk_of)

    def event(self, data):
        if data == "[DONE]":
            time.sleep(self.server.before_done)
            return super().event(data) if self.server.tells_done else None
        chunk = json.loads(data)
        choice = chunk["choices"][0] if chunk.get("choices") else {}
        if choice.get("finish_reason"):
            choice["finish_reason"] = self.server.finish
        if choice.get("delta", {}).get("content"):
            if self.said == self.server.cut_at:
                self.close_connection = True
                raise ConnectionError("as you wish")
            time.sleep(self.server.pauses.get(self.said, 0))
            self.said += 1
            word = choice["delta"]["content"].upper()
            choice["delta"] = {"refusal": word} if self.server.refuses else {"content": word}
            if self.wanted and self.server.sure is not None:
                choice["logprobs"] = {"refusal": None, "content": [
                    {"token": word, "logprob": math.log(self.server.sure), "bytes": None, "top_logprobs": []}]}
        return super().event(json.dumps(chunk, separators=(",", ":")))

    def head(self, status, kind, length):
        super().head(status, kind, length)
        time.sleep(self.server.before_body)


class WeakProvider(ScriptedProvider):
    def behave(self, sure=SURE, finish="stop", pauses=None, cut_at=-1, refuses=False, whole=False, tells_done=True,
               before_done=0, before_body=0):
        self.sure, self.finish, self.pauses, self.cut_at, self.refuses = sure, finish, pauses or {}, cut_at, refuses
        self.whole, self.tells_done, self.before_done, self.before_body = whole, tells_done, before_done, before_body
        self.hang_ups.clear()
        self.calls = 0


def early(gateway, more="accept: 0.9, hold_back: 3", budgets=""):
    one, two = cascade(gateway, more=more, budgets=budgets)
    weak = WeakProvider()
    weak.RequestHandlerClass = SureStream
    weak.behave()
    gateway.stop()
    gateway.config.write_text(gateway.config.read_text().replace(two.url, weak.url))
    gateway.start()
    return one, weak


def streamed(gateway, content="hi", **more):
    return gateway.raw(CHAT, ask(content, model="support", stream=True, **more))


def timed(gateway, *arguments, **more):
    begin = time.monotonic()
    status, headers, body = streamed(gateway, *arguments, **more)
    return status, headers, body, time.monotonic() - begin


def text_of(body):
    chunks = [json.loads(line[6:]) for line in body.decode().split("\n") if line.startswith("data: {")]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c.get("choices"))


def rows_of(gateway, headers):
    return [row for row in gateway.rows() if row["id"] == headers["x-leeway-id"]]


def hung_up(provider, within=5):
    end = time.monotonic() + within
    while not provider.hang_ups and time.monotonic() < end:
        time.sleep(0.02)
    return bool(provider.hang_ups)


def test_early_what_convinces_goes_on_live(gateway, upstream):
    one, two = early(gateway)
    two.behave(pauses={4: 1.5})
    begin = time.monotonic()
    stream = sdk(gateway).chat.completions.create(model="support", stream=True, stream_options={"include_usage": True},
                                                  messages=[{"role": "user", "content": "hi"}])
    times, chunks = [], []
    for chunk in stream:
        times.append(time.monotonic() - begin)
        chunks.append(chunk)
    assert times[0] < 1.2 and times[-1] >= 1.5, times
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == WEAK
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].usage.total_tokens == USAGE["total_tokens"] and one.calls == 0
    assert not any(getattr(c.choices[0], "logprobs", None) for c in chunks if c.choices), chunks
    asked = json.loads(two.bodies[-1])
    assert asked["stream"] and asked["logprobs"] and asked["stream_options"]["include_usage"], asked
    # Who asks for neither usage nor log-probabilities gets neither.
    two.behave()
    status, headers, body = streamed(gateway, "you")
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "weak", None), headers
    assert text_of(body) == WEAK and body.endswith(b"data: [DONE]\n\n") and b"logprob" not in body and b"usage" not in body, body
    assert "cascade=early:0.990" in notes(headers), headers
    (row,) = rows_of(gateway, headers)
    assert (row["end"], row["cost_pico_usd"], row["finish_reason"]) == ("ok", COST_CHEAP, "stop"), row
    assert metric(gateway, 'leeway_cascade_total{route="support",verdict="kept"}') == ["2"]
    # It is not kept as the strong model's answer, and whoever wants no stream is answered as ever.
    assert streamed(gateway, "you")[1]["x-leeway-cache"] != "exact"
    status, headers, body = gateway.raw(CHAT, ask("me", model="support"))
    assert (status, headers["x-leeway-model"]) == (200, "weak") and "cascade=kept:0.990" in notes(headers), headers
    assert not json.loads(two.bodies[-1]).get("stream")


def test_early_refused_and_never_shown(gateway, upstream):
    one, two = early(gateway)
    two.behave(sure=UNSURE, pauses={4: 4})
    status, headers, body, took = timed(gateway)
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "strong", "2"), headers
    assert took < 3 and text_of(body) == ANSWER and b"HELLO" not in body, (took, body)
    assert "cascade=refused_early:0.500" in notes(headers), headers
    lost, won = rows_of(gateway, headers)
    assert (lost["model"], lost["status"], lost["end"], won["model"], won["end"]) == ("weak", 200, "client_gone", "strong", "ok"), lost
    # What it had made is billed, and was counted here.
    assert 0 < lost["cost_pico_usd"] < COST_CHEAP and lost["usage"]["quality"] != "provider", lost
    assert won["cost_pico_usd"] == COST_4O and hung_up(two)
    assert metric(gateway, 'leeway_cascade_total{route="support",verdict="refused"}') == ["1"]
    # Who tells no log-probabilities is not waited for.
    two.behave(sure=None, pauses={4: 4})
    status, headers, body, took = timed(gateway, "you")
    assert took < 3 and text_of(body) == ANSWER and "cascade=refused_early:no_logprobs" in notes(headers), headers
    two.behave(refuses=True, pauses={2: 4})
    status, headers, body, took = timed(gateway, "they")
    assert took < 3 and text_of(body) == ANSWER and "cascade=refused_early:refusal" in notes(headers), headers


def test_early_short_answers_are_judged_whole(gateway, upstream):
    one, two = early(gateway, more="accept: 0.9, hold_back: 40")
    status, headers, body = streamed(gateway)
    assert text_of(body) == WEAK and body.endswith(b"data: [DONE]\n\n") and "cascade=kept:0.990" in notes(headers), headers
    assert attempts_of(gateway, headers) == [("weak", 200, COST_CHEAP)]
    two.behave(sure=UNSURE)
    status, headers, body = streamed(gateway, "you")
    assert text_of(body) == ANSWER and "cascade=refused:0.500" in notes(headers), headers
    assert [(row["cost_pico_usd"], row["end"]) for row in rows_of(gateway, headers)] == [(COST_CHEAP, "ok"), (COST_4O, "ok")]
    for finish, why in (("length", "cut"), ("content_filter", "filter")):
        two.behave(finish=finish)
        status, headers, body = streamed(gateway, finish)
        assert text_of(body) == ANSWER and f"cascade=refused:{why}" in notes(headers), headers
    # Some providers leave out their last event, or answer at once whatever was asked for.
    for behaviour in ({"tells_done": False}, {"whole": True}):
        two.behave(**behaviour)
        status, headers, body = streamed(gateway, str(behaviour))
        assert text_of(body) == WEAK and body.endswith(b"data: [DONE]\n\n"), body
        assert "cascade=kept:0.990" in notes(headers) and attempts_of(gateway, headers) == [("weak", 200, COST_CHEAP)]
    # A whole answer is told before a last event that takes its time.
    two.behave(before_done=2)
    stream = sdk(gateway).chat.completions.create(model="support", stream=True, messages=[{"role": "user", "content": "now"}])
    begin = time.monotonic()
    next(iter(stream))
    assert time.monotonic() - begin < 1.5
    stream.close()


def test_early_live_without_a_last_event(gateway, upstream):
    one, two = early(gateway)
    two.behave(tells_done=False, pauses={4: 0.3})
    status, headers, body = streamed(gateway)
    assert text_of(body) == WEAK and body.endswith(b"data: [DONE]\n\n") and b"error" not in body, body
    (row,) = rows_of(gateway, headers)
    assert (row["end"], row["cost_pico_usd"]) == ("ok", COST_CHEAP), row


def test_early_a_cut(gateway, upstream):
    one, two = early(gateway)
    # In the held part nobody has seen anything: the strong model answers.
    two.behave(cut_at=2)
    status, headers, body = streamed(gateway)
    assert (status, headers["x-leeway-model"]) == (200, "strong") and text_of(body) == ANSWER and b"HELLO" not in body, body
    lost, won = rows_of(gateway, headers)
    assert (lost["end"], won["end"]) == ("cut", "ok") and lost["cost_pico_usd"] > 0, lost
    # Behind it a cut is a cut, and nothing is asked again.
    one.calls = 0
    two.behave(cut_at=4, pauses={3: 0.3})
    status, headers, body = streamed(gateway, "you")
    assert b"HELLO" in body and b"upstream_stream_cut" in body and b"[DONE]" not in body and one.calls == 0, body
    (row,) = rows_of(gateway, headers)
    assert row["end"] == "cut" and row["cost_pico_usd"] > 0, row
    # An error as the first event costs nothing.
    two.behave()
    two.play("error event")
    status, headers, body = streamed(gateway, "they")
    assert text_of(body) == ANSWER and attempts_of(gateway, headers)[0] == ("weak", 200, 0), headers
    two.play("error after")
    status, headers, body = streamed(gateway, "all")
    lost, _ = rows_of(gateway, headers)
    assert text_of(body) == ANSWER and lost["cost_pico_usd"] > 0, lost
    two.play(503)
    assert attempts_of(gateway, streamed(gateway, "none")[1])[0] == ("weak", 503, 0)


def test_early_a_caller_that_leaves(gateway, upstream):
    one, two = early(gateway)
    two.behave(pauses={2: 3})
    leave(gateway, KEY, ask("hi", model="support", stream=True), lambda _: two.calls)
    assert hung_up(two)
    (row,) = gateway.rows()
    assert (row["model"], row["end"], row["error"], one.calls) == ("weak", "client_gone", "client_gone", 0), row
    assert row["cost_pico_usd"] > 0, row
    two.behave(pauses={4: 3})
    leave(gateway, KEY, ask("you", model="support", stream=True), in_stream)
    assert hung_up(two)
    _, row = gateway.rows()
    assert (row["model"], row["end"], one.calls) == ("weak", "client_gone", 0) and row["cost_pico_usd"] > 0, row


def test_early_in_other_dialects_and_with_logprobs(gateway, upstream):
    one, two = early(gateway)
    for sure, want in ((SURE, WEAK), (UNSURE, ANSWER)):
        two.behave(sure=sure)
        client = anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0)
        with client.messages.stream(model="support", max_tokens=50, messages=[{"role": "user", "content": f"a {sure}"}]) as events:
            assert events.get_final_text() == want
            assert events.get_final_message().stop_reason == "end_turn"
        assert json.loads(two.bodies[-1])["stream"]
    # A caller that asks for log-probabilities gets them, and no usage that it did not ask for.
    two.behave()
    status, headers, body = streamed(gateway, "mine", logprobs=True)
    assert text_of(body) == WEAK and body.count(b'"logprob"') == len(WORDS) and b'"usage":{' not in body, body
    (row,) = rows_of(gateway, headers)
    assert row["cost_pico_usd"] == COST_CHEAP and "cascade=early:0.990" in notes(headers), row


def test_early_under_a_budget(gateway, upstream):
    one, two = early(gateway, budgets="budgets:\n  - {name: all, scope: global, usd: 0.1, per: day}\n")
    two.behave(sure=UNSURE)
    status, headers, body = streamed(gateway, max_tokens=1000)
    rows = rows_of(gateway, headers)
    two.behave()
    rows += rows_of(gateway, streamed(gateway, "you", max_tokens=1000)[1])
    line = standing(gateway)
    assert [row["model"] for row in rows] == ["weak", "strong", "weak"], rows
    assert (line["reserved_pico_usd"], line["spent_pico_usd"]) == (0, sum(row["cost_pico_usd"] for row in rows)), line


def test_early_given_up(gateway, upstream):
    one, two = early(gateway, more="accept: 0.9, give_up_after: 3, give_up_below: 0.6")
    two.behave(sure=UNSURE, pauses={4: 4})
    for stream in (False, True):
        begin = time.monotonic()
        status, headers, body = gateway.raw(CHAT, ask(f"hi {stream}", model="support", stream=stream))
        assert (status, headers["x-leeway-model"]) == (200, "strong") and time.monotonic() - begin < 3, headers
        assert "cascade=gave_up:0.500" in notes(headers) and b"HELLO" not in body, headers
        lost, won = rows_of(gateway, headers)
        assert lost["end"] == "client_gone" and 0 < lost["cost_pico_usd"] < COST_CHEAP, lost
    # What is not given up is judged whole, and comes in the form that was asked for.
    for sure, model, word in ((SURE, "weak", "kept:0.990"), (0.7, "strong", "refused:0.700")):
        two.behave(sure=sure)
        status, headers, body = gateway.raw(CHAT, ask(f"you {sure}", model="support"))
        assert (status, headers["x-leeway-model"]) == (200, model) and f"cascade={word}" in notes(headers), headers
        assert headers["content-type"] == "application/json" and json.loads(two.bodies[-1])["stream"], headers
        told = json.loads(body)
        assert told["choices"][0]["message"]["content"] == (WEAK if model == "weak" else ANSWER), told
        assert told["usage"]["total_tokens"] == USAGE["total_tokens"] and not told["choices"][0].get("logprobs"), told
        assert attempts_of(gateway, headers)[0] == ("weak", 200, COST_CHEAP)
        status, headers, body = streamed(gateway, f"they {sure}")
        assert headers["content-type"].startswith("text/event-stream") and body.endswith(b"data: [DONE]\n\n"), headers
    two.behave(cut_at=4)
    status, headers, body = gateway.raw(CHAT, ask("cut here", model="support"))
    assert headers["x-leeway-model"] == "strong" and [row["end"] for row in rows_of(gateway, headers)] == ["cut", "ok"], headers


def test_early_given_up_under_a_policy(gateway, upstream):
    code, text, policy = tune(gateway, 3000)
    assert code == 0, text
    one, two = early(gateway, more=f'policy: "{policy}", give_up_after: 3, give_up_below: 0.4')
    two.behave(sure=0.3, pauses={4: 4})
    status, headers, body, took = timed(gateway)
    assert headers["x-leeway-model"] == "strong" and took < 3 and "cascade=gave_up:0.300" in notes(headers), headers
    two.behave()
    assert "cascade=kept:0.990" in notes(streamed(gateway, "you")[1])
    # What a policy promises is for whole answers.
    for more, why in ((f'policy: "{policy}", hold_back: 40', "for whole answers"), ("accept: 0.9, hold_back: 0", "hold_back"),
                      ("accept: 0.9, give_up_after: 40", "needs both"), ("accept: 0.9, give_up_below: 0.5", "needs both"),
                      ("accept: 0.9, start_strong_after: soon", "start_strong_after"),
                      (f'policy: "{policy}", audit: 0.1, give_up_after: 40, give_up_below: 0.5', "leave out")):
        text = gateway.config.read_text()
        begin = text.index("policy: ")
        gateway.config.write_text(text[:begin] + more + text[text.index("}}", begin):])
        checked = subprocess.run([gateway.binary, "check", "--config", gateway.config], capture_output=True, text=True, timeout=60)
        assert checked.returncode != 0 and why in checked.stdout + checked.stderr, (more, checked)
        gateway.config.write_text(text)


AFTER = "accept: 0.9, start_strong_after: 200ms"


def test_beside_a_slow_weak_model(gateway, upstream):
    one, two = early(gateway, more=AFTER)
    # In time: nobody else is asked.
    status, headers, _ = gateway.raw(CHAT, ask("hi", model="support"))
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"], one.calls) == (200, "weak", None, 0), headers
    for stream in (False, True):
        one.calls = 0
        two.play(("slow", 4))
        begin = time.monotonic()
        status, headers, body = gateway.raw(CHAT, ask(f"you {stream}", model="support", stream=stream))
        took = time.monotonic() - begin
        assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "strong", "2"), headers
        assert 0.2 <= took < 3 and "cascade=late" in notes(headers) and one.calls == 1, (took, headers)
        assert b"HELLO" not in body and body.count(b'"finish_reason":"stop"') + body.count(b'"finish_reason": "stop"') == 1, body
        lost, won = rows_of(gateway, headers)
        # What a whole answer that was stopped bills nobody knows.
        assert (lost["model"], lost["end"], lost["cost_pico_usd"]) == ("weak", "client_gone", None), lost
        assert (won["model"], won["end"], won["cost_pico_usd"]) == ("strong", "ok", COST_4O), won
    assert metric(gateway, 'leeway_cascade_total{route="support",verdict="late"}') == ["2"]
    # A head that comes early is no answer yet.
    two.behave(before_body=4)
    begin = time.monotonic()
    status, headers, _ = gateway.raw(CHAT, ask("they", model="support"))
    assert headers["x-leeway-model"] == "strong" and time.monotonic() - begin < 3 and "cascade=late" in notes(headers), headers


def test_beside_the_weak_model_wins_after_all(gateway, upstream):
    one, two = early(gateway, more=AFTER)
    for stream in (False, True):
        one.play(("slow", 4))
        two.play(("slow", 0.6))
        begin = time.monotonic()
        status, headers, body = gateway.raw(CHAT, ask(f"hi {stream}", model="support", stream=stream))
        assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "weak", "2"), headers
        assert 0.5 < time.monotonic() - begin < 3 and "cascade=kept:0.990" in notes(headers), headers
        won, lost = rows_of(gateway, headers)
        assert (won["model"], won["end"], won["cost_pico_usd"]) == ("weak", "ok", COST_CHEAP), won
        assert (lost["model"], lost["status"], lost["end"]) == ("strong", 0, "client_gone"), lost
        assert (lost["cost_pico_usd"] or 0) > 0 if stream else lost["cost_pico_usd"] is None, lost
    assert metric(gateway, 'leeway_cascade_total{route="support",verdict="late"}') == []
    # The strong one that fails meanwhile is no reason to end.
    one.play(503)
    two.play(("slow", 0.6))
    status, headers, _ = gateway.raw(CHAT, ask("you", model="support"))
    assert (status, headers["x-leeway-model"]) == (200, "weak"), headers
    assert attempts_of(gateway, headers) == [("weak", 200, COST_CHEAP), ("strong", 503, 0)]


def test_beside_the_strong_model_is_asked_once(gateway, upstream):
    one, two = early(gateway, more=AFTER)
    # Refused, or failed, while the strong one is at work: that call is the one that answers.
    for step, sure, word, row in ((("slow", 0.5), UNSURE, "refused:0.500", ("weak", 200, COST_CHEAP)),
                                  (("slow", 0.5, 503), SURE, "", ("weak", 503, 0)),
                                  (("slow", 0.5, "hang up"), SURE, "", ("weak", 0, None))):
        two.behave(sure=sure)
        one.play(("slow", 0.8))
        two.play(step, "hang up" if "hang up" in step else "ok")  # a kept connection that is closed is tried anew
        begin = time.monotonic()
        status, headers, body = gateway.raw(CHAT, ask(f"hi {step} {sure}", model="support"))
        took = time.monotonic() - begin
        assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"]) == (200, "strong", "2"), headers
        assert 0.8 <= took < 1.25 and one.calls == 1 and word in notes(headers) and "late" not in notes(headers), (took, headers)
        assert attempts_of(gateway, headers) == [row, ("strong", 200, COST_4O)]
        assert json.loads(body)["choices"][0]["message"]["content"] == ANSWER


def test_beside_both_fail(gateway, upstream):
    one, two = early(gateway, more=AFTER)
    one.play(("slow", 0.6, 503))
    two.play(("slow", 0.4, 500))
    status, headers, body = gateway.raw(CHAT, ask("hi", model="support"))
    assert status == 503 and b"scripted 503" in body and one.calls == 1, (status, body)
    assert attempts_of(gateway, headers) == [("weak", 500, 0), ("strong", 503, 0)]
    # The strong one first; it is tried again as ever.
    text = gateway.config.read_text()
    gateway.stop()
    gateway.config.write_text(text.replace("retries: {attempts: 0}", "retries: {attempts: 2, base: 20ms, cap: 2s}"))
    gateway.start()
    one.play(503)
    two.play(("slow", 0.5, 500))
    status, headers, body = gateway.raw(CHAT, ask("you", model="support"))
    assert (status, headers["x-leeway-model"], one.calls) == (200, "strong", 2), headers
    assert attempts_of(gateway, headers) == [("weak", 500, 0), ("strong", 503, 0), ("strong", 200, COST_4O)]
    # The weak one's answer is at hand where the strong one gives none.
    gateway.stop()
    gateway.config.write_text(text.replace(AFTER, AFTER + ", if_strong_fails: weak_answer"))
    gateway.start()
    two.behave(sure=UNSURE)
    one.play(503)
    two.play(("slow", 0.5))
    status, headers, body = gateway.raw(CHAT, ask("they", model="support"))
    assert (status, headers["x-leeway-model"]) == (200, "weak") and "cascade=strong_failed" in notes(headers), headers
    assert attempts_of(gateway, headers) == [("weak", 200, COST_CHEAP), ("strong", 503, 0)]


def test_beside_only_where_the_budget_has_room_for_both(gateway, upstream):
    budget = "budgets:\n  - {{name: all, scope: global, usd: {usd}, per: day}}\n"
    one, two = early(gateway, more=AFTER, budgets=budget.format(usd=0.03))
    two.play(("slow", 0.6))
    status, headers, _ = gateway.raw(CHAT, ask("hi", model="support", max_tokens=2900))
    assert (status, headers["x-leeway-model"], headers["x-leeway-attempts"], one.calls) == (200, "weak", None, 0), headers
    assert attempts_of(gateway, headers) == [("weak", 200, COST_CHEAP)]
    one, two = early(gateway, more=AFTER, budgets=budget.format(usd=0.2))
    spent = standing(gateway)["spent_pico_usd"]
    for step, answers in ((("slow", 4), "strong"), (("slow", 0.6), "weak")):
        one.play(("slow", 0.1 if answers == "strong" else 4))
        two.play(step)
        status, headers, _ = gateway.raw(CHAT, ask(f"you {answers}", model="support", max_tokens=1000))
        assert (status, headers["x-leeway-model"]) == (200, answers), headers
        # What nobody knows stays charged as it was reserved.
        rows = rows_of(gateway, headers)
        spent += sum(row["cost_pico_usd"] for row in rows)
        line = standing(gateway)
        assert len(rows) == 2 and (line["reserved_pico_usd"], line["spent_pico_usd"]) == (0, spent), (line, rows)


def test_beside_a_caller_that_leaves_ends_both(gateway, upstream):
    one, two = early(gateway, more=AFTER)
    one.play(("slow", 3))
    two.play(("slow", 3))
    leave(gateway, KEY, ask("hi", model="support"), lambda _: one.times and two.times)
    end = time.monotonic() + 3
    while not (rows := gateway.rows()) and time.monotonic() < end:
        pass
    assert [(row["attempt"], row["model"], row["end"], row["error"]) for row in rows] == [
        (1, "weak", "client_gone", "client_gone"), (2, "strong", "client_gone", "client_gone")], rows


def test_beside_a_stream_that_is_held_back(gateway, upstream):
    one, two = early(gateway, more=AFTER + ", hold_back: 3")
    # Its first tokens come late: the strong model answers, and what came is billed.
    two.behave(pauses={2: 4})
    status, headers, body, took = timed(gateway)
    assert headers["x-leeway-model"] == "strong" and took < 3 and "cascade=late" in notes(headers) and text_of(body) == ANSWER
    lost, won = rows_of(gateway, headers)
    assert (lost["status"], lost["end"]) == (200, "client_gone") and 0 < lost["cost_pico_usd"] < COST_CHEAP, lost
    # They come in time, and the rest may take as long as it likes.
    one.calls = 0
    two.behave(pauses={4: 1})
    status, headers, body, took = timed(gateway, "you")
    assert headers["x-leeway-model"] == "weak" and took >= 1 and text_of(body) == WEAK and one.calls == 0, headers
    # They convince while the strong model is at work.
    one.play(("slow", 4))
    two.behave(pauses={2: 0.6})
    status, headers, body, took = timed(gateway, "they")
    assert headers["x-leeway-model"] == "weak" and took < 3 and text_of(body) == WEAK and "cascade=early" in notes(headers), headers
    won, lost = rows_of(gateway, headers)
    assert (won["model"], won["cost_pico_usd"], lost["model"], lost["end"]) == ("weak", COST_CHEAP, "strong", "client_gone")
    # They do not, while it is.
    one.play(("slow", 0.8))
    two.behave(sure=UNSURE, pauses={2: 0.5})
    status, headers, body, took = timed(gateway, "all")
    assert headers["x-leeway-model"] == "strong" and took < 1.5 and text_of(body) == ANSWER and one.calls == 1, (took, headers)
    assert "cascade=refused_early:0.500" in notes(headers), headers


def test_beside_limits_of_time(gateway, upstream):
    one, two = early(gateway, more=AFTER)
    gateway.stop()
    gateway.config.write_text(gateway.config.read_text().replace("two: {dialect: openai,", "two: {dialect: openai, timeouts: {first_byte: 500ms},"))
    gateway.start()
    # That of the weak model's provider ends the weak model's call, and not the strong one's.
    one.play(("slow", 0.8))
    two.play(("slow", 3))
    begin = time.monotonic()
    status, headers, _ = gateway.raw(CHAT, ask("hi", model="support"))
    assert (status, headers["x-leeway-model"], one.calls) == (200, "strong", 1) and time.monotonic() - begin < 2, headers
    assert "late" not in notes(headers), headers
    assert [(row["model"], row["end"]) for row in rows_of(gateway, headers)] == [("weak", "timeout"), ("strong", "ok")]
    # The caller's own ends both.
    one.play(("slow", 3))
    two.play(("slow", 3))
    status, headers, _ = gateway.raw(CHAT, ask("you", model="support"), headers={"x-leeway-timeout": "400ms"})
    assert (status, headers["x-leeway-attempts"]) == (504, "2"), (status, headers)
    assert [(row["model"], row["end"]) for row in rows_of(gateway, headers)] == [("weak", "timeout"), ("strong", "client_gone")]
    # Also where only the strong one is left.
    one.play(("slow", 3))
    two.play(("slow", 0.3, 503))
    status, headers, _ = gateway.raw(CHAT, ask("they", model="support"), headers={"x-leeway-timeout": "600ms"})
    assert (status, headers["x-leeway-attempts"]) == (504, "2"), (status, headers)
    assert [(row["model"], row["end"]) for row in rows_of(gateway, headers)] == [("weak", "error"), ("strong", "timeout")]
