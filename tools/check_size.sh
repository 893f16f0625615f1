#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_size.sh [ROOT]: files of more than 800 lines and functions of more than 100. Pure tables (tables_*.c) may be longer.
set -eu
cd "${1:-.}"
find src tests bench tools \( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' \) ! -name 'tables_*.c' | sort | while read -r file; do
    awk -v file="$file" '
        /^\{ *$/ { start = NR; name = last }
        /^\}/ && start { if (NR - start > 100) { sub(/\(.*/, "", name); print file ": " name " has " NR - start " lines" } start = 0 }
        /^[^ \t].*\(/ { last = $0 }
        END { if (NR > 800) print file " has " NR " lines" }' "$file"
done | awk '{ print } END { exit NR > 0 }'
