#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# peers.sh: compares forja's numbers with those of llama.cpp, transformers and PEFT (make peers): bench/peers.py says which,
# bench/roundtrip.py takes every family to llama.cpp and back, bench/quality.py says what each type loses.
set -eu
python=$(sh tools/venv.sh)
model=$(sh tools/model.sh)
sh tools/build.sh release
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 TRANSFORMERS_VERBOSITY=error
status=0
"$python" bench/peers.py build/release/forja "$model" build/peers || status=$?
"$python" bench/roundtrip.py build/release/forja tests/golden/decoders build/peers/roundtrip || status=$?
"$python" bench/quality.py build/release/forja "$model" build/peers/quality 3 || status=$?
exit $status
