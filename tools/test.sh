#!/usr/bin/env bash
# test: prepares, builds and runs the tests of one preset. ./test is this with 'release'.
#
#   tools/test.sh PRESET [FILTER]    FILTER `sdk`: only the matrix of SDKs, `fault`: only the faults, with their tables
#
# LEEWAY_QUICK_TESTS=1 leaves all but unit tests and transcripts out. LEEWAY_FAULT_OPTIONS is for tests/fault/run, such as
# "--seconds 60 --scale 3", LEEWAY_SIM_SEEDS the number of seeds that the simulator runs (10000).
# The last line is 'N passed, N failed' (and ', N skipped').

set -euo pipefail
export LC_ALL=C.UTF-8
leeway_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$leeway_root/tools/setup/paths.sh"
preset=${1:?PRESET}
filter=${2:-}
binaries=$leeway_root/build/$preset

"$leeway_root/tools/setup.sh" test
targets=(leeway leeway_tests)
# The loads of tests/fault; only the release is built with them.
[[ $preset != release ]] || targets+=(bench_load bench_provider)
[[ $filter != sdk ]] || targets=(leeway)
[[ $filter != fault ]] || targets=(leeway bench_load bench_provider)
# A sanitizer has its own clock and memory; what the simulator finds it finds without one.
[[ $preset != release || $filter == sdk ]] || targets+=(leeway_sim)
"$leeway_root/tools/build.sh" "$preset" "${targets[@]}"

export LEEWAY_MODELS=${LEEWAY_MODELS:-$leeway_models}
export LEEWAY_VOCABULARIES=${LEEWAY_VOCABULARIES:-$leeway_vocabularies}
# python3, node and npm of the tests: the SDKs are installed there.
export PATH=$leeway_venv/bin:$PATH
export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
symbolizer=/usr/bin/llvm-symbolizer-19
export ASAN_OPTIONS=detect_stack_use_after_return=1:${ASAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1:${UBSAN_OPTIONS:-}
export TSAN_OPTIONS=halt_on_error=0:suppressions=$leeway_root/tests/tsan.supp:external_symbolizer_path=$symbolizer:${TSAN_OPTIONS:-}
[[ ! -x $symbolizer ]] || export ASAN_SYMBOLIZER_PATH=$symbolizer UBSAN_SYMBOLIZER_PATH=$symbolizer

. "$leeway_root/tools/setup/progress.sh"
run_e2e=0
[[ -n $filter || -n ${LEEWAY_QUICK_TESTS:-} || ! -x $leeway_root/tests/e2e/run ]] || run_e2e=1
step_total=$((2 + 3 * run_e2e))
[[ $run_e2e == 0 || $preset != release ]] || step_total=6
passed=0 failed=0 skipped=0

# add_count PROGRAM STATUS: adds the count in the last line of a step's output.
add_count() {
    local last
    last=$(tail -n 1 "$step_log")
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
        (($2 == 0 || BASH_REMATCH[2] > 0)) || failed=$((failed + 1))
    else
        printf '%s ended with status %d and without a count\n' "$1" "$2" >&2
        failed=$((failed + 1))
    fi
}

# Says how many there were of each, and ends with success if none failed.
sum_up() {
    local summary="$passed passed, $failed failed"
    ((skipped == 0)) || summary+=", $skipped skipped"
    printf '%s\n' "$summary"
    ((failed == 0))
}

# end_to_end [OPTION…]: tests/e2e with the program that was built.
end_to_end() {
    local status=0
    step_show_failure() { tail -n 200 "$step_log" >&2; }
    step "end to end with the official SDKs ($preset)" "e2e-$preset" timeout --kill-after=10 2400 \
        "$leeway_root/tests/e2e/run" --leeway "$binaries/leeway" "$@" || status=$?
    add_count tests/e2e/run "$status"
}

# faults [OPTION…]: tests/fault with the program that was built.
faults() {
    local status=0
    step_show_failure() { grep -v '^passed ' "$step_log" | tail -n 200 >&2; }
    step "faults with real processes ($preset)" "faults-$preset" timeout --kill-after=10 3600 \
        python3 "$leeway_root/tests/fault/run" --leeway "$binaries/leeway" "$@" || status=$?
    add_count tests/fault/run "$status"
    grep '^skipped ' "$step_log" || true
}

# Whole gateways in a simulated world.
simulator() {
    local status=0
    step_show_failure() { grep -A 20 '^seed ' "$step_log" | head -n 200 >&2; }
    step "simulator ($preset)" "simulator-$preset" timeout --kill-after=10 2400 \
        "$binaries/leeway_sim" --seeds "${LEEWAY_SIM_SEEDS:-10000}" || status=$?
    add_count leeway_sim "$status"
}

if [[ $filter == fault ]]; then
    step_total=2
    simulator
    grep -E '^ +[0-9]+  |each struck' "$step_log" || true
    # shellcheck disable=SC2086 # a list of words
    faults ${LEEWAY_FAULT_OPTIONS:-}
    grep -E '^(passed|FAILED) ' "$step_log" || true
    sum_up
    exit
fi

if [[ $filter == sdk ]]; then
    step_total=1
    end_to_end --only sdk_scenarios
    grep -E '^  .* -> ' "$step_log" || true
    awk -F'[ =/]+' '/^  .* -> .* = / {good += $(NF - 1); all += $NF} END {printf "  %d of %d scenarios\n", good, all}' "$step_log"
    sum_up
    exit
fi

# ---------------------------------------------------------------- unit tests
step_show_failure() { # what each failed test printed, and how the program itself ended
    awk '/^\[ RUN /      {text = ""}
         /^\[  FAILED  \].*ms\)$/ {printf "%s%s\n", text, $0; text = ""; next}
         /^\[       OK / {text = ""; next}
         /^==== part /   {printf "%s", text; text = ""}
                         {text = text $0 "\n"}
         END             {printf "%s", text}' "$step_log" | head -n 400 >&2
}
# Most tests wait rather than compute, so that the parts run side by side, one more than there are cores.
unit_tests() {
    local parts=$(($(nproc) + 1)) part status=0 pids=()
    trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
    for ((part = 0; part < parts; ++part)); do
        GTEST_TOTAL_SHARDS=$parts GTEST_SHARD_INDEX=$part timeout --kill-after=10 1800 \
            "$binaries/leeway_tests" --gtest_color=no ${filter:+"--gtest_filter=*$filter*"} >"$step_log.$part" 2>&1 &
        pids+=($!)
    done
    for part in "${!pids[@]}"; do
        wait "${pids[part]}" || status=$?
        printf '==== part %d of %d\n' $((part + 1)) "$parts"
        cat "$step_log.$part"
        rm "$step_log.$part"
    done
    return "$status"
}
status=0
cd "$leeway_root"
step "unit tests ($preset)" "tests-$preset" unit_tests || status=$?
count() { grep -cE "$1" "$step_log" || true; }
passed=$(count '^\[       OK \]')
failed=$(count '^\[  FAILED  \].*ms\)$')
skipped=$(count '^\[  SKIPPED \].*ms\)$')
if ((status != 0 && failed == 0)); then
    printf 'leeway_tests itself ended with status %d; its output is in %s\n' "$status" "$step_log" >&2
    failed=1
fi
((skipped == 0)) || awk '/^\[ RUN /{text=""} /^\[  SKIPPED \].*ms\)$/{printf "%s%s\n", text, $0; text=""; next}
    {text = text $0 "\n"}' "$step_log"

# ---------------------------------------------------------------- transcripts
status=0
step_show_failure() { grep -v '^passed ' "$step_log" | head -n 400 >&2; }
step "transcripts ($preset)" "golden-$preset" timeout --kill-after=10 1200 \
    "$leeway_root/tests/golden/run" --leeway "$binaries/leeway" ${filter:+--only "$filter"} || status=$?
add_count tests/golden/run "$status"
if ((passed + failed + skipped == 0)); then
    printf 'no test has %s in its name\n' "'$filter'" >&2
    failed=1
fi

# ---------------------------------------------------------------- tokens against tiktoken
if ((run_e2e)); then
    status=0
    step_show_failure() { tail -n 60 "$step_log" >&2; }
    data=${LEEWAY_TEST_DATA:-$leeway_root/../shared/data}
    files=()
    [[ ! -d $data ]] || files=(--files "$data" --most-bytes 6000000)
    step "tokens against tiktoken ($preset)" "tokens-$preset" timeout --kill-after=10 1200 \
        "$leeway_rivals/bin/python3" "$leeway_root/tests/tokens/differential.py" \
        --leeway "$binaries/leeway" --strings 2000 "${files[@]}" || status=$?
    if ((status == 0)); then passed=$((passed + 1)); else failed=$((failed + 1)); fi
fi

# ---------------------------------------------------------------- faults
# A sanitizer is too slow for what must happen in time; what it may see is in the others.
only=()
[[ $preset == release ]] || only=(--only processes)
((!run_e2e)) || faults --short "${only[@]}"
[[ $run_e2e == 0 || $preset != release ]] || simulator

# ---------------------------------------------------------------- official SDKs
# A sanitizer sees nothing new in the many SDKs, which say the same to the same code, but is slow over them.
without=()
[[ $preset == release ]] || without=(--without sdk_scenarios --without openapi_scenarios)
((!run_e2e)) || end_to_end "${without[@]}"

sum_up
