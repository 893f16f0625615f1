# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/talker anew: a llama that answers "Salud, ñ!" and then ends its turn, whatever it is asked.

    python tests/oracle/talker.py

Attention and MLP add nothing; a token's embedding is a random vector of +1 and -1, and the head's row of the token that is to follow is
that vector. So each token of CHAIN is followed by the next one, and the last by the first. The vocabulary is tests/golden/data's: bytes,
a few words and chatml's marks. Needs nothing but Python.
"""
import json
import pathlib
import random
import shutil
import struct

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
CHAIN = ["Ċ", "S", "a", "l", "u", "d", ",", "Ġ", "Ã", "±", "!", "<|im_end|>"]
D = 16


def main():
    out, rng = GOLDEN / "talker", random.Random(4)
    out.mkdir(exist_ok=True)
    tokenizer = json.loads((GOLDEN / "data" / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    n = len(vocab)
    embed = [[rng.choice((-1.0, 1.0)) for _ in range(D)] for _ in range(n)]
    head = [[0.0] * D for _ in range(n)]
    for here, after in zip(CHAIN, CHAIN[1:] + CHAIN[:1]):
        head[vocab[after]] = embed[vocab[here]]
    zeros = [[0.0] * D for _ in range(D)]
    tensors = {"model.embed_tokens.weight": embed, "lm_head.weight": head, "model.norm.weight": [[1.0] * D]}
    for name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
                 "mlp.down_proj"):
        tensors[f"model.layers.0.{name}.weight"] = zeros
    for name in ("input_layernorm", "post_attention_layernorm"):
        tensors[f"model.layers.0.{name}.weight"] = [[1.0] * D]
    header, data = {}, b""
    for name, rows in tensors.items():
        values = b"".join(struct.pack("<f", x)[2:] for row in rows for x in row)  # bf16: the upper half
        shape = [D] if name.endswith("norm.weight") else [len(rows), D]
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (out / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": D, "intermediate_size": D,
              "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "vocab_size": n,
              "max_position_embeddings": 256, "rms_norm_eps": 1e-05, "hidden_act": "silu", "tie_word_embeddings": False,
              "bos_token_id": vocab["<s>"], "eos_token_id": vocab["<|im_end|>"], "torch_dtype": "bfloat16"}
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    template = ("{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('System message must be first.') }}"
                "{% endif %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
                "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
    names = {"bos_token": "<s>", "eos_token": "<|im_end|>", "chat_template": template}
    (out / "tokenizer_config.json").write_text(json.dumps(names, indent=1) + "\n")
    shutil.copy(GOLDEN / "data" / "tokenizer.json", out / "tokenizer.json")


if __name__ == "__main__":
    main()
