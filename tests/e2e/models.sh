#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# forja models and forja plan for names of the catalogue: lists, filters, facts, every model planned in under a second, the guide's table.
set -eu
. "$ROOT/tests/e2e/says"
fail() { echo "$*"; exit 1; }
names() { tr '{' '\n' <out | sed -n 's/^"name": "\([^"]*:[^"]*\)", "aliases".*/\1/p'; }

says 0 '' models
[ "$(grep -c ' not yet *$\| yes *$' out)" = "$(ls "$ROOT"/catalogue/*.json | wc -l)" ] || fail "not every model is listed"
says 0 '' models --json
names >all
[ "$(wc -l <all)" = "$(ls "$ROOT"/catalogue/*.json | wc -l)" ] || fail "not every model is in the JSON"
says 0 '' models --language ca --licence commercial --json
names >catalan
for name in aguila:7b flor:6.3b-instructed gliner:multi-v2.1; do grep -qx "$name" catalan || fail "no $name"; done
! grep -qx -e beto:cased -e llama3:8b-instruct catalan || fail "a language that a model has not"
says 0 '' models --task embed --json
names >embed
grep -qx mxbai-embed:large embed && ! grep -qx smollm:135m embed
says 0 '' models --licence conditions --task chat --json
names >chat
grep -qx llama3:8b-instruct chat && ! grep -qx command-r:35b chat
says 0 '' models --task qa --licence commercial --language es --fits
grep -q '^0 of' out || fail "mT5 is planned without its family"
says 0 '' models --fits --task chat --json
grep -q '"fits": "run_16"' out || fail "nothing fits"

says 0 '' models HuggingFaceTB/smollm-135m-instruct
grep -q '^name  *smollm:135m$' out && grep -q '^run, 4 bits .* fits' out && grep -q 'comes with use_galore' out
says 0 '' models nv-embed --json
grep -q '"commercial": "no"' out && grep -q '"fits": \[\]' out
says 2 "no model of the catalogue is called 'smollm:136m'" models smollm:136m
grep -q '^hint: there is smollm:1.7b, smollm:135m, smollm:360m$' err
says 2 '--task' models --task sing

# a plan for each, without weights, in under a second, which the slowest machine of a test has for three
while read -r name; do
    begun=$(date +%s%N) code=0
    "$FORJA" plan "$name" --method lora --bits 4 --json >out 2>err || code=$?
    spent=$((($(date +%s%N) - begun) / 1000000))
    case $code in
    0) grep -q '"peak": [0-9]' out || fail "$name: no plan" ;;
    3) grep -q 'are not built yet' err || fail "$name: $(cat err)" ;;
    2) grep -q 'gives scores' err || fail "$name: $(cat err)" ;;
    *) fail "$name: exit code $code: $(cat err)" ;;
    esac
    [ $spent -lt 3000 ] || fail "$name: planned in $spent ms"
    echo "$spent ms $name"
done <all | sort -n | tail -n 1
says 0 '' plan mixtral:8x7b-q8_0 --json # as its file is
says 0 '' plan mixtral:8x7b --bits 8 --json
grep -q '"weights": 4[0-9]\{10\},' out
says 0 '' plan mixtral:8x7b-q8_0 --max-memory 20G --json # what run would keep, and read from the file each time
peak=$(sed 's/.*"peak": \([0-9]*\).*/\1/' out) streamed=$(sed 's/.*"streamed": \([0-9]*\).*/\1/' out)
[ "$peak" -lt 20000000000 ] && [ "$peak" -gt 18000000000 ] && [ "$streamed" -gt 25000000000 ] || fail "$(cat out)"
says 4 '--max-memory: 1.0 GB do not hold the program' plan mixtral:8x7b-q8_0 --max-memory 1G
says 2 'plan: --max-memory is for --method run' plan mixtral:8x7b-q8_0 --max-memory 1G --method lora
says 0 '' plan --table
grep -q '^full, mixed  *BF16  *120 / 1[01][0-9]\.[0-9]' out && grep -q '1 row of 2048 tokens' out
says 0 '' plan --table --length 512 --batch 2 --json
grep -q '"batch": 2, "length": 512' out && grep -q '"size": "30B", "model": null, "guide": 64000000000' out
says 2 'plan: MODEL is missing' plan
says 2 'there is smollm:1.7b' plan smollm:999
export HF_HOME="$PWD/cache" HF_HUB_OFFLINE=1
says 5 "smollm:135m" run smollm:135m -p x # which is on the hub
says 5 "hf:HuggingFaceTB/SmolLM-135M-Instruct" plan hf:HuggingFaceTB/SmolLM-135M-Instruct
says 0 '' plan smollm:135m
says 3 'no such file or folder' plan nowhere
