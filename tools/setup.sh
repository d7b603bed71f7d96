#!/usr/bin/env bash
# setup: prepares what is missing to build, run or test Leeway on Debian 12.
#
#   tools/setup.sh [SET…]             run (default) | test | ci | bench; test, ci and bench include run
#   tools/setup.sh --packages SET…    only the Debian packages (the one part that needs root)
#   tools/setup.sh --print NAME       llama-prefix | hnswlib | models | prices | vocabularies | tokenizers | venv | cache
#
# Does nothing when all is there. Downloads are pinned by hash (tools/setup/); what is slow is kept
# in ${LEEWAY_CACHE:-${XDG_CACHE_HOME:-~/.cache}/leeway}. After that no network is needed.
# LEEWAY_WITHOUT_MODELS=1 leaves llama.cpp and the models out, LEEWAY_WITHOUT_PRICES=1 the price book.

set -euo pipefail
export LC_ALL=C.UTF-8
leeway_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$leeway_root/tools/setup/paths.sh"

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

packages_only=0
case ${1:-} in
    -h | --help) sed -n '2,/^$/{s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --print)
        case ${2:-} in
            llama-prefix) echo "$leeway_llama" ;;
            hnswlib) echo "$leeway_hnswlib" ;;
            models) echo "$leeway_models" ;;
            prices) echo "$leeway_prices/book.json" ;;
            vocabularies) echo "$leeway_vocabularies" ;;
            tokenizers) echo "$leeway_rivals" ;;
            venv) echo "$leeway_venv" ;;
            cache) echo "$leeway_cache" ;;
            *) fail "--print wants llama-prefix, hnswlib, models, prices, vocabularies, tokenizers, venv or cache" ;;
        esac
        exit 0 ;;
    --packages) packages_only=1; shift ;;
esac
sets="run $*"
for name in $sets; do
    [[ " run test ci bench " == *" $name "* ]] || fail "unknown set '$name' (run, test, ci or bench)"
done

. "$leeway_root/tools/setup/steps.sh"

# shellcheck disable=SC2086 # a list of words
read_packages $sets
find_missing_packages
wanted=()
if ((!packages_only)); then
    if [[ -z ${LEEWAY_WITHOUT_MODELS:-} ]]; then
        have_llama || wanted+=(llama)
        have_models || wanted+=(models)
    fi
    have_hnswlib || wanted+=(hnswlib)
    [[ -n ${LEEWAY_WITHOUT_PRICES:-} ]] || have_prices || wanted+=(prices)
    have_vocabularies || wanted+=(vocabularies)
    if [[ " $sets " == *" test "* || " $sets " == *" bench "* ]]; then
        have_tokenizers || wanted+=(tokenizers)
    fi
    if [[ " $sets " == *" test "* ]]; then
        have_python_sdk || wanted+=(python_sdk)
        have_node_sdk || wanted+=(node_sdk)
        wanted=(node "${wanted[@]}")
    fi
    case " ${wanted[*]} " in
        *" llama "* | *" hnswlib "* | *" prices "* | *" vocabularies "*) wanted=(node "${wanted[@]}") ;; # npm fetches them
    esac
    if [[ " ${wanted[*]} " == *" node "* ]]; then
        ordered=()
        have_node || ordered=(node)
        for name in "${wanted[@]}"; do [[ $name == node ]] || ordered+=("$name"); done
        wanted=("${ordered[@]}")
    fi
    ((${#wanted[@]} == 0)) || have_venv || wanted=(venv "${wanted[@]}")
fi
((${#packages_missing[@]} + ${#wanted[@]})) || exit 0

# ---------------------------------------------------------------- something is missing
. "$leeway_root/tools/setup/progress.sh"
if ((${#packages_missing[@]} && EUID != 0)); then
    printf 'setup: these Debian packages are missing: %s\nAs you are not root, type this once:\n\n    sudo %s --packages %s\n\n' \
        "${packages_missing[*]}" "$leeway_root/tools/setup.sh" "$sets" >&2
    exit 1
fi
if ((${#packages_missing[@]})) && ! grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then
    fail "only Debian 12 (bookworm) is supported; missing packages: ${packages_missing[*]}"
fi
if ((packages_only)); then # as root for another user: leave nothing in root's cache
    leeway_logs=$(mktemp -d)
else
    mkdir -p "$leeway_cache"
    exec 9>"$leeway_cache/lock"
    if ! flock -n 9; then
        echo "setup: waiting for another setup to finish" >&2
        flock 9
    fi
fi

declare -A titles=(
    [venv]="Python environment"
    [node]="Node.js for npm and the tests"
    [llama]="llama.cpp (fetch and build)"
    [hnswlib]="hnswlib (fetch headers)"
    [models]="models (fetch 176 MB and convert)"
    [prices]="price book (fetch and convert)"
    [vocabularies]="vocabularies (fetch 9 MB and convert)"
    [tokenizers]="tiktoken and gigatoken, to compare with"
    [python_sdk]="SDKs for Python, for the tests"
    [node_sdk]="SDKs for Node, for the tests"
)
readonly online="Is the network there? A package client that needs a mirror, proxy or certificate takes it from its own
settings (apt sources, pip.conf, .npmrc, NODE_EXTRA_CA_CERTS). Then type the same command again."
export step_hint=$online

step_total=$(((${#packages_missing[@]} > 0) + ${#wanted[@]}))
if ((${#packages_missing[@]})); then
    step "${#packages_missing[@]} Debian packages" apt make_packages
    compare_packages
fi
for name in "${wanted[@]}"; do
    ! "have_$name" || continue # another setup made it while we waited
    if [[ $name == llama || $name == models ]]; then
        step_hint="$online
To go on without the embedded models: LEEWAY_WITHOUT_MODELS=1"
    elif [[ $name == prices ]]; then
        step_hint="$online
To go on without it (then only models with a price of their own have one): LEEWAY_WITHOUT_PRICES=1"
    else
        step_hint=$online
    fi
    step "${titles[$name]}" "$name" "make_$name"
done
