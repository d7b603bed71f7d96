"""Reads and writes transcript files. README.md beside this describes the format.

A file is a header, then steps, then blocks in each step. Byte blocks are text in which a line break of the
file means nothing and every byte that is not plain text is written out: \\r \\n \\t \\\\ \\xHH. Marks are \\{…}.
"""
import dataclasses
import re

HEADER_KEYS = ("name", "about", "config", "gateway")
CLIENT_SENDS, UPSTREAM_RECEIVES, UPSTREAM_SENDS, CLIENT_RECEIVES, LEDGER = (
    "client sends", "upstream receives", "upstream sends", "client receives", "ledger")
BLOCKS = (CLIENT_SENDS, UPSTREAM_RECEIVES, UPSTREAM_SENDS, CLIENT_RECEIVES, LEDGER)
NO_ROWS = "(no rows)"
BYTE_BY_BYTE = "byte by byte"
RUN = 64  # so many equal bytes in a row are written as \{N*c}

_ESCAPE = re.compile(r"\\(?:([rnt\\])|x([0-9a-fA-F]{2})|\{([^}]*)\})|\\")
_PLAIN = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}


class FormatError(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Mark:
    """Something to do between two bytes, or how a connection ended."""
    text: str


@dataclasses.dataclass
class Block:
    kind: str
    option: str
    line: int  # of its '---', from 1
    text: list  # its lines


@dataclasses.dataclass
class Exchange:
    """One request that the upstream must get, and what it then does."""
    sends: Block
    receives: Block | None


@dataclasses.dataclass
class Step:
    name: str
    line: int
    blocks: list

    def only(self, kind):
        found = [block for block in self.blocks if block.kind == kind]
        return found[0] if found else None

    def exchanges(self):
        out, receives = [], None
        for block in self.blocks:
            if block.kind == UPSTREAM_RECEIVES:
                receives = block
            elif block.kind == UPSTREAM_SENDS:
                out.append(Exchange(block, receives))
                receives = None
        return out


def tokens(text, secrets=None):
    """A byte block's text as a list of bytes and Marks, with repeats and secrets filled in."""
    out, at = [], 0

    def add(data):
        if out and isinstance(out[-1], bytes):
            out[-1] += data
        elif data:
            out.append(data)

    for found in _ESCAPE.finditer(text):
        add(text[at:found.start()].encode())
        at = found.end()
        plain, code, mark = found.groups()
        if plain:
            add(_PLAIN[plain])
        elif code:
            add(bytes([int(code, 16)]))
        elif mark is None:
            raise FormatError(f"'{text[found.start():at + 1]}' is no escape (write a backslash as \\\\)")
        elif repeat := re.fullmatch(r"(\d+)\*(.+)", mark, re.DOTALL):
            add(b"".join(tokens(repeat[2])) * int(repeat[1]))
        elif mark.startswith("secret "):
            if mark[7:] not in (secrets or {}):
                raise FormatError(f"no key '{mark[7:]}' is made by this configuration")
            add(secrets[mark[7:]].encode())
        else:
            out.append(Mark(mark))
    add(text[at:].encode())
    return out


def script(block, secrets=None):
    """What a sender does: a list of bytes to send at once and Marks, with lengths and chunks filled in."""
    items = _fill_lengths(_fill_chunks(tokens("".join(block.text), secrets)))
    if block.option == BYTE_BY_BYTE:
        items = [one for item in items for one in
                 ([part for byte in item for part in (bytes([byte]), Mark("split"))]
                  if isinstance(item, bytes) else [item])]
    return items


def _fill_chunks(items):
    """\\{chunk} begins a chunk, which the next \\{chunk}, \\{last} or \\{end} ends."""
    out, size_at, size = [], None, 0

    def close():
        if size_at is not None:
            out[size_at] = b"%x\r\n" % size
            out.append(b"\r\n")

    for item in items:
        if isinstance(item, Mark) and item.text in ("chunk", "last", "end"):
            close()
            size_at = None
            if item.text == "last":
                out.append(b"0\r\n\r\n")
            elif item.text == "chunk":
                size_at, size = len(out), 0
                out.append(b"")
            else:
                out.append(item)
            continue
        if isinstance(item, bytes):
            size += len(item)
        out.append(item)
    close()
    return _joined(out)


def _fill_lengths(items):
    """\\{length}: the bytes from the end of the head on, up to the next \\{end}, \\{await answer} or the end."""
    out = []
    for at, item in enumerate(items):
        if item == Mark("length"):
            rest = b""
            for later in items[at + 1:]:
                if later in (Mark("end"), Mark("await answer")):
                    break
                rest += later if isinstance(later, bytes) else b""
            head, found, body = rest.partition(b"\r\n\r\n")
            if not found:
                raise FormatError("\\{length} without an empty line behind it")
            out.append(str(len(body)).encode())
        elif item != Mark("end"):
            out.append(item)
    return _joined(out)


def _joined(items):
    out = []
    for item in items:
        if isinstance(item, bytes) and out and isinstance(out[-1], bytes):
            out[-1] += item
        else:
            out.append(item)
    return out


def expected(block):
    """The bytes of an expectation, and how the connection ended (a Mark's text, or None)."""
    if block is None:
        return b"", None
    data, ending = b"", None
    for item in tokens("".join(block.text)):
        if ending is not None:
            raise FormatError(f"line {block.line}: something stands behind \\{{{ending}}}")
        if isinstance(item, Mark):
            ending = item.text
        else:
            data += item
    return data, ending


def rendered(data, ending=None):
    """The lines of a byte block that means `data`: one per line feed, and nothing that an editor would hide."""
    lines = [_escaped_line(line) for line in data.split(b"\n")]
    lines = [line + "\\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    lines = [re.sub(r"^(---|===)( |$)", lambda m: f"\\x{ord(m[1][0]):02x}{m[1][1:]}{m[2]}", line) for line in lines]
    lines = [re.sub(r" $", r"\\x20", line) for line in lines]
    return lines + ([f"\\{{{ending}}}"] if ending else [])


def _escaped_line(line):
    out = []
    for run in re.finditer(rb"(.)\1*", line, re.DOTALL):
        if len(run[0]) >= RUN and run[1] not in b"}\\" and 0x20 < run[1][0] < 0x7f:
            out.append((True, f"\\{{{len(run[0])}*{run[1].decode()}}}"))
        elif out and not out[-1][0]:
            out[-1] = (False, out[-1][1] + run[0])
        else:
            out.append((False, run[0]))
    return "".join(text if done else _escaped(text) for done, text in out)


def _escaped(data):
    text = data.decode("utf-8", "surrogateescape")
    out = []
    for char in text:
        if char == "\\":
            out.append("\\\\")
        elif char in "\r\t":
            out.append({"\r": "\\r", "\t": "\\t"}[char])
        elif char.isprintable() and not 0xd800 <= ord(char) <= 0xdfff:
            out.append(char)
        else:
            out.extend(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
    return "".join(out)


class Case:
    """One file."""

    def __init__(self, path, name):
        self.path, self.name = path, name
        self.header, self.preamble, self.steps = {}, [], []
        self._read(path.read_text(encoding="utf-8").split("\n"))

    def _fail(self, line, message):
        raise FormatError(f"{self.path}:{line}: {message}")

    def _read(self, lines):
        if lines and lines[-1] == "":
            lines.pop()
        block, key = None, None
        for number, line in enumerate(lines, 1):
            if line.startswith("=== "):
                if not line.startswith("=== step ") or not line[9:].strip():
                    self._fail(number, "expected '=== step NAME'")
                self.steps.append(Step(line[9:].strip(), number, []))
                block = None
            elif line.startswith("--- "):
                block = self._begin_block(line, number)
            elif block is not None:
                block.text.append(line)
            elif self.steps:
                if line.strip() and not line.startswith("#"):
                    self._fail(number, "text outside a block (a block begins with '--- ')")
            else:
                key = self._header_line(line, number, key)
        self._check()

    def _begin_block(self, line, number):
        if not self.steps:
            self._fail(number, "a block before the first step")
        kind, _, option = line[4:].partition(", ")
        if kind not in BLOCKS:
            self._fail(number, f"unknown block '{kind}' (there are: {', '.join(BLOCKS)})")
        sends = kind in (CLIENT_SENDS, UPSTREAM_SENDS)
        if option and not (sends and option == BYTE_BY_BYTE):
            self._fail(number, f"unknown option '{option}'")
        block = Block(kind, option, number, [])
        self.steps[-1].blocks.append(block)
        return block

    def _header_line(self, line, number, key):
        self.preamble.append(line)
        if not line.strip() or line.startswith("#"):
            return None
        if line.startswith(" ") and key:
            self.header[key] += " " + line.strip()
            return key
        key, colon, value = line.partition(":")
        if not colon or key not in HEADER_KEYS or key in self.header:
            self._fail(number, f"expected one of {', '.join(HEADER_KEYS)}, each once")
        self.header[key] = value.strip()
        return key

    def _check(self):
        if self.header.get("name") != self.name:
            self._fail(1, f"the header must say 'name: {self.name}'")
        if not self.header.get("about"):
            self._fail(1, "the header must say what it is 'about:'")
        if self.header.setdefault("gateway", "shared") not in ("shared", "own"):
            self._fail(1, "gateway: must be shared or own")
        self.header.setdefault("config", "default")
        if not self.steps:
            self._fail(1, "a case without a step")
        for step in self.steps:
            for kind in (CLIENT_SENDS, CLIENT_RECEIVES, LEDGER):
                if sum(block.kind == kind for block in step.blocks) > 1:
                    self._fail(step.line, f"'{kind}' stands twice in step '{step.name}'")
            sends = step.only(CLIENT_SENDS)
            if sends is None or not script_has_bytes(sends):
                self._fail(step.line, f"step '{step.name}' sends nothing")
            before = None
            for block in step.blocks:
                if block.kind == UPSTREAM_RECEIVES and before == UPSTREAM_RECEIVES:
                    self._fail(block.line, "two requests for the upstream without an 'upstream sends' between them")
                before = block.kind if block.kind.startswith("upstream") else None
                if block.kind == UPSTREAM_RECEIVES:
                    rest = step.blocks[step.blocks.index(block) + 1:]
                    if not rest or rest[0].kind != UPSTREAM_SENDS:
                        self._fail(block.line, "'upstream receives' must be followed by 'upstream sends'")

    def missing_expectations(self):
        """What must be there before the case can be run without --update."""
        out = []
        for step in self.steps:
            for kind in (CLIENT_RECEIVES, LEDGER):
                block = step.only(kind)
                if block is None or not "".join(block.text).strip():
                    out.append(f"step '{step.name}' has no '{kind}'")
            for exchange in step.exchanges():
                if exchange.receives is None or not "".join(exchange.receives.text).strip():
                    out.append(f"step '{step.name}' has no 'upstream receives' before line {exchange.sends.line}")
        return out

    def write(self, outcomes):
        """Replaces the expectations; `outcomes` has one per step: (upstream's requests, client's answer, rows),
        each as lines. True if the file changed."""
        lines = [*self.preamble]
        for step, (requests, answer, rows) in zip(self.steps, outcomes, strict=True):
            while lines and not lines[-1].strip():
                lines.pop()
            lines += ["", f"=== step {step.name}"]
            self._block(lines, CLIENT_SENDS, step.only(CLIENT_SENDS).option, step.only(CLIENT_SENDS).text)
            for exchange, request in zip(step.exchanges(), requests, strict=True):
                self._block(lines, UPSTREAM_RECEIVES, "", request)
                self._block(lines, UPSTREAM_SENDS, exchange.sends.option, exchange.sends.text)
            self._block(lines, CLIENT_RECEIVES, "", answer)
            self._block(lines, LEDGER, "", rows)
        text = "\n".join(lines) + "\n"
        if text == self.path.read_text(encoding="utf-8"):
            return False
        self.path.write_text(text, encoding="utf-8")
        return True

    @staticmethod
    def _block(lines, kind, option, text):
        lines.append(f"--- {kind}" + (f", {option}" if option else ""))
        lines.extend(text)
        while not lines[-1].strip():
            lines.pop()


def script_has_bytes(block):
    return any(isinstance(item, bytes) or item.text.startswith("secret ") for item in
               tokens(re.sub(r"\\\{secret [^}]*\}", "x", "".join(block.text))))
