"""The two ends of the gateway: a client and an upstream that do to the byte what a transcript says.

Nothing sleeps to let time pass: what must have happened is looked at until it has, up to a deadline.
"""
import collections
import re
import socket
import struct
import threading
import time

from transcript import Mark

DEADLINE = 20.0  # seconds for any one thing to happen; sanitizers are slow


class Fault(Exception):
    """The transcript could not be followed."""


def _wait(condition, what):
    give_up = time.monotonic() + DEADLINE
    while not (result := condition()):
        if time.monotonic() > give_up:
            raise Fault(f"{what} (waited {DEADLINE:.0f} s)")
        time.sleep(0)  # only lets others run
    return result


def unread_bytes(port, peer_port):
    """How many bytes wait in the socket that has `port` here and `peer_port` there; None: it is gone."""
    local, remote = f":{port:04X}", f":{peer_port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            words = line.split()
            # 01 established, 04 and 05 it sent its end, 08 the peer did
            if words[1].endswith(local) and words[2].endswith(remote) and words[3] in ("01", "04", "05", "08"):
                return int(words[4].split(":")[1], 16)
    return None


def _wait_until_read(end):
    """Until the gateway has taken all that was sent to it, so that what follows comes as bytes of its own."""
    own, gateway = end.getsockname()[1], end.getpeername()[1]
    _wait(lambda: not unread_bytes(gateway, own), "the gateway does not read what was sent")


def _reset(end):
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


def _send(end, data):
    """False: the other side does not take it any more."""
    try:
        end.sendall(data)
        return True
    except (BrokenPipeError, ConnectionResetError):
        return False


def answer_end(data, at, is_head):
    """Where the final answer that begins at `at` ends, and whether the connection lives on; None: not yet there."""
    while True:
        head_end = data.find(b"\r\n\r\n", at)
        if head_end < 0:
            return None
        head = data[at:head_end + 2].lower()
        at = head_end + 4
        if not re.match(rb"http/1\.[01] 1\d\d", head):
            break
    lives = not re.search(rb"\r\nconnection:[^\r\n]*close", head)
    if is_head:
        return at, lives
    if re.search(rb"\r\ntransfer-encoding:[^\r\n]*chunked", head):
        while True:
            size_line = re.compile(rb"([0-9a-fA-F]+)[^\r\n]*\r\n").match(data, at)
            if not size_line:
                return None
            at = size_line.end() + int(size_line[1], 16) + 2
            if len(data) < at:
                return None
            if int(size_line[1], 16) == 0:
                return at, lives
    length = re.search(rb"\r\ncontent-length:\s*(\d+)", head)
    if length is None:
        return None  # up to the end of the connection
    at += int(length[1])
    return (at, lives) if len(data) >= at else None


class Client:
    """Sends a script over one connection and keeps all that comes back."""

    def __init__(self, port):
        self.end = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = bytearray()
        self.ending = None  # how it ended: closed, reset, kept open, client left
        self._answered = 0  # bytes of answers that were waited for
        self._asked = False  # sent something since then
        self._is_head = False

    def run(self, script, upstream):
        try:
            for item in script:
                if self.ending:
                    break
                self._do(item, upstream)
            if self.ending is None:
                self._finish()
        finally:
            self.end.close()

    def _do(self, item, upstream):
        if isinstance(item, bytes):
            if not self._asked:
                self._is_head = item.startswith(b"HEAD ")
            self._asked = True
            _send(self.end, item)
        elif item == Mark("split"):
            _wait_until_read(self.end)
        elif item == Mark("half-close"):
            self.end.shutdown(socket.SHUT_WR)
        elif item == Mark("close"):
            self.end.close()
            self.ending = "client left"
        elif item == Mark("reset"):
            _reset(self.end)
            self.ending = "client left"
        elif item == Mark("await answer"):
            self._await_answer()
        elif item == Mark("await end"):
            self._read_until(lambda: False, "the gateway does not end the connection")
        elif item == Mark("await upstream"):
            upstream.wait_for_requests(1)
        elif item.text.startswith("await "):
            self._read_until(lambda: item.text[6:].encode() in self.data, f"'{item.text[6:]}' does not come")
        else:
            raise Fault(f"a client knows no \\{{{item.text}}}")

    def _read_until(self, condition, what):
        while not condition():
            if not self._read(what):
                return False
        return True

    def _read(self, what):
        """False: no more will come; `ending` says why."""
        try:
            more = self.end.recv(65536)
        except TimeoutError:
            raise Fault(f"{what} (waited {DEADLINE:.0f} s)") from None
        except ConnectionResetError:
            self.ending = "reset"
            return False
        if not more:
            self.ending = "closed"
            return False
        self.data += more
        return True

    def _await_answer(self):
        """Reads one whole answer. Whether the connection should live on."""
        found = None

        def whole():
            nonlocal found
            found = answer_end(self.data, self._answered, self._is_head)
            return found
        if not self._read_until(whole, "the answer does not come, or has no end"):
            return False
        self._answered, lives = found
        self._asked = False
        return lives

    def _finish(self):
        lives = self._await_answer() if self._asked else True
        if self.ending is None and lives:
            # An answer too many would come now.
            try:
                self.end.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            if self._read_until(lambda: False, "the connection does not end after the client has ended it") or \
                    self.ending == "closed":
                self.ending = "kept open"
        elif self.ending is None:
            self._read_until(lambda: False, "the gateway said 'connection: close' and does not close")


class Upstream:
    """Answers each request with the next exchange of the present step. A request that no exchange is there for,
    bytes behind a request, and a script that cannot be played to its end are faults."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self._scripts = collections.deque()
        self.requests, self.faults = [], []
        self._done = 0
        self._wanted = 0
        self._client = None
        self._connections = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def begin_step(self, scripts, client):
        with self.changed:
            self._scripts = collections.deque(scripts)
            self.requests = []  # but not the faults: what went wrong between two steps must not get lost
            self._done, self._wanted, self._client = 0, len(scripts), client

    def end_step(self):
        """What the upstream got, and what went wrong."""
        with self.changed:
            left = len(self._scripts)
            if left == 0:
                self.changed.wait_for(lambda: self._done == self._wanted, DEADLINE)
            faults, self.faults = self.faults, []
            if left:
                faults.append(f"{left} of {self._wanted} scripted upstream exchanges were never asked for")
            elif self._done != self._wanted:
                faults.append(f"the upstream did not get to the end of its script in {DEADLINE:.0f} s")
            self._scripts.clear()
            return list(self.requests), faults

    def wait_for_requests(self, count):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.requests) >= count, DEADLINE):
                raise Fault("the upstream got no request")

    def drop_idle(self):
        """Ends the connections that earlier cases left, so that none of them matters to the next."""
        with self.changed:
            for end in self._connections.values():
                try:
                    end.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
            if not self.changed.wait_for(lambda: not self._connections, DEADLINE):
                raise Fault("the gateway keeps connections that the upstream has closed")

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                end, _ = self.listener.accept()
            except OSError:
                return
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(end,), daemon=True)
            with self.changed:
                self._connections[thread] = end
            thread.start()

    def _serve(self, end):
        buffer = bytearray()
        try:
            while (request := self._read_request(end, buffer)) is not None:
                with self.changed:
                    if not self._scripts:
                        self.faults.append("the upstream got a request that no script is for:\n" +
                                           request.decode("utf-8", "backslashreplace"))
                        return
                    script = self._scripts.popleft()
                    self.requests.append(request)
                    self.changed.notify_all()
                try:
                    lives = self._play(end, script)
                except Fault as fault:
                    lives = False
                    with self.changed:
                        self.faults.append(f"upstream: {fault}")
                with self.changed:
                    self._done += 1
                    self.changed.notify_all()
                if not lives:
                    return
        except OSError as error:
            with self.changed:
                self.faults.append(f"upstream: {error}")
        finally:
            end.close()
            with self.changed:
                self._connections.pop(threading.current_thread(), None)
                self.changed.notify_all()

    def _read_request(self, end, buffer):
        """The exact bytes of the next request; None: the gateway closed."""
        size = None
        while size is None or len(buffer) < size:
            head_end = buffer.find(b"\r\n\r\n")
            if size is None and head_end >= 0:
                length = re.search(rb"\r\ncontent-length: *(\d+)\r\n", bytes(buffer[:head_end + 2]).lower())
                size = head_end + 4 + (int(length[1]) if length else 0)
                continue
            try:
                more = end.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                if buffer:
                    self.faults.append("the upstream got half a request: " +
                                       buffer.decode("utf-8", "backslashreplace"))
                return None
            buffer += more
        request = bytes(buffer[:size])
        del buffer[:size]
        if buffer:
            self.faults.append("the upstream got more than a request: " + buffer.decode("utf-8", "backslashreplace"))
        return request

    def _play(self, end, script):
        """False: the connection is over."""
        for item in script:
            if isinstance(item, bytes):
                if not _send(end, item):
                    raise Fault("the gateway closed before the upstream had sent all")
            elif item == Mark("split"):
                _wait_until_read(end)
            elif item == Mark("hold"):
                self._hold(end)
                return False
            elif item == Mark("close"):
                return False
            elif item == Mark("reset"):
                _reset(end)
                return False
            elif item.text.startswith("await client "):
                text = item.text[13:].encode()
                _wait(lambda text=text: text in bytes(self._client.data), f"the client does not get '{item.text[13:]}'")
            else:
                raise Fault(f"an upstream knows no \\{{{item.text}}}")
        return True

    @staticmethod
    def _hold(end):
        """Stays silent until the gateway closes."""
        end.settimeout(DEADLINE)
        try:
            if end.recv(1):
                raise Fault("bytes come while the upstream holds its answer back")
        except ConnectionResetError:
            pass
        except TimeoutError:
            raise Fault("the gateway does not give the upstream up") from None
