#!/usr/bin/env bash
# build: configures and builds with progress on standard error; silent when nothing changed.
#
#   tools/build.sh PRESET TARGET…      e.g. tools/build.sh release leeway
#
# The result is build/PRESET/TARGET. LEEWAY_JOBS limits the compilers that run at once.

set -euo pipefail
export LC_ALL=C.UTF-8
leeway_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$leeway_root/tools/setup/paths.sh"
(($# >= 2)) || { sed -n '2,/^$/{s/^# \{0,1\}//;p}' "$0"; exit 2; }
cd "$leeway_root"

preset=$1
shift
folder=build/$preset
stamp=$folder/.built-${*// /-}
stamp=${stamp// /-}
llama_prefix=$leeway_llama
[[ -z ${LEEWAY_WITHOUT_MODELS:-} ]] || llama_prefix=$leeway_cache/no-llama
needs_tests=0
[[ " $* " != *" leeway_tests "* ]] || needs_tests=1

configured() {
    [[ -e $folder/build.ninja ]] &&
        grep -qxF "LEEWAY_LLAMA_PREFIX:PATH=$llama_prefix" "$folder/CMakeCache.txt" &&
        { ((!needs_tests)) || grep -q '^LEEWAY_TESTS:[A-Z]*=ON$' "$folder/CMakeCache.txt"; }
}

# True if no input is newer than the last complete build. A folder's time tells of files that came
# or went. This spares ninja and its look through all folders.
up_to_date() {
    local changed
    [[ -e $stamp ]] || return 1
    changed=$(find src cmake bench tests CMakeLists.txt CMakePresets.json tools/setup/versions.sh \
        tools/lint -newer "$stamp" -print -quit 2>/dev/null) || true
    [[ -z $changed ]]
}

configure() {
    local tests=()
    ((!needs_tests)) || tests=(-DLEEWAY_TESTS=ON)
    cmake --preset "$preset" "-DLEEWAY_LLAMA_PREFIX=$llama_prefix" "${tests[@]}"
}

is_configured=1
configured || is_configured=0
if ((is_configured)) && up_to_date; then exit 0; fi

mkdir -p "$folder"
exec 8>"$folder/.lock" # two builds in one folder would spoil each other
flock 8
configured && is_configured=1
if ((is_configured)) && up_to_date; then exit 0; fi # another one built it while we waited

. tools/setup/progress.sh
step_total=$((2 - is_configured))
((is_configured)) || step "configure ($preset)" "configure-$preset" configure
touch "$stamp.new" # an edit made while we build is newer than this
step_show_failure() {
    # Only what the compiler said about the first faults, not the steps around it.
    awk '/^FAILED: /{show=1} /^\[[0-9]+\/[0-9]+\]/{show=0} show' "$step_log" | head -n 80 >&2
    grep -q '^FAILED: ' "$step_log" || tail -n 40 "$step_log" >&2
    printf 'The whole output is in %s\n' "$step_log" >&2
}
jobs=()
[[ -z ${LEEWAY_JOBS:-} ]] || jobs=(-j "$LEEWAY_JOBS")
step "build $* ($preset)" "build-$preset" ninja -C "$folder" "${jobs[@]}" "$@"
mv "$stamp.new" "$stamp"
