"""Answers commands on standard input with CPU times of PyPI tokenizers, for bench/run tokens.

    tokens_rivals.py FOLDER-OF-RANK-FILES

    gigatoken FILE | tiktoken FILE   →   SECONDS TOKENS (CPU time of this thread, text already in memory)
"""
import base64
import pathlib
import sys
import time

import gigatoken
import tiktoken
from tiktoken_ext import openai_public

folder = pathlib.Path(sys.argv[1])
name = "o200k_base"


def local_ranks(url, expected_hash=None):
    del expected_hash
    lines = (folder / url.rsplit("/", 1)[1]).read_text().splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in map(str.split, lines)}


openai_public.load_tiktoken_bpe = local_ranks
encoders = {
    "gigatoken": gigatoken.Tokenizer.from_tiktoken(str(folder / f"{name}.tiktoken")).encode,
    "tiktoken": tiktoken.Encoding(**openai_public.ENCODING_CONSTRUCTORS[name]()).encode_ordinary,
}
texts = {}
for line in sys.stdin:
    kind, path = line.split(None, 1)
    path = path.strip()
    if path not in texts:
        texts[path] = pathlib.Path(path).read_bytes().decode()
    started = time.thread_time()
    tokens = len(encoders[kind](texts[path]))
    print(time.thread_time() - started, tokens, flush=True)
