"""What the parts of semantic routes and caches cost: `bench/run semantic`. A part is a function that gives a Section."""
import gzip
import json
import os
import subprocess

from harness import NotAvailable
from report import Section
from scenarios_tokens import test_data

DISTINCT = 30_000  # questions that are embedded; the rest are copies of them


def questions(bench):
    """A file with distinct questions of QQP, one a line, in the order in which they come."""
    path = test_data() / "cache/qqp-gptcache/qqp_full.tsv.gz"
    if not path.exists():
        raise NotAvailable(f"no test data in {test_data()} (LEEWAY_TEST_DATA)")
    seen = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        next(file)
        for line in file:
            for text in line.rstrip("\n").split("\t")[:2]:
                if text:
                    seen.setdefault(text)
            if len(seen) >= DISTINCT:
                break
    out = bench.dir / "questions.txt"
    out.write_text("\n".join(list(seen)[:DISTINCT]) + "\n", encoding="utf-8")
    return out


def ask(bench, *arguments):
    argv = [bench.program("bench_semantic"), *map(str, arguments)]
    done = subprocess.run(bench.pinned(bench.options.gateway_cpu, argv), stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "LEEWAY_MODELS": bench.options.models}, check=False)
    if done.returncode != 0:
        raise NotAvailable(f"bench_semantic {arguments[0]} failed")
    return json.loads(done.stdout)


def lookups(bench):
    section = Section("semantic", "Look-ups of vectors",
                      "MiniLM vectors (384 numbers) of distinct QQP questions, then copies of them with noise (cosine "
                      "0.96) up to the number of entries. Asked: 1,000 questions that are not in the index (250 beyond "
                      "300,000 entries), and as many noisy copies of stored ones; k = 1, one thread, CPU time. Recall "
                      "against an exact search of the same index. Build: CPU time of the graph, in the background.",
                      ["entries", "kept as", "asked", "ms mean", "ms 99 %", "exact, ms", "recall@1", "recall@10",
                       "bytes an entry", "build, s"])
    texts = questions(bench)
    for entries in bench.options.vectors:
        for precision in ("int8", "float32") if entries <= 100_000 else ("int8",):
            bench.say(f"semantic: {entries} entries, {precision}")
            got = ask(bench, "lookups", texts, entries, precision)
            section.raw[f"{entries} {precision}"] = [got]
            for kind, title in (("strange", "new questions"), ("near", "copies of stored ones")):
                figures = got[kind]
                section.row(f"{entries:,}", precision, title, f"{figures['mean_ms']:.3f}", f"{figures['p99_ms']:.3f}",
                            f"{figures['exact_ms']:.2f}", f"{figures['recall_1']:.4f}",
                            f"{figures['recall_10']:.4f}", f"{got['bytes']:.0f}", f"{got['build_s']:.0f}")
                limit = 1 if entries <= 100_000 else 2
                section.goal(f"{entries:,} entries, {precision}, {title}: ms", figures["mean_ms"], limit)
                section.goal(f"{entries:,} entries, {precision}, {title}: recall@1", figures["recall_1"], 0.99,
                             at_most=False)
    return section


PARTS = (lookups,)


def semantic(bench):
    return [part(bench) for part in PARTS]
