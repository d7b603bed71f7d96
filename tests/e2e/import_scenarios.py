"""`leeway import`: configurations of LiteLLM and Portkey become one that `check` accepts and that serves."""
import json
import os
import pathlib
import subprocess

from gateway import KEY
from scenarios import ask

CHAT = "/v1/chat/completions"
EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "import"
LITELLM = """\
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/upstream-4o
      api_base: {upstream}
      api_key: sk-in-the-file
      input_cost_per_token: 2.5e-06
      cache_read_input_token_cost: 0.00000125
      output_cost_per_token: 1e-05
  - model_name: gpt-4o
    litellm_params: {{model: openai/other, api_base: "{upstream}", api_key: os.environ/E2E_OTHER_KEY, rpm: 5}}
router_settings:
  model_group_alias: {{chat: gpt-4o}}
litellm_settings: {{cache: true, cache_params: {{type: local, ttl: 60}}, max_budget: 5, budget_duration: 1d}}
general_settings: {{master_key: os.environ/E2E_MASTER_KEY}}
"""
VARIABLES = {"E2E_OTHER_KEY": "sk-other", "E2E_MASTER_KEY": KEY, "OPENAI_API_KEY": "sk-upstream"}
# 800 fresh tokens, 200 from the cache, 100 of output: see fake_provider.USAGE.
COST_PICO = 800 * 2_500_000 + 200 * 1_250_000 + 100 * 10_000_000


def run(gateway, *arguments, variables=None):
    return subprocess.run([gateway.binary, *arguments], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "NO_COLOR": "1", **(variables or {})})


def serve(gateway, config):
    """Serves an imported configuration on free ports, with the variables that it needs."""
    head = f'server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 1, state: "{gateway.state}"}}\n'
    gateway.stop()
    gateway.config.write_text(head + config)
    os.environ.update(VARIABLES)
    try:
        gateway.start()
    finally:
        for name in VARIABLES:
            del os.environ[name]


def test_import_of_litellm_serves(gateway, upstream):
    source = gateway.folder / "config.yaml"
    made = gateway.folder / "made.yaml"
    source.write_text(LITELLM.format(upstream=upstream.url))
    done = run(gateway, "import", "litellm", str(source), "--output", str(made))
    assert done.returncode == 0 and done.stdout == "", done
    assert f"{source}:11: not carried over: model_list[1].litellm_params.rpm:" in done.stderr, done.stderr
    assert "OPENAI_API_KEY" in done.stderr and "sk-in-the-file" not in done.stderr + made.read_text()
    checked = run(gateway, "check", "--config", str(made), variables=VARIABLES)
    assert checked.returncode == 0, checked
    again = run(gateway, "import", "litellm", str(source), "--output", str(made))
    assert again.returncode == 1 and "cannot be written" in again.stderr, "a file that is there stays"
    serve(gateway, made.read_text())
    for model, cache in (("gpt-4o", "miss"), ("chat", "exact")):
        status, headers, body = gateway.raw(CHAT, {**ask("hello", max_tokens=50), "model": model})
        assert status == 200 and headers["x-leeway-cache"] == cache, (headers.items(), body)
    assert json.loads(upstream.bodies[-1])["model"] == "upstream-4o" and upstream.calls == 1
    assert gateway.rows()[0]["cost_pico_usd"] == COST_PICO, gateway.rows()
    assert gateway.raw(CHAT, ask("x"), key="sk-in-the-file-0000")[0] == 401


def test_import_of_portkey_serves(gateway, upstream):
    source = gateway.folder / "config.json"
    source.write_text(json.dumps({"strategy": {"mode": "fallback"}, "targets": [
        {"provider": "openai", "api_key": "sk-in-the-file", "custom_host": upstream.url,
         "override_params": {"model": "upstream-4o"}}, {"provider": "bedrock"}]}))
    done = run(gateway, "import", "portkey", str(source), "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and done.stderr == "" and told["variables"] == ["OPENAI_API_KEY"], done
    assert [one["from"] for one in told["not_carried"]] == ["targets[1]"], told
    serve(gateway, told["config"])
    status, headers, body = gateway.raw(CHAT, {**ask("hello"), "model": "portkey"}, key=None)
    assert status == 200 and headers["x-leeway-model"] == "upstream-4o", body


def test_import_says_how_it_went(gateway, upstream):
    for name, file in (("litellm", EXAMPLES / "litellm" / "team.yaml"), ("portkey", EXAMPLES / "portkey" / "nested.json")):
        assert run(gateway, "import", name, str(file)).returncode == 0
        strict = run(gateway, "import", name, str(file), "--strict")
        assert strict.returncode == 1 and strict.stdout.startswith("# Made by")
    minimal = run(gateway, "import", "litellm", str(EXAMPLES / "litellm" / "minimal.yaml"), "--strict")
    assert minimal.returncode == 0, minimal.stderr
    broken = gateway.folder / "broken.yaml"
    broken.write_text("model_list: [\n")
    for arguments in (("litellm", str(broken)), ("portkey", str(broken)), ("litellm", "/nowhere.yaml"), ("litellm",)):
        failed = run(gateway, "import", *arguments)
        assert failed.returncode == 2 and failed.stdout == "", failed
