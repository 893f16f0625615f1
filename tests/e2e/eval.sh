#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# forja eval: figures, their JSON, checks with exit code 6, and what is said when there is nothing to measure.
set -eu
. "$ROOT/tests/e2e/says"
model=$ROOT/tests/golden/reader
text=$ROOT/bench/text_en.txt
says 0 '' quantize "$model" small.gguf --type Q4_0 -q
value() { sed "s/.*\"$1\": \([-0-9.e]*\).*/\1/" out; }

says 0 '' eval "$model" --perplexity "$text" -q
grep -Eq '^perplexity +[0-9.]+ ± [0-9.]+ \([0-9]+ tokens of [0-9]+ windows of [0-9]+\)$' out
says 0 '' eval "$model" --perplexity "$text" -c 64 --windows 3 --json
grep -Eq '^\{"perplexity": [0-9.e]+, "tokens": 93, "nll": [0-9.]+, ' out # 3 windows, tokens 33 to 63 of each
awk -v p="$(value perplexity)" -v nll="$(value nll)" 'BEGIN { d = p / exp(nll) - 1; exit !(d < 1e-9 && d > -1e-9) }'
cp out one
says 0 '' eval "$model" --perplexity "$text" -c 64 --windows 3 --json -t 1
cmp out one
says 0 '' eval small.gguf --perplexity "$text" -c 64 --kl-base "$model" --json
for key in kl mean_error p99 max same_top delta_p_rms correlation base_perplexity ln_perplexity_ratio_error; do
    grep -q "\"$key\": " out
done
awk -v kl="$(value mean)" 'BEGIN { exit !(kl > 0 && kl < 1) }'
says 0 '' eval small.gguf --perplexity "$text" -c 64 --kl-base "$model" --fast --max-kl 1 --min 0.2 --max-perplexity 1e9
grep -q '^same top token ' out
says 0 '' eval "$model" --perplexity "$text" -c 64 --kl-base "$model" --json --max-kl 0
says 0 '' eval "$model" --perplexity "$text" -c 64 --kl-base "$model" -ctk q8_0 -ctv q4_0 --json
awk -v kl="$(value mean)" 'BEGIN { exit !(kl > 0 && kl < 0.1) }'
says 6 'a mean KL divergence of ' eval small.gguf --perplexity "$text" -c 64 --kl-base "$model" --max-kl 1e-9
says 6 'a share of equal top tokens of ' eval small.gguf --perplexity "$text" -c 64 --kl-base "$model" --min 1
says 6 'a perplexity of ' eval "$model" --perplexity "$text" -c 64 --max-perplexity 1.01
grep -q '^perplexity' out # the figures are there all the same

says 2 'nothing to measure' eval "$model"
says 2 '--min compares with another model' eval "$model" --perplexity "$text" --min 0.5
says 2 '--max-kl compares with another model' eval "$model" --perplexity "$text" --max-kl 0.5
says 2 'the base has a vocabulary of' eval "$model" --perplexity "$text" --kl-base "$ROOT/tests/golden/decoders/tiny-tied"
says 2 'has no tokenizer' eval "$ROOT/tests/golden/decoders/tiny-tied" --perplexity "$text"
says 2 'is a classifier' eval "$ROOT/tests/golden/decoders/nemotron-reward" --perplexity "$text"
says 1 'nowhere' eval "$model" --perplexity nowhere
printf 'a' >short
says 1 'tokens, at least 4 are needed' eval "$model" --perplexity short
printf 'ab\377cd' >broken
says 1 'broken' eval "$model" --perplexity broken
