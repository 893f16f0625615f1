# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/foreign/*: tiny folders as bitsandbytes, GPTQ's and AWQ's writers leave them, with the logits of their weights.

    build/venv/bin/pip install bitsandbytes==0.50.0
    build/venv/bin/python -P tests/oracle/foreign.py tests/golden/foreign [seed]

NAME/{config.json, model.safetensors, expected.safetensors}: expected has input_ids (1,n) i64 and logits (1,n,V) f32 of transformers for a
plain model whose matrices are the dequantized ones, in float64 before they are rounded to float32. bitsandbytes' folders are written by
transformers; GPTQ's and AWQ's are packed here, after GPTQModel (nn_modules/qlinear) and AutoAWQ (utils/packing_utils.py).
"""
import json
import pathlib
import sys

import bitsandbytes.functional as F
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
          "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 48,
          "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True,
          "bos_token_id": 1, "eos_token_id": 2}
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def model(state=None, **keys):
    m = transformers.LlamaForCausalLM(transformers.LlamaConfig(**(CONFIG | keys))).float().eval()
    if state:
        missing, extra = m.load_state_dict(state, strict=False)
        assert not extra and set(missing) <= {"lm_head.weight"}, (missing, extra)
    return m


def write(out, name, config, tensors, plain):
    folder = pathlib.Path(out) / name
    folder.mkdir(parents=True, exist_ok=True)
    if tensors is not None:
        save_file({k: t.contiguous() for k, t in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    ids = torch.arange(12).mul(7).add(3).remainder(CONFIG["vocab_size"]).reshape(1, -1)
    shape = {k: config[k] for k in ("hidden_size", "intermediate_size")}
    with torch.no_grad():
        logits = model(plain, **shape).double()(ids).logits.float()
    save_file({"input_ids": ids, "logits": logits}, folder / "expected.safetensors")


def by_definition(packed, state):
    absmax = F.dequantize_blockwise(state.absmax, state.state2) + state.offset if state.nested else state.absmax
    codes = torch.stack([packed.flatten() >> 4, packed.flatten() & 15], 1).flatten().long()[:state.shape.numel()]
    return (state.code[codes] * absmax[torch.arange(codes.numel()) // state.blocksize]).reshape(state.shape)


def bitsandbytes(out, name, base, **how):
    """base: a plain folder. The weights are dequantized from what was written."""
    quantization = transformers.BitsAndBytesConfig(bnb_4bit_compute_dtype=torch.float32, **how)
    m = transformers.AutoModelForCausalLM.from_pretrained(base, quantization_config=quantization, dtype=torch.float32, device_map="cpu")
    folder = pathlib.Path(out) / name
    m.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    stored, plain = load_file(folder / "model.safetensors"), {}
    for key, t in stored.items():
        if key + ".absmax" in stored:
            kind = "nf4" if key + ".quant_state.bitsandbytes__nf4" in stored else "fp4"
            state = F.QuantState.from_dict({k.removeprefix(key + "."): v for k, v in stored.items() if k.startswith(key + ".")}, "cpu")
            assert state.quant_type == kind
            plain[key] = by_definition(t, state)
            if state.shape[1] % 64 == 0:  # its CPU kernel is wrong for other rows
                assert (plain[key] == F.dequantize_4bit(t, state)).all()
        elif t.dtype == torch.int8:
            plain[key] = F.int8_vectorwise_dequant(t, stored[key.removesuffix("weight") + "SCB"])
        elif key.endswith("norm.weight") or "embed" in key or "layernorm" in key:
            plain[key] = t.float()
    write(out, name, json.loads((folder / "config.json").read_text()), None, plain)


def stream(codes, bits):
    """(n, m) codes to words (n * bits / 32, m): a bit stream down each column."""
    n, m = codes.shape
    lanes = (codes[:, None, :] >> np.arange(bits)[None, :, None] & 1).reshape(n * bits, m).astype(np.uint64)
    words = (lanes.reshape(-1, 32, m) << np.arange(32, dtype=np.uint64)[None, :, None]).sum(1)
    return torch.from_numpy(words.astype(np.uint32).view(np.int32))


def awq_words(codes):
    """(n, m) codes to words (n, m / 8)."""
    n, m = codes.shape
    lanes = codes.reshape(n, m // 8, 8)[:, :, AWQ_ORDER].astype(np.uint64)
    words = (lanes << (4 * np.arange(8, dtype=np.uint64))).sum(2)
    return torch.from_numpy(words.astype(np.uint32).view(np.int32))


def packed(out, name, method, bits, group, rng, act=False, version="gptq", zero_bias=False, symmetric=False):
    base = model().state_dict()
    tensors, plain, top = {}, {}, 2 ** bits - 1
    for key, w in base.items():
        if w.dim() != 2 or "embed" in key or "lm_head" in key:
            if "lm_head" not in key:
                tensors[key] = plain[key] = w
            continue
        w, layer = w.numpy().astype(np.float64), key.removesuffix(".weight")
        n, k = w.shape
        size = min(group if group > 0 else k, k)
        order = rng.permutation(k) if act else np.arange(k)
        g_idx = np.empty(k, np.int32)
        g_idx[order] = np.arange(k) // size
        low = np.stack([w[:, g_idx == g].min(1) for g in range(k // size)])
        high = np.stack([w[:, g_idx == g].max(1) for g in range(k // size)])
        scales = ((high - low) / top).astype(np.float16)
        zeros = np.clip(np.rint(-low / scales.astype(np.float64)), 1, top).astype(np.int64)
        if symmetric:
            zeros[:] = 2 ** (bits - 1)
        s, z = scales.astype(np.float64)[g_idx], zeros[g_idx]
        codes = np.clip(np.rint(w.T / s) + z, 0, top).astype(np.int64)
        plain[key] = torch.from_numpy(((codes - z) * s).T.astype(np.float32))
        tensors[layer + ".scales"] = torch.from_numpy(scales)
        if method == "awq":
            tensors[layer + ".qweight"], tensors[layer + ".qzeros"] = awq_words(codes), awq_words(zeros)
            continue
        stored = zeros - (version == "gptq")
        tensors[layer + ".qweight"] = stream(codes, bits)
        tensors[layer + ".qzeros"] = stream(stored.T, bits).T
        tensors[layer + ".g_idx"] = torch.from_numpy(g_idx)
        if zero_bias:
            tensors[layer + ".bias"] = torch.zeros(n, dtype=torch.float16)
    quantization = {"quant_method": method, "bits": bits, "group_size": group}
    quantization |= {"version": "gemm", "zero_point": True} if method == "awq" else {"desc_act": act, "checkpoint_format": version, "sym": symmetric}
    write(out, name, CONFIG | {"torch_dtype": "float16", "quantization_config": quantization}, tensors, plain)


def main(out, seed="1"):
    torch.manual_seed(int(seed))
    rng = np.random.default_rng(int(seed))
    base = pathlib.Path(out) / "base"
    model().save_pretrained(base)
    bitsandbytes(out, "bnb-nf4-double", base, load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    bitsandbytes(out, "bnb-fp4", base, load_in_4bit=True, bnb_4bit_quant_type="fp4")
    bitsandbytes(out, "bnb-int8", base, load_in_8bit=True)
    odd = dict(hidden_size=48, intermediate_size=80)
    model(**odd).save_pretrained(base)
    bitsandbytes(out, "bnb-nf4-odd", base, load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    bitsandbytes(out, "bnb-int8-odd", base, load_in_8bit=True)
    for f in base.iterdir():
        f.unlink()
    base.rmdir()
    packed(out, "gptq4", "gptq", 4, 128, rng, symmetric=True, zero_bias=True)
    packed(out, "gptq4-act", "gptq", 4, 32, rng, act=True)
    packed(out, "gptq4-narrow", "gptq", 4, 16, rng, version="gptq_v2", act=True)
    packed(out, "gptq3", "gptq", 3, 64, rng, version="gptq_v2")
    packed(out, "gptq2", "gptq", 2, 32, rng)
    packed(out, "gptq8", "gptq", 8, -1, rng)
    packed(out, "awq4", "awq", 4, 64, rng)


if __name__ == "__main__":
    main(*sys.argv[1:])
