#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NeMo's archives of a tiny Nemotron and a tiny reward model, and the same as folders: tests/golden/nemo/{NAME.nemo, NAME-twin/},
tests/fuzz/corpus/nemo.

Usage: nemo.py            writes them, from the repository's root; needs zarr (2.x), ml_dtypes, safetensors

The weights are random bfloat16, fused, stacked and cut as Megatron's zarr strategy does for two cards; the MLP's are compressed with
Blosc. Zarr has no bfloat16: arrays are written as 16-bit numbers, and their .zarray then says what they are.
"""
import io
import json
import pathlib
import shutil
import tarfile
import tempfile

import ml_dtypes
import numpy as np
import zarr
from numcodecs import Blosc
from safetensors.numpy import save_file

OUT, CORPUS = pathlib.Path("tests/golden/nemo"), pathlib.Path("tests/fuzz/corpus/nemo")
TOKENIZER = "0a1b2c_tiny.model"


MODELS = {
    "tiny": {"num_hidden_layers": 3, "hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2,
             "head_dim": 8, "vocab_size": 64, "attention_bias": False, "partial_rotary_factor": 0.5},
    "reward": {"num_hidden_layers": 1, "hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 2, "num_key_value_heads": 1,
               "head_dim": 4, "vocab_size": 16, "attention_bias": True, "partial_rotary_factor": 1.0, "num_labels": 9},
}


def weights(c, rng):
    d, f, q, kv = c["hidden_size"], c["intermediate_size"], c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"]
    out = {"model.embed_tokens.weight": (c["vocab_size"], d), "model.norm.weight": (d,), "model.norm.bias": (d,)}
    out |= {"score.weight": (c["num_labels"], d)} if "num_labels" in c else {"lm_head.weight": (c["vocab_size"], d)}
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            out |= {f"{at}{norm}.weight": (d,), f"{at}{norm}.bias": (d,)}
        for name, shape in (("self_attn.q_proj", (q, d)), ("self_attn.k_proj", (kv, d)), ("self_attn.v_proj", (kv, d)),
                            ("self_attn.o_proj", (d, q)), ("mlp.up_proj", (f, d)), ("mlp.down_proj", (d, f))):
            out |= {f"{at}{name}.weight": shape} | ({f"{at}{name}.bias": shape[:1]} if c["attention_bias"] else {})
    return {k: (0.3 * rng.standard_normal(shape)).astype(ml_dtypes.bfloat16) for k, shape in out.items()}


def put(root, name, values, cards=1, axis=0, compressor=None):
    """cards: over how many the dimension `axis` behind the layer's is cut."""
    per_layer = isinstance(values, list)
    x = np.stack(values) if per_layer else values
    chunks = list(x.shape)
    if per_layer:
        chunks[0] = 1
    chunks[axis + per_layer] = -(-chunks[axis + per_layer] // cards)
    path = root / "model_weights" / f"model.{name}"
    a = zarr.open_array(zarr.DirectoryStore(str(path)), mode="w", shape=x.shape, chunks=chunks, dtype="<u2", compressor=compressor)
    a[:] = x.view("<u2")
    described = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps(described | {"dtype": "bfloat16"}, indent=1))


def fused(v, c, at, what):
    heads, groups = c["num_attention_heads"], c["num_key_value_heads"]
    q, k, x = (v[f"{at}self_attn.{p}_proj.{what}"] for p in "qkv")
    tail = q.shape[1:]
    d = q.shape[0] // heads
    parts = [q.reshape(groups, heads // groups * d, *tail), k.reshape(groups, d, *tail), x.reshape(groups, d, *tail)]
    return np.concatenate(parts, 1).reshape(-1, *tail)


def write(root, v, c):
    layers = range(c["num_hidden_layers"])
    all_of = lambda name: [v[f"model.layers.{i}.{name}"] for i in layers]
    put(root, "embedding.word_embeddings.weight", v["model.embed_tokens.weight"], 2)
    if "lm_head.weight" in v:
        put(root, "output_layer.weight", v["lm_head.weight"], 2)
    else:
        put(root, "rm_head.weight", v["score.weight"], 2, 1)
    if c["attention_bias"]:
        put(root, "decoder.layers.self_attention.linear_qkv.bias", [fused(v, c, f"model.layers.{i}.", "bias") for i in layers], 2)
        for name, other in (("self_attention.linear_proj", "self_attn.o_proj"), ("mlp.linear_fc1", "mlp.up_proj"), ("mlp.linear_fc2", "mlp.down_proj")):
            put(root, f"decoder.layers.{name}.bias", all_of(f"{other}.bias"))
    put(root, "decoder.layers.self_attention.linear_qkv.weight", [fused(v, c, f"model.layers.{i}.", "weight") for i in layers], 2)
    put(root, "decoder.layers.self_attention.linear_proj.weight", all_of("self_attn.o_proj.weight"), 2, 1)
    put(root, "decoder.layers.mlp.linear_fc1.weight", all_of("mlp.up_proj.weight"), 2, 0, Blosc("lz4", 5, Blosc.SHUFFLE))
    put(root, "decoder.layers.mlp.linear_fc2.weight", all_of("mlp.down_proj.weight"), 3, 1, Blosc("zstd", 1, Blosc.BITSHUFFLE))
    for part in ("weight", "bias"):
        put(root, f"decoder.final_layernorm.{part}", v[f"model.norm.{part}"])
        put(root, f"decoder.layers.self_attention.linear_qkv.layer_norm_{part}", all_of(f"input_layernorm.{part}"))
        put(root, f"decoder.layers.mlp.linear_fc1.layer_norm_{part}", all_of(f"post_attention_layernorm.{part}"))
    (root / "model_weights" / "metadata.json").write_text('{"sharded_backend": "zarr", "sharded_backend_version": 1, "common_backend": "torch"}')
    config = {"mcore_gpt": True, "num_layers": c["num_hidden_layers"], "hidden_size": c["hidden_size"], "ffn_hidden_size": c["intermediate_size"],
              "num_attention_heads": c["num_attention_heads"], "num_query_groups": c["num_key_value_heads"], "kv_channels": c["head_dim"],
              "max_position_embeddings": c["max_position_embeddings"], "encoder_seq_length": c["max_position_embeddings"],
              "normalization": "layernorm1p", "layernorm_epsilon": c["norm_eps"], "activation": "squared-relu", "bias": c["attention_bias"],
              "position_embedding_type": "rope", "rotary_percentage": c["partial_rotary_factor"],
              "share_embeddings_and_output_weights": False}
    text = "".join(f"{k}: {json.dumps(x)}\n" for k, x in config.items())
    (root / "model_config.yaml").write_text(text + f"tokenizer:\n  library: sentencepiece\n  type: null\n  model: nemo:{TOKENIZER}\n")
    shutil.copy("tests/golden/tokenizers/spm/tokenizer.model", root / TOKENIZER)


def archive(root, path, form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for p in sorted(root.rglob("*")):
            info = tar.gettarinfo(str(p), "./" + str(p.relative_to(root)))
            info.mtime = info.uid = info.gid = 0
            info.uname = info.gname = ""
            tar.addfile(info, io.BytesIO(p.read_bytes()) if p.is_file() else None)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out.getvalue())


def main():
    rng = np.random.default_rng(7)
    for name, sizes in MODELS.items():
        c = sizes | {"model_type": "nemotron", "max_position_embeddings": 128, "norm_eps": 1e-5, "hidden_act": "relu2", "rope_theta": 10000.0,
                     "mlp_bias": sizes["attention_bias"], "tie_word_embeddings": False, "torch_dtype": "bfloat16"}
        c["architectures"] = ["NemotronForSequenceClassification" if "num_labels" in c else "NemotronForCausalLM"]
        v, twin = weights(c, rng), OUT / f"{name}-twin"
        twin.mkdir(parents=True, exist_ok=True)
        save_file(v, twin / "model.safetensors")
        (twin / "config.json").write_text(json.dumps(c, indent=1) + "\n")
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            write(root, v, c)
            archive(root, OUT / f"{name}.nemo", tarfile.PAX_FORMAT if name == "tiny" else tarfile.GNU_FORMAT)
            for p in [*(root / "model_weights").glob("*layers*")][2:]:
                shutil.rmtree(p)
            (root / TOKENIZER).write_bytes(b"x")
            archive(root, CORPUS / f"{name}.tar", tarfile.USTAR_FORMAT)


if __name__ == "__main__":
    main()
