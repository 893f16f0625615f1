#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Models larger than the memory that they may use: the same tokens as without a limit, the peak below it, and what cannot be done.
set -eu
. "$ROOT/tests/e2e/says"
for tool in mixture grok_release peak; do
    cc -std=c17 -D_DEFAULT_SOURCE -O1 -o $tool "$ROOT/tests/e2e/$tool.c"
done
./mixture bf16 256 1024 6 8 2000 # 80 MB of weights, 74 of them experts
"$FORJA" quantize bf16 q8.gguf --type Q8_0 -q >/dev/null
ids=$(seq -s , 3 7 700)

answer() { # model, options: the ids, and the peak in `most`
    ./peak most "$FORJA" run "$1" --ids "$ids" -n 12 --temp 0 --ignore-eos --json $2 >out 2>err || { cat out err; exit 1; }
    sed 's/.*"ids": *\(\[[^]]*\]\).*/\1/' out
}

for case in bf16:45 bf16:60 q8.gguf:40; do
    model=${case%:*} limit=${case#*:}
    wanted=$(answer $model '') free=$(cat most)
    got=$(answer $model "--max-memory ${limit}M")
    [ "$wanted" = "$got" ] || { echo "$case: other tokens"; echo "$wanted"; echo "$got"; exit 1; }
    [ "$(cat most)" -lt ${limit}000000 ] || { echo "$case: the peak is $(cat most)"; exit 1; }
    [ "$free" -gt ${limit}000000 ] || { echo "$case: all fits, nothing is shown: $free"; exit 1; }
    grep -q 'do not fit and are read from the file each time' err || { cat err; exit 1; }
    [ "$(answer $model "--max-memory ${limit}M --no-repack -t 1")" = "$wanted" ]
done
# weights that are made when they are read: a release whose matrices are int8 and turned, 76 MB as bf16
./grok_release grok 256 1024 6 8 2000
wanted=$(answer grok '') free=$(cat most)
[ "$(answer grok '--max-memory 50M')" = "$wanted" ] && [ "$(cat most)" -lt 50000000 ] && [ "$free" -gt 90000000 ] ||
    { echo "grok: other tokens, or the peak is $(cat most), free $free"; exit 1; }
grep -q 'do not fit and are read from the file each time' err
[ "$(answer grok '--max-memory 70M --no-repack -t 1')" = "$wanted" ] && [ "$(cat most)" -lt 70000000 ]
for out in q4.gguf folder; do
    case $out in *.gguf) how='--type Q4_K_M' ;; *) how='--format hf' ;; esac
    ./peak most "$FORJA" export grok $out $how -q >/dev/null
    [ "$(cat most)" -lt 50000000 ] || { echo "grok to $out: the peak is $(cat most)"; exit 1; }
done
[ "$(answer folder '')" = "$(answer grok '')" ]
# a draft model is counted
plain=$(answer bf16 '') && [ "$(answer bf16 '--max-memory 95M --draft q8.gguf --draft-p-min 0')" = "$plain" ]
[ "$(cat most)" -lt 95000000 ] && grep -q 'do not fit and are read' err && grep -q '"draft_n": [1-9]' out
says 4 ', the draft (' run bf16 --ids 1,2 -n 4 --draft q8.gguf --max-memory 60M
# no word where all fits
answer bf16 '--max-memory 1G' >got
[ ! -s err ] || { cat err; exit 1; }
says 0 '' bench bf16 -p 16 -n 4 -r 1 --no-limits --max-memory 60M
says 4 '--max-memory: 12.0 MB do not hold the program' run bf16 --ids 1,2 -n 1 --max-memory 12M
says 4 'do not hold' bench bf16 -p 16 -n 4 -r 1 --no-limits --max-memory 20M
says 2 "--max-memory: '2X' is not a size" run bf16 --ids 1,2 -n 1 --max-memory 2X
