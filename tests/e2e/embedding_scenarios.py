"""Scenarios of the gateway's own embeddings: the model at the start, a model that cannot be had, reloads."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from gateway import KEY
from scenarios import Skip, ask

CHAT = "/v1/chat/completions"
MODEL = "all-minilm-l6-v2-q8_0.gguf"
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 1, state: "{state}"}}
providers:
  fake: {{dialect: openai, base_url: "{upstream}"}}
  local: {{dialect: embedded}}
models:
  gpt-4o: {{provider: fake, price: {{input: 2.50, output: 10.00}}}}
  minilm: {{provider: local, file: "{model}", price: {{input: 0, output: 0}}, tags: [embedding]}}
  far: {{provider: fake, price: {{input: 0.02, output: 0}}, tags: [embedding]}}
keys:
  - {{name: web, secret: "{key}"}}
local: {{threads: 1{local}}}
{more}
"""


def need_model():
    folder = os.environ.get("LEEWAY_MODELS") or os.path.expanduser("~/.cache/leeway/models")
    if not (pathlib.Path(folder) / MODEL).exists():
        raise Skip(f"{folder}/{MODEL} is missing: ./run fetches it, or set LEEWAY_MODELS")


def configure(gateway, upstream, more, model=MODEL, local=""):
    gateway.config.write_text(CONFIG.format(state=gateway.state, upstream=upstream.url, key=KEY, model=model, local=local,
                                            more=more))


def restart(gateway, upstream, more, **values):
    gateway.stop()
    configure(gateway, upstream, more, **values)
    gateway.start()


def reload(gateway):
    before = metric(gateway, "leeway_config_reloads_total")
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: metric(gateway, "leeway_config_reloads_total") == before + 1, "no reload")


def metric(gateway, name):
    found = re.search(rf"^{name} ([0-9.]+)$", gateway.raw("/metrics", admin=True)[2].decode(), re.M)
    return float(found.group(1)) if found else None


def wait_for(condition, what, seconds=30):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.05)  # polling, with a deadline


def threads(gateway):
    return [path.read_text().strip() for path in pathlib.Path(f"/proc/{gateway.process.pid}/task").glob("*/comm")]


def test_embeddings_load_their_model_at_the_start_where_they_are_wanted(gateway, upstream):
    need_model()
    restart(gateway, upstream, "")
    assert metric(gateway, "leeway_embedding_batches_total") == 0, "nobody needs it"
    assert "embed" in threads(gateway)
    restart(gateway, upstream, "embeddings: {model: minilm}")
    wait_for(lambda: metric(gateway, "leeway_embedding_memo_entries") == 1, "the model was not loaded")
    assert metric(gateway, "leeway_embedding_batches_failed_total") == 0
    assert "reason" not in json.loads(gateway.raw("/readyz", admin=True)[2])
    assert gateway.rows() == [], "free calls of an embedded model have no row"
    assert gateway.stop() == 0


def test_embeddings_keep_their_memo_over_reloads_that_leave_the_model(gateway, upstream):
    need_model()
    restart(gateway, upstream, "embeddings: {model: minilm}")
    wait_for(lambda: metric(gateway, "leeway_embedding_memo_entries") == 1, "the model was not loaded")
    configure(gateway, upstream, "embeddings: {model: minilm, timeout: 80ms}\nidempotency: {ttl: 1h}")
    reload(gateway)
    assert metric(gateway, "leeway_embedding_memo_entries") == 1
    assert metric(gateway, "leeway_embedding_batches_total") == 1, "it is loaded"
    configure(gateway, upstream, "embeddings: {model: minilm}", local=", context: 256")
    reload(gateway)  # texts are cut elsewhere: other vectors
    wait_for(lambda: metric(gateway, "leeway_embedding_batches_total") == 2, "the new model was not loaded")
    configure(gateway, upstream, "embeddings: {model: far}")
    reload(gateway)
    assert metric(gateway, "leeway_embedding_memo_entries") == 0
    assert metric(gateway, "leeway_embedding_batches_total") == 2, "a provider is not asked for nothing"
    assert gateway.stop() == 0


def test_embeddings_that_cannot_be_had_leave_the_gateway_serving(gateway, upstream):
    restart(gateway, upstream, "embeddings: {model: minilm}", model="no-such-file.gguf")
    wait_for(lambda: metric(gateway, "leeway_embedding_batches_failed_total") == 1, "no failure")
    status, _, body = gateway.raw("/readyz", admin=True)
    assert status == 200, status
    assert "no embeddings" in json.loads(body)["reason"] and "no-such-file" in json.loads(body)["reason"], body
    assert gateway.raw(CHAT, ask("hi"))[0] == 200
    assert gateway.stop() == 0


def test_embeddings_are_checked_in_the_configuration(gateway, upstream):
    for more, expected in (("embeddings: {model: mini}", "minilm"), ("embeddings: {batch: 0}", "batch"),
                           ("embeddings: {memo: lots}", "memo"), ("embeddings: {tiemout: 1s}", "timeout")):
        configure(gateway, upstream, more)
        run = subprocess.run([gateway.binary, "check", "--config", str(gateway.config)], capture_output=True, text=True)
        assert run.returncode != 0 and expected in run.stdout + run.stderr, (more, run.stdout, run.stderr)
