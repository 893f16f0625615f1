#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command line's frame: help, versions, errors and their exit codes, one line of error each.
set -eu
. "$ROOT/tests/e2e/says"
says 0 '' --help
grep -q '^commands:' out
says 0 '' --version
grep -q '^forja [0-9]' out
says 0 '' version --json
grep -q '^{"version": "[0-9.]*", .*}$' out
says 0 '' help probe quant
grep -q '^usage: forja probe quant' out
says 2 "unknown command 'versoin'" versoin
says 2 'did you mean forja version?' versoin
says 2 "unknown option '--jason'" version --jason
says 2 'did you mean --json?' version --jason
says 2 "--threads: 'many' is not a whole number" version -t many
says 2 "--isa: 'sse9' is not one of" version --isa sse9
says 2 "'more' is one argument too many" version more
says 0 '' doctor --json --seconds 0.02 -q
grep -q '"read_bytes_per_second": [1-9]' out
code=0
"$FORJA" version >/dev/full 2>err || code=$?
[ "$code" = 1 ] && grep -q 'error: cannot write to standard output' err
NO_COLOR=1 "$FORJA" nothing 2>err || true
! grep -q "$(printf '\033')" err
