#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test.sh [PART...]: runs the tests and prints each part's result and time; the last line is their sum. Parts, in order:
#   check   layers, sizes, format (tools/check.sh)
#   unit    all TEST()s, debug preset            asan, tsan   the same under sanitizers
#   e2e     tests/e2e/*.sh, one test each, with FORJA (the release program), ROOT (the sources) and an empty folder to be in; 77 skips
#   fuzz    the corpora, and 5 s a target
# `san` is asan and tsan. A part's whole output is in build/log.
set -u
[ $# -gt 0 ] || set -- check unit asan tsan e2e fuzz
sh tools/setup.sh test || { echo "0 passed, 1 failed"; exit 1; }
ROOT=$(pwd) FORJA=$(pwd)/build/forja
export ROOT FORJA
mkdir -p build/log
passed=0 failed=0 skipped=0

# Runs the tests of one preset. The random places of a new kernel's mappings can be where tsan cannot live: then once more without them.
unit() {
    sh tools/build.sh "$1" || return
    sh tools/check_symbols.sh "build/$1/libforja_core.a" || return
    "build/$1/forja_tests" && return
    status=$?
    if [ "$1" = tsan ] && grep -q 'unexpected memory mapping' build/log/tsan.txt && setarch -R true 2>/dev/null; then
        setarch -R build/tsan/forja_tests
        return
    fi
    return $status
}

e2e() {
    sh tools/build.sh release || return
    ln -sf release/forja build/forja
    good=0 bad=0 left=0
    for script in tests/e2e/*.sh; do
        [ -f "$script" ] || continue
        folder=$(mktemp -d) status=0 begun=$(date +%s)
        (cd "$folder" && sh "$ROOT/$script") </dev/null >"$folder.log" 2>&1 || status=$?
        case $status in
        0) good=$((good + 1)) word=ok ;;
        77) left=$((left + 1)) word=skipped ;;
        *) bad=$((bad + 1)) word=FAILED ;;
        esac
        printf '%s %s (%d s)\n' "$word" "$(basename "$script" .sh)" $(($(date +%s) - begun))
        [ "$status" = 0 ] || tail -n 40 "$folder.log"
        rm -rf "$folder" "$folder.log"
    done
    echo "$good passed, $bad failed, $left skipped"
    [ "$bad" = 0 ]
}

part() { # runs one part, adds its last line "N passed, N failed[, N skipped]" to the sum
    name=$1
    shift
    start=$(date +%s) status=0 log=build/log/$name.txt
    "$@" >"$log" 2>&1 || status=$?
    result=$(grep -aE '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    [ -n "$result" ] || result="0 passed, 1 failed" status=1
    read -r p f s <<EOF
$(echo "$result" | awk '{ print $1, $3, $5 + 0 }')
EOF
    [ "$status" = 0 ] || [ "$f" -gt 0 ] || f=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '%-6s %s, %d s\n' "$name" "$result" $(($(date +%s) - start))
    if [ "$f" -gt 0 ]; then
        grep -aE '^\[ +(FAILED|ERROR) |^\[ +LINE|error:|ERROR|WARNING: Thread|SUMMARY|FAILED|failed' "$log" | head -n 40
        tail -n 25 "$log"
    fi
}

for name in "$@"; do
    case $name in
    check) part check sh tools/check.sh ;;
    unit) part unit unit debug ;;
    asan | tsan) part "$name" unit "$name" ;;
    san) part asan unit asan && part tsan unit tsan ;;
    e2e) part e2e e2e ;;
    fuzz) part fuzz sh tools/fuzz.sh 5 ;;
    *) echo "test.sh: no part '$name'" >&2 && exit 2 ;;
    esac
done
line="$passed passed, $failed failed"
[ "$skipped" = 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" = 0 ]
