#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# forja classify: a reward model's attributes, from ids, as a folder and through GGUF; and what is refused.
set -eu
reward=$ROOT/tests/golden/decoders/nemotron-reward
ids=5,17,90,3,44,101,8
"$FORJA" classify "$reward" --ids "$ids" --json >hf
grep -q '"label": "helpfulness"' hf && grep -q '"label": "verbosity"' hf || { echo "no attributes: $(cat hf)"; exit 1; }
"$FORJA" export "$reward" reward.gguf --format gguf -q
"$FORJA" classify reward.gguf --ids "$ids" >gguf
"$FORJA" classify "$reward" --ids "$ids" | diff - gguf || { echo "a GGUF file answers differently"; exit 1; }
"$FORJA" probe logits "$reward" --ids "$ids" --out scores.safetensors
refuses() { # exit code, what standard error holds, arguments
    code=$1 wanted=$2 got=0
    shift 2
    "$FORJA" "$@" >out 2>err </dev/null || got=$?
    [ "$got" = "$code" ] || { echo "forja $*: exit code $got, wanted $code"; exit 1; }
    grep -qF -- "$wanted" err || { echo "forja $*: '$wanted' is not said"; cat err; exit 1; }
}
refuses 3 'no tokenizer' classify "$reward" --text a
refuses 2 'wants one of --text and --ids' classify "$reward" --text a --ids 1
refuses 3 'this model writes text, it has no scores' classify "$ROOT/tests/golden/decoders/tiny-bias" --ids 1
refuses 3 'this model gives scores' run "$reward" --ids 1
refuses 2 "token id 999 is not in the vocabulary" classify "$reward" --ids 999
