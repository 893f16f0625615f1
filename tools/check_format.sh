#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_format.sh [--fix]: C files that clang-format 14 (.clang-format) would lay out otherwise. Headers and pure tables are laid out
# by hand, in columns. Without that version (another lays out otherwise) there is nothing to compare with.
set -eu
format=
for f in clang-format-14 clang-format; do
    if command -v "$f" >/dev/null && "$f" --version | grep -q 'version 14\.'; then
        format=$f
        break
    fi
done
[ -n "$format" ] || { echo "skipped: needs clang-format 14"; exit 0; }
files=$(find src tests bench -name '*.c' ! -name 'tables_*.c' | sort)
if [ "${1:-}" = --fix ]; then
    printf '%s\n' "$files" | xargs "$format" -i
    exit 0
fi
bad=0
for f in $files; do
    lines=$("$format" "$f" | diff "$f" - | grep -c '^<' || true)
    [ "$lines" = 0 ] || { echo "$f: $lines lines are laid out otherwise (make format)"; bad=1; }
done
exit $bad
