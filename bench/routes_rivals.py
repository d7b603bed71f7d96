#!/usr/bin/env python3
"""aurelio's semantic-router on the rows of `leeway evaluate routes`, with the same vectors.

    python3 -m venv V && V/bin/pip install -r bench/rivals/semantic_router.txt
    V/bin/python bench/routes_rivals.py GATEWAY ROUTES.yaml FIT.jsonl TEST.jsonl [DRAWS]

GATEWAY: address of a running `leeway serve` with the model `minilm`, which makes the vectors, such as
http://127.0.0.1:8484. Prints a line of JSON for its default threshold and one after its own fitting (DRAWS random draws,
500 as it has them).
"""
import json
import os
import random
import sys
import urllib.request

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch prices when it is imported
import numpy
import yaml
from semantic_router import Route
from semantic_router.encoders import DenseEncoder
from semantic_router.routers import SemanticRouter

gateway, routes_file, fit_file, test_file = sys.argv[1:5]
draws = int(sys.argv[5]) if len(sys.argv) > 5 else 500
vectors = {}


def embed(texts):
    missing = [text for text in dict.fromkeys(texts) if text not in vectors]
    for begin in range(0, len(missing), 64):
        batch = missing[begin : begin + 64]
        body = json.dumps({"model": "minilm", "input": batch}).encode()
        request = urllib.request.Request(f"{gateway}/v1/embeddings", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            for text, item in zip(batch, json.load(answer)["data"]):
                vectors[text] = item["embedding"]
    return [vectors[text] for text in texts]


class Encoder(DenseEncoder):
    def __call__(self, docs):
        return embed(docs)


def read(path):
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return [row["text"] for row in rows], [row["route"] for row in rows]


def remember(router):
    """Its index finds the same for the same vector whatever the thresholds are, so fitting need not ask it again."""
    known = {}
    query = router.index.query

    def once(vector, top_k=5, **more):
        key = numpy.asarray(vector, dtype="f").tobytes()
        if key not in known:
            known[key] = query(vector=vector, top_k=top_k, **more)
        return known[key]

    object.__setattr__(router.index, "query", once)


def measure(router, texts, labels):
    right = inside = rejected = outside = 0
    for text, label in zip(texts, labels):
        chosen = router(vector=vectors[text], simulate_static=True).name
        if label is None:
            outside += 1
            rejected += chosen is None
        else:
            inside += 1
            right += chosen == label
    return {"in_scope_accuracy": right / inside, "rejection_recall": rejected / outside}


with open(routes_file, encoding="utf-8") as file:
    routes = [Route(name=one["name"], utterances=one["utterances"]) for one in yaml.safe_load(file)["routes"]]
# 0.5 is what its own encoder for this very model has.
router = SemanticRouter(encoder=Encoder(name="minilm", score_threshold=0.5), routes=routes, auto_sync="local")
remember(router)
fit_texts, fit_labels = read(fit_file)
test_texts, test_labels = read(test_file)
embed(fit_texts + test_texts)
print(json.dumps({"rival": "semantic-router 0.1.16, default", **measure(router, test_texts, test_labels)}), flush=True)
random.seed(1)
router.fit(X=fit_texts, y=fit_labels, max_iter=draws)
print(json.dumps({"rival": f"semantic-router 0.1.16, {draws} draws", **measure(router, test_texts, test_labels)}))
