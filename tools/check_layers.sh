#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_layers.sh [ROOT]: each #include "folder/…" that tools/layers.txt does not permit. src/main.c may include all.
set -eu
cd "${1:-.}"
find src -name '*.[ch]' -path 'src/*/*' -exec grep -Hn '^#include "[^"]*/' {} + | awk '
    NR == FNR { for (i = 2; i <= NF; i++) may[$1, $i] = 1; may[$1, $1] = 1; next }
    {
        split($0, part, ":"); split(part[1], dir, "/"); split($0, quoted, "\""); split(quoted[2], to, "/")
        if (may[dir[2], to[1]] || (to[1] == "tests" && part[1] ~ /_test\.[ch]$|\/test_[a-z_]*\.h$/)) next
        print part[1] ":" part[2] ": " dir[2] " may not include " quoted[2]; bad = 1
    }
    END { exit bad }' tools/layers.txt -
