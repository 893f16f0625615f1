#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# forja probe: numbers against transformers' (tests/golden/decoders), batches, every way of reading a model, and wrong usage.
set -eu
. "$ROOT/tests/e2e/says"
golden=$ROOT/tests/golden/decoders

# expected.safetensors ends with the logits; the ids stand in front of them as 64-bit numbers
ids_of() { # folder, how many
    tail -c $((4 * 22 * $2 + 8 * $2)) "$1/expected.safetensors" | head -c $((8 * $2)) | od -An -v -t d8 -w8 | tr -d ' ' | paste -sd ,
}
loss_of() { sed -n 's/.*"ce_loss": \([0-9.]*\).*/\1/p' "$1/meta.json"; }

for case in tiny-bias:9 tiny-tied:9 tiny-window:12 tiny-linear:9; do
    model=$golden/${case%:*} n=${case#*:}
    ids=$(ids_of "$model" "$n")
    floats "$model/expected.safetensors" $((22 * n)) >wanted
    for isa in ref auto; do
        says 0 '' probe logits "$model" --ids "$ids" --isa $isa --out logits
        floats logits $((22 * n)) >got
        near 2e-5 got wanted
    done
    # a GGUF file of it answers alike, and so does a copy of a copy
    says 0 '' export "$model" model.gguf -q
    says 0 '' export model.gguf back --format hf -q
    for copy in model.gguf back; do
        says 0 '' probe logits "$copy" --ids "$ids" --out logits
        floats logits $((22 * n)) >got
        near 2e-5 got wanted
    done
    printf '{"input_ids":[%s],"labels":[%s]}\n' "$ids" "$ids" >rows.jsonl
    for copy in "$model" model.gguf back; do
        says 0 '' probe grads "$copy" --data rows.jsonl --out grads
        sed -n 's/^{"loss": \([0-9.]*\)}$/\1/p' out >got
        loss_of "$model" >loss
        near 1e-5 got loss
    done
    # names and values of gradients: both files hold the same list, ours in another order
    says 0 '' probe grads "$model" --data rows.jsonl --out grads
    for file in grads "$model/grads.safetensors"; do
        head -c 8000 "$file" | tr -c '[:print:]' '\n' | grep -o '"[a-z_.0-9]*\.\(weight\|bias\)"' | sort
    done >names
    [ "$(sort names | uniq -c | awk '$1 != 2' | wc -l)" = 0 ] && [ -s names ]
done

# a batch: each prompt as if alone, to the last bit, with either arithmetic
model=$golden/tiny-window
for fast in '' --fast; do
    says 0 '' probe logits "$model" --batch '1,2,3;4;5,6,7,8,9,10,11,12,13' $fast --out batch
    tail -c $((4 * 22 * 13)) batch >all
    : >alone
    for ids in 1,2,3 4 5,6,7,8,9,10,11,12,13; do
        says 0 '' probe logits "$model" --ids $ids $fast --no-repack -t 1 --out one
        tail -c $((4 * 22 * $(echo $ids | tr , '\n' | wc -l))) one >>alone
    done
    cmp all alone
done
grep -aq '"logits0".*"logits1".*"logits2"' batch

# hidden states: after the embeddings the row of the table; the last is what comes without --layer
says 0 '' probe hidden "$model" --ids 1,2,3 --layer 0 --out zero
says 0 '' probe hidden "$model" --ids 1,2,3 --layer 2 --out two
says 0 '' probe hidden "$model" --ids 1,2,3 --out last
cmp two last
! cmp -s zero last
grep -aq '"hidden".*\[3, *8\]' last
says 0 '' probe hidden "$model" --batch '1;2' --out batch
grep -aq '"hidden0".*"hidden1"' batch

# rows: the mean over all labels of all rows
printf '%s\n' '{"input_ids":[1,2,3],"labels":[-100,-100,3]}' '{"input_ids":[5,6,7,8],"labels":[5,6,7,8]}' >rows.jsonl
says 0 '' probe grads "$model" --data rows.jsonl --out grads
says 0 '' probe grads "$model" --data rows.jsonl --out again -t 3
cmp grads again

# wrong usage and broken input: one line
says 2 'wants one of --ids and --batch' probe logits "$model" --out o
says 2 'wants one of --ids and --batch' probe logits "$model" --ids 1 --batch 2 --out o
says 2 '--out is missing' probe logits "$model" --ids 1
says 2 "prompt 0: 'x' is not a token id" probe logits "$model" --ids 1,x --out o
says 2 'prompt 1: no token ids' probe logits "$model" --batch '1;;2' --out o
says 2 'token id 22 is not in the vocabulary of 22' probe logits "$model" --ids 1,22 --out o
says 2 'token id -1 is not in the vocabulary of 22' probe logits "$model" --ids=-1 --out o
says 2 '--layer: 3, the model has 2 layers' probe hidden "$model" --ids 1 --layer 3 --out o
says 1 'cannot write' probe logits "$model" --ids 1 --out nowhere/o
says 3 'no such file or folder' probe logits nowhere --ids 1 --out o
says 3 'no adapter_config.json with adapter_model.safetensors' probe logits "$model" --ids 1 --adapter . --out o
says 2 'probe grads: --data is missing' probe grads "$model" --out o
says 2 '--loss:' probe grads "$model" --data rows.jsonl --loss kto --out o
says 2 "'nowhere'" probe grads "$model" --data nowhere --out o
echo '{"input_ids":[1,2,22],"labels":[1,2,3]}' >bad.jsonl
says 1 'bad.jsonl: row 1: input_ids[2] is 22' probe grads "$model" --data bad.jsonl --out o
echo '{"input_ids":[1,2],"labels":[-100,-100]}' >bad.jsonl
says 1 'left to train on' probe grads "$model" --data bad.jsonl --out o
[ ! -e o ]
