#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh SECONDS [TARGET...]: replays the corpus of each fuzz target, then looks for new inputs for SECONDS. What is found stays under
# build/fuzz/found; an input that breaks something is kept there as TARGET-crash-… and belongs into a test. Prints `N passed, N failed`.
set -eu
seconds=${1:-5}
shift $(($# > 0))
sh tools/build.sh fuzz
[ $# -gt 0 ] || set -- $(ls tests/fuzz/*.c 2>/dev/null | sed 's|.*/||; s|\.c$||')
passed=0 failed=0
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
for target in "$@"; do
    corpus=tests/fuzz/corpus/$target found=build/fuzz/found/$target log=build/fuzz/$target.log
    mkdir -p "$found"
    [ -d "$corpus" ] || corpus=
    options="-timeout=20 -rss_limit_mb=2560 -print_final_stats=1 -artifact_prefix=build/fuzz/found/$target-"
    # shellcheck disable=SC2086 # a list of words
    if build/fuzz/fuzz_"$target" $options -runs=0 $corpus >"$log" 2>&1 &&
        build/fuzz/fuzz_"$target" $options -max_total_time="$seconds" "$found" $corpus >>"$log" 2>&1; then
        passed=$((passed + 1))
        printf 'fuzz %-16s %s runs\n' "$target" "$(awk '/number_of_executed_units/ { n = $2 } END { print n + 0 }' "$log")"
    else
        failed=$((failed + 1))
        printf 'fuzz %-16s failed\n' "$target"
        tail -n 40 "$log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
