"""One real `leeway serve` process with a state folder and an upstream of its own."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from actors import DEADLINE, Upstream

START_DEADLINE = 60.0
# '# key NAME [revoked] [ARGUMENT…]' in a configuration makes a key before the gateway starts.
_KEY_LINE = re.compile(r"^# key (\S+)( revoked)?(.*)$", re.MULTILINE)


class Gateway:
    def __init__(self, binary, config, folder):
        self._binary = binary
        self._folder = pathlib.Path(folder)
        self._log = self._folder / "log.txt"
        self._config = self._folder / "leeway.yaml"
        text = config.read_text(encoding="utf-8")
        self._config.write_text(text, encoding="utf-8")
        self.upstream = Upstream()
        # Bound and not listening: whoever connects is refused.
        self._refusing = socket.socket()
        self._refusing.bind(("127.0.0.1", 0))
        self._environment = {
            **os.environ, "NO_COLOR": "1", "GOLDEN_STATE": str(self._folder / "state"),
            "GOLDEN_UPSTREAM": f"127.0.0.1:{self.upstream.port}",
            "GOLDEN_REFUSING": f"127.0.0.1:{self._refusing.getsockname()[1]}"}
        self.secrets = {}
        for name, revoked, arguments in _KEY_LINE.findall(text):
            made = json.loads(self._command("keys", "create", name, "--json", *arguments.split()))
            self.secrets[name] = made["secret"]
            if revoked:
                self._command("keys", "revoke", name)
        self._start()

    def _start(self):
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen([self._binary, "serve", "--config", str(self._config)],
                                             stdout=log, stderr=log, env=self._environment)
        give_up = time.monotonic() + START_DEADLINE
        while not (found := re.search(r"serves on http://127\.0\.0\.1:(\d+)", self.log())):
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.kill()
                raise RuntimeError("the gateway did not start:\n" + self.log())
            time.sleep(0.002)  # polling, with a deadline
        self.port = int(found[1])

    def log(self):
        return self._log.read_text(encoding="utf-8", errors="backslashreplace")

    def _command(self, *arguments):
        run = subprocess.run([self._binary, *arguments, "--config", str(self._config)], capture_output=True,
                             timeout=START_DEADLINE, env=self._environment, check=False)
        if run.returncode != 0:
            raise RuntimeError(f"leeway {' '.join(arguments)} ended with {run.returncode}:\n{run.stderr.decode()}")
        return run.stdout

    def stop(self):
        """Ends it in order. What is wrong with how it ended, or None."""
        if self._process.poll() is not None:
            return f"the gateway ended on its own, with status {self._process.returncode}"
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(timeout=2 * DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            return "the gateway did not end after SIGTERM"
        finally:
            self.upstream.close()
        return f"the gateway ended with status {status}" if status != 0 else None

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self.upstream.close()
        self._refusing.close()

    def rows(self):
        """The lines of the ledger, once the gateway has ended."""
        return self._command("ledger", "export", "--jsonl").splitlines()
