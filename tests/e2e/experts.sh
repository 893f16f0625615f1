#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Mixtures of experts by command: how many a token takes, forced and masked ones, and who took which token.
set -eu
. "$ROOT/tests/e2e/says"
model=$ROOT/tests/golden/training/base-mixtral # 2 layers, 2 of 5 experts
jetmoe=$ROOT/tests/golden/decoders/jetmoe-bf16
ids=5,9,5,17,30,5,9,60

for same in '--n-experts-used 2' '--experts all:0-4' '--experts 0:0-4;1:-0;all:0,1,2,3,4'; do
    says 0 '' probe logits "$model" --ids $ids --out wanted
    says 0 '' probe logits "$model" --ids $ids $same --out got
    cmp wanted got
done
for other in '--n-experts-used 1' '--n-experts-used 5' '--experts 1:3' '--experts all:-0'; do
    says 0 '' probe logits "$model" --ids $ids $other --out got
    ! cmp -s wanted got || { echo "$other changes nothing"; exit 1; }
done
# all taken or all left by mask: one and the same
says 0 '' probe logits "$model" --ids $ids --n-experts-used 1 --experts all:3 --out wanted
says 0 '' probe logits "$model" --ids $ids --experts 'all:-0-2,-4' --out got
cmp wanted got
says 0 '' run "$model" --ids $ids -n 4 --temp 0 --ignore-eos --experts 0:1,2 --json
says 0 '' bench "$model" -p 8 -n 2 -r 1 --no-limits --n-experts-used 1
says 0 '' run "$jetmoe" --ids $ids -n 4 --temp 0 --ignore-eos --n-experts-used 1 --experts 'all:-3'

# the counts are those of the choices
says 0 '' inspect routing "$model" --ids $ids --experts '1:3;0:-2' --json
tr -d ' ' <out >json
grep -q '"tokens":\[0,0,0,8,0\]' json
grep -q '"experts":\[\[3\],\[3\],\[3\],\[3\],\[3\],\[3\],\[3\],\[3\]\]' json
grep -q '"imbalance":5,' json && grep -q '"evenness":0,' json
grep -q '{"id":5,"piece":"#5","tokens":3}' json
! grep -q '"experts":\[\[2,' json
says 0 '' inspect routing "$model" --ids $ids
grep -q '^ *0  mlp  *2/5 ' out && grep -q '#5 3' out
says 0 '' inspect routing "$jetmoe" --ids $ids --layer 1 --pieces 0
grep -q '^ *1  attention' out && ! grep -q '^ *0  ' out
printf 'hola hola' >text
says 3 'no tokenizer' inspect routing "$model" -f text
says 2 'no experts' inspect routing "$ROOT/tests/golden/decoders/tiny-bias" --ids 1
says 2 'give one of' inspect routing "$model"
says 2 '--layer: layer 7 has no experts; the model has 2 layers' inspect routing "$model" --ids 1 --layer 7
says 2 'expert 5, the model has 5 experts, 0 to 4' run "$model" --ids 1 --experts 0:5
says 2 'layer 2, the model has 2 layers, 0 to 1' bench "$model" --experts 2:0
says 2 'the model has 5 experts' probe logits "$model" --ids 1 --out x --n-experts-used 6
says 2 'this model has no experts' run "$ROOT/tests/golden/decoders/tiny-bias" --ids 1 --n-experts-used 1
