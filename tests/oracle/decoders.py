#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tiny decoder models with what transformers computes for them: folders as the hub has them, with expected numbers.

Usage (with python -P: the folder has a tokenizers.py): decoders.py OUT NAME [--as FOLDER] [--seed N] [--tokens N] [--dtype float32] [--lean] [--new-config] [key=json ...]
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
LLAMAS = tuple(MODELS)
PLAIN = {"vocab_size": 128, "max_position_embeddings": 4096, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2}
SIZES = PLAIN | {"hidden_size": 32, "intermediate_size": 56, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
QWEN = SIZES | {"rms_norm_eps": 1e-6, "rope_theta": 1e6, "hidden_act": "silu"}
GEMMA = SIZES | {"pad_token_id": None, "head_dim": 12, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": True}
PHI3 = SIZES | {"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "rms_norm_eps": 1e-5, "hidden_act": "silu",
                "original_max_position_embeddings": 4096, "sliding_window": None, "pad_token_id": None}
FALCON = {"architectures": ["FalconForCausalLM"], "model_type": "falcon", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
          "vocab_size": 128, "multi_query": True, "parallel_attn": True, "new_decoder_architecture": False, "alibi": False, "bias": False,
          "layer_norm_epsilon": 1e-5, "bos_token_id": 11, "eos_token_id": 11}
COHERE = SIZES | {"architectures": ["CohereForCausalLM"], "model_type": "cohere", "layer_norm_eps": 1e-5, "logit_scale": 0.75, "rope_theta": 8e6,
                  "hidden_act": "silu", "tie_word_embeddings": True, "pad_token_id": None}
MODELS |= {
    "bloom": {"architectures": ["BloomForCausalLM"], "model_type": "bloom", "hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 112,
              "layer_norm_epsilon": 1e-5, "bos_token_id": 1, "eos_token_id": 2},
    "cohere": COHERE,
    "falcon": FALCON,
    "gemma": GEMMA | {"architectures": ["GemmaForCausalLM"], "model_type": "gemma"},
    "gemma2": GEMMA | {"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "query_pre_attn_scalar": 16, "sliding_window": 8,
                       "attn_logit_softcapping": 5.0, "final_logit_softcapping": 4.0},
    "gemma3": GEMMA | {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "query_pre_attn_scalar": 12, "sliding_window": 6,
                       "sliding_window_pattern": 2, "rope_local_base_freq": 10000.0, "rope_theta": 1e6},
    "gpt2": {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64,
             "vocab_size": 120, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5},
    "gpt-neox": PLAIN | {"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "hidden_size": 32, "intermediate_size": 80,
                         "num_hidden_layers": 2, "num_attention_heads": 4, "layer_norm_eps": 1e-5, "rotary_pct": 0.25, "rotary_emb_base": 10000,
                         "use_parallel_residual": True, "hidden_act": "gelu"},
    "jamba": SIZES | {"architectures": ["JambaForCausalLM"], "model_type": "jamba", "num_hidden_layers": 4, "attn_layer_period": 2,
                      "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1, "num_experts": 4, "num_experts_per_tok": 2,
                      "mamba_d_state": 4, "mamba_d_conv": 4, "mamba_dt_rank": 3, "mamba_expand": 2, "use_mamba_kernels": False,
                      "rms_norm_eps": 1e-6, "pad_token_id": None},
    "mamba": {"architectures": ["MambaForCausalLM"], "model_type": "mamba", "hidden_size": 16, "num_hidden_layers": 2, "state_size": 5,
              "conv_kernel": 4, "expand": 2, "intermediate_size": 32, "time_step_rank": 3, "use_bias": False, "use_conv_bias": True,
              "layer_norm_epsilon": 1e-5, "vocab_size": 120, "use_cache": True},
    "mixtral": MISTRAL | {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
    "mpt": {"architectures": ["MptForCausalLM"], "model_type": "mpt", "d_model": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 112,
            "expansion_ratio": 4, "max_seq_len": 64, "no_bias": True, "attn_config": {"alibi": True, "alibi_bias_max": 8, "clip_qkv": None}},
    "nemotron": SIZES | {"architectures": ["NemotronForCausalLM"], "model_type": "nemotron", "head_dim": 8, "hidden_act": "relu2", "norm_eps": 1e-5,
                         "partial_rotary_factor": 0.5, "attention_bias": False, "mlp_bias": False},
    "phi": SIZES | {"architectures": ["PhiForCausalLM"], "model_type": "phi", "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.5,
                    "hidden_act": "gelu_new", "qk_layernorm": False},
    "phi3": PHI3,
    "qwen2": QWEN | {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"},
    "qwen3": QWEN | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 12},
}
SMALL = {"hidden_size": 8, "intermediate_size": 14, "vocab_size": 22}
GOLDEN = [  # folder, row, seed, tokens, changes: a few KB each
    ("tiny-bias", "llama2", 11, 9, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "attention_bias": True, "mlp_bias": True}),
    ("tiny-tied", "llama31-ropescale", 12, 9, SMALL | {"num_attention_heads": 2, "tie_word_embeddings": True, "intermediate_size": 13,
                                                       "rope_scaling": LLAMA3_SCALING | {"original_max_position_embeddings": 16}}),
    ("tiny-window", "mistral-swa", 13, 12, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 6, "sliding_window": 5}),
    ("tiny-bloom", "bloom", 21, 9, {"hidden_size": 12, "n_head": 3, "n_layer": 1, "vocab_size": 22}),
    ("tiny-cohere", "cohere", 22, 9, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1, "use_qk_norm": True}),
    ("tiny-falcon", "falcon", 23, 9, {"hidden_size": 12, "num_attention_heads": 3, "vocab_size": 22}),
    ("tiny-falcon40b", "falcon", 24, 9, {"hidden_size": 16, "num_attention_heads": 4, "num_kv_heads": 2, "new_decoder_architecture": True,
                                         "num_hidden_layers": 1, "vocab_size": 22}),
    ("tiny-falcon-rw", "falcon", 25, 9, {"hidden_size": 8, "num_attention_heads": 2, "multi_query": False, "parallel_attn": False,
                                         "alibi": True, "bias": True, "num_hidden_layers": 1, "vocab_size": 22}),
    ("tiny-gemma", "gemma", 26, 9, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 6, "num_hidden_layers": 1}),
    ("tiny-gemma2", "gemma2", 27, 12, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 6, "sliding_window": 5}),
    ("tiny-gemma3", "gemma3", 28, 12, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 6, "sliding_window": 5,
                                               "query_pre_attn_scalar": 5}),
    ("tiny-gpt2", "gpt2", 29, 9, {"n_embd": 8, "n_head": 2, "n_layer": 1, "n_positions": 26, "n_inner": 20, "vocab_size": 22}),
    ("tiny-gpt-neox", "gpt-neox", 30, 9, {"hidden_size": 16, "intermediate_size": 14, "num_attention_heads": 2, "num_hidden_layers": 1,
                                          "vocab_size": 22}),
    ("tiny-gpt-neox-sequential", "gpt-neox", 31, 9, {"hidden_size": 8, "intermediate_size": 14, "num_attention_heads": 2, "vocab_size": 22,
                                                     "num_hidden_layers": 1, "use_parallel_residual": False, "rotary_pct": 0.5}),
    ("tiny-jamba", "jamba", 40, 12, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 2, "num_experts": 3,
                                             "intermediate_size": 12, "mamba_d_state": 3}),
    ("tiny-mamba", "mamba", 41, 12, {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "vocab_size": 22, "use_bias": True}),
    ("tiny-mixtral", "mixtral", 39, 9, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "num_local_experts": 3, "num_hidden_layers": 1,
                                                 "intermediate_size": 12}),
    ("tiny-mpt", "mpt", 32, 9, {"d_model": 12, "n_heads": 3, "n_layers": 1, "vocab_size": 22,
                                "attn_config": {"alibi": True, "alibi_bias_max": 8, "clip_qkv": 0.7}}),
    ("tiny-nemotron", "nemotron", 33, 9, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1, "mlp_bias": True}),
    ("tiny-phi", "phi", 34, 9, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1, "qk_layernorm": True}),
    ("tiny-phi3", "phi3", 35, 12, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1, "sliding_window": 5}),
    ("tiny-phi3-long", "phi3", 36, 12, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1,
                                                "max_position_embeddings": 64, "original_max_position_embeddings": 8,
                                                "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.5], "long_factor": [1.25, 4.5]}}),
    ("tiny-qwen2", "qwen2", 37, 9, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1}),
    ("tiny-qwen3", "qwen3", 38, 9, SMALL | {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1, "head_dim": 6}),
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


EXPERTS = {"mixtral": ("w1", "w3", "w2"), "jamba": ("gate_proj", "up_proj", "down_proj")}


def hub_names(tensors, model_type):
    """Tensors under the names that the hub's files have; transformers renames and fuses some in memory."""
    out, (gate, up, down) = {}, EXPERTS.get(model_type, (None,) * 3)
    for k, v in tensors.items():
        name = k.replace(".mlp.", ".block_sparse_moe.") if model_type == "mixtral" else k
        stem = name.rsplit(".", 1)[0]
        if model_type == "gpt_neox" and k == "lm_head.weight":
            out["embed_out.weight"] = v
        elif gate and k.endswith("experts.gate_up_proj"):
            for e, x in enumerate(v):
                out[f"{stem}.{e}.{gate}.weight"], out[f"{stem}.{e}.{up}.weight"] = x.chunk(2)
        elif gate and k.endswith("experts.down_proj"):
            out |= {f"{stem}.{e}.{down}.weight": x for e, x in enumerate(v)}
        else:
            out[name] = v
    return {k: v.contiguous().clone() for k, v in out.items()}


def grads_of(model, folder, ids):
    model.zero_grad()
    logits = model(torch.tensor([ids])).logits.float()
    loss = torch.nn.functional.cross_entropy(logits[0, :-1], torch.tensor(ids[1:]))
    loss.backward()
    grads = {k: p.grad.float() for k, p in model.named_parameters()}
    save_file(hub_names(grads, model.config.model_type), folder / "grads.safetensors")
    return float(loss.detach())


def make(out, folder, row, seed, tokens, changes, dtype="float32", lean=False, new_config=False):
    folder = pathlib.Path(out) / folder
    folder.mkdir(parents=True, exist_ok=True)
    keys = MODELS[row] | changes | {"torch_dtype": dtype}
    (folder / "config.json").write_text(json.dumps(keys, indent=1) + "\n")
    config = transformers.AutoConfig.from_pretrained(folder)
    config._attn_implementation = "sdpa" if keys.get("alibi") else "eager"  # falcon's eager mode adds alibi twice
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    weights_into(model, seed)
    for p in model.parameters():  # what a file of that type holds; not model.to(), which rounds the frequencies of rope too
        p.data = p.data.to(getattr(torch, dtype)).to(torch.float32)
    if row not in LLAMAS:  # 1 + w is exact then
        for p in model.parameters():
            p.data = p.data.mul(4096).round().div(4096) if p.ndim == 1 else p.data
    if new_config:
        config.save_pretrained(folder)
    state = {k: v.to(getattr(torch, dtype)).contiguous() for k, v in model.state_dict().items()
             if not (k == "lm_head.weight" and model.get_output_embeddings().weight is model.get_input_embeddings().weight)}
    save_file(hub_names(state, keys["model_type"]), folder / "model.safetensors", metadata={"format": "pt"})
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
