"""Counts of tokens for models without a public tokenizer are learned from what their provider reports, kept over restarts, and
a table in the configuration names vocabularies of other models.
"""
import http.server
import json
import os
import random
import signal
import subprocess
import threading
import time

from scenarios import Skip

WORDS = ("price of gateways token budget 2026 harbour, forty-two; function(x) { return x * 1000; } Übermut 航海 \"quoted\" "
         "invoice #88121 ledger stream caches prompt weather").split(" ")


class AnthropicServer:
    """Speaks Messages and reports the input tokens that the test has said."""

    def __init__(self):
        outer = self
        self.input_tokens = 1

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                # Cached and freshly written parts count as well: together they are the prompt.
                read, written = outer.input_tokens // 4, outer.input_tokens // 8
                usage = {"input_tokens": outer.input_tokens - read - written, "cache_read_input_tokens": read,
                         "cache_creation_input_tokens": written, "output_tokens": 9}
                message = {"id": "msg_1", "type": "message", "role": "assistant", "model": request["model"],
                           "content": [{"type": "text", "text": "Fine."}], "stop_reason": "end_turn", "stop_sequence": None,
                           "usage": usage}
                kind, body = "application/json", json.dumps(message).encode()
                if request.get("stream"):
                    events = [{"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
                              {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                              {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Fine."}},
                              {"type": "content_block_stop", "index": 0},
                              {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
                              {"type": "message_stop"}]
                    kind = "text/event-stream"
                    body = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def shutdown(self):
        self.server.shutdown()
        self.server.server_close()


def restart_with(gateway, providers="", models="", more=""):
    text = gateway.config.read_text().replace("providers:\n", "providers:\n" + providers, 1)
    gateway.config.write_text(text.replace("models:\n", "models:\n" + models, 1) + more)
    gateway.stop()
    gateway.start()


def requests_of(seed, count):
    """Texts of a few words to some thousand."""
    rng = random.Random(seed)
    for _ in range(count):
        size = int(4 * 2 ** rng.uniform(0, 9))
        yield ("Answer in one sentence.", " ".join(rng.choice(WORDS) for _ in range(size)))


def prior(gateway, system, text, model="claude-sonnet-4-5"):
    """What we count for the request when nothing was learned."""
    body = json.dumps({"model": "m", "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]})
    run = subprocess.run([gateway.binary, "tokens", "--request", "--json", "--model", model], input=body.encode(),
                         capture_output=True, timeout=60, env={**os.environ, "NO_COLOR": "1"})
    assert run.returncode == 0, run.stderr
    (row,) = json.loads(run.stdout)["models"]
    assert row["quality"] == "heuristic" and row["low"] < row["count"] < row["high"], row
    return row["count"]


def ask(gateway, model, system, text, stream=False):
    status, _, answer = gateway.raw("/v1/messages", {"model": model, "max_tokens": 50, "system": system, "stream": stream,
                                                     "messages": [{"role": "user", "content": text}]},
                                    headers={"anthropic-version": "2023-06-01"})
    assert status == 200, answer


def count(gateway, model, system, text):
    """(tokens, quality, low, high) of count_tokens."""
    status, headers, answer = gateway.raw("/v1/messages/count_tokens", {
        "model": model, "system": system, "messages": [{"role": "user", "content": text}]})
    assert status == 200, answer
    low, _, high = (headers["x-leeway-count-interval"] or "-").partition("-")
    return json.loads(answer)["input_tokens"], headers["x-leeway-count-quality"], low, high


def metric(gateway, name, family):
    _, _, text = gateway.raw("/metrics", admin=True)
    for line in text.decode().splitlines():
        if line.startswith(f'{name}{{family="{family}"}} '):
            return float(line.split()[-1])
    return None


def wait_for(true_when, seconds=20):
    """The learner works on a thread of its own."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if true_when():
            return
        time.sleep(0.05)
    raise AssertionError("did not come in time")


def teach(gateway, server, factor, seed, number):
    for index, (system, text) in enumerate(requests_of(seed, number)):
        server.input_tokens = round(factor * prior(gateway, system, text))
        ask(gateway, "claude", system, text, stream=index % 2 == 1)


def close(gateway, factor, seed, within):
    """Whether what count_tokens says of requests that were never sent is near what the provider would report."""
    for system, text in requests_of(seed, 6):
        truth = factor * prior(gateway, system, text)
        tokens, quality, low, high = count(gateway, "claude", system, text)
        if quality != "calibrated" or abs(tokens - truth) > within * truth:
            return False
        assert int(low) <= truth <= int(high), (low, truth, high)
    return True


def test_calibration_counts_follow_what_the_provider_reports_also_after_a_restart(gateway, upstream):
    server = AnthropicServer()
    try:
        restart_with(gateway, f'  claude-api: {{dialect: anthropic, base_url: "{server.url}", api_key: sk-a}}\n',
                     "  claude: {provider: claude-api, name: claude-sonnet-4-5, price: {input: 3, output: 15}}\n")
        first = next(requests_of(9, 1))
        tokens, quality, low, high = count(gateway, "claude", *first)
        assert quality == "heuristic" and tokens == prior(gateway, *first) and int(low) < tokens < int(high), (quality, low)

        teach(gateway, server, 1.3, seed=1, number=24)
        wait_for(lambda: metric(gateway, "leeway_calibration_reports", "claude-3") == 24)
        assert close(gateway, 1.3, seed=2, within=0.05)
        assert metric(gateway, "leeway_calibration_relative_error", "claude-3") < 0.1
        assert metric(gateway, "leeway_calibration_drifts_total", "claude-3") == 0
        assert "are calibrated" in gateway.log.read_text()

        gateway.stop()
        system, text = next(requests_of(2, 1))
        body = gateway.folder / "request.json"
        body.write_text(json.dumps({"messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]}))
        (row,) = json.loads(gateway.cli("tokens", "--request", "--json", "--model", "claude", str(body)))["models"]
        assert row["quality"] == "calibrated" and abs(row["count"] / prior(gateway, system, text) - 1.3) < 0.07, row
        estimate = json.loads(gateway.cli("estimate", "--json", "--models", "claude", str(body)))
        assert estimate["models"][0]["input_tokens"]["quality"] == "calibrated", estimate
        gateway.start()
        assert close(gateway, 1.3, seed=3, within=0.05)

        # The provider changes its tokenizer: told once, and learned anew.
        teach(gateway, server, 0.9, seed=4, number=30)
        wait_for(lambda: close(gateway, 0.9, seed=5, within=0.05))
        assert gateway.log.read_text().count("may have changed the tokenizer") == 1, gateway.log.read_text()
        assert metric(gateway, "leeway_calibration_drifts_total", "claude-3") == 1

        # A damaged file costs what was learned, not the start.
        gateway.stop()
        (gateway.state / "calibration.json").write_text('{"version":1,"families":[{"key":"claude-3"}]}')
        gateway.start()
        assert count(gateway, "claude", *first)[1] == "heuristic"
        assert "learned anew" in gateway.log.read_text()
    finally:
        server.shutdown()


def test_calibration_a_cut_stream_is_counted_as_learned_and_says_so(gateway, upstream):
    restart_with(gateway, models="  odd: {provider: fake, name: some-new-model, price: {input: 1, output: 2}}\n")
    chat = {"model": "odd", "messages": [{"role": "user", "content": "hello " * 400}]}
    for index in range(12):
        status, _, answer = gateway.raw("/v1/chat/completions", {**chat, "user": str(index)})
        assert status == 200, answer
    wait_for(lambda: metric(gateway, "leeway_calibration_reports", "model some-new-model") == 12)
    cut = {"model": "odd", "stream": True, "messages": [{"role": "user", "content": "hello " * 400},
                                                       {"role": "user", "content": "cut"}]}
    gateway.raw("/v1/chat/completions", cut)
    row = gateway.rows()[-1]
    assert row["usage"]["state"] == "partial" and row["usage"]["quality"] == "calibrated", row
    assert 900 < row["usage"]["prompt_tokens"] < 1100, row  # 1000 is what this provider always reports


def test_tokenizers_of_the_configuration_name_vocabularies_by_wildcards(gateway, upstream):
    folder = os.environ.get("LEEWAY_VOCABULARIES", "")
    file = os.path.join(folder, "cl100k_base.vocabulary")
    if not os.path.exists(file):
        raise Skip("there is no cl100k_base.vocabulary in LEEWAY_VOCABULARIES (tools/setup.sh)")
    plain = gateway.config.read_text()
    models = ("  my-llama-8b: {provider: fake}\n  my-llama-big: {provider: fake}\n"
              "  fixed: {provider: fake, name: my-llama-fixed, vocabulary: o200k_base}\n")
    text = plain.replace("models:\n", "models:\n" + models, 1)
    gateway.config.write_text(text)
    gateway.stop()
    gateway.start()
    words = ("Be brief.", "The gross weight of 1000 containers")
    assert count(gateway, "my-llama-8b", *words)[1] == "heuristic"

    def reload(more, wanted):
        before = gateway.log.read_text().count(wanted)
        gateway.config.write_text(text + more)
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: gateway.log.read_text().count(wanted) > before)

    linked = gateway.folder / "vocabularies" / "mine.vocabulary"
    linked.parent.mkdir()
    linked.symlink_to(file)
    table = ("tokenizers:\n"
             "  - {match: my-llama-big, vocabulary: o200k_base}\n"
             f'  - {{match: "my-llama-*", vocabulary: "./vocabularies/mine.vocabulary"}}\n')
    reload(table, "configuration loaded")
    exact = {}
    for model in ("my-llama-8b", "my-llama-big", "fixed"):
        tokens, _, low, _ = count(gateway, model, *words)
        assert low == "", "an exact vocabulary has no interval"
        exact[model] = tokens
    shown = json.loads(gateway.cli("tokens", "--json", "--model", "my-llama-8b,my-llama-big,fixed,gpt-4o",
                                   write(gateway, words[1])))["models"]
    assert [row["vocabulary"].split("/")[-1] for row in shown] == [
        "mine.vocabulary", "o200k_base", "o200k_base", "o200k_base"], shown
    assert [row["quality"] for row in shown] == ["exact"] * 4, shown

    reload("tokenizers:\n  - {match: \"my-llama-*\", vocabulary: ./vocabularies/none.gguf}\n", "is refused")
    line = len(text.splitlines()) + 2
    assert f"leeway.yaml:{line}:" in gateway.log.read_text() and "none.gguf" in gateway.log.read_text()
    assert count(gateway, "my-llama-8b", *words)[0] == exact["my-llama-8b"], "the old table stays"


def write(gateway, text):
    path = gateway.folder / "text.txt"
    path.write_text(text)
    return str(path)
