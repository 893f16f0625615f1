#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_symbols.sh ARCHIVE: names that two of its files define. A linker takes the first it meets and says nothing.
set -eu
nm -A --defined-only "$1" 2>/dev/null | awk '$(NF - 1) ~ /^[TDRBC]$/ { if (seen[$NF]++) { print $NF " is defined twice"; bad = 1 } } END { exit bad }'
