"""What the fault scenarios share: a gateway in a folder of its own, requests to the byte, and the table of what came."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import gateway as gateway_module  # noqa: E402
from gateway import KEY, Gateway  # noqa: E402

CHAT = "/v1/chat/completions"
# `quick`: the limits of a provider in a hurry, so that a stall is noticed soon.
CONFIG = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 1, state: "{state}"}}
providers:
  quick: {{dialect: openai, base_url: "{upstream}", api_key: sk-upstream, breaker: {{failures: 0}},
          retries: {{attempts: 1, base: 5ms, cap: 1s}},
          timeouts: {{connect: 300ms, first_byte: 400ms, between_chunks: 400ms, total: 1500ms}}}}
  claude: {{dialect: anthropic, base_url: "{upstream}", api_key: sk-upstream, breaker: {{failures: 0}},
           retries: {{attempts: 1, base: 5ms, cap: 1s}}, timeouts: {{first_byte: 400ms, between_chunks: 400ms, total: 1500ms}}}}
models:
  mini: {{provider: quick, name: upstream-mini, price: {{input: 2.50, output: 10.00}}}}
  haiku: {{provider: claude, name: upstream-claude, price: {{input: 2.50, output: 10.00}}}}
keys:
  - {{name: web, secret: "{key}"}}
"""
# The same for one that may take its time.
PATIENT = CONFIG.replace("first_byte: 400ms, between_chunks: 400ms, total: 1500ms", "first_byte: 20s, between_chunks: 20s, total: 60s")


class Skip(Exception):
    """Something that a scenario needs is not there; the message says what, and what to do."""


class Wrong(Exception):
    """What came is not what must come."""


class Table:
    """The outcomes, printed as they come: row of the matrix | case | client saw | ledger showed."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, row, case, client, ledger, wrong=None):
        outcome = "FAILED" if wrong else "passed"
        self.passed += not wrong
        self.failed += bool(wrong)
        print(f"{outcome} | {row} | {case} | {client} | {ledger}" + (f"\n       {wrong}" if wrong else ""), flush=True)

    def skip(self, name, why):
        self.skipped += 1
        print(f"skipped | {name} | {why}", flush=True)


class World:
    """What a scenario gets."""

    def __init__(self, options, table):
        self.binary = os.path.abspath(options.leeway)
        self.bench = pathlib.Path(options.bench_dir).absolute()
        self.seconds, self.scale, self.short = options.seconds, options.scale, options.short
        self.scratch = pathlib.Path(options.scratch)
        self.table = table

    @contextlib.contextmanager
    def gateway(self, upstream_url, config=CONFIG, before=()):
        """A running gateway (config None: that of tests/e2e); killed at the end if the scenario has not stopped it."""
        with tempfile.TemporaryDirectory(prefix="leeway-fault-") as folder:
            gateway = Gateway(self.binary, folder, upstream_url, config or gateway_module.CONFIG, before)
            try:
                yield gateway
            except Exception:
                print("--- log of the gateway, its end\n" + gateway.log.read_text(errors="replace")[-3000:])
                raise
            finally:
                if gateway.process.poll() is None:
                    gateway.process.send_signal(signal.SIGKILL)
                    gateway.process.wait()

    @contextlib.contextmanager
    def case(self, row, name):
        """A case: the block fills `said["client"]` and `said["ledger"]`; what it raises is the failure."""
        said = {"client": "", "ledger": ""}
        wrong = None
        try:
            yield said
        except Skip:
            raise
        except Exception as error:  # the table goes on
            wrong = f"{type(error).__name__}: {error}"[:1500]
        self.table.add(row, name, said["client"], said["ledger"], wrong)

    def program(self, name):
        path = self.bench / name
        if not path.exists():
            raise Skip(f"{path} is not there; tools/build.sh release {name} builds it")
        return str(path)


class Answer:
    """One answer as bytes: `complete` is whether its framing came to its end."""

    def __init__(self, data, ending):
        self.data, self.ending = data, ending
        first, _, self.raw_body = data.partition(b"\r\n\r\n")
        lines = first.split(b"\r\n")
        found = re.match(rb"HTTP/1\.1 (\d{3})", lines[0])
        self.status = int(found[1]) if found else 0
        self.headers = {name.strip().lower().decode(): value.strip().decode("latin-1")
                        for name, _, value in (line.partition(b":") for line in lines[1:])}
        if self.headers.get("transfer-encoding") == "chunked":
            self.body, self.complete = dechunk(self.raw_body)
        else:
            self.body = self.raw_body
            self.complete = len(self.body) == int(self.headers.get("content-length", -1))

    @property
    def id(self):
        return self.headers.get("x-leeway-id")

    def events(self):
        """The data of its events."""
        return [block[6:] for block in self.body.split(b"\n\n") if block.startswith(b"data: ")]

    def error(self):
        """The error that it is, or that its stream ends with; None."""
        try:
            value = json.loads(self.events()[-1] if self.status == 200 else self.body)
        except (ValueError, IndexError):
            return None
        return value.get("error") if isinstance(value, dict) else None


def dechunk(data):
    """(the body, whether it came to its end) of a chunked one."""
    out, at = [], 0
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            return b"".join(out), False
        size = int(data[at:line], 16)
        at = line + 2
        if size == 0:
            return b"".join(out), data[at:] == b"\r\n"
        out.append(data[at:at + size])
        if len(data) < at + size + 2:
            return b"".join(out), False
        at += size + 2


def connect(gateway, timeout=30):
    address = urllib.parse.urlsplit(gateway.url)
    end = socket.create_connection((address.hostname, address.port), timeout=timeout)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return end


def request_bytes(body, path=CHAT, key=KEY, close=True, **fields):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {key}", f"Content-Length: {len(data)}",
             *(["Connection: close"] if close else []), *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


def read_to_end(end):
    data = bytearray()
    while True:
        try:
            more = end.recv(1 << 16)
        except ConnectionResetError:
            return bytes(data), "reset"
        except TimeoutError:
            return bytes(data), "silent"
        if not more:
            return bytes(data), "closed"
        data += more


def talk(gateway, body, path=CHAT, timeout=30, **fields):
    """Sends one request over a connection of its own and reads to the end."""
    with connect(gateway, timeout) as end:
        end.sendall(request_bytes(body, path, **fields))
        return Answer(*read_to_end(end))


def ask(content="Hi", stream=False, model="mini", **more):
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 50, **more}
    if stream:
        body["stream"] = True
    return body


def rows_of(gateway, answer_id):
    return [row for row in gateway.rows() if row["id"] == answer_id]


def show(rows):
    """Rows in few words: end, state of the usage, cost in picodollars."""
    return ", ".join(f"{row['end']} {row['status']} {row['usage']['state'] if row.get('usage') else '-'} "
                     f"{'unknown' if row['cost_pico_usd'] is None else row['cost_pico_usd']}" for row in rows) or "no row"


def need(condition, *what):
    if not condition:
        raise Wrong(" ".join(str(part)[:800] for part in what))


def eventually(holds, what, patience=20):
    until = time.monotonic() + patience
    while not holds():
        if time.monotonic() > until:
            raise Wrong(f"{what} (waited {patience} s)")
        time.sleep(0.02)  # polling, with a deadline


def metric(gateway, name):
    text = gateway.raw("/metrics", admin=True)[2].decode()
    return [line.rpartition(" ")[2] for line in text.splitlines() if re.match(re.escape(name) + r"[ {]", line)]


def process_status(pid, name):
    """A figure of /proc/PID/status, as VmRSS in KiB."""
    found = re.search(rf"^{name}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1])


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
