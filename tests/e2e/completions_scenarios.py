"""Legacy completions (`POST /v1/completions`): passed byte for byte, metered and priced like chat."""
import json

import openai

from bad_input import restart
from dialect_provider import DialectProvider
from dialect_scenarios import configure
from gateway import KEY
from scenarios import PICO_INPUT, PICO_OUTPUT

PATH = "/v1/completions"
TEXT = "Hello from the fake provider"
# Of what fake_provider.USAGE says: 800 fresh, 200 cached input, 100 output.
COST_4O = 800 * PICO_INPUT + 200 * 1_250_000 + 100 * PICO_OUTPUT


def sdk(gateway):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)


def test_completions_pass_byte_for_byte_and_are_priced(gateway, upstream):
    body = (b'{ "model":"cheap" , "prompt":["one", "two"],"suffix":"\\u0041","echo":true,"logprobs" : 2, "max_tokens":7,'
            b'"temperature": 0, "unknown":{"a":[1.50, 2e0]} }')
    for _ in range(2):  # not from the cache: it keeps answers of chat
        status, headers, answer = gateway.raw(PATH, body)
        assert status == 200 and upstream.bodies[-1] == body, upstream.bodies[-1]
        told = json.loads(answer)
        assert [choice["text"] for choice in told["choices"]] == ["one" + TEXT, "two" + TEXT], told
        assert told["object"] == "text_completion" and headers["x-leeway-model"] == "cheap"
    assert upstream.calls == 2
    answer = sdk(gateway).completions.create(model="gpt-4o", prompt="hello", max_tokens=5)
    assert answer.choices[0].text == TEXT and answer.choices[0].finish_reason == "length"
    assert json.loads(upstream.bodies[-1])["model"] == "upstream-4o"
    row = gateway.rows()[-1]
    assert row["endpoint"] == "completions" and row["cost_pico_usd"] == COST_4O, row


def test_completions_stream_with_usage_asked_for_and_hidden(gateway, upstream):
    for wanted in (False, True):
        more = {"stream_options": {"include_usage": True}} if wanted else {}
        chunks = list(sdk(gateway).completions.create(model="gpt-4o", prompt="hello", stream=True, **more))
        assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == TEXT
        assert bool([chunk for chunk in chunks if getattr(chunk, "usage", None)]) == wanted
        row = gateway.rows()[-1]
        assert row["end"] == "ok" and row["stream"] and row["cost_pico_usd"] == COST_4O, row
    # The provider bills what it made until a cut, so it is counted; where the prompt is echoed it cannot be.
    for echo, state in ((False, "partial"), (True, None)):
        status, _, answer = gateway.raw(PATH, {"model": "gpt-4o", "prompt": "cut", "stream": True, "echo": echo})
        assert status == 200 and b"upstream_stream_cut" in answer, answer
        row = gateway.rows()[-1]
        assert row["end"] == "cut" and (row["usage"] or {}).get("state") == state, row
        assert (row["cost_pico_usd"] is None) == echo, "unknown is not 0"


def test_completions_under_a_budget(gateway, upstream):
    restart(gateway, ("keys:\n", "budgets:\n  - {name: all, scope: global, usd: 1, per: month}\nkeys:\n"))
    assert gateway.raw(PATH, {"model": "cheap", "prompt": "hello"})[0] == 200
    assert json.loads(upstream.bodies[-1]) == {"model": "cheap", "prompt": "hello", "max_tokens": 16}
    # A stream that goes on beyond its limit is stopped, but not for the prompt that it repeats.
    for echo, max_tokens, whole in ((False, 20, False), (True, 20, True), (True, 0, True)):
        body = {"model": "gpt-4o", "prompt": "words 300", "stream": True, "max_tokens": max_tokens, "echo": echo}
        status, _, answer = gateway.raw(PATH, body)
        assert status == 200 and (b"[DONE]" in answer) == whole, answer[-300:]
        assert (b"budget_exceeded" in answer) != whole


def test_completions_only_where_the_provider_has_them(gateway, upstream):
    provider = DialectProvider()
    configure(gateway, provider)
    for name in ("anthropic", "gemini", "responses"):
        status, _, answer = gateway.raw(PATH, {"model": f"m-{name}", "prompt": "hello"})
        error = json.loads(answer)["error"]
        assert status == 400 and error["code"] == "untranslatable" and "gives no completions here" in error["message"], answer
    status, _, answer = gateway.raw(PATH, {"model": "cheap", "prompt": []})
    assert status == 400 and json.loads(answer)["error"]["param"] == "prompt"
    assert gateway.raw(PATH, {"model": "cheap", "prompt": "hello"}, key="wrong-key-0123456789")[0] == 401
    assert upstream.calls == 0
