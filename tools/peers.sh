#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# peers.sh: compares forja's numbers with those of llama.cpp, transformers and PEFT (make peers): bench/peers.py says which.
set -eu
python=$(sh tools/venv.sh)
model=$(sh tools/model.sh)
sh tools/build.sh release
HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 TRANSFORMERS_VERBOSITY=error exec "$python" bench/peers.py build/release/forja "$model" build/peers
