"""Table 3.4, the rows of the upstream: what the client sees, and what the ledger shows, to the byte."""
import gzip
import json
import socket
import time

from harness import Answer, CHAT, PATIENT, ask, connect, eventually, need, request_bytes, rows_of, show, talk
from upstream import (ANSWER, CLOSE, COST, HALF_CLOSE, HOLD, RESET, SPLIT, USAGE, FaultUpstream, Mark, anthropic_events,
                      chunk, chunked, completion, event, events, head, in_pieces, refusal, streamed, whole)

NO_RETRY = {"x-leeway-retries": "0"}
AWAY = """\
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0", workers: 1, state: "{state}"}}
providers:
  near: {{dialect: openai, base_url: "{upstream}"}}
  away: {{dialect: openai, base_url: "AWAY", retries: {{attempts: 1, base: 5ms}}, timeouts: {{connect: 200ms}}, breaker: {{failures: 0}}}}
models:
  mini: {{provider: near, price: {{input: 2.50, output: 10.00}}}}
  helped: {{provider: away, price: {{input: 2.50, output: 10.00}}, fallbacks: [mini]}}
  alone: {{provider: away, price: {{input: 2.50, output: 10.00}}}}
keys:
  - {{name: web, secret: "{key}"}}
"""


def no_success(answer):
    """A stream or an answer that broke off must not look whole."""
    need(b"[DONE]" not in answer.body and b'"finish_reason":"stop"' not in answer.body and b"message_stop" not in answer.body,
         "looks like an end:", answer.body[-300:])
    if answer.status == 200:
        need(answer.error() or b"event: error" in answer.body or not answer.complete, "no error:", answer.body[-300:])
    else:
        need(answer.error() and answer.error()["message"], "no error:", answer.data)


def seen(answer):
    error = answer.error()
    told = f", error {error.get('code') or error.get('type')}" if error else ""
    done = ", [DONE]" if b"[DONE]" in answer.body else ""
    return f"{answer.status or 'nothing'}{told}{done}{'' if answer.complete else ', ' + answer.ending}"


def told(gateway, answer, said, ends=None, costs=None):
    """The rows of an answer: each attempt once; `ends` and `costs` are what they must be, an attempt each."""
    rows = rows_of(gateway, answer.id)
    said["client"], said["ledger"] = seen(answer), show(rows)
    need(rows and [row["attempt"] for row in rows] == list(range(1, len(rows) + 1)), "rows:", rows)
    if ends is not None:
        need([row["end"] for row in rows] == ends, "ends", ends, "and not", [row["end"] for row in rows])
    if costs is not None:
        need([row["cost_pico_usd"] for row in rows] == costs, "costs", costs, "and not", show(rows))
    return rows


def fault_connect(world):
    """Refused, no such name, no TLS, no answer to a connection: the next target; without one 502 or 504."""
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    waiting = [socket.socket() for _ in range(2)]
    for one in waiting:  # its queue is full: the next connection is not answered
        one.setblocking(False)
        one.connect_ex(deaf.getsockname())
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    upstream = FaultUpstream()
    for name, url in (("refused", f"http://127.0.0.1:{closed.getsockname()[1]}/v1"), ("no such name", "http://nowhere.invalid/v1"),
                      ("no TLS there", f"https://127.0.0.1:{upstream.port}/v1"),
                      ("connect timeout", f"http://127.0.0.1:{deaf.getsockname()[1]}/v1")):
        with world.gateway(upstream.url, AWAY.replace("AWAY", url)) as gateway:
            with world.case("connect", name + ", with a fallback") as said:
                upstream.play([whole(completion())])
                answer = talk(gateway, ask(model="helped"))
                need(answer.status == 200 and ANSWER.encode() in answer.body, answer.data)
                rows = told(gateway, answer, said)
                need(all(row["cost_pico_usd"] == 0 for row in rows[:-1]) and rows[-1]["cost_pico_usd"] == COST, said["ledger"])
            with world.case("connect", name + ", without one") as said:
                answer = talk(gateway, ask(model="alone"))
                need(answer.status in (502, 504) and answer.error()["code"], answer.data)
                rows = told(gateway, answer, said)
                need(rows and all(row["cost_pico_usd"] == 0 for row in rows), said["ledger"])


def fault_refusals(world):
    """429 with and without Retry-After, 408, 500, 502, 503, 529: tried again; an error as the first event too."""
    upstream = FaultUpstream()
    with world.gateway(upstream.url, PATIENT) as gateway:
        for status, fields in ((429, ()), (429, ("Retry-After: 0",)), (408, ()), (500, ()), (502, ()), (503, ()), (529, ())):
            with world.case("refusal", f"{status} {' '.join(fields)}, then an answer") as said:
                upstream.play([refusal(status, *fields)], [whole(completion())])
                answer = talk(gateway, ask())
                need(answer.status == 200 and answer.headers["x-leeway-attempts"] == "2", answer.data)
                told(gateway, answer, said, ["error", "ok"], [0, COST])
        error = event({"error": {"message": "overloaded", "type": "server_error", "param": None, "code": None}})
        anthropic_error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
        for model, first, good, path in (("mini", error, events(), CHAT), ("haiku", anthropic_error, anthropic_events(), "/v1/messages")):
            for name, script in (("an error as the first event", [streamed([first])]),
                                 ("the same in single bytes", in_pieces(streamed([first])))):
                with world.case("refusal", f"{name}, then a stream ({model})") as said:
                    upstream.play(script, [streamed(good)])
                    answer = talk(gateway, ask(stream=True, model=model), path)
                    need(answer.status == 200 and b"verloaded" not in answer.body, answer.body)
                    need(b"[DONE]" in answer.body or b"message_stop" in answer.body, answer.body)
                    told(gateway, answer, said, ["error", "ok"], [0, COST])


def fault_time(world):
    """A slow first byte, slow tokens, a stall in the middle: each limit ends it in words."""
    upstream = FaultUpstream()
    some = streamed(events()[:3], end=b"")
    slowly = [head("Transfer-Encoding: chunked")]
    for piece in events(done=False)[:1] + [event(chunk({"content": "x"}))] * 12:
        slowly += [chunked([piece], end=b""), Mark("pause 0.25")]
    with world.gateway(upstream.url) as gateway:
        for name, script, stream, limit in (
                ("no first byte", [HOLD], False, 0.4), ("no first byte of a stream", [HOLD], True, 0.4),
                ("half a head", [b"HTTP/1.1 200 OK\r\nConte", HOLD], False, 0.4),
                ("a stall in the middle", [some, HOLD], True, 0.4),
                ("a stall inside an event", [some[:-20], HOLD], True, 0.4),
                ("a stall in the middle of a body", [whole(completion())[:-30], HOLD], False, 1.5),
                ("tokens so slow that the total passes", slowly, True, 1.5)):
            with world.case("time", name) as said:
                upstream.play(script)
                begin = time.monotonic()
                answer = talk(gateway, ask(stream=stream), **NO_RETRY)
                took = time.monotonic() - begin
                no_success(answer)
                error = answer.error()
                need(error and error["code"] == "upstream_timeout" and took < limit + 1, f"{took:.2f} s", error)
                rows = told(gateway, answer, said, ["timeout"])
                need(answer.status != 200 or rows[0]["cost_pico_usd"], "a stream that began costs something:", show(rows))
                said["client"] += f" after {took:.1f} s"
        with world.case("time", "a stall in the middle (Anthropic)") as said:
            upstream.play([streamed(anthropic_events()[:4], end=b""), HOLD])
            answer = talk(gateway, ask(stream=True, model="haiku"), "/v1/messages", **NO_RETRY)
            no_success(answer)
            need(b"event: error" in answer.body, answer.body)
            told(gateway, answer, said, ["timeout"])


def fault_cuts(world):
    """FIN, RST, half-close, truncated chunk, a wrong Content-Length, gzip that is cut: never `stop`, always an error."""
    upstream = FaultUpstream()
    stream, answer_bytes = streamed(events()), whole(completion())
    partial = streamed(events()[:4], end=b"")
    packed = gzip.compress(b"".join(events()))
    packed_json = gzip.compress(completion())
    until_close = head("Connection: close") + b"".join(events()[:4])
    with world.gateway(upstream.url) as gateway:
        for name, script, is_stream in (
                ("FIN in a stream", [partial, CLOSE], True), ("RST in a stream", [partial, SPLIT, RESET], True),
                ("half-close in a stream", [partial, HALF_CLOSE, HOLD], True),
                ("FIN inside an event", [partial[:-30], CLOSE], True),
                ("FIN after the last event's first line end", [partial[:-3], CLOSE], True),
                ("truncated chunk", [partial[:-10], CLOSE], True), ("a chunk that lies", [partial + b"ffff\r\ndata: {", CLOSE], True),
                ("a chunk size that is none", [partial + b"zz\r\n", CLOSE], True),
                ("end of connection is the end, before [DONE]", [until_close, CLOSE], True),
                ("RST where the end would be the end", [until_close, SPLIT, RESET], True),
                ("Content-Length too large, stream", [head(f"Content-Length: {len(b''.join(events()[:4])) + 99}")
                                                      + b"".join(events()[:4]), CLOSE], True),
                ("FIN in a body", [answer_bytes[:-20], CLOSE], False), ("RST in a body", [answer_bytes[:-20], SPLIT, RESET], False),
                ("FIN in the head", [answer_bytes[:25], CLOSE], False),
                ("Content-Length too large", [whole(completion(), length=len(completion()) + 5), CLOSE], False),
                ("Content-Length too small", [whole(completion(), length=len(completion()) - 5), CLOSE], False),
                ("two Content-Lengths", [head("Content-Length: 5", "Content-Length: 6", kind="application/json") + b"{}", CLOSE], False),
                ("gzip, unasked, cut in a stream", [head("Content-Encoding: gzip", "Connection: close") + packed[:60], CLOSE], True),
                ("gzip, unasked, cut in a body", [head("Content-Encoding: gzip", f"Content-Length: {len(packed_json)}",
                                                       kind="application/json") + packed_json[:60], CLOSE], False),
                ("gzip, unasked, whole", [whole(packed_json, "Content-Encoding: gzip")], False),
                ("gzip, unasked, whole stream", [streamed([packed], "Content-Encoding: gzip")], True)):
            with world.case("cut", name) as said:
                upstream.play(script)
                answer = talk(gateway, ask(stream=is_stream), **NO_RETRY)
                no_success(answer)
                rows = told(gateway, answer, said)
                need(len(rows) == 1 and rows[0]["end"] in ("cut", "error"), "rows:", show(rows))
                need(answer.status != 200 or rows[0]["cost_pico_usd"], "what was shown is not booked as free:", show(rows))
        # Every byte of a stream is a place to cut it: no prefix that lacks the end may look whole.
        step = 1 if world.scale > 1 else 29
        with world.case("cut", f"FIN at every {step}. byte of a stream") as said:
            end = stream.index(b'"finish_reason":"stop"')
            cuts = list(range(len(head("Transfer-Encoding: chunked")) + 1, end, step))
            for at in cuts:
                upstream.play([stream[:at], CLOSE])
                no_success(talk(gateway, ask(stream=True), **NO_RETRY))
            rows = gateway.rows()[-len(cuts):]
            need({row["end"] for row in rows} == {"cut"}, "ends:", {row["end"] for row in rows})
            said["client"], said["ledger"] = f"{len(cuts)} errors", f"{len(rows)} rows cut"
        for path, kind in (("/v1/messages", "Anthropic"), ("/v1/responses", "Responses"),
                           ("/v1beta/models/mini:streamGenerateContent?alt=sse", "Gemini"), ("/v1/completions", "legacy")):
            with world.case("cut", f"FIN in a stream, asked in {kind}") as said:
                upstream.play([partial, CLOSE])
                body = {"/v1/responses": {"model": "mini", "input": "Hi", "stream": True},
                        "/v1/completions": {"model": "mini", "prompt": "Hi", "stream": True}}.get(
                            path, {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]} if "Gemini" == kind else ask(stream=True))
                answer = talk(gateway, body, path, **NO_RETRY)
                need(b"message_stop" not in answer.body and b"response.completed" not in answer.body and b"[DONE]" not in answer.body
                     and b'"STOP"' not in answer.body and b"error" in answer.body, answer.body[-400:])
                told(gateway, answer, said, ["cut"])


def fault_shapes(world):
    """The same events however they are cut and framed: the client gets the same bytes, the ledger the same row."""
    upstream = FaultUpstream()
    pieces = events()
    plain = b"".join(pieces)
    with world.gateway(upstream.url, PATIENT) as gateway:
        upstream.play([streamed(pieces)])
        usual = talk(gateway, ask(stream=True))
        (first,) = rows_of(gateway, usual.id)
        need(usual.status == 200 and first["cost_pico_usd"] == COST, usual.data)
        crlf, cr = plain.replace(b"\n", b"\r\n"), plain.replace(b"\n", b"\r")
        lines = plain.replace(b'"object":', b'\ndata: "object":')
        for name, script, expected in (
                ("each byte alone", in_pieces(streamed(pieces)), plain),
                ("each event a write", [part for piece in [head("Transfer-Encoding: chunked"), *(chunked([p], end=b"") for p in pieces),
                                                           b"0\r\n\r\n"] for part in (piece, SPLIT)][:-1], plain),
                ("all events in one chunk", [streamed([plain])], plain),
                ("chunks of one byte", [streamed([plain[i:i + 1] for i in range(len(plain))])], plain),
                ("Content-Length", [head(f"Content-Length: {len(plain)}") + plain], plain),
                ("up to the connection's end", [head("Connection: close") + plain, CLOSE], plain),
                ("CR LF", [streamed([crlf])], crlf), ("CR LF, each byte alone", in_pieces(streamed([crlf])), crlf),
                ("CR", [streamed([cr])], cr), ("a byte order mark", [streamed([b"\xef\xbb\xbf" + plain])], b"\xef\xbb\xbf" + plain),
                ("comments", [streamed([b": ping\n\n" + plain.replace(b"\n\n", b"\n\n: ping\n\n", 3)])], None),
                ("retry: and id:", [streamed([b"retry: 100\nid: 7\n" + plain])], b"retry: 100\nid: 7\n" + plain),
                ("data in several lines", [streamed([lines])], lines)):
            with world.case("shape", name) as said:
                upstream.play(script)
                answer = talk(gateway, ask(stream=True))
                (row,) = told(gateway, answer, said, ["ok"], [COST])
                # We ask for usage where the client did not; what it did not ask for is taken out.
                hidden = event({**chunk({}), "choices": [], "usage": USAGE})
                if expected is not None:
                    variants = [expected, *(expected.replace(hidden.replace(b"\n", end), b"") for end in (b"\n", b"\r\n", b"\r")),
                                expected.replace(hidden.replace(b'"object":', b'\ndata: "object":'), b"")]
                    # A CR ends the line of [DONE]; the LF of its pair may come behind the end, which is not shown.
                    need(answer.body in variants or answer.body + b"\n" in variants, "other bytes:", answer.body)
                need(row["usage"] == first["usage"] and answer.complete, "another row:", row)


def fault_content(world):
    """Malformed JSON, NUL, bad UTF-8, a 10 MiB line, endless comments, [DONE] that is missing, doubled or not the end."""
    upstream = FaultUpstream()
    good = events()
    odd = lambda data: good[:2] + [event(data)] + good[2:]
    with world.gateway(upstream.url) as gateway:
        for name, pieces, whole_end in (
                ("malformed JSON in the middle", odd(b'{"id":'), True), ("NUL in the middle", odd(b'{"a":"\0"}'), True),
                ("bad UTF-8 in the middle", odd(b'{"a":"\xff\xfe"}'), True),
                ("two [DONE]", good + good[-1:], True), ("data after [DONE]", good + [event(chunk({"content": "late"}))], True),
                ("an error after [DONE]", good + [event({"error": {"message": "late"}})], True),
                ("a line of 10 MiB", odd(json.dumps(chunk({"content": "x" * (10 << 20)})).encode()), True),
                ("no [DONE], but a finish reason", good[:-1], True),
                ("no [DONE] and no finish reason", good[:5], False),
                ("nothing at all", [], False), ("only [DONE]", good[-1:], None),
                ("a line of 17 MiB", odd(b"x" * (17 << 20)), False)):
            with world.case("content", name) as said:
                upstream.play([streamed(pieces)])
                answer = talk(gateway, ask(stream=True), **NO_RETRY)
                rows = told(gateway, answer, said)
                need(len(rows) == 1, show(rows))
                if whole_end:
                    need(answer.status == 200 and answer.complete and rows[0]["end"] == "ok", "not whole:", answer.body[-300:])
                    need(rows[0]["cost_pico_usd"] == COST, "usage is kept:", show(rows))
                elif whole_end is False:
                    no_success(answer)
                else:
                    need(rows[0]["cost_pico_usd"] is None, "an answer without usage is not free:", show(rows))
        with world.case("content", "endless comments before the first event") as said:
            upstream.play([head("Transfer-Encoding: chunked"), Mark("flood " + "9\r\n: ping\n\n\n\r\n")])
            begin = time.monotonic()
            answer = talk(gateway, ask(stream=True), **NO_RETRY)
            no_success(answer)
            need(time.monotonic() - begin < 4, "longer than the total limit")
            told(gateway, answer, said, ["timeout"])
        for name, body in (("malformed JSON", b'{"id":"x"'), ("an array", b"[]"), ("empty", b""), ("HTML", b"<html>busy</html>")):
            with world.case("content", name + " as an answer") as said:
                upstream.play([whole(body)])
                answer = talk(gateway, ask(), **NO_RETRY)
                no_success(answer)
                need(answer.status == 502, answer.data)
                told(gateway, answer, said, ["error"])
        for name, body in (("NUL in it", completion(system_fingerprint="NUL")), ("bad UTF-8 in it", completion(system_fingerprint="BAD"))):
            with world.case("content", f"an answer with {name}: passes byte for byte") as said:
                body = body.replace(b"NUL", b"\0").replace(b"BAD", b"\xff\xfe")
                upstream.play([whole(body)])
                answer = talk(gateway, ask(), **NO_RETRY)
                need(answer.status == 200 and answer.body == body, answer.data)
                told(gateway, answer, said, ["ok"], [COST])


def fault_usage(world):
    """Usage missing, zero, partial, twice, after [DONE], negative, 2^63: four states, and nothing absurd is booked."""
    upstream = FaultUpstream()
    tell = lambda usage, done=False: event({**chunk({}), "choices": [], "usage": usage})
    body = events(usage=None, done=False)
    done = event(b"[DONE]")
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    huge = {"prompt_tokens": 2**63, "completion_tokens": 10, "total_tokens": 2**63 + 10}
    less = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}
    below = {"prompt_tokens": -100, "completion_tokens": -1, "total_tokens": -101}
    with world.gateway(upstream.url) as gateway:
        for name, pieces, state, cost in (
                ("final", body + [tell(USAGE), done], "final", COST), ("missing", body + [done], None, None),
                ("zero", body + [tell(zero), done], "zero", 0), ("twice, the last counts", body + [tell(less), tell(USAGE), done], "final", COST),
                # What follows the end is no part of the answer; unknown is not free.
                ("after [DONE]", body + [done, tell(USAGE)], None, None),
                ("null", body + [tell(None), done], None, None), ("an object without counts", body + [tell({}), done], None, None),
                ("only the input", body + [tell({"prompt_tokens": 100}), done], "any", "some"),
                ("negative", body + [tell(below), done], None, None), ("2^63", body + [tell(huge), done], "any", "not absurd"),
                ("a fraction", body + [tell({"prompt_tokens": 1.5, "completion_tokens": 1}), done], "any", "not absurd"),
                ("text", body + [tell({"prompt_tokens": "100", "completion_tokens": "10"}), done], "any", "not absurd")):
            for way in ("stream", "buffered"):
                if way == "buffered" and name == "after [DONE]":
                    continue
                with world.case("usage", f"{name}, {way}") as said:
                    told_usage = next((json.loads(p[6:]).get("usage") for p in reversed(pieces) if b'"usage"' in p), None)
                    upstream.play([streamed(pieces)] if way == "stream" else
                                  [whole(completion(usage=told_usage) if name not in ("missing",) else completion(usage=None))])
                    answer = talk(gateway, ask(stream=way == "stream", stream_options={"include_usage": True}) if way == "stream" else ask())
                    need(answer.status == 200 and answer.complete, answer.data[-300:])
                    (row,) = told(gateway, answer, said, ["ok"])
                    if state not in ("any",):
                        need((row["usage"] or {}).get("state") == state, "state", state, "and not", row["usage"])
                    booked = row["cost_pico_usd"]
                    if cost is None or isinstance(cost, int):
                        need(booked == cost, "cost", cost, "and not", booked)
                    else:
                        need(booked is None or 0 < booked < 10**15, "absurd:", booked)
                        need(booked != 0, "unknown is not free:", row)


def fault_heads(world):
    """100-continue, 103, trailers, a 64 KiB header, chunk extensions, HTTP/1.0, a kept connection that ends: all clean."""
    upstream = FaultUpstream()
    body = completion()
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
    with world.gateway(upstream.url) as gateway:
        for name, script, status in (
                ("100 before the answer", [interim + whole(body)], 200), ("103 before the answer", [hints * 3 + whole(body)], 200),
                ("trailers", [head("Transfer-Encoding: chunked", kind="application/json")
                              + chunked([body], end=b"0\r\nX-Checksum: 1\r\nSet-Cookie: a=b\r\n\r\n")], 200),
                ("chunk extensions", [head("Transfer-Encoding: chunked", kind="application/json")
                                      + chunked([body], extension=b';name="v;\\"x"')], 200),
                ("HTTP/1.0 up to its end", [head(kind="application/json", version="1.0") + body, CLOSE], 200),
                ("HTTP/1.0 with a length", [head(f"Content-Length: {len(body)}", kind="application/json", version="1.0") + body, CLOSE], 200),
                ("a header of 60 KiB", [whole(body, "X-Long: " + "x" * 60_000)], 200),
                ("a header of 70 KiB", [whole(body, "X-Long: " + "x" * 70_000)], 502),
                ("1,000 headers", [whole(body, *(f"X-{i}: y" for i in range(1000)))], 502),
                ("endless 100s", [Mark("flood HTTP/1.1 100 Continue\r\n\r\n")], 502)):
            with world.case("head", name) as said:
                upstream.play(script)
                answer = talk(gateway, ask(), **NO_RETRY)
                rows = told(gateway, answer, said)
                need((200 if answer.status == 200 else 502 if answer.status in (502, 504) else 0) == status, answer.data[:300])
                need(len(rows) == 1, "once:", show(rows))
                if status == 200:
                    need(answer.body == body and answer.complete and "set-cookie" not in answer.headers, answer.data)
                    need(rows[0]["cost_pico_usd"] == COST, show(rows))
        with world.case("head", "a redirect is not followed") as said:
            upstream.play([whole(b"{}", f"Location: {upstream.url}/elsewhere", status="302 Found")], [whole(body)])
            answer = talk(gateway, ask("moved"), **NO_RETRY)
            asked = len(upstream.requests)
            upstream.calls()
            rows = told(gateway, answer, said)
            need(asked == 1 and answer.status != 200 and "location" not in answer.headers and len(rows) == 1, answer.data)
        with world.case("head", "the kept connection ends between two requests") as said:
            for i in range(3):
                upstream.play([whole(body), CLOSE])
                answer = talk(gateway, ask(f"again {i}"))
                need(answer.status == 200 and upstream.calls() == 1, answer.data)
                told(gateway, answer, said, ["ok"], [COST])
        with world.case("head", "it ends just when the request comes") as said:
            upstream.play([whole(body)])
            need(talk(gateway, ask("warm")).status == 200, "warm")
            upstream.play([CLOSE], [whole(body)])  # asked over the kept connection, closed without a byte
            answer = talk(gateway, ask("again"))
            need(answer.status == 200, answer.data)
            told(gateway, answer, said)


def fault_one_request_on_two_connections(world):
    """Answers that were not asked for must reach nobody."""
    upstream = FaultUpstream()
    with world.gateway(upstream.url) as gateway, world.case("head", "two answers to one request") as said:
        upstream.play([whole(completion()) + whole(completion(id="of-somebody-else"))])
        first = talk(gateway, ask("one"))
        upstream.play([whole(completion())])
        with connect(gateway) as end:
            end.sendall(request_bytes(ask("two")))
            data = bytearray()
            eventually(lambda: bool(data.extend(end.recv(65536)) or b"}" in data), "no answer")
        second = Answer(bytes(data), "closed")
        need(first.status == second.status == 200 and b"somebody" not in first.data + second.data, first.data, second.data)
        told(gateway, second, said, ["ok"], [COST])
