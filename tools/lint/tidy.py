#!/usr/bin/env python3
"""Runs clang-tidy over our sources, several files at a time, and remembers what was clean.

    tools/lint/tidy.py [--build build/release] [--jobs N] [NAME…]

NAME: only files whose path contains one of them. A file is skipped when its preprocessed text,
.clang-tidy and clang-tidy itself are those of an earlier clean run (kept in the cache folder).

Most of the time goes into the headers of others, again for every file. So up to FILES_AT_ONCE
files are checked as one: a generated file that includes them. Those that do not compile together
(the same name in two unnamed namespaces) go into another such file.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

TIDY = "clang-tidy-19"
# More would be a little faster still, but the cores should end together. One run takes some 0.5 GB.
FILES_AT_ONCE = 16
# Rapidcheck passes generated values by value; GoogleTest's macros write the rest.
NOT_IN_TESTS = ["performance-unnecessary-value-param", "cppcoreguidelines-virtual-class-destructor",
                "bugprone-unused-return-value", "performance-inefficient-vector-operation"]
ROOT = pathlib.Path(__file__).resolve().parents[2]


def cache_folder() -> pathlib.Path:
    base = os.environ.get("LEEWAY_CACHE")
    if not base:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "leeway")
    folder = pathlib.Path(base) / "tidy"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Source:
    def __init__(self, entry: dict) -> None:
        self.path = pathlib.Path(entry["file"])
        self.name = str(self.path.relative_to(ROOT))
        self.is_test = self.name.endswith("_test.cpp") or self.name.startswith("tests/")
        self.folder = entry["directory"]
        words = [word for word in shlex.split(entry["command"]) if not word.endswith("ccache")]
        words = words[:words.index("-o")] + words[words.index("-o") + 2:]
        while "-include-pch" in words:  # -Xclang -include-pch -Xclang FILE -Xclang -include -Xclang FILE
            at = words.index("-include-pch") - 1
            words = words[:at] + words[at + 8:]
        self.flags = tuple(words[:words.index("-c")])  # the compiler and all but the file

    def key(self, common: bytes) -> str:
        """What clang-tidy would see: the preprocessed text with comments (NOLINT is one)."""
        text = subprocess.run([*self.flags, "-E", "-C", str(self.path)], cwd=self.folder, capture_output=True,
                              check=False).stdout
        return hashlib.sha256(common + text).hexdigest()

    def unused_names(self) -> list[str]:
        """Says what clang-tidy cannot where several files are one: a file's own names that it never uses."""
        lines = self.path.read_text().splitlines()
        names = [(number, match[1] or match[2]) for number, line in enumerate(lines, 1)
                 if (match := re.match(r"using [\w:]+::(\w+);|namespace (\w+) = ", line))]
        text = re.sub(r"^using [\w:]+;|(?<!:)//.*", "", "\n".join(lines), flags=re.MULTILINE)
        return [f"{self.path}:{number}:1: error: '{name}' is unused [misc-unused-using-decls]"
                for number, name in names if len(re.findall(rf"\b{name}\b", text)) < 1 + (
                    lines[number - 1].startswith("namespace"))]


def groups_of(sources: list[Source]) -> list[list[Source]]:
    """Files with the same flags, neighbours together, in equal shares."""
    alike = collections.defaultdict(list)
    for source in sources:
        alike[source.flags, source.is_test].append(source)
    groups = []
    for same in alike.values():
        count = -(-len(same) // FILES_AT_ONCE)
        groups += [same[len(same) * i // count:len(same) * (i + 1) // count] for i in range(count)]
    return groups


def run_as_one(group: list[Source], folder: pathlib.Path, before: list[str], after: list[str]) -> tuple[int, str]:
    """Runs a command on a file that includes those of the group; gives its status and what it said."""
    text = "".join(f'#include "{source.path}"  // NOLINT(bugprone-suspicious-include)\n' for source in group)
    together = folder / (hashlib.sha256(text.encode()).hexdigest()[:16] + ".cpp")
    together.write_text(text)
    done = subprocess.run([*before, str(together), *after], cwd=group[0].folder, capture_output=True, text=True,
                          check=False)
    together.unlink(missing_ok=True)
    return done.returncode, done.stdout + done.stderr


def faulty_files(said: str) -> set[str]:
    return set(re.findall(r"^([^\s:]+):\d+:\d+: (?:fatal )?error: ", said, re.MULTILINE))


def split(group: list[Source], folder: pathlib.Path) -> tuple[list[Source], list[Source]]:
    """Those that compile together, and the others."""
    if len(group) == 1:
        return group, []
    status, said = run_as_one(group, folder, [*group[0].flags, "-w", "-fno-color-diagnostics", "-fsyntax-only"], [])
    if status == 0:
        return group, []
    broken = faulty_files(said)
    apart = [source for source in group[1:] if str(source.path) in broken] or group[len(group) // 2:]
    kept, more = split([source for source in group if source not in apart], folder)
    return kept, apart + more


def check(group: list[Source], folder: pathlib.Path) -> str:
    """What there is to say about the files."""
    command = [TIDY, "--quiet", f"--config-file={ROOT}/.clang-tidy"]
    if group[0].is_test:
        command.append("--checks=" + ",".join("-" + name for name in NOT_IN_TESTS))
    status, said = run_as_one(group, folder, command, ["--", *group[0].flags[1:]])
    names = "".join(line + "\n" for source in group for line in source.unused_names())
    return (said if status else "") + names


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
    sources = [Source(entry) for entry in sorted(entries, key=lambda entry: entry["file"])
               if pathlib.Path(entry["file"]).is_relative_to(ROOT)
               and not pathlib.Path(entry["file"]).is_relative_to(build)]
    if args.names:
        sources = [source for source in sources if any(name in source.name for name in args.names)]

    version = subprocess.run([TIDY, "--version"], capture_output=True, check=True).stdout
    common = (ROOT / ".clang-tidy").read_bytes() + "".join(NOT_IN_TESTS).encode() + version
    cache = cache_folder()
    folder = build / "tidy"
    folder.mkdir(exist_ok=True)

    def timed_check(group: list[Source]) -> tuple[list[Source], str, float]:
        started = time.monotonic()
        return group, check(group, folder), time.monotonic() - started

    faulty: set[str] = set()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        keys = dict(zip(sources, pool.map(lambda source: source.key(common), sources)))
        stale = [source for source in sources if not (cache / keys[source]).exists()]
        groups: list[list[Source]] = []
        rest = stale
        while rest:
            parts = list(pool.map(lambda group: split(group, folder), groups_of(rest)))
            groups += [kept for kept, _ in parts]
            rest = [source for _, apart in parts for source in apart]
        groups.sort(key=len, reverse=True)  # one long run must not begin last
        runs = [pool.submit(timed_check, group) for group in groups]
        for number, run in enumerate(concurrent.futures.as_completed(runs), 1):
            group, said, seconds = run.result()
            print(f"[{number}/{len(runs)}] {seconds:.0f} s for {len(group)} files: "
                  f"{group[0].name} … {group[-1].name}", flush=True)
            named = faulty_files(said)
            ours = {str(source.path) for source in group}
            if said:
                faulty |= named or ours
                print(said, flush=True)
            if named <= ours and (named or not said):  # else a header is faulty, or the run itself
                for source in group:
                    if str(source.path) not in named:
                        (cache / keys[source]).touch()
    print(f"tidy: {len(sources)} files, {len(sources) - len(stale)} of them as before, "
          f"{len(faulty)} with faults")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
