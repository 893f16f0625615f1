#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# forja tokenize: text to ids and back, from an option and from lines, and what it refuses.
set -eu
golden=$ROOT/tests/golden/tokenizers
is() { # the wanted line, arguments; standard input is passed on
    wanted=$1
    shift
    got=$("$FORJA" tokenize "$@")
    [ "$got" = "$wanted" ] || { echo "forja tokenize $*: got $got, wanted $wanted"; exit 1; }
}
refuses() { # exit code, what standard error holds, arguments
    code=$1 wanted=$2 got=0
    shift 2
    "$FORJA" tokenize "$@" >out 2>err || got=$?
    [ "$got" = "$code" ] || { echo "forja tokenize $*: exit code $got, wanted $code"; exit 1; }
    grep -qF -- "$wanted" err || { echo "forja tokenize $*: '$wanted' is not said"; cat err; exit 1; }
}
is '{"ids": [37, 6, 104, 3, 2, 1], "tokens": ["▁h", "o", "la", "▁", "☃", "</s>"], "offsets": [[0, 1], [1, 2], [2, 4], [4, 5], [5, 6], [0, 0]]}' \
    "$golden/unigram" --json --text 'hola ☃'
echo '{"text":"hola <|fin|>  "}' | is '{"ids": [73, 80, 77, 66, 222, 330], "tokens": ["h", "o", "l", "a", "Ġ", "<|fin|>  "], "offsets": [[0, 1], [1, 2], [2, 3], [3, 4], [5, 5], [5, 12]]}' \
    "$golden/llama3" --jsonl --no-special
echo '{"ids":[0,66,67]}' | is '{"text": "<s>ab"}' "$golden/llama3" --jsonl --detokenize
echo '0, 66 67' | is 'ab' "$golden/llama3" --detokenize --no-special
printf 'a\n\377\n' | refuses 1 'line 2: the text is not UTF-8' "$golden/llama3"
echo 99999 | refuses 2 'line 1: id 99999 is not in the vocabulary of 334 tokens' "$golden/llama3" --detokenize
mkdir empty
refuses 3 'no tokenizer' empty --text a
printf '{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}' >empty/tokenizer.json
refuses 3 "empty/tokenizer.json: model BPE: merge 0 ('a' and 'b') has a token that the vocabulary lacks" empty --text a
printf '{"normalizer":{"type":"Nmt"},"model":{"type":"BPE","vocab":{},"merges":[]}}' >empty/tokenizer.json
refuses 3 "normalizer 'Nmt' is not supported" empty --text a
