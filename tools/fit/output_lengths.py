#!/usr/bin/env python3
"""Fits the lengths of answers that `leeway estimate` starts from where the ledger knows none.

    tools/fit/output_lengths.py --leeway build/release/leeway --data DIR [--write]

DIR is a folder of recorded answers (its layout is in `sources` below). Texts are counted with o200k_base.
Recordings of one kind of use by one model in one data set are a group. A group has a level (its median) and a
shape (quantiles over the median). The table holds, per kind, the median of the levels, how far levels lie apart
(standard deviation of their logarithms, widened by sqrt(1 + 1/groups) for a group nobody has seen), and the mean
shape. Each kind is checked by leaving one group out: how many of its answers lie within P10 to P90 of the others.

--write puts the table into src/lab/estimate/output_priors.inc.
"""
import argparse
import bisect
import csv
import gzip
import json
import math
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tarfile

QUANTILES = [i / 20 for i in range(21)]  # 0 and 1 stand for 0.5 % and 99.5 %
LEAST = 30  # answers of a group


def text_of(path):
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")


def lines_of(path):
    with text_of(path) as file:
        return [json.loads(line) for line in file.read().split("\n") if line.strip()]


def items_of(path):
    with text_of(path) as file:
        return json.load(file)


def columns_of(path):
    csv.field_size_limit(1 << 30)
    with text_of(path) as file:
        yield from csv.DictReader(file)


def sources(data):
    """(kind, group, texts or numbers of tokens)"""
    for path in sorted((data / "lean/concise-verbose-pairs").glob("*.outputs.json.gz")):
        if "concise" not in path.name and "verbose" not in path.name:
            yield "chat", "alpaca-eval " + path.name[:-16], [item["output"] for item in items_of(path)]
    for path in sorted((data / "router/arena-hard-v0.1").glob("gpt-*.jsonl.gz")):
        answers = [[part["content"] for part in item["messages"] if part["role"] == "assistant"][0]
                   for item in lines_of(path)]
        yield "chat", "arena-hard " + path.name[:-9], [a["answer"] if isinstance(a, dict) else a for a in answers]
    yield "chat", "mt-bench gpt-4", [turn for item in lines_of(data / "router/mt-bench/gpt-4.jsonl")
                                     for turn in item["choices"][0]["turns"]]
    yield "chat", "azure-llm-2023-conv", [int(row["GeneratedTokens"]) for row in columns_of(
        data / "load/azure-llm-2023-conv/AzureLLMInferenceTrace_conv.csv.gz")]
    yield "chat", "mooncake-conversation", [row["output_length"] for row in lines_of(
        data / "load/mooncake-conversation/conversation_trace.jsonl.gz")]

    for folder in ("zeroeval-gsm", "numersense-samples"):
        for path in sorted((data / "outcomes" / folder).glob("*.json.gz")):
            if not path.name.startswith(("no_cot", "sampling")):
                yield "reasoned", f"{folder} {path.name[:-8]}", [item["output"][0] for item in items_of(path)]
    by_group = {}
    for row in columns_of(data / "outcomes/logprob_9models.csv.gz"):
        for name, value in row.items():
            if name.endswith("|tok_out") and value:
                by_group.setdefault((row["task"], name[:-8]), []).append(int(float(value)))
    for (task, model), lengths in sorted(by_group.items()):
        yield "reasoned" if task == "gsm8k" else "short", f"{task} {model}", lengths

    yield "grounded", "vidur-arxiv", [int(float(row["num_decode_tokens"])) for row in columns_of(
        data / "load/vidur-arxiv-lengths/arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv.gz")]
    yield "grounded", "anthropic-docs-qa", [item["correct_answer"] for item in items_of(
        data / "rag/anthropic-docs-qa/docs_evaluation_dataset.json")]
    for name in ("product", "committee"):
        yield "grounded", f"qmsum {name}", [
            query["answer"] for row in lines_of(data / f"compression/qmsum-meetings/{name}.val.jsonl.gz")
            for query in row["general_query_list"] + row["specific_query_list"]]

    for name in ("miniswe", "taubench"):
        with tarfile.open(data / f"lean/agent-traces-miniswe-tau/{name}.tar.gz") as tar:
            yield "agent", name, [json.loads(line)["output"]
                                  for member in tar if member.isfile() and member.name.startswith(name + "/")
                                  and member.name.endswith(".jsonl")
                                  for line in tar.extractfile(member).read().decode().split("\n") if line.strip()]
    # The other trajectories file holds the same answers, judged by another model.
    yield "agent", "livemcpbench claude-sonnet-4", [
        (message.get("content") or "") + "".join(call["function"]["name"] + str(call["function"]["arguments"])
                                                 for call in message.get("tool_calls") or [])
        for item in items_of(data / "lean/livemcpbench/trajectories_claude-sonnet-4.json.gz")
        for message in item["messages"] if message["role"] == "assistant"]
    steps = [step["response"] for path in sorted((data / "compression/swe-agent-trajectories").glob("*.traj"))
             for step in items_of(path).get("trajectory", []) if step.get("response")]
    yield "agent", "swe-agent", steps
    model, sends = "", {}
    with text_of(data / "prices/aider-usage-log/chat-history.md.gz") as file:
        for line in file:
            if named := re.match(r"> (?:Main )?[Mm]odel: (\S+)", line):
                model = named[1]
            if told := re.match(r"> Tokens: .*?([\d.,]+)(k?) received", line):
                sends.setdefault(model, []).append(int(float(told[1].replace(",", "")) * (1000 if told[2] else 1)))
    for model, lengths in sends.items():
        yield "agent", "aider " + model, lengths


def count_texts(leeway, texts):
    done = subprocess.run([leeway, "tokens", "--vocabulary", "o200k_base", "--jsonl"], check=True,
                          input="".join(json.dumps(text) + "\n" for text in texts), text=True, stdout=subprocess.PIPE)
    return [json.loads(line)["count"] for line in done.stdout.splitlines()]


def quantile(ordered, q):
    at = q * (len(ordered) - 1)
    low = int(at)
    return ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def fit(groups):
    """Median level, its spread, shape."""
    levels = [math.log(max(1, quantile(g, 0.5))) for g in groups]
    spread = statistics.stdev(levels) * math.sqrt(1 + 1 / len(levels)) if len(levels) > 1 else 1.0
    shape = []
    for q in QUANTILES:
        q = min(max(q, 0.005), 0.995)
        shape.append(math.exp(statistics.fmean(
            math.log(max(1, quantile(g, q))) - level for g, level in zip(groups, levels))))
    return math.exp(statistics.median(levels)), spread, shape


def held_out_coverage(groups):
    """Share of the answers of a group within P10 to P90 of what the other groups predict, mean over groups."""
    rng = random.Random(1)
    shares = []
    for i, held in enumerate(groups):
        median, spread, shape = fit(groups[:i] + groups[i + 1:])
        drawn = sorted(median * math.exp(spread * rng.gauss(0, 1)) * quantile(shape, rng.random())
                       for _ in range(20000))
        low, high = round(quantile(drawn, 0.1)), round(quantile(drawn, 0.9))
        shares.append((bisect.bisect_right(held, high) - bisect.bisect_left(held, low)) / len(held))
    return statistics.fmean(shares)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leeway", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"there is no folder {options.data}: the recorded answers are not here")
    kinds = {}
    for kind, group, values in sources(options.data):
        values = [value for value in values if value]
        if len(values) < LEAST:
            continue
        if isinstance(values[0], str):
            values = count_texts(options.leeway, values)
        kinds.setdefault(kind, []).append((group, sorted(values)))
    out = ["// Made by tools/fit/output_lengths.py from recorded answers; see there for what the columns are.",
           "// clang-format off"]
    for kind, named in sorted(kinds.items()):
        groups = [group for _, group in named]
        median, spread, shape = fit(groups)
        coverage = held_out_coverage(groups)
        rows = sum(map(len, groups))
        print(f"{kind:9} {len(groups):3} groups {rows:6} answers  median {median:6.0f}  level spread {spread:.2f}  "
              f"P10-P90 of a group left out holds {coverage:.1%}")
        for name, group in named:
            print(f"    {name:50} {len(group):6}  P10 {quantile(group, .1):6.0f}  P50 {quantile(group, .5):6.0f}  "
                  f"P90 {quantile(group, .9):6.0f}")
        ratios = ", ".join(str(round(1000 * ratio)) for ratio in shape)
        data_sets = sorted({name.split(" ")[0] for name, _ in named})
        out.append(f'{{"{kind}", {round(median)}, {round(1000 * spread)}, {{{ratios}}}, {len(groups)}, {rows}, '
                   f'{round(1000 * coverage)},\n "{", ".join(data_sets)}"}},')
    if options.write:
        target = pathlib.Path(__file__).resolve().parents[2] / "src/lab/estimate/output_priors.inc"
        target.write_text("\n".join(out + ["// clang-format on"]) + "\n", encoding="utf-8")
        print(f"wrote {target.name}")


if __name__ == "__main__":
    main()
