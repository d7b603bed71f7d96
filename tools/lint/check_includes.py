#!/usr/bin/env python3
"""Fails when a lower layer includes a higher one, a library is used outside its folder, a header
lacks `#pragma once`, or a file passes 600 lines. The build runs it before it compiles.

    tools/lint/check_includes.py [--stamp FILE]      checks src/; writes FILE when all is well
"""
import argparse
import fnmatch
import pathlib
import re
import sys

MAX_LINES = 600

_BASICS = ["base", "json", "prices", "telemetry"]
_WIRE = [*_BASICS, "wire"]
# Folder under src/ -> folders it may include besides itself. Must stay free of circles.
LAYERS = {
    "base": [],
    "json": ["base"],
    "prices": ["base", "json"],
    "tokens": ["base", "json"],
    "telemetry": ["base", "prices"],
    "wire": _BASICS,
    "net": _WIRE,
    "store": _WIRE,
    "ledger": [*_WIRE, "store", "tokens"],
    "pipeline": _WIRE,
    "models": [*_WIRE, "net"],
    "providers": [*_WIRE, "net", "pipeline", "models"],
    "methods": [*_WIRE, "pipeline", "store"],
    "guard": [*_WIRE, "pipeline", "store", "methods"],
    "lab": [*_WIRE, "tokens", "pipeline", "store", "methods", "guard"],
    "admin": [*_WIRE, "net", "store", "ledger"],
    "app": ["*"],
}
# Headers that are pure interfaces, with the folders that may include them beyond LAYERS.
INTERFACES = {"models/embedding.hpp": ["methods", "guard", "lab"]}
# Include (glob) -> folders (glob) that may use it.
LIBRARIES = {
    "boost/*": ["net"],
    "openssl/ssl.h": ["net"],
    "zlib.h": ["base"],
    "llama*.h": ["models/host"],
    "ggml*.h": ["models/host"],
    "gguf.h": ["models/host"],
    "sqlite3.h": ["store"],
    "postgresql/*": ["store/postgres"],
    "hiredis/*": ["store/redis"],
    "re2/*": ["prices", "methods/router", "methods/cascade", "guard/topics"],
    "hnswlib/*": ["store/vectors"],
    "yaml-cpp/*": ["app"],
    "CLI/*": ["app"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def check(root: pathlib.Path, path: pathlib.Path) -> list[str]:
    name = path.relative_to(root).as_posix()
    folder = name.split("/")[0]
    parent = path.parent.relative_to(root).as_posix()
    lines = path.read_text(encoding="utf-8").splitlines()
    is_test = name.endswith("_test.cpp")
    faults = []
    if folder not in LAYERS:
        faults.append(f"src/{name}:1: folder '{folder}' has no place in LAYERS of check_includes.py")
    if len(lines) > MAX_LINES:
        faults.append(f"src/{name}:{len(lines)}: {len(lines)} lines, more than {MAX_LINES}: split it")
    if path.suffix == ".hpp" and not any(line.strip() == "#pragma once" for line in lines):
        faults.append(f"src/{name}:1: header without #pragma once")
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target = match.group(2)
        where = f"src/{name}:{number}"
        for pattern, allowed in LIBRARIES.items():
            if fnmatch.fnmatch(target, pattern) and not any(
                parent == place or parent.startswith(place + "/") for place in allowed
            ):
                faults.append(f"{where}: only {', '.join(allowed)}/ may include <{target}>")
        if match.group(1) == "<":
            continue
        other = target.split("/")[0]
        if "/" not in target or other not in LAYERS:
            if not (root / target).exists() and other != "leeway_build_info.hpp":
                if not (is_test or (root.parent / "tests" / target).exists()):
                    faults.append(f'{where}: "{target}" is not found from src/')
            continue
        allowed = LAYERS.get(folder, [])
        if other == folder or other in allowed or "*" in allowed or is_test:
            continue  # a test may reach up to build its surroundings
        if folder in INTERFACES.get(target, []):
            continue
        faults.append(f'{where}: {folder}/ is below {other}/ and must not include "{target}"')
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--stamp", type=pathlib.Path, help="file to write when all is well")
    args = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2] / "src"
    files = sorted(p for p in root.rglob("*") if p.suffix in (".hpp", ".cpp", ".h"))
    faults = [fault for path in files for fault in check(root, path)]
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults and args.stamp:
        args.stamp.write_text(f"{len(files)} files\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
