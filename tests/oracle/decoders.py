#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tiny decoder models with what transformers computes for them: folders as the hub has them, with expected numbers.

Usage: decoders.py OUT NAME [--as FOLDER] [--seed N] [--tokens N] [--dtype float32] [--lean] [--new-config] [key=json ...]
       decoders.py OUT --golden     the cases of tests/golden/decoders
       decoders.py OUT --twins      cases with every optional part, for a run by hand
NAME is a row of MODELS; key=json sets or changes a key of config.json ("mlp_bias=true", "head_dim=6").
Writes OUT/FOLDER/{config.json, model.safetensors, expected.safetensors (input_ids, logits, hidden after each layer),
batch.safetensors (two prompts in one left-padded batch), grads.safetensors, meta.json (greedy ids, loss, versions)}.
--lean leaves out batch and hidden states. Needs torch, transformers, safetensors, numpy.
"""
import argparse
import json
import pathlib

import torch
import transformers
from safetensors.torch import save_file

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 56,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 128,
    "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
    "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
}
MISTRAL = {k: v for k, v in LLAMA.items() if k not in ("attention_bias", "mlp_bias")} | {
    "architectures": ["MistralForCausalLM"], "model_type": "mistral", "num_key_value_heads": 2, "sliding_window": None}
LLAMA3_SCALING = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                  "original_max_position_embeddings": 64}
MODELS = {
    "llama2": LLAMA,
    "llama3-gqa": LLAMA | {"num_key_value_heads": 2, "rope_theta": 500000.0},
    "llama31-ropescale": LLAMA | {"hidden_size": 48, "num_attention_heads": 3, "num_key_value_heads": 1,
                                  "rope_scaling": LLAMA3_SCALING},
    "llama-linear-rope": LLAMA | {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "smollm-tied": LLAMA | {"hidden_size": 36, "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True},
    "tinyllama": LLAMA | {"num_attention_heads": 8, "num_key_value_heads": 1, "num_hidden_layers": 3},
    "mistral": MISTRAL,
    "mistral-swa": MISTRAL | {"sliding_window": 12},
    "mistral-nemo": MISTRAL | {"hidden_size": 40, "head_dim": 6, "rope_theta": 1e6},
}
SMALL = {"hidden_size": 8, "intermediate_size": 14, "vocab_size": 22}
GOLDEN = [  # folder, row, seed, tokens, changes: a few KB each
    ("tiny-bias", "llama2", 11, 9, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "attention_bias": True, "mlp_bias": True}),
    ("tiny-tied", "llama31-ropescale", 12, 9, SMALL | {"num_attention_heads": 2, "tie_word_embeddings": True, "intermediate_size": 13,
                                                       "rope_scaling": LLAMA3_SCALING | {"original_max_position_embeddings": 16}}),
    ("tiny-window", "mistral-swa", 13, 12, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 6, "sliding_window": 5}),
    ("tiny-linear", "llama-linear-rope", 14, 9, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1}),
]
TWINS = [
    ("bias-both", "llama3-gqa", 101, 40, {"attention_bias": True, "mlp_bias": True}),
    ("bias-attention", "llama2", 102, 33, {"attention_bias": True, "num_key_value_heads": 1}),
    ("bias-mlp-odd", "llama2", 103, 65, {"mlp_bias": True, "intermediate_size": 71, "vocab_size": 131}),
    ("head-dim-wide", "llama2", 104, 30, {"head_dim": 24, "num_key_value_heads": 2}),
    ("head-dim-narrow", "mistral-nemo", 105, 30, {"head_dim": 2}),
    ("one-kv-head", "llama3-gqa", 106, 64, {"num_attention_heads": 6, "num_key_value_heads": 1, "hidden_size": 30, "head_dim": 10}),
    ("tied-scaled", "llama31-ropescale", 107, 90, {"tie_word_embeddings": True, "vocab_size": 77}),
    ("scaled-long", "llama31-ropescale", 108, 700, {"num_attention_heads": 4, "num_key_value_heads": 2}),
    ("linear-long", "llama-linear-rope", 109, 600, {"num_key_value_heads": 2, "vocab_size": 49}),
    ("plain-long", "llama2", 110, 1100, {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}),
    ("window-long", "mistral-swa", 111, 800, {"sliding_window": 100, "num_hidden_layers": 3}),
    ("window-page", "mistral-swa", 112, 200, {"sliding_window": 64}),
    ("window-one", "mistral-swa", 113, 20, {"sliding_window": 1}),
    ("window-tied", "mistral-swa", 114, 70, {"sliding_window": 7, "tie_word_embeddings": True, "intermediate_size": 33}),
    ("one-layer", "llama2", 115, 20, {"num_hidden_layers": 1}),
    ("deep", "tinyllama", 116, 20, {"num_hidden_layers": 7, "rms_norm_eps": 1e-6}),
    ("wide", "llama3-gqa", 117, 50, {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 8, "vocab_size": 300}),
    ("one-token", "llama2", 118, 1, {}),
    ("vocab-small", "smollm-tied", 119, 17, {"vocab_size": 5}),
]


def weights_into(model, seed, spread=1.6):
    """Random weights that let every path matter: matrices keep the size of what they are given times `spread`."""
    g = torch.Generator().manual_seed(seed)
    for name, p in sorted(model.named_parameters()):
        x = torch.randn(p.shape, generator=g)
        if p.ndim == 1 and not name.endswith("bias"):
            x = 1 + 0.2 * x
        elif p.ndim == 1:
            x = 0.3 * x
        elif "embed" in name:
            x = 0.8 * x
        else:
            x = x * spread / p.shape[1] ** 0.5
        p.data.copy_(x)


def greedy(model, ids, n):
    """The ids that follow, and the smallest distance between the best logit and the next."""
    out, margin = list(ids), float("inf")
    for _ in range(n):
        logits = model(torch.tensor([out])).logits[0, -1].float()
        best = logits.topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        out.append(int(best.indices[0]))
    return out[len(ids):], margin


def ids_of(seed, n, vocab):
    return torch.randint(0, vocab, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


def batch_of(model, folder, seed, n, vocab):
    a, b = ids_of(seed + 1, max(2, n // 2), vocab), ids_of(seed + 2, max(3, n - 3), vocab)
    longest = max(len(a), len(b))
    padded = torch.tensor([[0] * (longest - len(x)) + x for x in (a, b)])
    mask = torch.tensor([[0] * (longest - len(x)) + [1] * len(x) for x in (a, b)])
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    logits = model(padded, attention_mask=mask, position_ids=positions).logits.float()
    save_file({"input_ids_a": torch.tensor([a]), "input_ids_b": torch.tensor([b]),
               "logits_a": logits[0, longest - len(a):].contiguous(), "logits_b": logits[1, longest - len(b):].contiguous()},
              folder / "batch.safetensors")


def grads_of(model, folder, ids):
    model.zero_grad()
    logits = model(torch.tensor([ids])).logits.float()
    loss = torch.nn.functional.cross_entropy(logits[0, :-1], torch.tensor(ids[1:]))
    loss.backward()
    save_file({k: p.grad.float().contiguous() for k, p in model.named_parameters()}, folder / "grads.safetensors")
    return float(loss.detach())


def make(out, folder, row, seed, tokens, changes, dtype="float32", lean=False, new_config=False):
    folder = pathlib.Path(out) / folder
    folder.mkdir(parents=True, exist_ok=True)
    keys = MODELS[row] | changes | {"torch_dtype": dtype}
    (folder / "config.json").write_text(json.dumps(keys, indent=1) + "\n")
    config = transformers.AutoConfig.from_pretrained(folder)
    config._attn_implementation = "eager"
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    weights_into(model, seed)
    for p in model.parameters():  # what a file of that type holds; not model.to(), which rounds the frequencies of rope too
        p.data = p.data.to(getattr(torch, dtype)).to(torch.float32)
    if new_config:
        config.save_pretrained(folder)
    state = {k: v.to(getattr(torch, dtype)).contiguous() for k, v in model.state_dict().items()
             if not (k == "lm_head.weight" and config.tie_word_embeddings)}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    ids = ids_of(seed, tokens, config.vocab_size)
    with torch.no_grad():
        result = model(torch.tensor([ids]), output_hidden_states=not lean)
        expected = {"input_ids": torch.tensor([ids]), "logits": result.logits[0].float().contiguous()}
        for i, h in enumerate(result.hidden_states or ()):
            expected[f"hidden{i}"] = h[0].float().clone().contiguous()
        save_file(expected, folder / "expected.safetensors")
        following, margin = greedy(model, ids, 16)
        if not lean:
            batch_of(model, folder, seed, tokens, config.vocab_size)
    meta = {"seed": seed, "tolerance": 1e-4, "logits_absmax": round(float(expected["logits"].abs().max()), 4), "greedy": following,
            "greedy_min_margin": round(margin, 5), "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}
    if tokens > 1:
        meta["grads"] = {"ce_loss": grads_of(model, folder, ids)}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    print(folder, "absmax", meta["logits_absmax"], "margin", meta["greedy_min_margin"])


def main():
    a = argparse.ArgumentParser(usage=__doc__)
    a.add_argument("out")
    a.add_argument("name", nargs="?")
    a.add_argument("changes", nargs="*")
    a.add_argument("--as", dest="folder")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--tokens", type=int, default=24)
    a.add_argument("--dtype", default="float32")
    for flag in ("--lean", "--new-config", "--golden", "--twins"):
        a.add_argument(flag, action="store_true")
    a = a.parse_intermixed_args()
    if a.golden:
        for folder, row, seed, tokens, changes in GOLDEN:
            make(a.out, folder, row, seed, tokens, changes, lean=True)
    elif a.twins:
        for i, (folder, row, seed, tokens, changes) in enumerate(TWINS):
            make(a.out, folder, row, seed, tokens, changes, new_config=i % 2 == 1)
    else:
        changes = {k: json.loads(v) for k, v in (c.split("=", 1) for c in a.changes)}
        make(a.out, a.folder or a.name, a.name, a.seed, a.tokens, changes, a.dtype, a.lean, a.new_config)


if __name__ == "__main__":
    main()
