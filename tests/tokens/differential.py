#!/usr/bin/env python3
"""Compares leeway's tokens with PyPI tiktoken's, id for id.

    tests/tokens/differential.py --leeway build/release/leeway [--strings 4000] [--files FOLDER]

Random and hostile strings (10^6 with --strings 1000000), and every text file of the folder. Runs with the
Python of `tools/setup.sh --print tokenizers`; tiktoken gets the rank files that lie beside the
vocabularies, so no network is needed. Exit status: 0 all equal, 1 a difference, 3 something is missing.
"""
import argparse
import base64
import gzip
import json
import os
import pathlib
import random
import subprocess
import sys
import time

PIECES = [" ", "  ", "\n", "\r\n", "\t", "\v", "\u00a0", "\u3000", "\u2028", "\x85", "a", "b", "Z", "É", "é", "ß", "ſ",
          "K", "ʰ", "ª", "ǅ", "\u0301", "\u0903", "1", "22", "٣", "Ⅷ", "½", "'", "'s", "'S", "'ll", "'LL", "'re",
          "'ve", "'d", "'ſ", "!", "/", "//", "-", "_", "...", "”", "“", "—", "中", "国", "の", "ア", "한", "อ", "ส",
          "🌍", "👨‍👩‍👧", "\u200d", "\ufeff", "\x00", "\x7f", "\u00ad", "\ue000", "\U000e0001", "\U00010400",
          "\U00010428", "\u1c89", "\u088f", "hello", " World", "HTTPServer", "camelCase", "ABC", "def", "=", "\\", "\"",
          "{", "}", "<|endoftext|>", "<|start|>", "x" * 20, " " * 17, "\n" * 5]


def hostile(r: random.Random) -> str:
    kind = r.random()
    if kind < 0.55:
        return "".join(r.choices(PIECES, k=r.randint(1, 40)))
    if kind < 0.7:
        return "".join(r.choices(r.choices(PIECES, k=3), k=r.randint(1, 90)))
    if kind < 0.8:
        return "".join(chr(r.choice([r.randint(0, 127), r.randint(0, 0x2ff), r.randint(0, 0xd7ff),
                                     r.randint(0xe000, 0x10ffff)])) for _ in range(r.randint(1, 50)))
    if kind < 0.95:
        letters = "abcdefghijklmnopqrstuvwxyzABCDEF 's t'llre'ved'm\n\r\t .,/!12345"
        return "".join(r.choices(letters, k=r.randint(1, 150)))
    return "".join(r.choices([chr(i) for i in range(128)], k=r.randint(1, 200)))


def text_files(folder: pathlib.Path):
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in (".gguf",) or path.name.endswith(".tar.gz"):
            continue
        try:
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            text = data.decode("utf-8")
        except (OSError, EOFError, UnicodeDecodeError):
            continue
        if text and "\0" not in text[:1000]:
            yield path, text


class Leeway:
    """One process that answers JSON strings with ids, a line each."""

    def __init__(self, program: str, vocabulary: str):
        self.command = [program, "tokens", "--vocabulary", vocabulary, "--jsonl", "--ids"]

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        lines = "".join(json.dumps(text) + "\n" for text in texts)
        done = subprocess.run(self.command, input=lines.encode(), capture_output=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"leeway failed: {done.stderr.decode()[:500]}")
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(texts), (len(answers), len(texts))
        assert all(a["count"] == len(a["ids"]) for a in answers)
        return [a["ids"] for a in answers]


def reference(name: str, folder: pathlib.Path):
    import tiktoken  # pylint: disable=import-outside-toplevel
    from tiktoken_ext import openai_public

    def local_ranks(url: str, expected_hash: str | None = None):
        del expected_hash  # set-up has checked it
        file = folder / url.rsplit("/", 1)[1]
        return {base64.b64decode(token): int(rank) for token, rank in
                (line.split() for line in file.read_text().splitlines())}

    openai_public.load_tiktoken_bpe = local_ranks
    return tiktoken.Encoding(**openai_public.ENCODING_CONSTRUCTORS[name]())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leeway", required=True)
    parser.add_argument("--strings", type=int, default=4000, help="for each vocabulary (4000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=pathlib.Path, help="folder with text files")
    parser.add_argument("--most-bytes", type=int, default=0, help="of all files together (0: all)")
    args = parser.parse_args()
    folder = pathlib.Path(os.environ.get("LEEWAY_VOCABULARIES", ""))
    if not (folder / "o200k_base.tiktoken").exists():
        print("no rank files: set LEEWAY_VOCABULARIES to the folder that tools/setup.sh fills", file=sys.stderr)
        return 3
    different = 0
    for name in ("o200k_base", "cl100k_base", "o200k_harmony"):
        started = time.monotonic()
        encoding, leeway = reference(name, folder), Leeway(args.leeway, name)
        compared = total = 0

        def compare(texts: list[str], places: list[str]) -> None:
            nonlocal different, compared
            for text, place, ours in zip(texts, places, leeway.encode_all(texts)):
                compared += 1
                theirs = encoding.encode_ordinary(text)
                if ours != theirs:
                    different += 1
                    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
                    print(f"{name} {place}: differs at token {at}: {text[:200]!r}\n  ours   {ours[at:at + 8]}\n"
                          f"  theirs {theirs[at:at + 8]}")

        r = random.Random(args.seed)
        for start in range(0, args.strings, 20000):
            some = min(20000, args.strings - start)
            compare([hostile(r) for _ in range(some)], [f"string {start + i}" for i in range(some)])
        if args.files and name != "o200k_harmony":  # the same ranks and rules as o200k_base
            for path, text in text_files(args.files):
                if args.most_bytes and total > args.most_bytes:
                    break
                total += len(text)
                compare([text], [str(path.relative_to(args.files))])
        print(f"{name}: {compared} texts compared in {time.monotonic() - started:.0f} s, {different} different so far",
              flush=True)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
