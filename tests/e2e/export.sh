#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# forja export and quantize: formats, types, what is said, and that nothing is damaged when it cannot be done.
set -eu
. "$ROOT/tests/e2e/says"
model=$ROOT/tests/golden/decoders/smollm-tied
same() { # two models answer alike to the last bit
    "$FORJA" probe logits "$1" --ids 1,2,3,4,5 --out a && "$FORJA" probe logits "$2" --ids 1,2,3,4,5 --out b && cmp a b
}
near_model() { # bound, model, copy
    "$FORJA" probe logits "$2" --ids 1,2,3,4,5 --out a && "$FORJA" probe logits "$3" --ids 1,2,3,4,5 --out b
    floats a 560 >wanted
    floats b 560 >got
    near "$1" got wanted
}

says 0 '' export "$model" model.gguf
grep -q '^model.gguf: .*32.00 bits a weight' out
says 0 '' export model.gguf back --json
[ "$(cat out)" = '{"folder": "back"}' ]
same "$model" back
same model.gguf "$ROOT/tests/golden/gguf/smollm-tied.gguf"
says 0 '' export "$model" half --type F16 --format hf
grep -q '"torch_dtype": "float16"' half/config.json
near_model 0.1 "$model" half
says 0 '' export half again --format hf # what is stored stays as it is
same half again
for type in Q8_0 Q6_K Q5_K_M Q4_K_M Q4_0 Q4_1 Q5_0 Q5_1 F16 BF16 F32; do # rows of 36 values: no block divides them
    says 0 '' quantize "$model" "$type.gguf" --type $type --json
    grep -q "^{\"file\": \"$type.gguf\", \"bytes\": [0-9]*, .*\"tensors\": \[" out
    near_model 0.5 "$model" "$type.gguf"
done
near_model 2e-5 "$model" F32.gguf
says 0 '' quantize "$model" lower.gguf --type q8_0 -q
cmp lower.gguf Q8_0.gguf

says 2 "--type: 'Q4_KM' is no recipe" quantize "$model" o.gguf --type Q4_KM
says 2 'did you mean Q4_K_M?' quantize "$model" o.gguf --type Q4_KM
says 2 "--type: 'Q8_0' is not one of F32, F16, BF16" export "$model" o --format hf --type Q8_0
says 2 "--format: 'zip' is not one of hf|gguf" export "$model" o --format zip
says 2 'OUT is missing' quantize "$model"
says 3 'no such file or folder' export nowhere o
says 3 'no adapter_config.json' export "$model" o --adapter .
says 1 'cannot write' export "$model" nowhere/o.gguf
[ ! -e o ] && [ ! -e o.gguf ]

# what was there stays: a model is not written over itself, and a run that fails leaves the old file
cp model.gguf kept
says 2 'OUT is the model that is read' quantize model.gguf model.gguf
says 2 'OUT is the model that is read' export back ./back
cmp model.gguf kept
head -c 100000 model.gguf >cut.gguf
says 3 'cut.gguf' quantize cut.gguf kept --type F16
cmp model.gguf kept
says 4 'error:' export "$model" /dev/full --format gguf

# all ids that end an answer go through GGUF
cp -r "$ROOT/tests/golden/talker" talker
echo '{"eos_token_id": [4, 3]}' >talker/generation_config.json # the tokenizer says 2
says 0 '' export talker talker.gguf -q
says 0 '' export talker.gguf talker.back -q
[ "$(tr -d ' \n' <talker.back/generation_config.json)" = '{"eos_token_id":[2,4,3]}' ]

# a GGUF file's vocabulary and template become the folder's
[ -e talker.back/tokenizer.json ]
chat() {
    says 0 '' run "$1" --chat -p 'Hola, ¿qué  tal? <|im_end|>' --temp 0 --json
    sed 's/\("prompt_ids": [^]]*\).*/\1/' out # without the times
}
chat talker.gguf >wanted
grep -q '^{"text": "Salud, ñ!", .*"prompt_ids": \[1, ' wanted
chat talker.back >got
cmp got wanted
LC_ALL=C sed 's/gpt2/gptx/' talker.gguf >odd.gguf
says 0 "odd: written without a tokenizer: the tokenizer 'gptx' (tokenizer.ggml.model) is not supported" export odd.gguf odd
[ -e odd/model.safetensors ] && [ ! -e odd/tokenizer.json ]
