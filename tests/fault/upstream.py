"""An upstream that does to the byte what a script says, and the answers of providers that such scripts are made of.

The upstream is that of the transcripts (tests/golden/actors.py) with three more things that it can do:
Mark("pause SECONDS"), Mark("half-close"), Mark("flood TEXT"): sends TEXT until the gateway closes, 60 s at most.
A gateway that closes early is no fault here, but told: `closed_at` has the time for each connection.
"""
import json
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
from actors import Fault, Upstream  # noqa: E402
from transcript import Mark  # noqa: E402

CLOSE, RESET, HOLD, HALF_CLOSE, SPLIT = (Mark(text) for text in ("close", "reset", "hold", "half-close", "split"))
USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
COST = 100 * 2_500_000 + 10 * 10_000_000  # of USAGE in picodollars, at the prices of scenarios here
WORDS = ("Hello", " from", " the", " fault")
ANSWER = "".join(WORDS)


class FaultUpstream(Upstream):
    def __init__(self):
        self.closed_at = []
        super().__init__()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def play(self, *scripts):
        """What the next requests get, in their order."""
        self.closed_at = []
        self.begin_step([list(script) for script in scripts], None)

    def calls(self):
        """How many requests came; that a script was not needed, or was missing, is for the scenario to judge."""
        with self.changed:
            self.changed.wait_for(lambda: self._done + len(self._scripts) >= self._wanted, 5)
            self._scripts.clear()
            unscripted = sum(fault.startswith("the upstream got a request") for fault in self.faults)
            self.faults = []
            return len(self.requests) + unscripted

    def _play(self, end, script):
        for item in script:
            try:
                if isinstance(item, Mark) and item.text.startswith("pause "):
                    threading.Event().wait(float(item.text.split()[1]))
                elif item == HALF_CLOSE:
                    end.shutdown(socket.SHUT_WR)
                elif isinstance(item, Mark) and item.text.startswith("flood "):
                    self._flood(end, item.text[6:].encode())
                    return False
                elif not super()._play(end, [item]):
                    if item == HOLD:
                        self.closed_at.append(time.monotonic())
                    return False
            except (Fault, OSError):
                self.closed_at.append(time.monotonic())
                return False
        return True

    @staticmethod
    def _flood(end, text):
        end.settimeout(60)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            end.sendall(text)


# ---------------------------------------------------------------- what providers say
def chunk(delta, finish=None, **more):
    return {"id": "chatcmpl-f", "object": "chat.completion.chunk", "created": 1, "model": "upstream-mini",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def event(value, end=b"\n\n"):
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()) + end


def events(usage=USAGE, done=True, finish="stop"):
    """The events of a whole OpenAI stream, each as bytes."""
    out = [event(chunk({"role": "assistant", "content": ""}))]
    out += [event(chunk({"content": word})) for word in WORDS]
    if finish:
        out.append(event(chunk({}, finish)))
    if usage is not None:
        out.append(event({**chunk({}), "choices": [], "usage": usage}))
    if done:
        out.append(event(b"[DONE]"))
    return out


def completion(usage=USAGE, **more):
    """A whole OpenAI answer that is no stream."""
    value = {"id": "chatcmpl-f", "object": "chat.completion", "created": 1, "model": "upstream-mini",
             "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}], **more}
    if usage is not None:
        value["usage"] = usage
    return json.dumps(value).encode()


def anthropic_events():
    """The events of a whole Anthropic stream, each as bytes."""
    def one(kind, **members):
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps({"type": kind, **members}).encode())
    out = [one("message_start", message={
        "id": "msg_f", "type": "message", "role": "assistant", "model": "upstream-claude", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 100, "output_tokens": 1}}),
        one("content_block_start", index=0, content_block={"type": "text", "text": ""})]
    out += [one("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in WORDS]
    return out + [one("content_block_stop", index=0),
                  one("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 10}),
                  one("message_stop")]


# ---------------------------------------------------------------- HTTP around it
def head(*fields, kind="text/event-stream", status="200 OK", version="1.1"):
    lines = [f"HTTP/{version} {status}", f"Content-Type: {kind}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunked(pieces, extension=b"", end=b"0\r\n\r\n"):
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces) + end


def streamed(pieces, *fields, extension=b"", end=b"0\r\n\r\n"):
    """A whole answer as a chunked stream: one write."""
    return head("Transfer-Encoding: chunked", *fields) + chunked(pieces, extension, end)


def whole(body, *fields, status="200 OK", kind="application/json", length=None):
    size = len(body) if length is None else length
    return head(f"Content-Length: {size}", *fields, kind=kind, status=status) + body


def refusal(status, *fields):
    body = json.dumps({"error": {"message": f"scripted {status}", "type": "server_error", "param": None, "code": None}}).encode()
    return whole(body, *fields, status=f"{status} Scripted")


def in_pieces(data, size=1):
    """The same bytes, `size` at a time, each read by the gateway before the next is sent."""
    out = []
    for at in range(0, len(data), size):
        out += [data[at:at + size], SPLIT]
    return out[:-1]
