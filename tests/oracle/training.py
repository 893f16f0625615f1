# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/training anew: a tiny llama, tokenized rows, and recorded runs of transformers and PEFT over them.

    python -P tests/oracle/training.py [--out DIR] [--seed N] [--twins]

Each run has NAME.yaml (what forja is given), NAME.json (loss, gradient norm and learning rate of every step) and NAME.safetensors (what
was trained, as it ended; of freeze the whole model). The loop below is transformers' Trainer's arithmetic, written out: the token-mean loss over the whole
window, torch's AdamW, the clipping of torch.nn.utils, the schedules of transformers.optimization. Everything is float32 on one thread,
but for bf16 (LLaMA-Factory's pure_bf16: the whole model in bf16) and bf16-wide (its parameters, gradients and moments, but activations in
float32, as forja has them).

Runs of mixtures have a router term, transformers' load_balancing_loss_func over the real tokens of a padded micro-batch, weighed by its share
of the window's targets. Adapters of single experts are added to the fused weights by hand: PEFT does not see those. Of JetMoE transformers
5.16 records the routers of attention twice; here each counts once, as in its releases before. --twins adds runs of other sizes and families.
"""
import argparse
import json
import pathlib
import random

import peft
import torch
import transformers
from safetensors.torch import save_file
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

ROWS, STEPS = 40, 8


def make_base(out, seed):
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=72, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        intermediate_size=48, max_position_embeddings=128, rms_norm_eps=1e-5, tie_word_embeddings=False, initializer_range=0.12,
        rope_theta=10000.0, torch_dtype="float32")
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:
                p.uniform_(0.5, 1.5)
    model.save_pretrained(out / "base", safe_serialization=True)
    for name in ("generation_config.json",):
        (out / "base" / name).unlink(missing_ok=True)
    c = json.loads((out / "base" / "config.json").read_text())
    c.pop("transformers_version", None)
    (out / "base" / "config.json").write_text(json.dumps(c, indent=1) + "\n")


def make_rows(out, seed):
    rng, lines = random.Random(seed), []
    for _ in range(ROWS):
        n = rng.randint(4, 30)
        ids = [rng.randrange(3, 72) for _ in range(n)]
        labels = [-100 if i < n // 3 else t for i, t in enumerate(ids)]
        lines.append({"input_ids": ids, "labels": labels})
    (out / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in lines))
    return lines


def window_loss(model, micros, n_targets):
    """Backward of the window's token mean, a micro-batch after the other; rows of a micro-batch one by one (no padding)."""
    total = 0.0
    for micro in micros:
        loss = 0
        if isinstance(model, Wide):
            model.renew()
        for row in micro:
            ids = torch.tensor([row["input_ids"]])
            labels = torch.tensor(row["labels"])[1:]
            logits = model(input_ids=ids).logits[0, :-1].float()
            loss = loss + torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
        loss = loss / n_targets
        loss.backward()
        total += float(loss)
    return total


def record_adamw(out, seed):
    """Steps of torch's AdamW on tensors in bf16, for gradients from tiny to large: two settings of beta1, for the two forms of lerp."""
    tensors, generator = {}, torch.Generator().manual_seed(seed)
    for name, betas, decay in (("usual", (0.9, 0.999), 0.0), ("other", (0.4, 0.95), 0.1)):
        p = torch.nn.Parameter(torch.randn(2048, generator=generator).bfloat16())
        optimizer = torch.optim.AdamW([p], lr=3e-3, betas=betas, eps=1e-6, weight_decay=decay, foreach=False)
        tensors[name + ".before"] = p.detach().clone()
        for step in range(6):
            p.grad = (torch.randn(2048, generator=generator) * torch.rand(2048, generator=generator) ** 8).bfloat16()
            tensors[f"{name}.g{step}"] = p.grad.clone()
            optimizer.step()
        state = optimizer.state[p]
        tensors |= {name + ".p": p.detach().clone(), name + ".m": state["exp_avg"].clone(), name + ".v": state["exp_avg_sq"].clone()}
    save_file(tensors, out / "adamw-bf16.safetensors", metadata={"torch": torch.__version__})


class Wide:
    """A model with parameters in bf16 that computes in float32: gradients are rounded once a micro-batch, and added as bf16."""

    def __init__(self, model):
        self.model = model
        self.parameters = {n: torch.nn.Parameter(p.detach().bfloat16()) for n, p in model.named_parameters()}

    def renew(self):
        self.weights = {n: p.float() for n, p in self.parameters.items()}

    def __call__(self, **inputs):
        return torch.func.functional_call(self.model, self.weights, kwargs=inputs)

    def named_parameters(self):
        return self.parameters.items()

    def clip(self, most):
        """As torch.nn.utils has it, with a norm that is not rounded to bf16."""
        grads = [p.grad for p in self.parameters.values()]
        norm = sum(float((g.double() ** 2).sum()) for g in grads) ** 0.5
        for g in grads:
            g.copy_(g.float() * torch.tensor(min(1.0, most / (norm + 1e-6)), dtype=torch.float32))
        return norm


SCHEDULES = {
    "cosine": transformers.get_cosine_schedule_with_warmup,
    "linear": transformers.get_linear_schedule_with_warmup,
}

RUNS = {
    "full": dict(finetuning_type="full", learning_rate=2e-3, weight_decay=0.01, lr_scheduler_type="cosine", warmup_steps=2,
                 per_device_train_batch_size=4),
    "full-accumulate": dict(finetuning_type="full", learning_rate=2e-3, weight_decay=0.01, lr_scheduler_type="linear",
                            per_device_train_batch_size=1, gradient_accumulation_steps=3),
    "lora": dict(finetuning_type="lora", lora_rank=4, lora_alpha=8, lora_target="all", learning_rate=1e-2,
                 lr_scheduler_type="cosine", warmup_steps=2, per_device_train_batch_size=4),
    "lora-targets": dict(finetuning_type="lora", lora_rank=3, lora_alpha=8, lora_target="q_proj,v_proj,down_proj",
                         loraplus_lr_ratio=4.0, use_rslora=True, learning_rate=3e-3, lr_scheduler_type="constant",
                         per_device_train_batch_size=2, gradient_accumulation_steps=2, max_grad_norm=0.5),
    "bf16": dict(finetuning_type="full", pure_bf16=True, learning_rate=4e-3, lr_scheduler_type="constant", weight_decay=0.1,
                 per_device_train_batch_size=4),
    "bf16-wide": dict(finetuning_type="full", pure_bf16=True, learning_rate=4e-3, lr_scheduler_type="cosine", warmup_steps=2,
                      weight_decay=0.1, per_device_train_batch_size=2, gradient_accumulation_steps=2),
    "freeze": dict(finetuning_type="freeze", freeze_trainable_layers=1, learning_rate=2e-3, lr_scheduler_type="constant",
                   per_device_train_batch_size=4),
    "freeze-parts": dict(finetuning_type="freeze", freeze_trainable_layers=-1, freeze_trainable_modules="mlp,input_layernorm",
                         freeze_extra_modules="norm,lm_head", learning_rate=2e-3, lr_scheduler_type="linear", weight_decay=0.05,
                         per_device_train_batch_size=2, gradient_accumulation_steps=2),
}


MIXTRAL = dict(vocab_size=72, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=24,
               num_local_experts=5, num_experts_per_tok=2, max_position_embeddings=128, initializer_range=0.12, tie_word_embeddings=False,
               sliding_window=None)
MIXTURES = {
    "base-mixtral": (transformers.MixtralConfig, MIXTRAL),
    "base-mixtral3": (transformers.MixtralConfig, MIXTRAL | dict(hidden_size=48, num_hidden_layers=3, num_local_experts=8, num_experts_per_tok=3)),
    "base-jamba": (transformers.JambaConfig, dict(
        vocab_size=72, hidden_size=16, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, intermediate_size=24, num_experts=4,
        num_experts_per_tok=2, attn_layer_period=2, attn_layer_offset=1, expert_layer_period=2, expert_layer_offset=1, mamba_d_state=4,
        mamba_dt_rank=3, use_mamba_kernels=False, initializer_range=0.12, tie_word_embeddings=False)),
    "base-jetmoe": (transformers.JetMoeConfig, dict(
        vocab_size=72, hidden_size=24, num_hidden_layers=2, num_key_value_heads=2, kv_channels=8, intermediate_size=16, num_local_experts=4,
        num_experts_per_tok=2, initializer_range=0.12, max_position_embeddings=128)),
}
MOE_RUNS = {
    "moe-full": dict(base="base-mixtral", finetuning_type="full", learning_rate=2e-3, moe_aux_loss_coef=0.05, lr_scheduler_type="constant",
                     per_device_train_batch_size=2, gradient_accumulation_steps=2),
    "moe-lora": dict(base="base-mixtral", finetuning_type="lora", lora_rank=2, lora_alpha=6, lora_target="q_proj,v_proj,w1,w2,w3",
                     learning_rate=1e-2, moe_aux_loss_coef=0.02, lr_scheduler_type="constant", per_device_train_batch_size=3),
}
MOE_TWINS = {
    "twin-accumulate": MOE_RUNS["moe-lora"] | dict(base="base-mixtral3", per_device_train_batch_size=1, gradient_accumulation_steps=4),
    "twin-experts": MOE_RUNS["moe-lora"] | dict(lora_target="experts.1.w1,experts.4.w2,k_proj", lora_rank=3),
    "twin-jamba": MOE_RUNS["moe-full"] | dict(base="base-jamba"),
    "twin-jamba-lora": MOE_RUNS["moe-lora"] | dict(base="base-jamba", lora_target="o_proj,gate_proj,down_proj"),
    "twin-jetmoe": MOE_RUNS["moe-full"] | dict(base="base-jetmoe"),
    "twin-freeze": MOE_RUNS["moe-full"] | dict(base="base-mixtral3", finetuning_type="freeze", freeze_trainable_layers=-2),
    "twin-freeze-jamba": MOE_RUNS["moe-full"] | dict(base="base-jamba", finetuning_type="freeze", freeze_trainable_layers=3),
    "twin-freeze-mamba": MOE_RUNS["moe-full"] | dict(base="base-jamba", finetuning_type="freeze", freeze_trainable_layers=-1,
                                                     freeze_trainable_modules="mamba"),
    "twin-freeze-head": MOE_RUNS["moe-full"] | dict(base="base-mixtral", finetuning_type="freeze", freeze_trainable_layers=0,
                                                    freeze_extra_modules="lm_head"),
}


def make_mixture(out, name, seed):
    kind, keys = MIXTURES[name]
    torch.manual_seed(seed)
    config = kind(rms_norm_eps=1e-5, dtype="float32", **keys)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for n, p in model.named_parameters():
            p.normal_(0, 0.12) if p.dim() > 1 else p.uniform_(0.5, 1.5) if "norm" in n else p.normal_(0, 0.05)
            if "router" in n or "gate.weight" in n:
                p.mul_(4)  # experts are chosen by more than chance
    model.save_pretrained(out / name, safe_serialization=True)
    (out / name / "generation_config.json").unlink(missing_ok=True)
    c = json.loads((out / name / "config.json").read_text())
    c.pop("transformers_version", None)
    (out / name / "config.json").write_text(json.dumps(c, indent=1) + "\n")


def expert_places(model):
    """Names of single experts' matrices, as files have them, and where they are: parameter, expert, first row, rows."""
    places = {}
    names = ("w1", "w3", "w2") if model.config.model_type == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    for name, p in model.named_parameters():
        if not name.endswith("gate_up_proj"):
            continue
        stem = name.removesuffix("gate_up_proj")
        down = stem + "down_proj"
        file_stem = stem.replace(".mlp.", ".block_sparse_moe.") if names[0] == "w1" else stem
        for e in range(p.shape[0]):
            half = p.shape[1] // 2
            places[f"{file_stem}{e}.{names[0]}"] = (name, e, 0, half, p.shape[2])
            places[f"{file_stem}{e}.{names[1]}"] = (name, e, half, half, p.shape[2])
            d = dict(model.named_parameters())[down]
            places[f"{file_stem}{e}.{names[2]}"] = (down, e, 0, d.shape[1], d.shape[2])
    return places


class Merged:
    """Low-rank pairs added to the weights in every forward pass."""

    def __init__(self, model, run, seed):
        self.model, self.scale, self.pairs = model, run["lora_alpha"] / run["lora_rank"], {}
        places = expert_places(model) | {n.removesuffix(".weight"): (n, None, 0, p.shape[0], p.shape[-1]) for n, p in model.named_parameters()
                                         if n.endswith(".weight") and p.dim() == 2}
        generator = torch.Generator().manual_seed(seed)
        for name in sorted(places):
            if any(("." + name).endswith("." + t) for t in run["lora_target"].split(",")):
                param, e, row, rows, cols = places[name]
                a = (torch.rand(run["lora_rank"], cols, generator=generator) * 2 - 1) / cols**0.5
                b = torch.randn(rows, run["lora_rank"], generator=generator) * 0.1
                self.pairs[name] = (places[name], a.requires_grad_(), b.requires_grad_())
        for p in model.parameters():
            p.requires_grad_(False)

    def tensors(self):
        return {f"base_model.model.{n}.lora_{x}.weight": t for n, (_, a, b) in self.pairs.items() for x, t in (("A", a), ("B", b))}

    def __call__(self, **inputs):
        weights = dict(self.model.named_parameters())
        for (param, e, row, rows, _), a, b in self.pairs.values():
            w, change = weights[param], self.scale * b @ a
            if e is None:
                weights[param] = w + change
            else:
                whole = torch.nn.functional.pad(change, (0, 0, row, w.shape[1] - row - rows))
                weights[param] = w + torch.nn.functional.one_hot(torch.tensor(e), w.shape[0]).float()[:, None, None] * whole
        return torch.func.functional_call(self.model, weights, kwargs=inputs)


def mixture_loss(call, config, micros, n_targets, coefficient):
    total = 0.0
    for micro in micros:
        longest = max(len(r["input_ids"]) for r in micro)
        ids = torch.tensor([r["input_ids"] + [0] * (longest - len(r["input_ids"])) for r in micro])
        mask = torch.tensor([[1] * len(r["input_ids"]) + [0] * (longest - len(r["input_ids"])) for r in micro])
        labels = torch.tensor([r["labels"] + [-100] * (longest - len(r["labels"])) for r in micro])[:, 1:]
        out = call(input_ids=ids, attention_mask=mask, output_router_logits=True, use_cache=False)
        ce = torch.nn.functional.cross_entropy(out.logits[:, :-1].float().flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum")
        routers = tuple(r for i, r in enumerate(out.router_logits) if config.model_type != "jetmoe" or i % 3 != 1)
        experts = getattr(config, "num_local_experts", None) or config.num_experts
        aux = load_balancing_loss_func(routers, experts, config.num_experts_per_tok, mask)
        loss = ce / n_targets + coefficient * aux * (labels != -100).sum() / n_targets
        loss.backward()
        total += float(loss)
    return total


def record_mixture(out, name, run, rows, seed):
    model = transformers.AutoModelForCausalLM.from_pretrained(out / run["base"], dtype=torch.float32, attn_implementation="eager")
    model.config._experts_implementation = "eager"
    if run["finetuning_type"] == "freeze":
        freeze(model, run)
    call, trained = model, [p for p in model.parameters() if p.requires_grad]
    if run["finetuning_type"] == "lora":
        call = Merged(model, run, seed)
        trained = list(call.tensors().values())
        folder = out / (name + "-init")
        folder.mkdir(exist_ok=True)
        save_file({k: t.detach().clone() for k, t in call.tensors().items()}, folder / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text(json.dumps(dict(
            peft_type="LORA", task_type="CAUSAL_LM", base_model_name_or_path=run["base"], r=run["lora_rank"], lora_alpha=run["lora_alpha"],
            lora_dropout=0.0, target_modules=run["lora_target"].split(",")), indent=1) + "\n")
    optimizer = torch.optim.AdamW(trained, lr=run["learning_rate"], betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    batch, accumulation = run["per_device_train_batch_size"], run.get("gradient_accumulation_steps", 1)
    steps, at = [], 0
    for step in range(STEPS):
        micros = [rows[at + i * batch:at + (i + 1) * batch] for i in range(accumulation)]
        at += batch * accumulation
        n_targets = sum(t != -100 for m in micros for r in m for t in r["labels"][1:])
        optimizer.zero_grad()
        loss = mixture_loss(call, model.config, micros, n_targets, run["moe_aux_loss_coef"])
        for p in trained:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        norm = float(torch.nn.utils.clip_grad_norm_(trained, 1.0))
        steps.append(dict(loss=loss, grad_norm=norm, learning_rate=run["learning_rate"]))
        optimizer.step()
    if run["finetuning_type"] == "lora":
        save_file({k: t.detach().clone() for k, t in call.tensors().items()}, out / f"{name}.safetensors")
    else:
        model.save_pretrained(out / (name + "-final"))
        (out / (name + "-final") / "model.safetensors").rename(out / f"{name}.safetensors")
        for left in (out / (name + "-final")).iterdir():
            left.unlink()
        (out / (name + "-final")).rmdir()
    write_run(out, name, {k: v for k, v in run.items() if k != "base"}, steps)


def make_lora(model, run, seed):
    targets = "all-linear" if run["lora_target"] == "all" else run["lora_target"].split(",")
    config = peft.LoraConfig(r=run["lora_rank"], lora_alpha=run["lora_alpha"], target_modules=targets, task_type="CAUSAL_LM",
                             use_rslora=run.get("use_rslora", False))
    model = peft.get_peft_model(model, config)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(0, 0.1)  # not zero, so that A has a gradient from the first step on
    return model


def freeze(model, run):
    """Turns off what does not learn: by substring of the parameters' names, as LLaMA-Factory has it."""
    n, layers = run["freeze_trainable_layers"], model.config.num_hidden_layers
    chosen = range(layers - n, layers) if n > 0 else range(-n)
    modules = run.get("freeze_trainable_modules", "all").split(",")
    learns = [f".{i}.{'' if m == 'all' else m}" for i in chosen for m in modules]
    learns += [m for m in run.get("freeze_extra_modules", "").split(",") if m]
    for name, p in model.named_parameters():
        p.requires_grad_(any(part in name for part in learns))


def groups(model, run):
    """Tensors of two dimensions decay; lora_B has its own rate."""
    by = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            by.setdefault((p.dim() >= 2, "lora_B" in name), []).append(p)
    rate = run["learning_rate"]
    return [dict(params=ps, weight_decay=run.get("weight_decay", 0.0) if decays else 0.0,
                 lr=rate * (run.get("loraplus_lr_ratio", 1.0) if is_b else 1.0)) for (decays, is_b), ps in by.items()]


def write_run(out, name, run, steps):
    (out / f"{name}.json").write_text(json.dumps(dict(
        versions={m.__name__: m.__version__ for m in (torch, transformers, peft)}, steps=steps), indent=1) + "\n")
    lines = [f"{k}: {v}" for k, v in run.items()] + ["stage: sft", f"max_steps: {STEPS}", "disable_shuffling: true", "save_strategy: 'no'"]
    (out / f"{name}.yaml").write_text("".join(line.replace("True", "true") + "\n" for line in lines))


def record(out, name, run, rows, seed):
    dtype = torch.bfloat16 if name == "bf16" else torch.float32
    model = transformers.LlamaForCausalLM.from_pretrained(out / "base", torch_dtype=dtype, attn_implementation="eager")
    if run["finetuning_type"] == "lora":
        model = make_lora(model, run, seed)
        model.save_pretrained(out / (name + "-init"))
        (out / (name + "-init") / "README.md").unlink(missing_ok=True)
        path = out / (name + "-init") / "adapter_config.json"
        config = json.loads(path.read_text())
        config["base_model_name_or_path"] = "base"
        path.write_text(json.dumps(config, indent=1) + "\n")
    if run["finetuning_type"] == "freeze":
        freeze(model, run)
    model.train()
    if name == "bf16-wide":
        model = Wide(model)
    optimizer = torch.optim.AdamW(groups(model, run), betas=(0.9, 0.999), eps=1e-8)
    warmup = run.get("warmup_steps", 0)
    schedule = SCHEDULES[run["lr_scheduler_type"]](optimizer, warmup, STEPS) if run["lr_scheduler_type"] in SCHEDULES else None
    batch, accumulation = run["per_device_train_batch_size"], run.get("gradient_accumulation_steps", 1)
    steps, at = [], 0
    for step in range(STEPS):
        micros = []
        for _ in range(accumulation):
            micros.append(rows[at:at + batch])
            at += batch
        n_targets = sum(t != -100 for m in micros for r in m for t in r["labels"][1:])
        optimizer.zero_grad()
        loss = window_loss(model, micros, n_targets)
        if name == "bf16-wide":
            norm = model.clip(1.0)
        else:
            trained = [p for p in model.parameters() if p.requires_grad]
            norm = float(torch.nn.utils.clip_grad_norm_(trained, run.get("max_grad_norm", 1.0)))
        rates = [g["lr"] for g in optimizer.param_groups]
        steps.append(dict(loss=loss, grad_norm=norm, learning_rate=min(rates)))
        optimizer.step()
        if schedule:
            schedule.step()
    final = {k.replace(".default", ""): p.detach().float().clone() for k, p in model.named_parameters()
             if p.requires_grad or run["finetuning_type"] == "freeze"}
    save_file(final, out / f"{name}.safetensors")
    write_run(out, name, run, steps)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default=pathlib.Path(__file__).parent.parent / "golden" / "training", type=pathlib.Path)
    parser.add_argument("--seed", default=11, type=int)
    parser.add_argument("--twins", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    make_base(args.out, args.seed)
    rows = make_rows(args.out, args.seed)
    record_adamw(args.out, args.seed)
    for name, run in RUNS.items():
        need = STEPS * run["per_device_train_batch_size"] * run.get("gradient_accumulation_steps", 1)
        assert need <= ROWS, name
        record(args.out, name, run, rows, args.seed)
    mixtures = MOE_RUNS | (MOE_TWINS if args.twins else {})
    for name in {run["base"]: 0 for run in mixtures.values()}:
        make_mixture(args.out, name, args.seed)
    for name, run in mixtures.items():
        record_mixture(args.out, name, run, rows, args.seed)


if __name__ == "__main__":
    main()
