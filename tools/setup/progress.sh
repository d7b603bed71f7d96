# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # set by paths.sh; read by callers
# Steps with a name, elapsed time and a log whose end is shown when one fails. All goes to
# standard error. Wants $leeway_logs; $step_total is set by the caller.

step_total=1
step_number=0
step_name=
step_log=/dev/null
step_seconds=0
_step_started=0
_step_ticker=

# Shows every second (on a terminal) or half minute (in a log) how long the step has run, and its
# last line of output.
_step_tick() {
    local last interval=30
    [[ ! -t 2 ]] || interval=1
    while sleep "$interval" && kill -0 $$ 2>/dev/null; do
        last=$(tail -qc 300 "$step_log" "$step_log".* 2>/dev/null | tr '\r' '\n' | tail -n 1 | tr -dc '[:print:]')
        if [[ -t 2 ]]; then
            printf '\r\033[K[%d/%d] %s … %d s  %.60s' "$step_number" "$step_total" "$step_name" \
                $((SECONDS - _step_started)) "$last" >&2
        else
            printf '      … %d s  %.90s\n' $((SECONDS - _step_started)) "$last" >&2
        fi
    done
}

trap _step_stop_ticker EXIT
_step_stop_ticker() {
    [[ -n $_step_ticker ]] || return 0
    kill "$_step_ticker" 2>/dev/null || true
    wait "$_step_ticker" 2>/dev/null || true
    _step_ticker=
    [[ ! -t 2 ]] || printf '\r\033[K' >&2
}

# Shows what went wrong from $step_log; a caller may define its own after sourcing this.
step_show_failure() {
    printf -- '---- end of %s ----\n' "$step_log" >&2
    tail -n 50 "$step_log" >&2
    printf -- '----\n' >&2
}

# step NAME LOG COMMAND [ARG…]: runs a command or function with its output in LOG.log.
# When it fails: shows the log's end, and $step_hint if that is set, and returns the status.
step() {
    local status=0
    step_name=$1 step_log=$leeway_logs/$2.log
    shift 2
    step_number=$((step_number + 1))
    _step_started=$SECONDS
    mkdir -p "$leeway_logs"
    : >"$step_log"
    printf '[%d/%d] %s …' "$step_number" "$step_total" "$step_name" >&2
    [[ -t 2 ]] || printf '\n' >&2
    _step_tick &
    _step_ticker=$!
    # In the foreground, so that Ctrl-C ends it. `set -e` does not hold inside where the caller uses
    # step in a condition: give it single commands there.
    set +e
    (set -e; "$@") >"$step_log" 2>&1 </dev/null
    status=$?
    set -e
    _step_stop_ticker
    step_seconds=$((SECONDS - _step_started))
    if ((status == 0)); then
        printf '[%d/%d] %s: done in %d s\n' "$step_number" "$step_total" "$step_name" "$step_seconds" >&2
        return 0
    fi
    printf '[%d/%d] %s: FAILED after %d s\n' "$step_number" "$step_total" "$step_name" "$step_seconds" >&2
    step_show_failure
    [[ -z ${step_hint:-} ]] || printf '%s\n' "$step_hint" >&2
    return "$status"
}
