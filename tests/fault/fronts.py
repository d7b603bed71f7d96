"""Requests that two readers take differently, sent to the gateway, and through nginx and HAProxy in front of it: refused or
read once, never smuggled. A victim asks over the same front after each of them and must get its own answer.

The payloads are public test data that this project does not ship: LEEWAY_TEST_DATA/hostile-input/http-discrepancies.
"""
import codecs
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time
import urllib.parse

from harness import Skip, need, request_bytes
from load import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("LEEWAY_TEST_DATA", ROOT.parent / "shared" / "data")) / "hostile-input" / "http-discrepancies" / "payloads.jsonl"


def payloads():
    """(title, bytes) of each; those that are described in words are left out."""
    if not DATA.exists():
        raise Skip(f"no public test data in {DATA} (set LEEWAY_TEST_DATA)")
    out = []
    for line in DATA.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if not case["payload"].startswith(("Any", "Anything")):
            out.append((case["title"], codecs.escape_decode(case["payload"].encode("latin-1", "backslashreplace"))[0]))
    return out


def answer_to(port, data, patience=0.25):
    """What comes back within a moment; a connection that is kept says nothing more."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as end:
        end.sendall(data)
        end.settimeout(patience)
        out = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while more := end.recv(65536):
                out += more
        return out


def program(name):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not path:
        raise Skip(f"{name} is not installed; tools/setup.sh bench installs it")
    return path


@contextlib.contextmanager
def front(world, kind, upstream_port):
    """nginx or HAProxy in front of the gateway, as lenient as they can be told to be; its port."""
    port, folder = free_port(), world.scratch / kind
    folder.mkdir(exist_ok=True)
    text = (ROOT / "bench" / "rivals" / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[kind]).read_text()
    for name, value in {"LISTEN": port, "UPSTREAM": upstream_port, "DIR": folder, "BUFFERING": "on",
                        "USER": "user root;" if os.getuid() == 0 else ""}.items():
        text = text.replace(f"@{name}@", str(value))
    text = text.replace("access_log off;", "access_log off; ignore_invalid_headers off;")
    text = text.replace("defaults\n", "defaults\n    option accept-invalid-http-request\n")
    config = folder / "front.conf"
    config.write_text(text)
    command = [program("nginx"), "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(config)] if kind == "nginx" else \
        [program("haproxy"), "-db", "-f", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                need(time.monotonic() < give_up and process.poll() is None, kind, "does not start")
                time.sleep(0.02)  # polling for a start, with a deadline
        yield port
    finally:
        process.terminate()
        process.wait()


def victim(port, name):
    """An ordinary request through the front; what it got."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "answer " + json.dumps({"id": name})}]}
    data = answer_to(port, request_bytes(body), 5)
    return data.startswith(b"HTTP/1.1 200") and json.dumps({"id": name})[1:-1].encode() in data, data


def fault_fronts(world):
    from fake_provider import FakeProvider
    everything = payloads()
    for kind in (None, "nginx", "haproxy"):
        cases = everything[::4] if world.short and kind else everything
        provider = FakeProvider()
        try:
            with world.gateway(provider.url, None) as gateway, contextlib.ExitStack() as stack:
                own = urllib.parse.urlsplit(gateway.url).port
                port = stack.enter_context(front(world, kind, own)) if kind else own
                with world.case("smuggling", f"{len(cases)} discrepancies {'through ' + kind if kind else 'sent to the gateway'}") as said:
                    refused, wrong = 0, []
                    for number, (title, data) in enumerate(cases):
                        calls = provider.calls
                        # Behind each stands what a smuggler would want to be read as a request.
                        smuggled = request_bytes({"model": "gpt-4o", "messages": [{"role": "user", "content": "smuggled"}]})
                        for more in (b"", smuggled) if kind is None else (b"",):
                            answer = answer_to(port, data + more, 0.25 if kind else 0.1)
                            refused += answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
                            if kind is None and len(re.findall(rb"HTTP/1\.1 [245]\d\d ", answer)) > 1:
                                wrong.append(f"{title}: two answers")
                        if provider.calls != calls:
                            wrong.append(f"{title}: the upstream was asked")
                        good, got = victim(port, f"victim-{number}")
                        if not good or provider.calls != calls + 1:
                            wrong.append(f"{title}: the next caller got {got[:200]!r}")
                            provider.calls = calls + 1
                    rows = gateway.rows()
                    said["client"], said["ledger"] = f"{refused} refused with 4xx, 0 smuggled", f"{len(rows)} rows for {len(cases)} victims"
                    need(not wrong, f"{len(wrong)}:", "; ".join(wrong[:5]))
                    need(len([row for row in rows if row["attempt"]]) == len(cases), said["ledger"])
        except Skip as reason:
            world.table.skip(f"fronts, {kind}", reason)
            if kind is None:
                return
        finally:
            provider.shutdown()
