#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Damaged models: a thousand copies of a GGUF file of a few KB and some hundred of a folder's files, cut short or with bits flipped, are
# taken or refused in one line, in the memory that their bytes account for. FORJA_HOSTILE_MODEL: a larger .gguf file, for 20 copies.
set -eu
. "$ROOT/tests/e2e/says"
golden=$ROOT/tests/golden/decoders
cc -std=c17 -D_DEFAULT_SOURCE -O1 -o hostile "$ROOT/tests/e2e/hostile.c"
damaged() { # copies, codes, file, target, arguments of forja
    copies=$1 codes=$2 file=$3 target=$4
    shift 4
    ./hostile "$copies" 1 "$codes" "$file" "$target" -- "$FORJA" "$@" >said || { cat said; exit 1; }
    echo "$target: $(tail -n 1 said)"
}

"$FORJA" export "$golden/tiny-tied" whole.gguf -q >/dev/null
damaged 1000 03 whole.gguf m.gguf probe logits m.gguf --ids 0,0,0 --out o -t 1
damaged 150 013 whole.gguf m.gguf run m.gguf --ids 0,0 -n 2 --ignore-eos -t 1 # 1: logits that are not numbers
damaged 100 03 whole.gguf m.gguf export m.gguf copy --format hf
damaged 100 03 whole.gguf m.gguf quantize m.gguf q.gguf --type Q8_0
echo '{"input_ids":[0,0,0],"labels":[0,0,0]}' >rows.jsonl
damaged 100 013 whole.gguf m.gguf probe grads m.gguf --data rows.jsonl --out o -t 1
"$FORJA" export "$ROOT/tests/golden/decoders/smollm-tied" q8.gguf --type Q8_0 -q >/dev/null
damaged 100 03 q8.gguf m.gguf probe logits m.gguf --ids 0,0,0 --out o -t 1 --fast
for part in config.json model.safetensors; do
    rm -rf folder && cp -r "$golden/tiny-window" folder
    damaged 200 03 "$golden/tiny-window/$part" folder/$part probe logits folder --ids 0,0,0 --out o -t 1
done
rm -rf folder && cp -r "$ROOT/tests/golden/torch/model" folder
part=pytorch_model-00001-of-00002.bin
damaged 200 03 "$ROOT/tests/golden/torch/model/$part" folder/$part probe logits folder --ids 0,0,0 --out o -t 1
damaged 200 03 "$ROOT/tests/golden/nemo/tiny.nemo" m.nemo probe logits m.nemo --ids 0,0,0 --out o -t 1
if [ -n "${FORJA_HOSTILE_MODEL:-}" ]; then
    damaged 20 03 "$FORJA_HOSTILE_MODEL" m.gguf probe logits m.gguf --ids 0,0,0 --out o
    rm -f m.gguf
fi

# a configuration that is not that of the weights, or of no model at all: exit code 3 and a line that names the key or the tensor
broken() { # what is said, sed's commands for config.json
    rm -rf folder && cp -r "$golden/tiny-window" folder
    sed "$2" "$golden/tiny-window/config.json" >folder/config.json
    says 3 "$1" probe logits folder --ids 0 --out o
}
broken "'hidden_size' is missing" '/hidden_size/d'
broken "'num_hidden_layers' is missing" '/num_hidden_layers/d'
broken "no model_type" '/model_type/d'
broken "'vocab_size' must be a whole number" 's/"vocab_size": 22/"vocab_size": "22"/'
broken "'vocab_size' must be a whole number" 's/"vocab_size": 22/"vocab_size": -22/'
broken "'hidden_size' must be a whole number" 's/"hidden_size": 8/"hidden_size": 1e99/'
broken "'num_attention_heads' must be a whole number" 's/"num_attention_heads": 2/"num_attention_heads": 0/'
broken "'rms_norm_eps' must be a number" 's/"rms_norm_eps": 1e-05/"rms_norm_eps": []/'
broken "'sliding_window' must be a whole number" 's/"sliding_window": 5/"sliding_window": {}/'
broken "'tie_word_embeddings' must be true or false" 's/"tie_word_embeddings": false/"tie_word_embeddings": 0/'
broken "no tensor 'model.layers.2.input_layernorm.weight'" 's/"num_hidden_layers": 2/"num_hidden_layers": 3/'
broken "tensor 'model.layers.1." 's/"num_hidden_layers": 2/"num_hidden_layers": 1/'
broken "'model.embed_tokens.weight' is 22x8, config says 23x8" 's/"vocab_size": 22/"vocab_size": 23/'
broken "'model.layers.0.mlp.gate_proj.weight' is 14x8, config says 16x8" 's/"intermediate_size": 14/"intermediate_size": 16/'
broken "model_type 'mystral' is not a model family that forja knows" 's/"model_type": "mistral"/"model_type": "mystral"/'
broken 'config.json' 's/"hidden_size": 8,/"hidden_size": 8/'
broken "config.json" "1d"
rm -rf folder && cp -r "$golden/tiny-window" folder && : >folder/config.json
says 3 'config.json' probe logits folder --ids 0 --out o
rm -rf folder && cp -r "$golden/tiny-window" folder && rm folder/model.safetensors
says 3 'folder' probe logits folder --ids 0 --out o
rm -rf folder && cp -r "$golden/tiny-window" folder && rm folder/config.json
says 3 'folder' probe logits folder --ids 0 --out o
