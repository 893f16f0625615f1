#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_paths.sh: files that name a path of somebody's machine.
set -eu
files=$(git ls-files -co --exclude-standard 2>/dev/null || true)
[ -n "$files" ] || files=$(find . -type f ! -path './build/*' ! -path './.git/*')
bad=$(printf '%s\n' "$files" | xargs grep -lIE -e '(^|[^a-zA-Z0-9_.>$}-])/(home|Users|root|work)/' -- || true)
here=$(printf '%s\n' "$files" | xargs grep -lIF -e "$(pwd -P)/" -- || true)
[ -z "$bad$here" ] && exit 0
printf '%s\n%s\n' "$bad" "$here" | sed '/^$/d; s/$/: names a path of this machine/' | sort -u
exit 1
