"""Embeddings as OpenAI, Google (Gemini and Vertex) and Cohere give them, for the provider of dialect_provider.py."""
import base64
import struct

VECTOR = [0.5, -0.25]


def openai(request):
    texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
    vector = VECTOR
    if request.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<2f", *vector)).decode()
    return {"object": "list", "model": request["model"], "usage": {"prompt_tokens": 5, "total_tokens": 5},
            "data": [{"object": "embedding", "index": i, "embedding": vector} for i in reversed(range(len(texts)))]}


def google(path, request):
    if path.endswith(":embedContent"):
        return {"embedding": {"values": VECTOR}}
    if path.endswith(":batchEmbedContents"):
        return {"embeddings": [{"values": VECTOR} for _ in request["requests"]]}
    return {"predictions": [{"embeddings": {"values": VECTOR, "statistics": {"token_count": 4, "truncated": False}}}
                            for _ in request["instances"]]}


def cohere(request):
    assert request["input_type"] and request["embedding_types"] == ["float"], request
    return {"id": "e-1", "embeddings": {"float": [VECTOR for _ in request["texts"]]}, "texts": request["texts"],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 6}},
            "response_type": "embeddings_by_type"}
