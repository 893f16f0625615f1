#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bench.sh [OPTION...]: forja against llama.cpp and PyTorch + PEFT on this machine (make bench). Options go to bench/bench.py.
# bench.sh families [OPTION...]: each family beside llama's (make bench families). Options go to bench/families.py.
# bench.sh kernels [TYPE...]: products of every type of weights beside the machine's limits (make bench kernels).
# All files are made by forja from the default model (tools/model.sh), so both sides read the same bytes.
set -eu
if [ "${1:-}" = families ]; then
    shift
    sh tools/build.sh release
    sh tools/build.sh bench bench_random_model
    exec python3 bench/families.py build/release/forja build/bench/bench_random_model build/models/families "$@"
fi
if [ "${1:-}" = kernels ]; then
    shift
    sh tools/build.sh bench bench_quant_kernels
    exec build/bench/bench_quant_kernels "$@"
fi
python=$(sh tools/venv.sh)
model=$(sh tools/model.sh)
sh tools/build.sh release
sh tools/build.sh bench bench_train_step
forja=build/release/forja models=build/models

make_file() { # make_file NAME COMMAND...: complete or absent
    [ -e "$models/$1" ] && [ "$models/$1" -nt "$model" ] && return
    name=$1
    shift
    echo "Writing $models/$name …" >&2
    rm -rf "$models/new.$name"
    "$@" "$models/new.$name" $type >/dev/null
    rm -rf "${models:?}/$name"
    mv "$models/new.$name" "$models/$name"
}

mkdir -p "$models"
type="--type F32 -q"
make_file F32.gguf "$forja" export "$model"
make_file hf "$forja" export "$models/F32.gguf"
for recipe in BF16 Q8_0 Q6_K Q5_K_M Q4_K_M Q4_0; do
    type="--type $recipe -q"
    make_file "$recipe.gguf" "$forja" quantize "$models/F32.gguf"
done
exec "$python" bench/bench.py "$forja" build/bench/bench_train_step "$models" "$@"
