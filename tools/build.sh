#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh PRESET [TARGET...]: configures once and builds quietly.
set -eu
preset=$1
shift
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >/dev/null
said=$(cmake --build --preset "$preset" ${1:+--target "$@"} -- --quiet 2>&1) || { printf '%s\n' "$said" >&2; exit 1; }
printf '%s\n' "$said" | grep -v -e '^ninja: no work to do' -e '^-- ' -e '^$' || true
