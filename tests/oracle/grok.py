#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Grok-1's checkpoint as xAI released it, tiny: tests/golden/grok/{ckpt.bin, model.safetensors, config.json}, tests/fuzz/corpus/grok.

Usage: grok.py            writes them, from the repository's root; needs numpy, ml_dtypes, safetensors

The release's files are pickles of numpy arrays and of QuantizedWeight8bit; here they lie one behind the other in ckpt.bin, each behind
its length (u32), in the order of their numbers. model.safetensors has the same weights, scaled in the scales' type as the release's
program does, under the names of the conversion to Hugging Face's form. Eleven layers: their order is that of texts.
"""
import json
import pathlib
import pickle
import struct

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

GOLDEN, CORPUS = pathlib.Path("tests/golden/grok"), pathlib.Path("tests/fuzz/corpus/grok")
N, V, D, H, G, HEAD, F, E = 11, 24, 8, 2, 1, 4, 16, 2


class QuantizedWeight8bit:  # pickled as __main__.QuantizedWeight8bit, as in the release
    def __init__(self, weight, scales):
        self.weight, self.scales = weight, scales


def quantized(rng, shape, blocks):
    """blocks: how many scales each dimension has."""
    scales = rng.uniform(0.001, 0.004, blocks).astype(ml_dtypes.bfloat16)
    return QuantizedWeight8bit(rng.integers(-127, 128, shape, dtype=np.int8), scales)


def value(leaf):
    if not isinstance(leaf, QuantizedWeight8bit):
        return leaf
    whole = leaf.scales
    for axis, (n, k) in enumerate(zip(leaf.weight.shape, leaf.scales.shape)):
        whole = np.repeat(whole, n // k, axis)
    return (leaf.weight.astype(whole.dtype) * whole).astype(ml_dtypes.bfloat16)


def tree(rng):
    norm = lambda: rng.uniform(0.5, 1.5, D).astype(np.float32)
    params = {"language_model/in_out_embed": {"embeddings": rng.standard_normal((V, D)).astype(np.float32)},
              "language_model/rms_norm": {"scale": norm()}}
    for i in range(N):
        at = f"language_model/transformer/decoder_layer_{i}/"
        for name, shape, blocks in (("moe/linear", (E, D, F), (E, 1, F)), ("moe/linear_v", (E, D, F), (E, 1, F)),
                                    ("moe/linear_1", (E, F, D), (E, 4, D)), ("multi_head_attention/query", (D, H * HEAD), (1, H * HEAD)),
                                    ("multi_head_attention/key", (D, G * HEAD), (1, G * HEAD)),
                                    ("multi_head_attention/value", (D, G * HEAD), (1, G * HEAD)),
                                    ("multi_head_attention/linear", (H * HEAD, D), (2, D))):
            params[at + name] = {"w": quantized(rng, shape, blocks)}
        for name in ("rms_norm", "rms_norm_1", "rms_norm_2", "rms_norm_3"):
            params[at + name] = {"scale": norm()}
        params[at + "router"] = {"w": rng.standard_normal((D, E)).astype(np.float32)}
    return params


def converted(params):
    out = {}
    for key in params:
        (leaf,), name = params[key].values(), key.split("language_model/")[1]
        x = value(leaf)
        name = name.replace("decoder_layer_", "decoder_layer.").replace("/", ".")
        if not name.startswith("transformer."):
            name = "transformer." + name
        if ".moe." in name:
            for e in range(E):
                out[name.replace(".moe.", f".moe.{e}.") + ".weight"] = np.ascontiguousarray(x[e].T)
        else:
            turned = x.ndim == 2 and "in_out_embed" not in name
            out[name + ".weight"] = np.ascontiguousarray(x.T if turned else x)
    return out


def main():
    rng = np.random.default_rng(5)
    params = tree(rng)
    GOLDEN.mkdir(parents=True, exist_ok=True)
    CORPUS.mkdir(parents=True, exist_ok=True)
    leaves = [pickle.dumps(*params[k].values(), protocol=4) for k in sorted(params)]  # a JAX tree's leaves are sorted by name
    (GOLDEN / "ckpt.bin").write_bytes(b"".join(struct.pack("<I", len(x)) + x for x in leaves))
    save_file(converted(params), GOLDEN / "model.safetensors")
    config = {"model_type": "grok", "vocab_size": V, "hidden_size": D, "intermediate_size": F, "num_hidden_layers": N,
              "num_attention_heads": H, "num_key_value_heads": G, "head_dim": HEAD, "max_position_embeddings": 64,
              "num_local_experts": E, "num_experts_per_tok": 2, "rope_theta": 10000.0}
    (GOLDEN / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    (CORPUS / "array.bin").write_bytes(leaves[0])
    (CORPUS / "quantized.bin").write_bytes(leaves[2])
    (CORPUS / "protocol5.bin").write_bytes(pickle.dumps(params["language_model/rms_norm"]["scale"], protocol=5))


if __name__ == "__main__":
    main()
