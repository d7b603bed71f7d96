# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # read by the scripts that source this file; which set leeway_root
# Where everything lies. Slow things are kept outside the tree, in folders named after what they
# were made from, so that several checkouts share them and a changed pin makes a new folder.
# Sourced by tools/setup.sh, run, test and .ci/run; wants $leeway_root.

. "$leeway_root/tools/setup/versions.sh"

leeway_cache=${LEEWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/leeway}
leeway_node_sdk_source=$leeway_root/tests/e2e/node

# What the vocabulary files are made from: pins, and the code that writes them.
leeway_vocabulary_sources=("$leeway_root/tools/tokens/build_vocabulary.cpp"
    "$leeway_root"/src/tokens/{tiktoken_file,vocabulary,vocabulary_builder}.cpp
    "$leeway_root"/src/base/{base64,hash,random}.cpp)

# One call for all: this is on the path of every ./run.
_leeway_hashes() {
    sha256sum <(printf '%s\n' "${LLAMA_FLAGS[@]}") \
        <(cat "$leeway_root"/tools/setup/{python_sdk,node}.txt) \
        <(cat "$leeway_node_sdk_source"/package{,-lock}.json) \
        <(printf '%s\n' "$PRICES_NPM_SHA512" | cat - "$leeway_root/tools/prices/import_genai_prices.py") \
        <(printf '%s\n' "$VOCABULARY_NPM_SHA512"; cat "$leeway_root"/src/tokens/{vocabulary{,_builder}.{hpp,cpp},tiktoken_file.cpp}) \
        "$leeway_root/tools/setup/tokens.txt"
}
mapfile -t _leeway_hash < <(_leeway_hashes)

leeway_llama=$leeway_cache/llama-${LLAMA_COMMIT:0:12}-${_leeway_hash[0]:0:8}
leeway_hnswlib=$leeway_cache/hnswlib-$HNSWLIB_VERSION-${HNSWLIB_NPM##*@} # include/hnswlib/*.h
leeway_models=$leeway_cache/models
leeway_prices=$leeway_cache/prices
leeway_prices_stamp=$leeway_prices/book-${_leeway_hash[3]:0:8}.stamp # of what book.json was made from
leeway_venv=$leeway_cache/venv-${_leeway_hash[1]:0:8} # bin/: python3, and node and npm if ours
leeway_node_sdk=$leeway_cache/node-sdk-${_leeway_hash[2]:0:8}
leeway_vocabularies=$leeway_cache/vocabularies-${_leeway_hash[4]:0:8}
leeway_rivals=$leeway_cache/tokenizers-${_leeway_hash[5]:0:8} # Python: tiktoken and gigatoken
leeway_logs=$leeway_cache/log
