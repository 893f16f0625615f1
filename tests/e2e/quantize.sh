#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# forja imatrix and what quantize makes of it; types of single tensors.
set -eu
. "$ROOT/tests/e2e/says"
model=$ROOT/tests/golden/reader
text=$ROOT/bench/text_en.txt
type_of() { # of a tensor, from quantize --json
    sed "s/.*\"$1\", \"type\": \"\([A-Z0-9_]*\)\".*/\1/" out
}
kl() {
    "$FORJA" eval "$1" --perplexity "$text" -c 64 --kl-base "$model" --json | sed 's/.*"mean": \([-0-9.e]*\),.*/\1/'
}
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }' || { echo "$1 is not less than $2"; exit 1; }; }

says 0 '' imatrix "$model" -f "$text" -f "$text" -o m.gguf -c 64 --json
grep -q '^{"file": "m.gguf", "matrices": 7, "tokens": [0-9]*, "windows": [0-9]*, "idle": 0}$' out
for type in Q4_0 Q4_K_M Q3_K_M Q2_K; do # what the columns are worth counts
    says 0 '' quantize "$model" plain.gguf --type $type -q
    says 0 '' quantize "$model" weighed.gguf --type $type --imatrix m.gguf -q
    less "$(kl weighed.gguf)" "$(kl plain.gguf)"
done
grep -aq 'quantize.imatrix.entries_count' weighed.gguf
says 2 '-o FILE is missing' imatrix "$model" -f "$text"
says 2 '-f FILE is missing' imatrix "$model" -o x
says 1 'nowhere' imatrix "$model" -f nowhere -o x
says 1 'nowhere' quantize "$model" o.gguf --imatrix nowhere
says 3 'no importance matrix' quantize "$model" o.gguf --imatrix "$text"
says 3 'no importance matrix' quantize "$model" o.gguf --imatrix plain.gguf
says 3 "the importance matrix has" quantize "$ROOT/tests/golden/decoders/tiny-tied" o.gguf --type Q8_0 --imatrix m.gguf
[ ! -e o.gguf ]

says 0 '' quantize "$model" t.gguf --type Q4_K_M --json
[ "$(type_of blk.0.attn_q.weight)" = Q5_0 ] && [ "$(type_of blk.0.ffn_down.weight)" = Q6_K ]
grep -q 'rows that the blocks of Q4_K_M do not divide' err
says 0 '' quantize "$model" t.gguf --type Q4_K_M --tensor-type 'attn_[qk]=q8_0' --tensor-type 'attn=F16' --json
[ "$(type_of blk.0.attn_q.weight)" = Q8_0 ] && [ "$(type_of blk.0.attn_v.weight)" = F16 ]
[ "$(type_of blk.0.attn_norm.weight)" = F32 ]
says 0 '' quantize "$model" t.gguf --type Q4_K_M --token-embedding-type Q5_1 --output-tensor-type F16 --json
[ "$(type_of token_embd.weight)" = Q5_1 ] # it is the head too
says 0 '' quantize "$model" t.gguf --type Q4_K_M --output-tensor-type Q4_1 --json
[ "$(type_of token_embd.weight)" = Q4_1 ]
says 0 '' quantize "$model" t.gguf --type Q4_0 --pure --json
[ "$(type_of token_embd.weight)" = Q4_0 ] && [ "$(type_of blk.0.ffn_down.weight)" = Q4_0 ]
says 0 '' quantize "$model" t.gguf --type Q4_K_M --pure --json
[ "$(type_of token_embd.weight)" = Q5_0 ] && [ "$(type_of blk.0.ffn_down.weight)" = Q4_K ]
says 2 "--tensor-type: 'Q4_K_M' is no type of weights" quantize "$model" o.gguf --tensor-type attn_q=Q4_K_M
says 2 '--tensor-type: IQ2_XXS is only read' quantize "$model" o.gguf --tensor-type attn_q=IQ2_XXS
says 2 "not of the form regex=type" quantize "$model" o.gguf --tensor-type attn_q
says 2 "--tensor-type: '(=Q8_0'" quantize "$model" o.gguf --tensor-type '(=Q8_0'
says 2 "'ffn_dwon=Q8_0' is found in the name of no matrix" quantize "$model" o.gguf --tensor-type ffn_dwon=Q8_0
says 2 "--output-tensor-type: 'Q9' is no type" quantize "$model" o.gguf --output-tensor-type Q9
[ ! -e o.gguf ]

# mixes chosen by measurement: within the size, below the loss
size() { wc -c <"$1"; }
says 0 '' quantize "$model" small.gguf --target-size 60K
grep -q '^blk.0.ffn_down.weight  *[A-Z0-9_]*  *[0-9.]*  *[0-9.]*  *[0-9.]*$' out
grep -Eq '^KL divergence: [0-9.]+ expected, [0-9.]+ ± [0-9.]+ measured' out
says 0 '' quantize "$model" large.gguf --target-size 0.07M --text "$text" --json
[ "$(size small.gguf)" -le 60000 ] && [ "$(size small.gguf)" -gt 55000 ] && [ "$(size large.gguf)" -le 70000 ]
[ "$(size large.gguf)" -gt 65000 ]
less "$(kl large.gguf)" "$(kl small.gguf)"
says 0 '' quantize "$model" bound.gguf --target-kld 0.01 --imatrix m.gguf -q
less "$(kl bound.gguf)" 0.015 # on another text than it was measured on
[ "$(size bound.gguf)" -lt 75000 ]
says 2 'the matrices take' quantize "$model" o.gguf --target-size 20K
says 2 "--target-size: '12X' is no size" quantize "$model" o.gguf --target-size 12X
says 2 'exclude each other' quantize "$model" o.gguf --target-size 1M --type Q8_0
says 2 'exclude each other' quantize "$model" o.gguf --target-size 1M --target-kld 1
says 2 '--text is for' quantize "$model" o.gguf --text "$text"
says 2 'has no tokenizer' quantize "$ROOT/tests/golden/decoders/tiny-tied" o.gguf --target-size 1M
[ ! -e o.gguf ]
