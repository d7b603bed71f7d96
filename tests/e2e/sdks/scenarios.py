"""What every SDK is put through. Each function gets a Cell (matrix.py) and fails where the caller or the provider does not
get what the other said."""
import json
import time

from dialect_provider import CALLS, FORM, REQUEST_ID, TEXT
from vectors import VECTOR

from .client import RESULT
from .matrix import EMBED_TARGETS, scenario

WHOLE = "".join(TEXT)
USAGE = (1000, 200, 100)
PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
PDF = "JVBERi0xLjQKJSVFT0YK"
ODD = "Grüße 😀👩‍🚀 a\u2028b\u2029c 𝒳 \"q\" \\n </s> \t" + "長い文 " * 50 + "end"

# Where each dialect has what callers say; None: it has no place there and is left out.
PLACES = {
    "temperature": {"chat": "temperature", "responses": "temperature", "anthropic": "temperature",
                    "gemini": "generationConfig.temperature"},
    "top_p": {"chat": "top_p", "responses": "top_p", "anthropic": "top_p", "gemini": "generationConfig.topP"},
    "seed": {"chat": "seed", "responses": None, "anthropic": None, "gemini": "generationConfig.seed"},
    "stop": {"chat": "stop", "responses": None, "anthropic": "stop_sequences", "gemini": "generationConfig.stopSequences"},
    "max_tokens": {"chat": "max_completion_tokens|max_tokens", "responses": "max_output_tokens", "anthropic": "max_tokens",
                   "gemini": "generationConfig.maxOutputTokens"},
    "user": {"chat": "user", "responses": "user", "anthropic": "metadata.user_id", "gemini": None},
}


def at(node, path):
    """The value at `a.b` or, with `a|b`, at the first that is there."""
    for way in path.split("|"):
        value = node
        for name in way.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def same(came, expected):
    assert came == expected, f"{came!r:.300} is not {expected!r:.300}"


def whole(answer, text=WHOLE, calls=(), stop="end"):
    same(answer.text, text)
    same([tuple(call[1:]) for call in answer.calls], [tuple(call[1:]) for call in calls])
    same(answer.stop, stop)
    same((answer.usage[0], answer.usage[2]), (USAGE[0], USAGE[2]))
    assert answer.usage[1] in (USAGE[1], None), answer.usage


# ---------------------------------------------------------------- chat
@scenario("chat")
def text(c):
    whole(c.ask("hello"))


@scenario("chat")
def system(c):
    whole(c.ask("hello", system="Be brief."))
    assert "Be brief." in json.dumps(c.sent), c.sent


@scenario("chat", "developer")
def developer(c):
    whole(c.ask("hello", system="Be brief.", system_role="developer"))
    assert "Be brief." in json.dumps(c.sent), c.sent


@scenario("chat")
def several_turns(c):
    whole(c.ask("third", turns=[["user", "first"], ["assistant", "second"]]))
    said = json.dumps(c.sent)
    assert 0 < said.index("first") < said.index("second") < said.index("third"), said


@scenario("chat")
def odd_text(c):
    text = ODD * 40  # more than one read of a socket brings
    same(c.ask("echo " + text).text, text)


@scenario("chat")
def escaped_text(c):
    same(c.ask("escape " + ODD).text, ODD)


@scenario("chat", "request_id")
def request_id(c):
    answer = c.ask("hello")
    assert answer.request_id and (answer.request_id == REQUEST_ID or not c.same), answer.request_id


# ---------------------------------------------------------------- streams
@scenario("stream")
def streamed_text(c):
    answer = c.stream("hello")
    whole(answer)
    assert answer.pieces >= 3, answer.pieces


@scenario("stream")
def streamed_odd_text(c):
    same(c.stream("echo " + ODD).text, ODD)


@scenario("stream")
def streamed_escaped_text(c):
    same(c.stream("escape " + ODD).text, ODD)


@scenario("stream", "quiet_stream")
def no_usage_unasked(c):
    assert not any(c.client.quiet_stream(c.request("hello")))


# ---------------------------------------------------------------- tools
@scenario("tools")
def parallel_tools(c):
    answer = c.ask("tool", tools=True)
    whole(answer, "I look.", CALLS, "tool")
    # Google's own calls have no ids, and its bytes stay as they are.
    assert c.target == "gemini" and c.same or len({call[0] for call in answer.calls}) == 2, answer.calls


@scenario("tools")
def streamed_tool_arguments(c):
    whole(c.stream("tool", tools=True), "I look.", CALLS, "tool")


@scenario("tools")
def a_tool_without_arguments(c):
    whole(c.ask("no args", tools=True), "", [("", "ping", {})], "tool")


@scenario("tools")
def streamed_tool_without_arguments(c):
    whole(c.stream("no args", tools=True), "", [("", "ping", {})], "tool")


@scenario("tools")
def tool_results(c):
    whole(c.ask("and now?", calls=CALLS, tools=True))
    said = json.dumps(c.sent)
    assert said.count(RESULT) == 2 and "Oslo" in said, said


@scenario("tools")
def an_agent_in_two_turns(c):
    first = c.ask("tool", tools=True)
    ids = [(call[0] or f"call_{i}", *call[1:]) for i, call in enumerate(first.calls)]
    whole(c.stream("and now?", calls=ids, tools=True))
    same(len(c.calls), 2)


@scenario("tools", "loop")
def an_agent_loop_of_the_sdk(c):
    same(c.client.loop(c.request("tool")), WHOLE)
    same(len(c.calls), 2)
    assert json.dumps(c.sent).count(RESULT) == 2, c.sent


@scenario("tools", "tool_choice")
def a_forced_tool(c):
    answer = c.ask("hello", tools=True, tool_choice="get_weather")
    same([call[1:] for call in map(tuple, answer.calls)], [("get_weather", {"city": "Oslo"})])
    choice = json.dumps(c.sent.get("tool_choice") or c.sent.get("toolConfig"))
    assert "get_weather" in choice, choice


@scenario("tools", "tool_choice")
def some_tool(c):
    c.ask("hello", tools=True, tool_choice="required")
    choice = json.dumps(c.sent.get("tool_choice") or c.sent.get("toolConfig"))
    assert any(word in choice for word in ("required", "any", "ANY")), choice


@scenario("tools", "parallel_off")
def one_call_at_a_time(c):
    c.ask("hello", tools=True, parallel=False)
    if c.target in ("chat", "responses"):
        same(c.sent["parallel_tool_calls"], False)
    elif c.target == "anthropic":
        same(c.sent["tool_choice"]["disable_parallel_tool_use"], True)


# ---------------------------------------------------------------- structured output
@scenario("structured", "structured")
def parsed_by_the_sdk(c):
    same(c.client.structured(c.request("json")), FORM)


@scenario("structured", "structured_stream")
def parsed_from_a_stream(c):
    same(c.client.structured_stream(c.request("json")), FORM)


@scenario("structured", "schema")
def a_schema_reaches_the_provider(c):
    same(json.loads(c.ask("json", schema=True).text), FORM)
    assert "degrees" in json.dumps(c.sent), c.sent


@scenario("structured", "again")
def asked_again_when_it_does_not_fit(c):
    same(c.client.structured(c.request("json twice")), FORM)
    same(len(c.calls), 2)


# ---------------------------------------------------------------- pictures and documents
@scenario("media", "image")
def a_picture(c):
    whole(c.ask("what is it?", image="data:image/png;base64," + PNG))
    assert PNG in json.dumps(c.sent), c.sent


@scenario("media", "image")
def a_picture_streamed(c):
    whole(c.stream("what is it?", image="data:image/png;base64," + PNG))
    assert PNG in json.dumps(c.sent), c.sent


@scenario("media", "image", "image_url")
def a_picture_by_address(c):
    whole(c.ask("what is it?", image="https://example.com/a.png"))
    assert "https://example.com/a.png" in json.dumps(c.sent), c.sent


@scenario("media", "document")
def a_document(c):
    whole(c.ask("what is it?", document="data:application/pdf;base64," + PDF))
    assert PDF in json.dumps(c.sent), c.sent


# ---------------------------------------------------------------- thinking
@scenario("thinking", "thought")
def a_thought(c):
    answer = c.ask("think", think="medium")
    whole(answer, "Done.")
    same(answer.thought, "Let me see.")


@scenario("thinking", "thought")
def a_streamed_thought(c):
    answer = c.stream("think", think="medium")
    whole(answer, "Done.")
    same(answer.thought, "Let me see.")


@scenario("thinking", "think")
def effort_reaches_the_provider(c):
    c.ask("think", think="medium")
    place = {"chat": "reasoning_effort", "responses": "reasoning", "anthropic": "thinking",
             "gemini": "generationConfig.thinkingConfig"}[c.target]
    assert at(c.sent, place), c.sent


@scenario("thinking", "signature", same=True)
def a_signature_goes_round(c):
    answer = c.ask("think", think="medium")
    same(answer.signature, "c2lnbmVk")
    c.ask("and now?", think="medium", thoughts=[answer.thought, answer.signature])
    assert "c2lnbmVk" in json.dumps(c.sent), c.sent


# ---------------------------------------------------------------- fields
def field(name, value):
    def run(c):
        whole(c.ask("hello", **{name: value}))
        place = PLACES[name][c.target]
        if place:
            same(at(c.sent, place), value)
        else:
            assert str(value) not in json.dumps({k: v for k, v in c.sent.items() if k not in ("messages", "input")}), c.sent
    run.__name__ = name
    scenario("fields", name)(run)


for _name, _value in (("temperature", 0.25), ("top_p", 0.5), ("seed", 77), ("stop", ["END"]), ("max_tokens", 321),
                      ("user", "user-4711")):
    field(_name, _value)


@scenario("fields", "metadata", same=True)
def metadata(c):
    whole(c.ask("hello", metadata={"team": "blue"}))
    same(c.sent["metadata"], {"team": "blue"})


@scenario("fields", "extra", same=True)
def unknown_fields_pass(c):
    whole(c.ask("hello", extra={"x_new": {"a": [1.50, None]}}))
    same(c.sent["x_new"], {"a": [1.5, None]})


@scenario("fields", "extra")
def unknown_fields_do_no_harm(c):
    whole(c.ask("hello", extra={"x_new": {"a": [1.50, None]}}))


# ---------------------------------------------------------------- how answers end
@scenario("ends")
def cut_by_length(c):
    whole(c.ask("length"), "half an ans", stop="length")


@scenario("ends")
def streamed_cut_by_length(c):
    whole(c.stream("length"), "half an ans", stop="length")


@scenario("ends", "empty")
def empty(c):
    whole(c.ask("empty"), "")


@scenario("ends", "empty", "empty_stream")
def streamed_empty(c):
    whole(c.stream("empty"), "")


def refused(answer):
    assert answer.stop == "refusal" or answer.refusal, answer
    assert answer.text or answer.refusal or answer.stop == "refusal", answer


@scenario("ends", "refusal")
def refusal(c):
    refused(c.ask("refuse"))


@scenario("ends", "refusal", "refusal_stream")
def streamed_refusal(c):
    refused(c.stream("refuse"))


# ---------------------------------------------------------------- errors
def error(status):
    def run(c):
        for call in (c.ask, c.stream):
            failure = c.fails(lambda call=call: call(f"error {status}"))
            assert failure.name == c.client.classes[status], failure
            assert failure.status == status and "as you wish" in failure.message, failure
            if "error_id" not in c.client.lacks:
                assert failure.request_id and (failure.request_id == REQUEST_ID or not c.same), failure
    run.__name__ = f"status_{status}"
    scenario("errors")(run)


for _status in (400, 401, 403, 404, 429, 500, 529):
    error(_status)


@scenario("errors")
def unknown_model(c):
    failure = c.fails(lambda: c.client.ask({**c.request("hello"), "model": "nobody"}))
    assert failure.name == c.client.classes[404] and failure.status == 404 and "nobody" in failure.message, failure


@scenario("errors")
def a_cut_stream_is_no_answer(c):
    c.fails(lambda: c.stream("cut"))


@scenario("errors")
def an_error_in_the_stream(c):
    failure = c.fails(lambda: c.stream("overloaded"))
    assert "overloaded" in failure.message.lower() or "in_band_text" in c.client.lacks, failure


# ---------------------------------------------------------------- resilience
@scenario("resilience", "cancel")
def cancelled_stream_ends_upstream(c):
    c.client.cancel(c.request("endless"))
    c.wait_for(lambda: c.tag in c.provider.server.hang_ups)


@scenario("resilience")
def timeout_of_the_caller(c):
    begun = time.monotonic()
    failure = c.fails(lambda: c.ask("slow", timeout=0.4))
    assert failure.name == c.client.timeout_class, failure
    assert time.monotonic() - begun < 2.5, "not its own time-out"
    c.wait_for(lambda: c.tag in c.provider.server.hang_ups)  # nobody pays for what nobody waits for


@scenario("resilience", "retry")
def retries_of_the_sdk(c):
    begun = time.monotonic()
    whole(c.ask("flaky", retries=2))
    same(len(c.calls), 2)
    assert "timely_retry" in c.client.lacks or time.monotonic() - begun > 0.9, "Retry-After was not heeded"


@scenario("resilience", "should_retry")
def no_retry_where_the_provider_says_so(c):
    failure = c.fails(lambda: c.ask("firm", retries=2))
    same((failure.status, len(c.calls)), (500, 1))


@scenario("resilience")
def many_at_once(c):
    for _ in range(3):
        same(c.stream("hello").text, WHOLE)


# ---------------------------------------------------------------- lists and counts
@scenario("lists", "models", same=True)
def models(c):
    names = c.client.models()
    assert {f"m-{name}" for name in ("chat", "anthropic", "gemini", "responses")} <= set(names), names


@scenario("lists", "count", same=True)
def counted_tokens(c):
    assert 3 < c.client.count({**c.request("Hello, world"), "model": "m-exact"}) < 40


@scenario("lists", "embed", same=True)
def embeddings(c):
    for target in EMBED_TARGETS:
        same(c.client.embed(f"m-{target}", [f"a cat for {c.tag}", "a dog"]), [VECTOR] * 2)
        same(c.client.embed(f"m-{target}", [f"alone for {c.tag}"]), [VECTOR])
