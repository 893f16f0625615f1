#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# venv.sh: makes build/venv with the Python peers of bench/requirements.txt, once (llama.cpp compiles for ten minutes), and prints its
# python. It is made anew when the versions change.
set -eu
venv=build/venv
if ! cmp -s bench/requirements.txt "$venv/requirements.txt"; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || { echo "venv.sh: Python's venv is missing (Debian: python3-venv)" >&2; exit 1; }
    echo "Making $venv with PyTorch, PEFT and llama.cpp; llama.cpp compiles for about ten minutes …" >&2
    rm -rf "$venv"
    mkdir -p build
    python3 -m venv "$venv"
    CMAKE_ARGS="-DGGML_NATIVE=ON ${CMAKE_ARGS:-}" CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(getconf _NPROCESSORS_ONLN)} \
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt >&2
    cp bench/requirements.txt "$venv/requirements.txt"
fi
printf '%s\n' "$venv/bin/python"
