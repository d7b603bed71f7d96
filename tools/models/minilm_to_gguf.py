#!/usr/bin/env python3
"""Writes a BERT sentence encoder (safetensors) as GGUF v3, in F32 or Q8_0. Standard library only.

    minilm_to_gguf.py MODEL_FOLDER OUT.gguf [--type f32|q8_0]

MODEL_FOLDER holds model.safetensors, config.json and vocab.txt; 1_Pooling/config.json is read
where it exists. The output is deterministic: equal input gives equal bytes. The Q8_0 blocks are
the ones that llama.cpp's own quantiser writes.
"""
import argparse
import array
import json
import math
import mmap
import pathlib
import re
import struct
import sys

ALIGNMENT = 32
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
TENSOR_F32, TENSOR_Q8_0 = 0, 8
FILE_TYPE = {"f32": 0, "q8_0": 7}
TOKEN_NORMAL, TOKEN_CONTROL = 1, 3
WORD_START = "\u2581"

EMBEDDINGS = {
    "word_embeddings": "token_embd",
    "position_embeddings": "position_embd",
    "token_type_embeddings": "token_types",
    "LayerNorm": "token_embd_norm",
}
LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
DROPPED = re.compile(r"^(pooler\..*|embeddings\.position_ids)$")
# Looked up by row, not multiplied: quantising them saves nothing and costs accuracy.
KEPT_F32 = {"position_embd.weight", "token_types.weight"}


def gguf_name(name: str) -> str | None:
    """The GGUF name of a safetensors tensor, or None for one that is not needed."""
    name = name.removeprefix("bert.")
    if DROPPED.match(name):
        return None
    if match := re.fullmatch(r"embeddings\.(\w+)\.(weight|bias)", name):
        return f"{EMBEDDINGS[match[1]]}.{match[2]}"
    if match := re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)", name):
        return f"blk.{match[1]}.{LAYER[match[2]]}.{match[3]}"
    raise ValueError(f"no known place for tensor '{name}'")


def text(value: str) -> bytes:
    raw = value.encode("utf-8")
    return struct.pack("<Q", len(raw)) + raw


class Metadata:
    """Key-value pairs in GGUF's encoding, in the order in which they were added."""

    def __init__(self) -> None:
        self.count = 0
        self.data = bytearray()

    def add(self, key: str, kind: int, value) -> None:
        self.count += 1
        self.data += text(key) + struct.pack("<I", kind)
        if kind == STRING:
            self.data += text(value)
        else:
            self.data += struct.pack({U32: "<I", F32: "<f", BOOL: "<?"}[kind], value)

    def add_list(self, key: str, kind: int, values: list) -> None:
        self.count += 1
        self.data += text(key) + struct.pack("<IIQ", ARRAY, kind, len(values))
        if kind == STRING:
            self.data += b"".join(text(v) for v in values)
        else:
            self.data += struct.pack(f"<{len(values)}i", *values)


def metadata(folder: pathlib.Path, file_type: str) -> Metadata:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config["model_type"] != "bert":
        raise ValueError(f"config.json says model_type '{config['model_type']}', only 'bert' is known")
    pooling_file = folder / "1_Pooling" / "config.json"
    pooling = json.loads(pooling_file.read_text()) if pooling_file.exists() else {}
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    if vocabulary[-1] == "":
        vocabulary.pop()
    if len(vocabulary) != config["vocab_size"]:
        raise ValueError(f"vocab.txt has {len(vocabulary)} lines, config.json {config['vocab_size']}")
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    ids = {token: vocabulary.index(token) for token in specials}

    def piece(token: str) -> str:
        if token in ids:
            return token
        return token[2:] if token.startswith("##") else WORD_START + token

    meta = Metadata()
    meta.add("general.architecture", STRING, "bert")
    meta.add("general.type", STRING, "model")
    meta.add("general.name", STRING, "all-MiniLM-L6-v2")
    meta.add("general.license", STRING, "apache-2.0")
    meta.add("bert.block_count", U32, config["num_hidden_layers"])
    meta.add("bert.context_length", U32, config["max_position_embeddings"])
    meta.add("bert.embedding_length", U32, config["hidden_size"])
    meta.add("bert.feed_forward_length", U32, config["intermediate_size"])
    meta.add("bert.attention.head_count", U32, config["num_attention_heads"])
    meta.add("bert.attention.layer_norm_epsilon", F32, config["layer_norm_eps"])
    meta.add("bert.attention.causal", BOOL, False)
    meta.add("bert.pooling_type", U32, 2 if pooling.get("pooling_mode_cls_token") else 1)
    meta.add("general.file_type", U32, FILE_TYPE[file_type])
    meta.add("general.quantization_version", U32, 2)
    meta.add("tokenizer.ggml.model", STRING, "bert")
    meta.add("tokenizer.ggml.pre", STRING, "jina-v2-en")
    meta.add("tokenizer.ggml.token_type_count", U32, config["type_vocab_size"])
    meta.add_list("tokenizer.ggml.tokens", STRING, [piece(token) for token in vocabulary])
    meta.add_list("tokenizer.ggml.token_type", I32,
                  [TOKEN_CONTROL if token in ids else TOKEN_NORMAL for token in vocabulary])
    meta.add("tokenizer.ggml.bos_token_id", U32, ids["[CLS]"])
    meta.add("tokenizer.ggml.eos_token_id", U32, ids["[SEP]"])
    meta.add("tokenizer.ggml.padding_token_id", U32, ids["[PAD]"])
    meta.add("tokenizer.ggml.unknown_token_id", U32, ids["[UNK]"])
    meta.add("tokenizer.ggml.cls_token_id", U32, ids["[CLS]"])
    meta.add("tokenizer.ggml.seperator_token_id", U32, ids["[SEP]"])  # the format's own spelling
    meta.add("tokenizer.ggml.mask_token_id", U32, ids["[MASK]"])
    return meta


def to_q8_0(raw: bytes) -> bytes:
    """F32 values as Q8_0: blocks of an F16 scale d = amax/127 and 32 signed bytes round(x/d)."""
    values = array.array("f")
    values.frombytes(raw)
    scale = array.array("f", [0.0])  # storing here rounds to single precision, as the C code does
    out = []
    pack_scale = struct.Struct("<e").pack
    for start in range(0, len(values), 32):
        block = values[start:start + 32]
        scale[0] = max(max(block), -min(block)) / 127.0
        d = scale[0]
        scale[0] = 1.0 / d if d else 0.0
        inverse = scale[0]
        # The product of two singles is exact in double; the array rounds it once, like C. Then
        # roundf: halves go away from zero.
        scaled = array.array("f", [x * inverse for x in block])
        out.append(pack_scale(d))
        out.append(array.array("b", [int(x + 0.5) if x >= 0 else int(x - 0.5) for x in scaled])
                   .tobytes())
    return b"".join(out)


def padding(size: int) -> bytes:
    return b"\0" * (-size % ALIGNMENT)


def convert(folder: pathlib.Path, out: pathlib.Path, file_type: str) -> None:
    with open(folder / "model.safetensors", "rb") as source:
        weights = mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)
    header_size = struct.unpack_from("<Q", weights)[0]
    header = json.loads(weights[8:8 + header_size])
    header.pop("__metadata__", None)

    infos = bytearray()
    plan = []  # (begin, end, quantise)
    offset = 0
    for name, tensor in header.items():
        target = gguf_name(name)
        if target is None:
            continue
        shape = tensor["shape"]
        if tensor["dtype"] != "F32":
            raise ValueError(f"tensor '{name}' is {tensor['dtype']}, only F32 is known")
        quantise = (file_type == "q8_0" and len(shape) == 2 and target not in KEPT_F32
                    and shape[-1] % 32 == 0)
        count = math.prod(shape)
        infos += text(target) + struct.pack("<I", len(shape))
        infos += b"".join(struct.pack("<Q", n) for n in reversed(shape))
        infos += struct.pack("<IQ", TENSOR_Q8_0 if quantise else TENSOR_F32, offset)
        size = count // 32 * 34 if quantise else count * 4
        offset += size + len(padding(size))
        begin, end = (8 + header_size + at for at in tensor["data_offsets"])
        plan.append((begin, end, quantise))

    meta = metadata(folder, file_type)
    part = out.with_name(out.name + ".part")
    with open(part, "wb") as sink:
        sink.write(b"GGUF" + struct.pack("<IQQ", 3, len(plan), meta.count))
        sink.write(meta.data)
        sink.write(infos)
        sink.write(padding(sink.tell()))
        for begin, end, quantise in plan:
            data = to_q8_0(weights[begin:end]) if quantise else weights[begin:end]
            sink.write(data)
            sink.write(padding(len(data)))
    part.rename(out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--type", choices=sorted(FILE_TYPE), default="q8_0")
    args = parser.parse_args()
    if sys.byteorder != "little":
        sys.exit("only little-endian machines are supported")
    try:
        convert(args.model_folder, args.out, args.type)
    except (OSError, KeyError, ValueError, struct.error) as error:
        sys.exit(f"minilm_to_gguf: {type(error).__name__}: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
