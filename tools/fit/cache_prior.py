#!/usr/bin/env python3
"""Fits the pooled model of the semantic cache, which `leeway evaluate cache` and the gateway start from.

    tools/fit/cache_prior.py --leeway build/release/leeway --data DIR [--write]

Uses the train halves that bench/cache_data.py makes of DIR: half of the intents of banking77 and clinc150, half of the
classes of SICK's and Quora's pairs. The four count alike. --write puts the weights into
src/methods/agent_cache/semantic/hit_model_weights.inc.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = ROOT / "src/methods/agent_cache/semantic/hit_model_weights.inc"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--leeway", required=True)
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--write", action="store_true")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, ROOT / "bench/cache_data.py", "--data", options.data, "--out", folder],
                       check=True)
        command = [options.leeway, "evaluate", "cache", "--json"]
        for name in ("banking77", "clinc150", "sick", "qqp"):
            command += ["--train", f"{folder}/{name}.train.jsonl"]
        weights = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["weights"]
    lines = ["// Fitted by the steps of tools/fit/cache_prior.py, which fits them again. In the order of inputs_of in hit_model.cpp.",
             "// clang-format off"]
    for start in range(0, len(weights), 8):
        lines.append(" ".join(f"{weight:.4f}," for weight in weights[start:start + 8]))
    lines.append("// clang-format on")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.write:
        TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
