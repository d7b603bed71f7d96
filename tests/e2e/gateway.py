"""Starts the real gateway on free ports and a state folder of its own."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

KEY = "lw-e2e-0123456789abcdef"
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 2, state: "{state}"}}
providers:
  fake: {{dialect: openai, base_url: "{upstream}", api_key: sk-upstream-secret, timeouts: {{first_byte: 2s}}}}
  local: {{dialect: embedded}}
models:
  gpt-4o: {{provider: fake, name: upstream-4o, price: {{input: 2.50, cached_input: 1.25, output: 10.00}}}}
  cheap: {{provider: fake, price: {{input: 0.15, cached_input: 0.075, output: 0.60}}}}
  unpriced: {{provider: fake}}
  smollm2: {{provider: local, file: smollm2-135m-instruct-q4_1.gguf, price: {{input: 0, output: 0}}}}
  minilm: {{provider: local, file: all-minilm-l6-v2-q8_0.gguf, price: {{input: 0, output: 0}}}}
routes:
  default: {{stages: [exact_cache], cache: {{exact: auto}}}}
  support: {{model: cheap, baseline: gpt-4o, stages: [exact_cache], cache: {{exact: auto}}}}
keys:
  - {{name: web, secret: "{key}"}}
  - {{name: narrow, secret: "{key}-narrow", models: [cheap], requests_per_minute: 3}}
"""


class Gateway:
    """`config` is formatted with state, upstream and key; `before` are words in front of the program, as of `env` or `prlimit`."""

    def __init__(self, binary, folder, upstream, config=CONFIG, before=()):
        self.binary = binary
        self.before = list(before)
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.config = self.folder / "leeway.yaml"
        self.config.write_text(config.format(state=self.state, upstream=upstream, key=KEY))
        self.log = self.folder / "log.txt"
        self.process = None
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen([*self.before, self.binary, "serve", "--config", str(self.config)], stderr=log)
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            found = re.search(r'serves on (\S+) .*admin on ([^\s\\"]+)', self.log.read_bytes()[begin:].decode())
            if found:
                self.url, self.admin = found.group(1), found.group(2)
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)  # polling for a start, with a deadline
        raise RuntimeError("the gateway did not start:\n" + self.log.read_text())

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=60)

    def raw(self, path, body=None, key=KEY, headers=None, admin=False):
        """(status, headers, body) of a request; never raises for a status."""
        all_headers = {"content-type": "application/json", **(headers or {})}
        if key:
            all_headers["authorization"] = f"Bearer {key}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request((self.admin if admin else self.url) + path, data, all_headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, answer.read()

    def cli(self, *arguments):
        run = subprocess.run([self.binary, *arguments, "--config", str(self.config)], capture_output=True, text=True,
                             timeout=60, env={**os.environ, "NO_COLOR": "1"})
        assert run.returncode == 0, run.stderr
        return run.stdout

    def rows(self):
        """All ledger lines, once those of requests that were answered are in."""
        time.sleep(0.15)  # the ledger gathers a batch for at most 50 ms
        return [json.loads(line) for line in self.cli("ledger", "export", "--jsonl").splitlines()]
