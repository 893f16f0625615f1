#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# forja report quant: the page, the picture and the verdict about a tiny model; nothing else stays.
set -eu
. "$ROOT/tests/e2e/says"
model=$ROOT/tests/golden/reader
says 0 '' report quant "$model" -o page -q --windows 1
grep -q '^The rule of thumb .*\.$' out
[ "$(ls page | tr '\n' ' ')" = 'quant.md quant.svg ' ]
head -n 1 page/quant.md | grep -qx '# What fewer bits cost reader'
[ "$(grep -c '^| [865432] | ' page/quant.md)" = 30 ] # six forms: sizes, two languages, two answers
grep -q '^| 8 | Q8_0 | almost nothing | ' page/quant.md
grep -q '^| as it came | BF16 | ' page/quant.md
for word in Q8_0 Q6_K Q5_K_M Q4_K_M Q3_K_M Q2_K; do grep -q ">$word<" page/quant.svg; done
[ "$(grep -c '<rect' page/quant.svg)" = 20 ] && tail -n 1 page/quant.svg | grep -qx '</svg>'
says 0 '' report quant "$model" -o page --windows 1 --keep --json
grep -q '"verdict": "The rule of thumb' out
[ -f page/Q2_K.gguf ] && [ -f page/Q8_0.gguf ]
says 0 '' eval page/Q2_K.gguf --perplexity "$ROOT/examples/texts/en.txt" -q # what is kept is a model
says 2 'has no tokenizer' report quant "$ROOT/tests/golden/decoders/tiny-tied" -o other
says 2 'is a classifier' report quant "$ROOT/tests/golden/decoders/nemotron-reward" -o other
says 3 'nowhere' report quant nowhere -o other
[ ! -e other ]
