#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Training by command: the same bits for any number of threads and after any interruption, what a run leaves behind, and its errors.
set -eu
model=$ROOT/tests/golden/decoders/smollm-tied
vocab=$(sed -n 's/.*"vocab_size": *\([0-9]*\).*/\1/p' "$model/config.json")

# Rows of 5 to 40 ids, the first third of each not trained.
awk -v vocab="$vocab" 'BEGIN {
    srand(7)
    for (r = 0; r < 24; r++) {
        n = 5 + int(36 * rand()); ids = labels = ""
        for (i = 0; i < n; i++) {
            id = 3 + int((vocab - 3) * rand())
            ids = ids (i ? "," : "") id
            labels = labels (i ? "," : "") (i < n / 3 ? -100 : id)
        }
        print "{\"input_ids\":[" ids "],\"labels\":[" labels "]}"
    }
}' >rows.jsonl

cat >lora.yaml <<EOF
model_name_or_path: $model
dataset: rows.jsonl
output_dir: out
stage: sft
finetuning_type: lora
lora_rank: 4
lora_dropout: 0.1
per_device_train_batch_size: 3
gradient_accumulation_steps: 2
learning_rate: 1e-2
lr_scheduler_type: cosine
warmup_ratio: 0.1
max_steps: 20
save_steps: 3
plot_loss: true
EOF

fail() { echo "$*"; exit 1; }
sum() { sha256sum "$1" | cut -d ' ' -f 1; }
says() { # exit code, what standard error holds, arguments
    code=$1 wanted=$2 got=0
    shift 2
    "$FORJA" "$@" >out.txt 2>err.txt || got=$?
    [ "$got" = "$code" ] || { cat out.txt err.txt; fail "forja $*: exit code $got, wanted $code"; }
    [ -z "$wanted" ] || grep -qF -- "$wanted" err.txt || { cat err.txt; fail "forja $*: '$wanted' is not said"; }
    [ "$code" = 0 ] || [ "$(grep -c 'error:' err.txt)" = 1 ] || { cat err.txt; fail "forja $*: not one line of error"; }
}

# One SHA-256 for 1, 2, 3 threads.
for method in lora freeze full; do
    for threads in 1 2 3; do
        says 0 'done: 20 steps' train lora.yaml finetuning_type=$method output_dir=$method-$threads -t $threads
    done
    [ $method = lora ] && file=adapter_model.safetensors || file=model.safetensors
    [ "$(sum lora-1/adapter_model.safetensors)" ] && [ -s "$method-1/$file" ] || fail "no $file"
    for threads in 2 3; do
        [ "$(sum $method-1/$file)" = "$(sum $method-$threads/$file)" ] || fail "$method: $threads threads gave other bits"
    done
done
[ "$(grep -c '"loss"' lora-1/metrics.jsonl)" = 20 ] || fail "not a line a step"
grep -q '<polyline' lora-1/training_loss.svg || fail "no curve"
[ -f lora-1/checkpoint-18/state.json ] && [ -f lora-1/checkpoint-20/adapter_model.safetensors ] || fail "no checkpoints"

# Killed at random places and gone on with: the same bits, every step once.
killed=0
for seed in 1 2 3; do
    tries=0
    while :; do
        tries=$((tries + 1))
        "$FORJA" train lora.yaml output_dir=killed resume_from_checkpoint=true >/dev/null 2>err.txt &
        pid=$!
        if [ $tries -lt 12 ]; then
            sleep "$(awk -v s=$seed -v t=$tries 'BEGIN { srand(100 * s + t); print 0.02 + 0.15 * rand() }')"
            kill -9 $pid 2>/dev/null || true
        fi
        code=0
        wait $pid || code=$?
        [ $code != 137 ] || { killed=$((killed + 1)); continue; }
        [ $code = 0 ] || fail "going on: exit code $code: $(cat err.txt)"
        break
    done 2>/dev/null
    [ "$(sum killed/adapter_model.safetensors)" = "$(sum lora-1/adapter_model.safetensors)" ] || fail "seed $seed: other bits"
    [ "$(grep -c '"loss"' killed/metrics.jsonl)" = 20 ] || fail "seed $seed: not a line a step"
    [ "$(sed 's/"tokens_per_second.*//' killed/metrics.jsonl)" = "$(sed 's/"tokens_per_second.*//' lora-1/metrics.jsonl)" ] ||
        fail "seed $seed: other losses"
    rm -rf killed
done
[ $killed -gt 0 ] || fail "no run was killed: the test shows nothing"

# The same from a checkpoint of freeze tuning.
mkdir goes-on
cp -r freeze-1/checkpoint-6 freeze-1/metrics.jsonl goes-on
says 0 'going on from goes-on/checkpoint-6' train lora.yaml finetuning_type=freeze output_dir=goes-on resume_from_checkpoint=true
[ "$(sum goes-on/model.safetensors)" = "$(sum freeze-1/model.safetensors)" ] || fail "freeze: going on gave other bits"
says 2 'made with freeze_trainable_layers: 2, the run says 1' train lora.yaml finetuning_type=freeze output_dir=goes-on \
    resume_from_checkpoint=true freeze_trainable_layers=1

# The same in bf16: one file for 1 and 3 threads, and from a checkpoint.
for threads in 1 3; do
    says 0 '' train lora.yaml finetuning_type=full pure_bf16=true output_dir=pure-$threads -t $threads
done
[ "$(sum pure-1/model.safetensors)" = "$(sum pure-3/model.safetensors)" ] || fail "pure_bf16: 3 threads gave other bits"
rm -rf goes-on
mkdir goes-on
cp -r pure-1/checkpoint-9 pure-1/metrics.jsonl goes-on
says 3 'no tensor' train lora.yaml finetuning_type=full output_dir=goes-on resume_from_checkpoint=true
says 0 '' train lora.yaml finetuning_type=full pure_bf16=true output_dir=goes-on resume_from_checkpoint=true
[ "$(sum goes-on/model.safetensors)" = "$(sum pure-1/model.safetensors)" ] || fail "pure_bf16: going on gave other bits"

# Ctrl-C keeps what is done; a second run ends it.
"$FORJA" train lora.yaml output_dir=stopped max_steps=2000 save_steps=100000 >/dev/null 2>err.txt &
pid=$!
while ! grep -qs '"step": 3,' stopped/metrics.jsonl; do sleep 0.02; done
kill -INT $pid
code=0
wait $pid || code=$?
[ $code = 130 ] || fail "Ctrl-C: exit code $code: $(cat err.txt)"
grep -q 'error: stopped after step' err.txt || fail "Ctrl-C: $(cat err.txt)"
ls -d stopped/checkpoint-* >/dev/null || fail "Ctrl-C kept no checkpoint"

# Evaluation, packing, a new run on a trained adapter, full weights that open again.
says 0 'evaluation: loss' train lora.yaml output_dir=eval val_size=0.25 eval_strategy=steps eval_steps=10 packing=true cutoff_len=64
[ "$(grep -c '"eval_loss"' eval/metrics.jsonl)" = 2 ] || fail "not two evaluations"
says 0 '' train lora.yaml output_dir=again adapter_name_or_path=lora-1 max_steps=2
says 0 '' train lora.yaml model_name_or_path=full-1 output_dir=onfull max_steps=1
says 0 '' train lora.yaml output_dir=json max_steps=2 --json
[ "$(grep -c '^{"step"' out.txt)" = 2 ] && [ "$(wc -l <out.txt)" = 2 ] || fail "--json: $(cat out.txt)"
says 0 '' train lora.yaml --explain
grep -q '^lora_rank .*lora.yaml line 6' out.txt || fail "--explain: $(cat out.txt)"

# Errors.
says 2 'is not empty' train lora.yaml output_dir=lora-1
says 2 'made with learning_rate: 0.01, the run says 0.001' train lora.yaml output_dir=lora-1 resume_from_checkpoint=true learning_rate=1e-3
head -n 20 rows.jsonl >fewer.jsonl
says 2 'made with other rows' train lora.yaml output_dir=lora-1 resume_from_checkpoint=true dataset=fewer.jsonl
says 2 "unknown key 'lora_rnk'" train lora.yaml lora_rnk=2
says 2 'did you mean lora_rank?' train lora.yaml lora_rnk=2
says 2 'no.yaml' train no.yaml
says 1 'longer than cutoff_len' train lora.yaml output_dir=x cutoff_len=8
says 2 'this model has no experts' train lora.yaml output_dir=x moe_aux_loss_coef=0.01
says 2 'did you mean mlp?' train lora.yaml output_dir=x finetuning_type=freeze freeze_trainable_modules=mpl
says 2 'freeze_trainable_layers is -9, this model has' train lora.yaml output_dir=x finetuning_type=freeze freeze_trainable_layers=-9
says 2 "lora_target 'q_prj'" train lora.yaml output_dir=x lora_target=q_prj
echo '{"input_ids":[1,2,3],"labels":[1,2]}' >bad.jsonl
says 1 'bad.jsonl' train lora.yaml output_dir=x dataset=bad.jsonl
[ ! -e x ] || fail "a refused run left $(ls x)"
