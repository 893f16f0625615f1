#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# forja run with token ids: the greedy answers of transformers (meta.json of tests/golden/decoders), JSON, limits, wrong usage.
set -eu
. "$ROOT/tests/e2e/says"
golden=$ROOT/tests/golden/decoders
list() { tr -d '\n ' <"$1" | sed -n 's/.*"'"$2"'":\[\([0-9,]*\)\].*/\1/p'; }
prompt_of() { # folder, how many: the ids of expected.safetensors, in front of the logits
    tail -c $((4 * 22 * $2 + 8 * $2)) "$1/expected.safetensors" | head -c $((8 * $2)) | od -An -v -t d8 -w8 | tr -d ' ' | paste -sd ,
}

for case in tiny-bias:9 tiny-tied:9 tiny-window:12 tiny-linear:9; do
    model=$golden/${case%:*}
    prompt=$(prompt_of "$model" "${case#*:}")
    says 0 '' export "$model" model.gguf -q
    for copy in "$model" model.gguf; do
        says 0 '' run "$copy" --ids "$prompt" --temp 0 -n 16 --ignore-eos --json
        [ "$(list out ids)" = "$(list "$model/meta.json" greedy)" ]
        [ "$(list out prompt_ids)" = "$prompt" ]
        grep -q '"finish_reason": "length"' out
    done
done

# guesses change no token: right and wrong ones, of a recurrent model too, greedy and drawn, to the end of the context
again=1,2,3,4,5,6,1,2,3,4,5,6,1,2,3
right=0
for case in tiny-bias tiny-gemma3 tiny-jamba tiny-mamba tiny-mixtral tiny-window; do
    model=$golden/$case
    for way in '--temp 0 -n 60' '--temp 0.4 --seed 3 -n 60' '--temp 0 --repeat-penalty 1.2 -n 33 -c 40' \
        '--temp 0 -n 90 -c 40 --context-shift --keep 3'; do
        says 0 '' run "$model" --ids $again --ignore-eos --json $way
        plain=$(list out ids)
        for guess in '--lookup' '--lookup --draft-max 2 --draft-min 2 -t 1' "--draft $model --draft-p-min 0" \
            "--model-draft $golden/tiny-linear --draft-p-min 0.1 --lookup --draft-max 20 --max-memory 1G"; do
            case "$case$guess" in
                tiny-jamba*draft\ * | tiny-mamba*draft\ * | *\ "$golden"/tiny-linear*) # other tokens, or no way back
                    [ "$case" = tiny-bias ] || continue ;;
            esac
            says 0 '' run "$model" --ids $again --ignore-eos --json $way $guess
            [ "$(list out ids)" = "$plain" ] || { echo "$case $way $guess: other tokens"; exit 1; }
            right=$((right + $(sed -n 's/.*"draft_n_accepted": \([0-9]*\).*/\1/p' out)))
        done
    done
done
[ $right -gt 500 ]
says 2 'a recurrent state cannot take wrong guesses back' run "$golden/tiny-bias" --ids 1 --draft "$golden/tiny-jamba"
says 2 '22 tokens, the model has 268' run "$ROOT/tests/golden/talker" -p a --draft "$golden/tiny-bias"
says 3 "no such file or folder: 'nowhere'" run "$golden/tiny-bias" --ids 1 --draft nowhere
says 2 '--draft-max' run "$golden/tiny-bias" --ids 1 --lookup --draft-max 0
says 4 ', the draft (' run "$golden/tiny-bias" --ids 1 --draft "$golden/tiny-bias" --max-memory 1M

# a seed fixes the answer; another one changes it
model=$golden/tiny-linear
says 0 '' run "$model" --ids 1,2,3 -n 12 --ignore-eos --seed 5 --temp 2
cp out first
says 0 '' run "$model" --ids 1,2,3 -n 12 --ignore-eos --seed 5 --temp 2 -t 3 --no-repack
cmp out first
says 0 '' run "$model" --ids 1,2,3 -n 12 --ignore-eos --seed 6 --temp 2
! cmp -s out first

# the end token ends an answer, and is not a part of it
says 0 '' run "$model" --ids 1,2,3 -n 50 --temp 0 --logit-bias 2+100 --json
grep -q '"finish_reason": "stop"' out
says 0 '' run "$model" --ids 1,2,3 -n 3 -c 5 --temp 0 --ignore-eos --json
[ "$(list out ids | tr , '\n' | wc -l)" = 2 ] # the context is full
says 0 'the answer ends because the context of 5 tokens is full' run "$model" --ids 1,2,3 -n 4 -c 5 --temp 0 --ignore-eos
says 0 'half of what is behind the first 2 is forgotten' run "$model" --ids 1,2,3 -n 100 -c 9 --temp 0 --ignore-eos --context-shift \
    --keep 2 --json
[ "$(grep -c forgotten err)" = 1 ] # it is said once
[ "$(list out ids | tr , '\n' | wc -l)" = 99 ]
says 2 '--keep says what' run "$model" --ids 1,2,3 --keep 2
says 0 '' run "$model" --ids 1 -n 0 --json
[ "$(list out prompt_ids)" = 1 ]

says 2 "token id 22 is not in the vocabulary of 22" run "$model" --ids 22 -n 1
says 2 "token id -7 is not in the vocabulary of 22" run "$model" --ids=-7 -n 1
says 2 "'1;2' is not a token id" run "$model" --ids '1;2'
says 2 'no token ids' run "$model" --ids ''
says 2 'give one of --prompt, --file and --ids' run "$model" --ids 1 -p x
says 2 '--ids are taken as they are' run "$model" --ids 1 --chat
says 2 'the prompt has 4 tokens' run "$model" --ids 1,2,3,4 -c 3
says 3 'no tokenizer' run "$model" -p hello
says 3 'no such file or folder' run nowhere --ids 1
says 3 'no adapter_config.json' run "$model" --ids 1 --adapter .
code=0
"$FORJA" run "$model" --ids 1,2 -n 5 --ignore-eos >/dev/full 2>err || code=$?
[ "$code" = 1 ] && [ "$(grep -c 'error:' err)" = 1 ]

# a prompt cache: the same answers with it as without, for another prompt with the same beginning and for recurrent layers, too
for case in tiny-window tiny-jamba; do
    says 0 '' run "$golden/$case" --ids 1,2,3,4,5,6 -n 8 --ignore-eos --temp 0
    cp out wanted
    says 0 '' run "$golden/$case" --ids 1,2,3,4 -n 2 --ignore-eos --temp 0 --prompt-cache "$case.bin"
    cp "$case.bin" before
    says 0 '' run "$golden/$case" --ids 1,2,3,4,5,6 -n 8 --ignore-eos --temp 0 --prompt-cache "$case.bin" --prompt-cache-ro --json
    grep -q '"prompt_n": 3,' out
    says 0 '' run "$golden/$case" --ids 1,2,3,4,5,6 -n 8 --ignore-eos --temp 0 --prompt-cache "$case.bin" --prompt-cache-ro
    cmp out wanted
    cmp "$case.bin" before
    says 0 '' run "$golden/$case" --ids 1,2,3,4,5,6 -n 8 --ignore-eos --temp 0 --prompt-cache "$case.bin"
    cmp out wanted
    ! cmp -s "$case.bin" before
done
says 3 'made with another model' run "$golden/tiny-tied" --ids 1,2,3 --prompt-cache tiny-window.bin
says 3 'with a cache of ' run "$golden/tiny-window" --ids 1,2,3 --prompt-cache tiny-window.bin -ctk q4_0
says 3 'no prompt cache' run "$golden/tiny-window" --ids 1,2,3 --prompt-cache model.gguf
head -c 300 tiny-window.bin >part.bin
says 3 'does not have 300 bytes' run "$golden/tiny-window" --ids 1,2,3 --prompt-cache part.bin
says 2 'needs --prompt-cache FILE' run "$golden/tiny-window" --ids 1,2,3 --prompt-cache-ro
says 1 '' run "$golden/tiny-window" --ids 1,2,3 --prompt-cache nowhere/file

# the cache's types: the same answer in any batch of threads, for heads of any size; other bits are other numbers
says 0 '' run "$model" --ids 1,2,3 -n 12 --ignore-eos --temp 0 -ctk q8_0 --cache-type-v Q4_0
cp out first
says 0 '' run "$model" --ids 1,2,3 -n 12 --ignore-eos --temp 0 -ctk q8_0 -ctv q4_0 -t 3
cmp out first
says 2 "--cache-type-k: 'q9' is not one of f32|f16|bf16|q8_0" run "$model" --ids 1 -ctk q9
kv() { sed -n 's/.*"kv": \([0-9]*\).*/\1/p'; }
says 0 '' plan "$model" --length 64 -ctk f32 -ctv f32 --json
whole=$(kv <out)
says 0 '' plan "$model" --length 64 -ctk f16 -ctv bf16 --json
[ "$whole" = $((2 * $(kv <out))) ]
says 0 '' plan "$model" --length 64 --cache-type-k q8_0 --cache-type-v q8_0 --json
[ $((16 * $(kv <out))) = $((34 * whole)) ] # a head of 4 takes a whole block

says 0 '' bench model.gguf -ctk q8_0 -ctv q8_0 -p 8 -n 2 --repeat 1 --no-limits --json
grep -q '"tokens_per_second": [0-9]' out
for copy in model.gguf "$ROOT/tests/golden/talker"; do # without a tokenizer, and with one
    says 0 '' bench "$copy" --load --repeat 2 --json
    for part in map tokenizer weights repack graphs first_token total; do
        grep -Eq "\"${part}_ms\": [0-9]" out
    done
done
says 0 '' bench model.gguf --load --repeat 1 --no-repack -t 1
grep -q '^first token' out
says 3 'nowhere' bench nowhere --load
says 2 '--repeat' bench model.gguf --repeat 0
