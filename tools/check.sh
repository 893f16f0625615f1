#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check.sh: what can be said of the sources without building them. Prints what is wrong and `N passed, N failed`.
set -u
passed=0 failed=0
for check in layers size format paths spdx; do
    if said=$(sh "tools/check_$check.sh" 2>&1); then
        passed=$((passed + 1))
        [ -z "$said" ] || printf 'check %-7s %s\n' "$check" "$said"
    else
        failed=$((failed + 1))
        printf 'check %-7s failed\n%s\n' "$check" "$said"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
