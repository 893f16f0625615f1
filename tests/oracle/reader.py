# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/reader anew: a llama with random weights and a tokenizer, to be measured and quantized.

    python tests/oracle/reader.py

One layer, rows of 64 values but for ffn_down's 256, so that types in blocks of 32 and of 256 are both met. The norms' weights differ
much from column to column, so that importance matters. The vocabulary is tests/golden/data's. Needs nothing but Python.
"""
import json
import pathlib
import random
import shutil
import struct

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
D, FF, KV = 64, 256, 32


def main():
    out, rng = GOLDEN / "reader", random.Random(5)
    out.mkdir(exist_ok=True)
    n = len(json.loads((GOLDEN / "data" / "tokenizer.json").read_text())["model"]["vocab"])
    matrix = lambda rows, cols, scale: [[rng.gauss(0, scale) for _ in range(cols)] for _ in range(rows)]
    norm = lambda: [[rng.lognormvariate(0, 1) for _ in range(D)]]
    layer = "model.layers.0."
    tensors = {"model.embed_tokens.weight": matrix(n, D, 0.06), "model.norm.weight": norm(), layer + "input_layernorm.weight": norm(),
               layer + "post_attention_layernorm.weight": norm()}
    for name, rows, cols in (("self_attn.q_proj", D, D), ("self_attn.k_proj", KV, D), ("self_attn.v_proj", KV, D), ("self_attn.o_proj", D, D),
                             ("mlp.gate_proj", FF, D), ("mlp.up_proj", FF, D), ("mlp.down_proj", D, FF)):
        tensors[f"{layer}{name}.weight"] = matrix(rows, cols, cols**-0.5)
    header, data = {}, b""
    for name, rows in tensors.items():
        values = b"".join(struct.pack("<f", x)[2:] for row in rows for x in row)  # bf16: the upper half
        shape = [D] if name.endswith("norm.weight") else [len(rows), len(rows[0])]
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (out / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": D, "intermediate_size": FF,
              "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": n,
              "max_position_embeddings": 256, "rms_norm_eps": 1e-05, "hidden_act": "silu", "tie_word_embeddings": True,
              "bos_token_id": 3, "eos_token_id": 2, "torch_dtype": "bfloat16"}
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (out / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "<|im_end|>"}, indent=1) + "\n")
    shutil.copy(GOLDEN / "data" / "tokenizer.json", out / "tokenizer.json")


if __name__ == "__main__":
    main()
