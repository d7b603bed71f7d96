"""Tokenizers side by side: leeway, gigatoken and tiktoken, o200k_base, one thread, CPU time."""
import gzip
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path
from statistics import median

from harness import HERE, NotAvailable
from report import Section

SETUP = HERE.parent / "tools" / "setup.sh"
MOST = 4_000_000


def printed(what):
    return Path(subprocess.run([str(SETUP), "--print", what], capture_output=True, text=True,
                               check=True).stdout.strip())


def test_data():
    return Path(os.environ.get("LEEWAY_TEST_DATA", HERE.parent.parent / "shared" / "data"))


def read(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def joined(*folders):
    files = [f for folder in folders for f in sorted(folder.glob("*"))
             if f.is_file() and f.name not in ("README.txt", "LICENSE")]
    return b"\n".join(read(f) for f in files)


def strings_of(value, wanted, out):
    """All strings in a JSON value of which a quarter or more is written in East Asian scripts."""
    if isinstance(value, str):
        if len(wanted.findall(value)) * 4 > len(value):
            out.append(value)
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            strings_of(inner, wanted, out)


def cjk(data):
    wanted, out = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]"), []
    for name in ("compression/json-tool-outputs/twitter.json.gz",
                 "lean/livemcpbench/trajectories_claude-sonnet-4.json.gz",
                 "lean/livemcpbench/trajectories_gpt-4.1.json.gz", "compression/llmlingua-golden/golden.json"):
        strings_of(json.loads(read(data / name)), wanted, out)
    return "\n".join(dict.fromkeys(out)).encode()


def code(data):
    """What agents read and write: source text out of recorded sessions."""
    out = b""
    with tarfile.open(data / "lean/agent-traces-miniswe-tau/miniswe.tar.gz") as archive:
        for member in archive:
            if member.isfile() and len(out) < MOST * 2:
                for line in archive.extractfile(member).read().decode("utf-8", "ignore").splitlines():
                    strings = []
                    try:
                        strings_of(json.loads(line), re.compile(""), strings)
                    except ValueError:
                        continue
                    out += "\n".join(strings).encode() + b"\n"
    return out


def corpora(data, folder):
    """Writes the texts that are there; {name: path}."""
    makers = {
        "English": lambda: joined(data / "compression/qmsum-meetings"),
        "code": lambda: code(data),
        "JSON": lambda: joined(data / "compression/json-tool-outputs", data / "prices/prices-genai-prices"),
        "logs": lambda: joined(data / "compression/loghub-logs"),
        "CJK": lambda: cjk(data),
    }
    out = {}
    for name, make in makers.items():
        try:
            text = make()[:MOST].decode("utf-8", "ignore").encode()
        except (OSError, ValueError):
            continue
        if text:
            out[name] = folder / f"{name}.txt"
            out[name].write_bytes(text)
    return out


class Worker:
    """A process that answers commands with CPU times."""

    def __init__(self, bench, argv):
        self.process = subprocess.Popen(bench.pinned(bench.options.gateway_cpu, argv), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        bench.running.append(self.process)

    def ask(self, kind, path):
        self.process.stdin.write(f"{kind} {path}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().split()
        if len(line) != 2:
            raise NotAvailable(f"{kind} gave no answer")
        return float(line[0]), int(line[1])

    def best(self, kind, path, times):
        return min(self.ask(kind, path) for _ in range(times))


def tokens(bench):
    section = Section("tokens", "Tokenizers",
                      "o200k_base, one thread, MB of text a second of CPU time, warm (`cold`: first pass of an empty "
                      "tokenizer). Rounds alternate; each figure is the best of three passes in a round, the median "
                      "over rounds. Ratios are taken within a round.",
                      ["text", "MB", "leeway count", "leeway ids", "cold", "gigatoken 0.10 ids", "tiktoken 0.14 ids",
                       "count ÷ gigatoken", "ids ÷ gigatoken"])
    data = test_data()
    texts = corpora(data, bench.dir)
    if not texts:
        raise NotAvailable(f"no test data in {data} (LEEWAY_TEST_DATA)")
    vocabularies, rivals = printed("vocabularies"), printed("tokenizers") / "bin" / "python3"
    if not rivals.exists() or not (vocabularies / "o200k_base.vocabulary").exists():
        raise NotAvailable("tools/setup.sh bench has not been run")
    ours = Worker(bench, [bench.program("bench_tokens"), str(vocabularies / "o200k_base.vocabulary")])
    theirs = Worker(bench, [str(rivals), str(HERE / "tokens_rivals.py"), str(vocabularies)])
    memo = []
    for name, path in texts.items():
        size = path.stat().st_size
        rounds = []
        slow = theirs.ask("tiktoken", path)
        theirs.ask("gigatoken", path)
        wanted = slow[1]
        for kind in ("count", "ids", "memo"):
            ours.ask(kind, path)
        for number in range(bench.options.rounds):
            order = ["count", "ids", "gigatoken"]
            order = order[number % 3:] + order[:number % 3]
            seconds = {}
            for kind in order:
                seconds[kind], count = (theirs if kind == "gigatoken" else ours).best(kind, path, 3)
                if count != wanted:
                    section.notes.append(f"{name}: {kind} gives {count} tokens, tiktoken {wanted}")
            seconds["cold"] = ours.ask("cold", path)[0]
            memo.append(size / ours.best("memo", path, 3)[0] / 1e6)
            rounds.append({k: size / v / 1e6 for k, v in seconds.items()})
            bench.say(f"tokens {name} round {number + 1}: " +
                      ", ".join(f"{k} {v:.0f} MB/s" for k, v in rounds[-1].items()))
        middle = {k: median(r[k] for r in rounds) for k in rounds[0]}
        count_ratio = median(r["count"] / r["gigatoken"] for r in rounds)
        ids_ratio = median(r["ids"] / r["gigatoken"] for r in rounds)
        section.row(name, f"{size / 1e6:.2f}", f"{middle['count']:.0f}", f"{middle['ids']:.0f}", f"{middle['cold']:.0f}",
                    f"{middle['gigatoken']:.0f}", f"{size / slow[0] / 1e6:.1f}", f"{count_ratio:.2f}",
                    f"{ids_ratio:.2f}")
        section.goal(f"counts ÷ gigatoken, {name}", count_ratio, 1.3, at_most=False)
        section.goal(f"ids ÷ gigatoken, {name}", ids_ratio, 1.0, at_most=False)
        section.raw[name] = rounds
    section.goal("repeated messages of 4 kB through the memo, GB/s", median(memo) / 1000, 2.0, at_most=False)
    bench.stop(ours.process)
    bench.stop(theirs.process)
    return section
