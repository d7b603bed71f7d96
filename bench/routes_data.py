#!/usr/bin/env python3
"""Turns the labelled sets of a data folder into routes files and labelled lines for `leeway evaluate routes`.

    bench/routes_data.py DATA OUT     DATA: with router/semantic-routes and router/clinc150; OUT: a folder, made if need be

four, brand, scam: NAME.yaml, NAME.jsonl. health: health.yaml, health.{fit,test}.jsonl (its published split; fit = train and
validation). clinc: clinc.yaml with 20 utterances for each intent, drawn from its training part with seed 7,
clinc.{fit,test}.jsonl (its validation and test parts with the out-of-scope rows of each).
"""
import csv
import gzip
import json
import pathlib
import random
import sys

NOTEBOOKS = {
    "four": "06-threshold-optimization",
    "brand": "hybrid-chat-guardrails",
    "scam": "semantic-router-guardrail",
}
UTTERANCES = 20
# 100 of the 3,100 fitting rows are out of scope, where users' texts are more often; so a wrong accept weighs more.
CLINC_COSTS = "costs: {wrong_accept: 8}\n"


def write_rows(path, rows):
    lines = (json.dumps({"text": text, "route": route}, ensure_ascii=False) for text, route in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_routes(path, routes, more=""):
    out = ["routes:"]
    for name, utterances in routes.items():
        out += [f"  - name: {json.dumps(name)}", "    utterances:"]
        out += [f"      - {json.dumps(text, ensure_ascii=False)}" for text in utterances]
    path.write_text("\n".join(out) + "\n" + more, encoding="utf-8")


def notebooks(folder, out):
    for name, file in NOTEBOOKS.items():
        data = json.loads((folder / f"{file}.json").read_text(encoding="utf-8"))
        largest = max(data["labelled_sets"], key=lambda labelled: len(labelled["rows"]))
        write_routes(out / f"{name}.yaml", data["routes"])
        write_rows(out / f"{name}.jsonl", largest["rows"])


def health(folder, out):
    write_routes(out / "health.yaml", json.loads((folder / "healthcare_routes.json").read_text(encoding="utf-8")))
    with open(folder / "healthcare-routing-evaluation.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for name, splits in (("fit", ("train", "validation")), ("test", ("test",))):
        chosen = [(row["utterance"], row["expected_route"] or None) for row in rows if row["split"] in splits]
        write_rows(out / f"health.{name}.jsonl", chosen)


def clinc(folder, out):
    with gzip.open(folder / "data_full.json.gz", "rt", encoding="utf-8") as file:
        data = json.load(file)
    texts = {}
    for text, intent in data["train"]:
        texts.setdefault(intent, []).append(text)
    chance = random.Random(7)
    routes = {intent: chance.sample(of_it, UTTERANCES) for intent, of_it in sorted(texts.items())}
    write_routes(out / "clinc.yaml", routes, CLINC_COSTS)
    for name, part in (("fit", "val"), ("test", "test")):
        outside = [(text, None) for text, _ in data[f"oos_{part}"]]
        write_rows(out / f"clinc.{name}.jsonl", [tuple(row) for row in data[part]] + outside)


def main():
    data, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    notebooks(data / "router/semantic-routes", out)
    health(data / "router/semantic-routes", out)
    clinc(data / "router/clinc150", out)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main()
