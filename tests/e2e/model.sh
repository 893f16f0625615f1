#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# On the demo's model: memory against the plan for more than a dozen kinds of training runs (within 5 % or 24 MiB), one prompt with its beginning in
# the cache and without, the same LoRA weights on 1, 2 and 3 threads.
set -eu
. "$ROOT/tests/e2e/says"
fail() { echo "$*"; exit 1; }
model=$(sh "$ROOT/tools/model.sh")
says 0 '' export "$model" f32.gguf --type F32 -q
says 0 '' export "$model" folder --type BF16 -q

rows() { # tokens of a row
    awk -v n="$1" 'BEGIN { srand(3); for (r = 0; r < 4; r++) { s = ""; for (i = 0; i < n; i++) s = s (i ? "," : "") 2 + int(49000 * rand())
        print "{\"input_ids\":[" s "],\"labels\":[" s "]}" } }'
}
rows 96 >short.jsonl
rows 320 >long.jsonl
cat >run.yaml <<EOF
model_name_or_path: $model
dataset: short.jsonl
output_dir: trained
stage: sft
finetuning_type: lora
per_device_train_batch_size: 1
max_steps: 2
overwrite_output_dir: true
save_strategy: 'no'
EOF

number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | tail -n 1; }
against_plan() { # what, keys...
    what=$1
    shift
    says 0 '' plan run.yaml "$@" --json -q
    planned=$(number peak <out)
    says 0 '' train run.yaml "$@" -q
    used=$(number peak_bytes <trained/metrics.jsonl)
    is_near "$what"
}
is_near() { # what: $planned and $used
    awk -v p="$planned" -v u="$used" -v what="$1" 'BEGIN {
        off = u - p; if (off < 0) off = -off
        allowed = 0.05 * p > 25165824 ? 0.05 * p : 25165824
        printf "%-32s planned %6.1f MB, used %6.1f MB\n", what, p / 1e6, u / 1e6
        exit !(off <= allowed) }' || fail "$1: not what was planned"
}
against_plan "lora, Q4_1, 96 tokens"
against_plan "lora, Q4_1, 320 tokens" dataset=long.jsonl
against_plan "lora, Q4_1, 320, all kept" dataset=long.jsonl disable_gradient_checkpointing=true
against_plan "lora, F32, 96 tokens" model_name_or_path=f32.gguf
against_plan "freeze, Q4_1, 96 tokens" finetuning_type=freeze
against_plan "freeze, Q4_1, 320 tokens" dataset=long.jsonl finetuning_type=freeze freeze_trainable_layers=4 freeze_extra_modules=norm
against_plan "freeze, F32, 96, first, all kept" model_name_or_path=f32.gguf finetuning_type=freeze freeze_trainable_layers=-2 \
    disable_gradient_checkpointing=true
against_plan "full, F32, 96 tokens" model_name_or_path=f32.gguf finetuning_type=full max_steps=1
against_plan "full, pure bf16, 96 tokens" model_name_or_path=f32.gguf finetuning_type=full pure_bf16=true
against_plan "full, F32, 96, all kept" model_name_or_path=f32.gguf finetuning_type=full disable_gradient_checkpointing=true max_steps=1
for bits in 8 4 3 2; do
    against_plan "lora, BF16 to $bits bits" model_name_or_path=folder quantization_bit=$bits
    says 0 '' plan folder --method lora --bits $bits --length 96 --json
    planned=$(number peak <out)
    is_near "the same without its YAML"
done

for threads in 1 2 3; do
    says 0 '' train run.yaml max_steps=20 dataset="$ROOT/examples/yunque.jsonl" learning_rate=1e-3 -t $threads -q
    sha256sum trained/adapter_model.safetensors | cut -d ' ' -f 1 >>sums
done
[ "$(sort -u sums | wc -l)" = 1 ] || fail "the number of threads changed the weights: $(cat sums)"

says 2 'full tuning needs' train run.yaml finetuning_type=full
says 0 '' run "$model" -p "La forja es un lugar donde" -n 8 --temp 0 --json
one=$(sed 's/.*"ids": \(\[[^]]*\]\), "prompt_ids".*/\1/' out)
says 0 '' run "$model" -p "La forja es un lugar donde" -n 8 --temp 0 --json --no-repack -t 1
[ "$one" = "$(sed 's/.*"ids": \(\[[^]]*\]\), "prompt_ids".*/\1/' out)" ] || fail "repacking or threads changed the answer"
