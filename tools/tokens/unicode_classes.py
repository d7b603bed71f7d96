#!/usr/bin/env python3
"""Writes src/tokens/unicode_table.inc: the class of every code point, as tiktoken's regex engine sees it.

    VENV/bin/python3 tools/tokens/unicode_classes.py > src/tokens/unicode_table.inc

The classes are asked of the pinned tiktoken itself (an encoding whose pattern is one class keeps only
what matches), so that they are of exactly its Unicode version; Python's unicodedata must agree on every
code point that its own version knows. A two-stage table of nibbles: the block of a code point, then its
class inside the block.
"""
import sys
import unicodedata

import tiktoken

# The order is that of CharClass in src/tokens/unicode.hpp; 0 is everything else.
CLASSES = [(1, r"[\p{Lu}\p{Lt}]", {"Lu", "Lt"}), (2, r"\p{Ll}", {"Ll"}), (3, r"[\p{Lm}\p{Lo}]", {"Lm", "Lo"}),
           (4, r"\p{M}", {"Mn", "Mc", "Me"}), (5, r"\p{N}", {"Nd", "Nl", "No"}), (6, r"\s", None),
           (7, r"\p{P}", {"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"}), (8, r"\p{S}", {"Sm", "Sc", "Sk", "So"})]
SPACES = {*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
BLOCK = 128
CODE_POINTS = 0x110000


def members(pattern: str) -> str:
    """All characters that `pattern` matches."""
    encoding = tiktoken.Encoding("probe", pat_str=pattern, mergeable_ranks={bytes([i]): i for i in range(256)},
                                 special_tokens={})
    every = "".join(chr(c) for c in range(CODE_POINTS) if not 0xD800 <= c < 0xE000)
    return bytes(encoding.encode_ordinary(every)).decode("utf-8")


def classify() -> bytearray:
    table = bytearray(CODE_POINTS)
    for number, pattern, categories in CLASSES:
        for char in members(pattern):
            code = ord(char)
            assert table[code] == 0, hex(code)
            table[code] = number
            known = unicodedata.category(char)
            if categories is None:
                assert code in SPACES, hex(code)
            else:
                assert known in categories or known == "Cn", (hex(code), known)
    for code in range(CODE_POINTS):  # nothing that Python knows may be missing
        category = unicodedata.category(chr(code))
        wanted = next((n for n, _, c in CLASSES if c and category in c), 0)
        if code in SPACES:
            wanted = 6
        if wanted and table[code] != wanted:
            print(f"note: U+{code:04X} is {category} for Python, class {table[code]} for tiktoken", file=sys.stderr)
    return table


def rows(numbers: list[int]) -> str:
    out, line = [], "    "
    for number in numbers:
        word = f"{number},"
        if len(line) + len(word) > 98:
            out.append(line.rstrip())
            line = "    "
        line += word
    return "\n".join([*out, line])


def main() -> None:
    table = classify()
    blocks: dict[bytes, int] = {}
    stage1 = []
    for start in range(0, CODE_POINTS, BLOCK):
        block = bytes(table[start:start + BLOCK])
        stage1.append(blocks.setdefault(block, len(blocks)))
    print(f"note: {len(blocks)} blocks", file=sys.stderr)
    assert len(blocks) <= 256
    while stage1[-1] == stage1[-2]:  # the empty top of the code space
        stage1.pop()
    packed = [block[i] | block[i + 1] << 4 for block in blocks for i in range(0, BLOCK, 2)]
    print("// Written by tools/tokens/unicode_classes.py; do not edit.")
    print(f"// The classes of tiktoken {tiktoken.__version__}'s regular expressions, "
          f"{sum(1 for c in table if c)} code points with a class.")
    print(f"inline constexpr unsigned kUnicodeBlockBits = {BLOCK.bit_length() - 1};")
    print(f"inline constexpr std::uint8_t kUnicodeStage1[{len(stage1)}] = {{\n{rows(stage1)}\n}};")
    print(f"inline constexpr std::uint8_t kUnicodeStage2[{len(packed)}] = {{\n{rows(packed)}\n}};")


if __name__ == "__main__":
    main()
