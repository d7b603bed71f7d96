"""Scenarios of tests/e2e/run about what goes wrong around the gateway: files, disks, ports, processes."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.parse

from gateway import KEY
from scenarios import Skip, ask, children_of, local_models

CHAT = "/v1/chat/completions"


def refusal(gateway, *arguments, config=None):
    """What `leeway serve` says when it does not start."""
    run = subprocess.run([gateway.binary, "serve", "--config", str(config or gateway.config), *arguments],
                         capture_output=True, text=True, timeout=60)
    assert run.returncode == 1, (run.returncode, run.stderr)
    return run.stderr


def restart(gateway, *changes):
    """Starts it anew with (old, new) replaced in its configuration."""
    gateway.stop()
    text = gateway.config.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    gateway.config.write_text(text)
    gateway.start()


def error_of(answer):
    status, _, body = answer
    return status, json.loads(body)["error"]


def raw_talk(gateway, *pieces):
    """Sends the pieces and reads to the end."""
    address = urllib.parse.urlsplit(gateway.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as client:
        for piece in pieces:
            client.sendall(piece)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_configuration_errors_have_a_place_and_a_remedy(gateway, upstream):
    good = gateway.config.read_text()
    broken = gateway.folder / "broken.yaml"
    for old, new, words in (
            ("workers: 2", "worker: 2", ["broken.yaml:1:55: ", "unknown key 'worker'", "did you mean 'workers'"]),
            ("base_url:", "base_ulr:", ["broken.yaml:3:", "base_ulr", "did you mean 'base_url'"]),
            ("workers: 2", "workers: many", ["broken.yaml:1:", "workers: 'many'", "whole number"]),
            ("first_byte: 2s", "first_byte: soon", ["broken.yaml:3:", "first_byte", "soon"]),
            ("model: cheap", "model: chaep", ["broken.yaml:", "chaep", "cheap"]),
            ("exact: auto", "exact: maybe", ["broken.yaml:", "maybe", "auto"]),
            (f'secret: "{KEY}"', "secret: ${LEEWAY_UNSET_VARIABLE}", ["broken.yaml:", "LEEWAY_UNSET_VARIABLE", "not set"]),
            ("providers:", "providers: [", ["broken.yaml:"])):
        assert old in good, old
        broken.write_text(good.replace(old, new, 1))
        said = refusal(gateway, config=broken)
        missing = [word for word in words if word not in said]
        assert not missing and ": error: " in said and KEY not in said, (new, missing, said)
        check = subprocess.run([gateway.binary, "check", "--config", str(broken)], capture_output=True, text=True)
        assert check.returncode == 1 and words[0] in check.stdout + check.stderr, check
    said = refusal(gateway, config=gateway.folder / "nothing.yaml")
    assert "nothing.yaml" in said and "No such file" in said, said


def test_a_port_or_a_state_folder_in_use_is_told(gateway, upstream):
    port = urllib.parse.urlsplit(gateway.url).port
    said = refusal(gateway, "--listen", f"127.0.0.1:{port}", "--state", str(gateway.folder / "other"))
    assert f"127.0.0.1:{port}" in said and "in use" in said, said
    said = refusal(gateway)
    assert str(gateway.process.pid) in said and "state" in said, said
    admin = urllib.parse.urlsplit(gateway.admin).port
    text = gateway.config.read_text().replace('admin: "127.0.0.1:0"', f'admin: "127.0.0.1:{admin}"')
    other = gateway.folder / "other.yaml"
    other.write_text(text.replace(str(gateway.state), str(gateway.folder / "other")))
    said = refusal(gateway, config=other)
    assert f"127.0.0.1:{admin}" in said and "in use" in said, said
    assert gateway.raw(CHAT, ask("still here"))[0] == 200


def test_a_state_folder_of_a_newer_version_is_left_alone(gateway, upstream):
    assert gateway.raw(CHAT, ask("one", temperature=0))[0] == 200
    gateway.stop()

    def version(path, new=None):
        with contextlib.closing(sqlite3.connect(path)) as db:
            (old,) = db.execute("SELECT version FROM schema_version").fetchone()
            if new is not None:
                db.execute("UPDATE schema_version SET version = ?", (new,))
                db.commit()
            return old

    found = {path.name: version(path) for path in gateway.state.rglob("*.db")}
    caches = {"cache.db", "vectors.db", "semantic.db"}  # hold nothing that cannot be had again
    assert set(found) == {"ledger.db", "keys.db", "responses.db", *caches}, found
    for path in sorted(gateway.state.rglob("*.db")):
        if path.name in caches:
            continue
        version(path, 99)
        before = path.read_bytes()
        said = refusal(gateway)
        assert "version 99" in said and path.name in said, said
        assert path.read_bytes() == before
        version(path, found[path.name])
    for name in caches:
        version(gateway.state / name, 99)
    gateway.start()
    assert "set-aside" in gateway.log.read_text()
    assert gateway.raw(CHAT, ask("one", temperature=0))[1]["x-leeway-cache"] == "miss"
    assert len(gateway.rows()) == 2


def test_a_state_folder_that_cannot_be_written_is_told(gateway, upstream):
    in_the_way = gateway.folder / "file"
    in_the_way.write_text("")
    said = refusal(gateway, "--state", str(in_the_way))
    assert str(in_the_way) in said and len(said.splitlines()) >= 2, said
    said = refusal(gateway, "--state", str(in_the_way / "below"))
    assert str(in_the_way) in said, said
    with Mount(gateway.folder / "read-only", "ro,size=1m") as folder:
        said = refusal(gateway, "--state", str(folder / "state"))
        assert str(folder) in said and "Read-only" in said, said


class Mount:
    """A small file system of its own."""

    def __init__(self, folder, options):
        self.folder, self.options = folder, options

    def __enter__(self):
        self.folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", self.options, "tmpfs", str(self.folder)],
                              capture_output=True, text=True) if shutil.which("mount") else None
        if not done or done.returncode:
            raise Skip("only root can mount a small disk")
        return self.folder

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


def test_a_full_disk_takes_no_paid_work_and_loses_nothing(gateway, upstream):
    with Mount(gateway.folder / "disk", "size=12m") as disk:
        # Long names make long rows: the journal, which has its place on the disk already, is full soon.
        model, route, provider = "m" * 128, "r" * 128, "p" * 128
        restart(gateway, (str(gateway.state), str(disk / "state")), ("workers: 2", "workers: 1"),
                ("  cheap:", f"  {model}:"), ("model: cheap", f"model: {model}"), ("[cheap]", f"[{model}]"),
                ("  support:", f"  {route}:"), ("fake", provider))
        gateway.state = disk / "state"
        try:
            acknowledged = [gateway.raw(CHAT, ask("before"))[1]["x-leeway-id"]]
            with open(disk / "filler", "wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(b"x" * 65536)
                        filler.flush()
                except OSError:
                    pass
            give_up = time.monotonic() + 60

            def fill(_):
                while True:
                    status, headers, body = gateway.raw(CHAT, {**ask("full"), "model": route})
                    if status == 503:
                        return body
                    assert status == 200 and time.monotonic() < give_up, status
                    acknowledged.append(headers["x-leeway-id"])

            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                body = list(pool.map(fill, range(8)))[0]
            assert json.loads(body)["error"]["code"] == "ledger_unavailable" and b"disk" in body, body
            calls = upstream.calls
            assert gateway.raw(CHAT, ask("full"))[0] == 503 and upstream.calls == calls
            status, _, body = gateway.raw("/readyz", admin=True)
            assert status == 503 and b"disk" in body, body
            assert "the ledger's database takes no records" in gateway.log.read_text()
            os.unlink(disk / "filler")
            while gateway.raw("/readyz", admin=True)[0] != 200:
                assert time.monotonic() < give_up
            status, headers, _ = gateway.raw(CHAT, ask("after"))
            assert status == 200
            acknowledged.append(headers["x-leeway-id"])
            while "takes records again" not in gateway.log.read_text():
                assert time.monotonic() < give_up
            seen = [row["id"] for row in gateway.rows() if row["attempt"]]
            assert sorted(seen) == sorted(acknowledged)
            gateway.stop()
            shutil.rmtree(gateway.state)
            (disk / "filler").write_bytes(b"x" * (11 << 20))
            said = refusal(gateway)
            assert "space" in said and str(disk) in said, said
        finally:
            gateway.stop(signal.SIGKILL)


def test_model_files_that_are_missing_cut_or_none(gateway, upstream):
    local_models()
    folder = gateway.folder / "models"
    folder.mkdir()
    whole = (pathlib.Path(os.environ["LEEWAY_MODELS"]) / "all-minilm-l6-v2-q8_0.gguf").read_bytes()
    (folder / "whole.gguf").write_bytes(whole)
    (folder / "cut.gguf").write_bytes(whole[:len(whole) // 2])
    (folder / "head.gguf").write_bytes(whole[:100])
    (folder / "text.gguf").write_text("this is no model\n" * 100)
    (folder / "empty.gguf").write_bytes(b"")
    names = ["cut", "head", "text", "empty", "missing"]
    models = "".join(f"  {name}: {{provider: local, file: {name}.gguf}}\n" for name in [*names, "whole"])
    wrong = f"  wrong: {{provider: local, file: whole.gguf, sha256: {'0' * 64}}}\n"
    restart(gateway, ("models:\n", "models:\n" + models + wrong))
    gateway.config.write_text(gateway.config.read_text() + f"local: {{folder: {folder}}}\n")
    restart(gateway)
    messages = {}
    for name in [*names, "wrong"]:
        for _ in range(2):
            status, error = error_of(gateway.raw("/v1/embeddings", {"model": name, "input": "x"}))
            assert status == 503 and error["code"] == "model_load_failed" and error["type"] == "server_error", error
        messages[name] = error["message"]
    assert "missing.gguf" in messages["missing"], messages
    for name in ("head", "cut", "text", "empty"):
        assert f"{name}.gguf" in messages[name], messages
    assert "sha" in messages["wrong"].lower(), messages
    assert gateway.raw("/v1/embeddings", {"model": "whole", "input": "x"})[0] == 200
    rows = gateway.rows()
    assert [row["status"] for row in rows] == [503] * 12 + [200], rows
    assert all(row["cost_pico_usd"] in (0, None) for row in rows), rows


def test_a_model_host_killed_in_the_middle_of_an_answer(gateway, upstream):
    local_models()
    question = {"model": "smollm2", "messages": [{"role": "user", "content": "Count to a thousand."}],
                "max_tokens": 2000, "logit_bias": {"2": -100}}
    address = urllib.parse.urlsplit(gateway.url)
    for stream in (True, False):
        client = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        client.request("POST", CHAT, json.dumps({**question, "stream": stream}), {"authorization": f"Bearer {KEY}"})
        if stream:
            answer = client.getresponse()
            assert answer.readline().startswith(b"data: ")
        give_up = time.monotonic() + 60
        while not busy(gateway):
            assert time.monotonic() < give_up
            time.sleep(0.02)  # polling, with a deadline
        (host,) = children_of(gateway)
        os.kill(host, signal.SIGKILL)
        if not stream:
            answer = client.getresponse()
            assert answer.status == 502, answer.status
        body = answer.read()
        assert b"[DONE]" not in body and b'"stop"' not in body, body[-300:]
        error = json.loads(body.split(b"data: ")[-1] if stream else body)["error"]
        assert error["code"] in ("model_host_crashed", "upstream_stream_cut") and error["message"], error
        client.close()
        while True:
            status = gateway.raw(CHAT, {**question, "max_tokens": 3})[0]
            if status == 200:
                break
            assert status in (502, 503) and time.monotonic() < give_up, status
    # By time: ids of one millisecond are in no order.
    rows = sorted((row for row in gateway.rows() if row["status"] != 503), key=lambda row: row["ts"])
    ends = [(row["stream"], row["end"]) for row in rows]
    assert ends[0] == (True, "cut") and (False, "error") in ends and ends[-1] == (False, "ok"), rows
    # What broke under way may have cost something (a stream: what came of it, and this model is free); what found no
    # host to send to has cost nothing.
    failed = [(row["end"], row["cost_pico_usd"]) for row in rows if row["end"] != "ok"]
    assert ("cut", 0) in failed and ("error", None) in failed, rows
    assert set(failed) <= {("cut", 0), ("error", None), ("error", 0)}, rows


def busy(gateway):
    """Whether its model host computes: its processor time rises."""
    def ticks():
        total = 0
        for pid in children_of(gateway):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total
    before = ticks()
    time.sleep(0.1)  # over which the time is measured
    return ticks() >= before + 5


def test_slow_and_large_requests(gateway, upstream):
    restart(gateway, ("workers: 2,", "workers: 2, limits: {header_timeout: 300ms, body_timeout: 300ms, body_bytes: 64KiB},"))
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n"
    big = json.dumps(ask("x" * 100_000)).encode()
    for code, status, pieces in (
            (b"request_timeout", b"408", [head]),
            (b"request_timeout", b"408", [head + b"Content-Length: 50\r\n\r\n{"]),
            (b"request_timeout", b"408", [head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"]),
            (b"request_too_large", b"413", [head + b"Content-Length: %d\r\n\r\n" % len(big), big]),
            (b"request_too_large", b"413", [head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(big), big])):
        answer = raw_talk(gateway, *pieces)
        assert answer.startswith(b"HTTP/1.1 " + status) and code in answer, (pieces[0][-60:], answer)
        assert b"\r\nconnection: close\r\n" in answer.lower(), answer
    assert b"body_bytes" in answer
    assert gateway.raw(CHAT, ask("still here"))[0] == 200
    assert len(gateway.rows()) == 1 and upstream.calls == 1


def test_large_requests_share_the_memory_there_is(gateway, upstream):
    restart(gateway, ("workers: 2,", "workers: 2, limits: {body_memory: 1MiB},"))
    address = urllib.parse.urlsplit(gateway.url)
    big = json.dumps(ask("x" * 700_000)).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(big)
    chunk = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(big), big)
    with socket.create_connection((address.hostname, address.port), timeout=20) as slow:
        slow.sendall(head + length + big[:-10])
        time.sleep(0.5)  # in which the gateway reads it
        answer = raw_talk(gateway, head + length + big)
        assert answer.startswith(b"HTTP/1.1 503"), answer
        assert b'"busy"' in answer and b"body_memory" in answer and b"\r\nretry-after: 1\r\n" in answer.lower(), answer
        assert raw_talk(gateway, head + chunk).startswith(b"HTTP/1.1 503")
        assert gateway.raw(CHAT, ask("small"))[0] == 200
        slow.sendall(big[-10:])
        assert b"".join(iter(lambda: slow.recv(65536), b"")).startswith(b"HTTP/1.1 200")
    assert raw_talk(gateway, head + length + big).startswith(b"HTTP/1.1 200")
