#!/usr/bin/env python3
"""Runs clang-tidy over our sources, changed files first, and remembers what was clean.

    tools/lint/tidy.py [--build build/release] [--jobs N] [NAME…]

NAME: only files whose path contains one of them. A file is skipped when its preprocessed text,
.clang-tidy and clang-tidy itself are those of an earlier clean run (kept in the cache folder).
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

TIDY = "clang-tidy-19"
# Rapidcheck passes generated values by value; GoogleTest's macros write the rest.
NOT_IN_TESTS = ["performance-unnecessary-value-param", "cppcoreguidelines-virtual-class-destructor",
                "bugprone-unused-return-value", "performance-inefficient-vector-operation"]
ROOT = pathlib.Path(__file__).resolve().parents[2]


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def cache_folder() -> pathlib.Path:
    base = os.environ.get("LEEWAY_CACHE")
    if not base:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "leeway")
    folder = pathlib.Path(base) / "tidy"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def key_of(entry: dict, common: bytes) -> str:
    """What clang-tidy would see: the preprocessed text with comments (NOLINT is one)."""
    words = [w for w in shlex.split(entry["command"]) if not w.endswith("ccache")]
    words = words[:words.index("-o")] + words[words.index("-o") + 2:]
    words[words.index("-c")] = "-E"
    text = subprocess.run([*words, "-C"], cwd=entry["directory"], capture_output=True, check=False).stdout
    return hashlib.sha256(common + text).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="folder with compile_commands.json")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()

    build = (ROOT / args.build).resolve()
    try:
        entries = json.loads((build / "compile_commands.json").read_text())
    except OSError as error:
        print(f"tidy: {error}; type: tools/build.sh release leeway leeway_tests", file=sys.stderr)
        return 1
    ours = [e for e in entries if pathlib.Path(e["file"]).is_relative_to(ROOT)]
    if args.names:
        ours = [e for e in ours if any(name in e["file"] for name in args.names)]
    changed = set(output("git", "diff", "--name-only", "HEAD~1").split())
    changed |= set(output("git", "ls-files", "--others", "--exclude-standard").split())
    ours.sort(key=lambda e: (str(pathlib.Path(e["file"]).relative_to(ROOT)) not in changed, e["file"]))

    common = (ROOT / ".clang-tidy").read_bytes() + output(TIDY, "--version").encode()
    cache = cache_folder()

    def run(entry: dict) -> tuple[str, str, float]:
        name = str(pathlib.Path(entry["file"]).relative_to(ROOT))
        started = time.monotonic()
        mark = cache / key_of(entry, common)
        if mark.exists():
            return name, "", 0.0
        command = [TIDY, "--quiet", "-p", str(build)]
        if name.endswith("_test.cpp") or name.startswith("tests/"):
            command.append("--checks=" + ",".join("-" + check for check in NOT_IN_TESTS))
        done = subprocess.run([*command, entry["file"]], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            mark.touch()
            return name, "", time.monotonic() - started
        return name, done.stdout + done.stderr, time.monotonic() - started

    faulty = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for number, (name, fault, seconds) in enumerate(pool.map(run, ours), 1):
            if seconds or fault:
                print(f"[{number}/{len(ours)}] {name}: {'FAULTS' if fault else 'clean'}, {seconds:.0f} s", flush=True)
            if fault:
                faulty += 1
                print(fault, flush=True)
    print(f"tidy: {len(ours)} files, {faulty} with faults")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
