#!/usr/bin/env bash
# check: lets spin go through every state of the models in this folder, and makes sure that it finds the
# faults that are built in on purpose. The last line is 'N passed, N failed'.
#
#   docs/models/check.sh

set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
for program in spin cc; do
    command -v "$program" >/dev/null || {
        printf '%s is not installed (apt install spin gcc)\n0 passed, 1 failed\n' "$program" >&2
        exit 1
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
passed=0 failed=0

# states MODE… : the errors that spin finds, and the states it saw.
search() {
    spin -a "$@" "$folder/budget.pml" >spin.log 2>&1 || { cat spin.log >&2; return 1; }
    cc -O1 -w -DSAFETY -DNOCLAIM -o pan-safety pan.c
    cc -O1 -w -o pan-claim pan.c
    ./pan-safety -m100000 >safety.log 2>&1
    ./pan-claim -a -m100000 >claim.log 2>&1
    errors=$(awk '/errors:/{for (i = 1; i < NF; ++i) if ($i == "errors:") sum += $(i + 1)} END {print sum + 0}' \
        safety.log claim.log)
    states=$(awk '/states, stored/{sum += $1} END {print sum + 0}' safety.log claim.log)
}

search
if ((errors == 0 && states > 0)) && ! grep -q 'max search depth too small' ./*.log; then
    passed=$((passed + 1))
    printf 'passed budget.pml: %d states, no violation\n' "$states"
else
    failed=$((failed + 1))
    printf 'FAILED budget.pml\n'
    cat safety.log claim.log
fi
for mutation in SETTLE_TWICE FORGET_UNKNOWN DISPATCH_FIRST CHECK_THEN_ADD; do
    search "-D$mutation"
    if ((errors > 0)); then
        passed=$((passed + 1))
        printf 'passed budget.pml with %s: the fault is found\n' "$mutation"
    else
        failed=$((failed + 1))
        printf 'FAILED budget.pml with %s: the fault is not found\n' "$mutation"
    fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
