"""Table 3.4, the row of the client: it leaves at every event, half-closes, does not read, sends too much at once."""
import re
import time

from harness import CHAT, PATIENT, Answer, ask, connect, eventually, need, process_status, read_to_end, request_bytes, rows_of, show, talk
from upstream import ANSWER, CLOSE, COST, HOLD, Mark, FaultUpstream, chunk, chunked, completion, event, events, head, refusal, streamed, whole

AT_ONCE = 0.1  # seconds from the client's end to the upstream's


def read_until(end, text):
    data = b""
    while text not in data:
        more = end.recv(65536)
        need(more, "ended before", text, data)
        data += more
    return data


def id_in(data):
    return re.search(rb"x-leeway-id: (\S+)", data)[1].decode()


def fault_client_leaves(world):
    """At every event, and before the first: the upstream is closed within 100 ms, and the row is there once."""
    upstream = FaultUpstream()
    with world.gateway(upstream.url, PATIENT) as gateway:
        for path, kind in ((CHAT, "chat"), ("/v1/messages", "translated")):
            pieces = events()
            for count in range(1, len(pieces) - 1):
                with world.case("client", f"leaves at event {count} ({kind})") as said:
                    upstream.play([streamed(pieces[:count], end=b""), HOLD])
                    with connect(gateway) as end:
                        end.sendall(request_bytes(ask(stream=True), path))
                        data = read_until(end, b"\n\n")
                        while data.count(b"data: ") < count and kind == "chat":
                            data += read_until(end, b"\n\n")
                    left = time.monotonic()
                    eventually(lambda: upstream.closed_at, "the upstream is not closed", 5)
                    took = upstream.closed_at[0] - left
                    said["client"] = f"upstream closed after {took * 1000:.0f} ms"
                    rows = []
                    eventually(lambda: rows.extend(rows_of(gateway, id_in(data))) or rows, "no row")
                    said["ledger"] = show(rows)
                    need(took < AT_ONCE, "too late")
                    # With its finish reason an answer is whole, whoever has left.
                    need(len(rows) == 1 and rows[0]["end"] in ("client_gone", "ok") and rows[0]["cost_pico_usd"] != 0, "rows:", rows)
        for name, script in (("before the upstream's head", [HOLD]), ("after its head", [head("Transfer-Encoding: chunked"), HOLD]),
                             ("in the middle of a body", [whole(completion())[:-20], HOLD])):
            with world.case("client", f"leaves {name}") as said:
                upstream.play(script)
                before = {row["id"] for row in gateway.rows()}
                with connect(gateway) as end:
                    end.sendall(request_bytes(ask(stream="head" in name and "after" in name)))
                    upstream.wait_for_requests(1)
                    time.sleep(0.05)  # the upstream's first bytes arrive
                left = time.monotonic()
                eventually(lambda: upstream.closed_at, "the upstream is not closed", 5)
                took = upstream.closed_at[0] - left
                said["client"] = f"upstream closed after {took * 1000:.0f} ms"
                rows = []
                eventually(lambda: rows.extend(row for row in gateway.rows() if row["id"] not in before) or rows, "no row")
                said["ledger"] = show(rows)
                need(len(rows) == 1 and rows[0]["end"] == "client_gone" and rows[0]["cost_pico_usd"] != 0, "rows:", rows)
                need(took < AT_ONCE, "too late")
        with world.case("client", "leaves while a retry waits") as said:
            upstream.play([refusal(503, "Retry-After: 1")], [whole(completion())])
            before = {row["id"] for row in gateway.rows()}
            with connect(gateway) as end:
                end.sendall(request_bytes(ask()))
                upstream.wait_for_requests(1)
                time.sleep(0.2)  # into the wait
            rows = []
            eventually(lambda: rows.extend(row for row in gateway.rows() if row["id"] not in before) or rows, "no row", 0.9)
            said["client"], said["ledger"] = "nothing", show(rows)
            time.sleep(1)  # beyond the wait: nobody is asked again
            need(len(rows) == 1 and rows[0]["cost_pico_usd"] == 0 and len(upstream.requests) == 1, rows)
            upstream.calls()


def fault_client_halves_and_pipelines(world):
    upstream = FaultUpstream()
    with world.gateway(upstream.url, PATIENT) as gateway:
        with world.case("client", "half-closes after its request: it is answered, or it has left") as said:
            upstream.play([Mark("pause 0.2"), streamed(events())])
            with connect(gateway) as end:
                end.sendall(request_bytes(ask(stream=True)))
                end.shutdown(1)
                answer = Answer(*read_to_end(end))
            upstream.calls()
            rows = [row for row in gateway.rows()]
            said["client"], said["ledger"] = f"{answer.status or 'closed'}", show(rows)
            need(len(rows) == 1, "once:", rows)
            need((answer.status == 200 and b"[DONE]" in answer.body) if rows[0]["end"] == "ok" else rows[0]["end"] == "client_gone", rows)
        with world.case("client", "pipelines two requests") as said:
            upstream.play([whole(completion())], [whole(completion())])
            before = {row["id"] for row in gateway.rows()}
            with connect(gateway) as end:
                end.sendall(request_bytes(ask("one"), close=False) + request_bytes(ask("two")))
                data, _ = read_to_end(end)
            answers = len(re.findall(rb"HTTP/1\.1 \d", data))
            calls = upstream.calls()
            rows = [row for row in gateway.rows() if row["id"] not in before]
            said["client"], said["ledger"] = f"{answers} answers", show(rows)
            # A kept connection to the provider that was closed just then is asked anew: one call more.
            need(answers == len(rows) <= calls <= 2 and answers >= 1, data)
        with world.case("client", "sends its request byte by byte") as said:
            upstream.play([whole(completion())])
            with connect(gateway) as end:
                for byte in request_bytes(ask("slowly")):
                    end.send(bytes([byte]))
                answer = Answer(*read_to_end(end))
            need(answer.status == 200 and ANSWER.encode() in answer.body, answer.data)
            rows = rows_of(gateway, answer.id)
            said["client"], said["ledger"] = "200", show(rows)
            need([row["cost_pico_usd"] for row in rows] == [COST], rows)


def fault_client_does_not_read(world):
    """Back-pressure: what nobody reads is not taken from the upstream, and the client is cut in time."""
    upstream = FaultUpstream()
    config = PATIENT.replace("workers: 1,", "workers: 1, limits: {{write_timeout: 1s}},")
    piece = chunked([event(chunk({"content": "word " * 1600}))], end=b"").decode()
    with world.gateway(upstream.url, config) as gateway, world.case("client", "does not read an endless stream") as said:
        upstream.play([streamed(events()[:3], end=b""), CLOSE])
        talk(gateway, ask(stream=True), **{"x-leeway-retries": "0"})  # what counts tokens is loaded by now
        first = {row["id"] for row in gateway.rows()}
        upstream.play([head("Transfer-Encoding: chunked"), Mark("flood " + piece)])
        before = process_status(gateway.process.pid, "VmRSS")
        begin = time.monotonic()
        with connect(gateway) as end:
            end.sendall(request_bytes(ask(stream=True)))
            read_until(end, b"\n\n")
            eventually(lambda: upstream.closed_at, "the upstream is not closed", 10)
            took = time.monotonic() - begin
            grown = process_status(gateway.process.pid, "VmRSS") - before
        rows = []
        eventually(lambda: rows.extend(row for row in gateway.rows() if row["id"] not in first) or rows, "no row")
        said["client"], said["ledger"] = f"cut after {took:.1f} s, {max(grown, 0)} KiB more memory", show(rows)
        need(len(rows) == 1 and rows[0]["end"] == "client_gone" and rows[0]["cost_pico_usd"] != 0, rows)
        need(took < 4 and grown < 8192, f"{took:.1f} s, {grown} KiB")
    with world.gateway(upstream.url, PATIENT) as gateway, world.case("client", "reads 8 MB of one endless word, then leaves") as said:
        upstream.play([streamed(events()[:3], end=b""), CLOSE])
        talk(gateway, ask(stream=True), **{"x-leeway-retries": "0"})  # what counts tokens is loaded by now
        before = process_status(gateway.process.pid, "VmRSS")
        upstream.play([streamed(events()[:1] + [event(chunk({"content": "x" * 8000}))] * 1000, end=b""), HOLD])
        with connect(gateway) as end:
            end.sendall(request_bytes(ask(stream=True)))
            got = 0
            while got < 8_000_000:
                got += len(end.recv(1 << 20))
        eventually(lambda: upstream.closed_at, "the upstream is not closed", 20)
        rows = []
        eventually(lambda: rows.extend(row for row in gateway.rows() if row["end"] == "client_gone") or rows, "no row")
        grown = process_status(gateway.process.pid, "VmRSS") - before
        said["client"], said["ledger"] = f"{got >> 20} MiB, {grown >> 10} MiB more memory", show(rows)
        need(grown < 32 << 10 and rows[0]["cost_pico_usd"], f"{grown} KiB")
    with world.gateway(upstream.url, PATIENT) as gateway, world.case("client", "reads slowly, a little at a time") as said:
        words = events()[:1] + [event(chunk({"content": "y" * 4000}))] * 50 + events()[5:]
        upstream.play([streamed(words)])
        with connect(gateway) as end:
            end.setsockopt(1, 8, 4096)  # SO_RCVBUF
            end.sendall(request_bytes(ask(stream=True)))
            data = bytearray()
            while more := end.recv(4000):
                data += more
                time.sleep(0.01)  # the client is slow
        answer = Answer(bytes(data), "closed")
        rows = rows_of(gateway, answer.id)
        said["client"], said["ledger"] = f"{answer.status}, {len(answer.body)} bytes", show(rows)
        need(answer.complete and b"[DONE]" in answer.body and [row["cost_pico_usd"] for row in rows] == [COST], answer.body[-200:])
