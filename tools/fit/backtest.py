#!/usr/bin/env python3
"""Back-tests `leeway estimate` on recorded calls: how many answers lie within P10 to P90, and how far P50 is off.

    tools/fit/backtest.py --leeway build/release/leeway --data DIR [--json]

DIR is the folder that output_lengths.py reads. The recordings (three traces of services in the order of their
arrival, five of agents and questions) become JSON lines of model, input_tokens and output_tokens; the program fits
the first half of each and is tested on the second. Traces whose models are not told go by the trace's name, so their
errors are of output tokens; the others' are of cost.
"""
import argparse
import csv
import gzip
import json
import pathlib
import re
import subprocess
import sys

PRICED = ("gpt-4o", "gpt-4o-mini")  # of the file with nine models, those in the price book


def rows(data):
    """(route, model, input tokens, output tokens) in the order of time."""
    def table(path):
        with gzip.open(data / path, "rt", encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
    for row in table("load/azure-llm-2023-conv/AzureLLMInferenceTrace_conv.csv.gz"):
        yield "", "azure-conv", int(row["ContextTokens"]), int(row["GeneratedTokens"])
    with gzip.open(data / "load/mooncake-conversation/conversation_trace.jsonl.gz", "rt") as file:
        for row in map(json.loads, file):
            yield "", "mooncake-conv", row["input_length"], row["output_length"]
    for row in table("load/vidur-arxiv-lengths/arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv.gz"):
        yield "", "vidur-arxiv", int(float(row["num_prefill_tokens"])), int(float(row["num_decode_tokens"]))
    for row in table("outcomes/logprob_9models.csv.gz"):
        for model in PRICED:
            if row["task"] == "gsm8k" and row.get(model + "|tok_out"):
                yield "gsm8k", model, int(float(row[model + "|tok_in"])), int(float(row[model + "|tok_out"]))
    model = ""
    number = r"([\d.,]+)(k?)"
    with gzip.open(data / "prices/aider-usage-log/chat-history.md.gz", "rt", encoding="utf-8") as file:
        for line in file:
            if named := re.match(r"> (?:Main )?[Mm]odel: (\S+)", line):
                model = named[1].split("/")[-1].rstrip("\u26a1")
            if told := re.match(f"> Tokens: {number} sent,.*?{number} received", line):
                sent, received = (int(float(digits.replace(",", "")) * (1000 if k else 1))
                                  for digits, k in (told.group(1, 2), told.group(3, 4)))
                if received:
                    yield "aider", model, sent, received


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leeway", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"skipped: there is no folder {options.data}", file=sys.stderr)
        return 0
    lines = "".join(json.dumps({"route": route, "model": model, "input_tokens": sent, "output_tokens": received}) + "\n"
                    for route, model, sent, received in rows(options.data))
    command = [options.leeway, "estimate", "backtest", "-"] + (["--json"] if options.json else [])
    return subprocess.run(command, input=lines, text=True).returncode


if __name__ == "__main__":
    sys.exit(main())
