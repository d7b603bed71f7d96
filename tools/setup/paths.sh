# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # read by the scripts that source this file; which set leeway_root
# Where everything lies. Slow things are kept outside the tree, in folders named after what they
# were made from, so that several checkouts share them and a changed pin makes a new folder.
# Sourced by tools/setup.sh, run, test and .ci/run; wants $leeway_root.

. "$leeway_root/tools/setup/versions.sh"

leeway_cache=${LEEWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/leeway}
leeway_node_sdk_source=$leeway_root/tests/e2e/node

# One call for all three: this is on the path of every ./run.
_leeway_hashes() {
    sha256sum <(printf '%s\n' "${LLAMA_FLAGS[@]}") \
        <(cat "$leeway_root"/tools/setup/{python_sdk,node}.txt) \
        <(cat "$leeway_node_sdk_source"/package{,-lock}.json) \
        <(printf '%s\n' "$PRICES_NPM_SHA512" | cat - "$leeway_root/tools/prices/import_genai_prices.py")
}
mapfile -t _leeway_hash < <(_leeway_hashes)

leeway_llama=$leeway_cache/llama-${LLAMA_COMMIT:0:12}-${_leeway_hash[0]:0:8}
leeway_models=$leeway_cache/models
leeway_prices=$leeway_cache/prices
leeway_prices_stamp=$leeway_prices/book-${_leeway_hash[3]:0:8}.stamp # of what book.json was made from
leeway_venv=$leeway_cache/venv-${_leeway_hash[1]:0:8} # bin/: python3, and node and npm if ours
leeway_node_sdk=$leeway_cache/node-sdk-${_leeway_hash[2]:0:8}
leeway_logs=$leeway_cache/log
