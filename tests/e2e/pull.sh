#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# forja pull, and models of the hub in other commands, against the tests' hub (hub.c, ../hub_server.c): what is fetched and what is not,
# JSON, interrupted and killed runs, refusals and their exit codes, the cache without the network.
set -eu
. "$ROOT/tests/e2e/says"
# shellcheck disable=SC2046 # words
cc -std=c17 -D_DEFAULT_SOURCE -O1 -I"$ROOT/tests" -o hub "$ROOT/tests/e2e/hub.c" "$ROOT/tests/hub_server.c" $(pkg-config --cflags --libs libcrypto) -lpthread
commit=0123456789abcdef0123456789abcdef01234567
unset HF_HUB_CACHE HUGGINGFACE_HUB_CACHE XDG_CACHE_HOME HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_TOKEN_PATH HF_HUB_OFFLINE TRANSFORMERS_OFFLINE http_proxy all_proxy
export HF_HOME="$PWD/cache"

mkdir -p served/big served/ggufs served/sharded/onnx
cp -r "$ROOT/tests/golden/talker" served/model
cp -r "$ROOT/tests/golden/talker" served/small
head -c 3000000 /dev/zero | tr '\0' 'z' >served/big/model.safetensors
echo '{}' >served/big/config.json
for part in 1 2 3; do head -c 5000$part /dev/zero >served/sharded/model-0000$part-of-00003.safetensors; done
echo '{"weight_map": {"a": "model-00001-of-00003.safetensors", "b": "model-00002-of-00003.safetensors"}}' >served/sharded/model.safetensors.index.json
echo '{}' | tee served/sharded/config.json >served/sharded/tokenizer.json
cp served/sharded/model-00003-of-00003.safetensors served/sharded/pytorch_model.bin
cp served/sharded/config.json served/sharded/onnx/config.json
"$FORJA" export served/model served/ggufs/m-F32.gguf -q >/dev/null
"$FORJA" quantize served/model served/ggufs/m-Q8_0.gguf --type Q8_0 -q >/dev/null
cp served/ggufs/m-Q8_0.gguf served/ggufs/p-00001-of-00002.gguf
cp served/ggufs/m-Q8_0.gguf served/ggufs/p-00002-of-00002.gguf

mkfifo stop
./hub served log port <stop &
server=$!
exec 9>stop
trap 'exec 9>&-; wait $server' EXIT
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -s port ] && break; sleep 0.3; done
HF_ENDPOINT=http://127.0.0.1:$(cat port)
export HF_ENDPOINT
asked() { grep -c "$1" log || true; }
place() { echo "$HF_HOME/hub/models--$1--$2"; }

# a model, by itself and in front of a command; what is in the cache is not asked for again
says 0 '' pull hf:plain/model --json
[ "$(cat out)" = "{\"path\": \"$(place plain model)/snapshots/$commit\", \"commit\": \"$commit\", \"files\": [\"config.json\", \"model.safetensors\", \"tokenizer.json\", \"tokenizer_config.json\"], \"bytes\": 27035, \"fetched_bytes\": 27035}" ]
says 0 '4 files, 27.0 kB, of which 0 B were fetched now' pull hf:plain/model
[ "$(cat out)" = "$(place plain model)/snapshots/$commit" ]
[ "$(cat "$(place plain model)/refs/main")" = $commit ]
diff -r served/model "$(cat out)"
says 0 '' pull hf:plain/model -q
[ ! -s err ]
before=$(asked .)
says 0 '' run hf:plain/model -p S --temp 0
[ "$(cat out)" = 'alud, ñ!' ] && [ "$(asked .)" = "$before" ]
says 0 'hf:bare/model is not in the cache: fetching it' run hf:bare/model -p S --temp 0
[ "$(cat out)" = 'alud, ñ!' ]
says 0 'hf:flaky/model@v1.0 is not in the cache' tokenize hf:flaky/model@v1.0 --text S --json
[ "$(cat "$(place flaky model)/refs/v1.0")" = $commit ]
says 0 '' plan hf:plain/model
says 0 'hf:plain/small is not in the cache' plan hf:plain/small
says 0 '' tokenize hf:plain/small --text S
[ "$(asked '/plain/small/.*safetensors')" = 0 ]
says 0 'hf:plain/small is not in the cache' run hf:plain/small -p S --temp 0
says 0 '' export hf:plain/model copy
printf '{"instruction": "a", "output": "b"}\n' >rows.jsonl
printf 'model_name_or_path: hf:moved/model\nstage: sft\nfinetuning_type: lora\ntemplate: chatml\ndataset: rows.jsonl\noutput_dir: tuned\nmax_steps: 1\n' >run.yaml
says 0 'hf:moved/model is not in the cache: fetching it' train run.yaml
grep -q '"base_model_name_or_path": "moved/model"' tuned/adapter_config.json

# an adapter, which is no model by itself
mkdir served/lora
cp tuned/adapter_config.json tuned/adapter_model.safetensors served/lora
says 0 'hf:plain/lora is not in the cache: fetching it' run hf:plain/model -p S --temp 0 --adapter hf:plain/lora
before=$(asked .)
says 0 '' export hf:plain/model merged --adapter hf:plain/lora -q
HF_HUB_OFFLINE=1 says 0 '' run hf:plain/model -p S --temp 0 --adapter hf:plain/lora
[ "$(asked .)" = "$before" ]
says 0 'hf:bare/lora is not in the cache: fetching it' train run.yaml adapter_name_or_path=hf:bare/lora create_new_adapter=false output_dir=further

# only what is needed
says 0 '' pull hf:plain/sharded --json
grep -qF '"files": ["config.json", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model.safetensors.index.json", "tokenizer.json"]' out
says 2 'hf:plain/ggufs holds 3 GGUF files' pull hf:plain/ggufs
says 2 'm-F32.gguf (' pull hf:plain/ggufs
says 5 'did you mean hf:plain/ggufs:m-Q8_0.gguf?' pull hf:plain/ggufs:q8_0
says 0 '' run hf:plain/ggufs:m-F32.gguf -p S --temp 0
[ "$(cat out)" = 'alud, ñ!' ]
says 0 '' pull hf:plain/ggufs:p-00002-of-00002.gguf --json
grep -qF '"files": ["p-00001-of-00002.gguf", "p-00002-of-00002.gguf"]' out
[ "$(asked m-Q8_0.gguf)" = 0 ]

# the cache alone
HF_HUB_OFFLINE=1 says 0 '' run hf:plain/model -p S --temp 0
HF_HUB_OFFLINE=1 says 5 'hf:plain/none is not in the cache (' run hf:plain/none -p S
if grep -q fetching err; then exit 1; fi
HF_HUB_OFFLINE=1 says 5 'hf:plain/none is not in the cache (' run hf:plain/model -p S --adapter hf:plain/none
HF_HUB_OFFLINE=1 says 5 'HF_HUB_OFFLINE is set' pull hf:plain/none
HF_ENDPOINT=http://127.0.0.1:1 says 0 '' run hf:plain/model -p S --temp 0

# stopped by Ctrl-C and killed: what came is kept under a name of its own, and goes on
partial=$(sha256sum <served/big/model.safetensors | cut -d ' ' -f 1).incomplete
stopped() { # signal, exit code
    "$FORJA" pull hf:slow/big >out 2>err &
    pid=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ -s "$(place slow big)/blobs/$partial" ] && break
        sleep 0.05
    done
    kill -s "$1" $pid
    code=0
    wait $pid || code=$?
    [ $code = "$2" ] || { echo "a fetch stopped by $1 ends with $code"; cat err; exit 1; }
    [ ! -e "$(place slow big)/snapshots" ] && [ -s "$(place slow big)/blobs/$partial" ]
}
stopped TERM 130
grep -q 'error: interrupted' err && grep -q 'hint: what was fetched is kept' err
stopped KILL 137
says 0 '' pull hf:slow/big -q
cmp served/big/model.safetensors "$(cat out)/model.safetensors"
[ "$(asked '/slow/big/.*model.safetensors from [1-9]')" -ge 1 ]

# a connection that is cut, that stops, a hub that is busy
says 0 '' pull hf:cut/big -q
cmp served/big/model.safetensors "$(cat out)/model.safetensors"
HF_HUB_DOWNLOAD_TIMEOUT=1 says 0 '' pull hf:stall/model -q
says 0 '' pull hf:busy/model -q
diff -r served/model "$(cat out)"
waited=
tries() { # a name, then as for says: what takes all tries does so beside the others
    mkdir "$1"
    (cd "$1" && shift && says "$@") &
    waited="$waited $!"
}
tries cut 5 '(http://127.0.0.1:' pull hf:cut-small/big
tries down 5 'the server answers 503' pull hf:down/model
tries short 5 'the answer is not whole' pull hf:short/model
HF_ENDPOINT=http://127.0.0.1:1 tries nobody 5 'hf:plain/none: ' pull hf:plain/none
for pid in $waited; do
    wait "$pid"
done

# refusals
says 5 'a gated model' pull hf:gated/model
says 5 "accept them at $HF_ENDPOINT/gated/model, then set HF_TOKEN" pull hf:gated/model
says 5 'the hub has no such repository' run hf:missing/model
says 5 "has no revision 'v9'" pull hf:norevision/model@v9
HF_TOKEN=secret says 0 '' pull hf:token/model -q
mkdir -p cache && echo wrong >cache/token
says 5 'the hub does not know the token' pull hf:badtoken/model
says 5 'wrong content: SHA-256 is' pull hf:wrong/model
says 5 'wrong content' pull hf:wrong-small/model
says 5 'which is no name of a file in its folder' pull hf:evil/model
says 4 'are still to fetch' pull hf:huge/model
says 2 'no name of a repository' pull hf:../x
says 2 'no name of a revision' pull 'hf:a/b@../../x'
says 2 'is no name of the hub' pull "$ROOT/tests/golden/talker"
HF_ENDPOINT=nowhere says 2 "HF_ENDPOINT: 'nowhere'" pull hf:a/b
[ -z "$(find . -name 'evil*' ! -path './served/*' ! -path './cache/*')" ]
[ -z "$(find cache -name '*.part')" ]
