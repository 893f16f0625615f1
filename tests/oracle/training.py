# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/training anew: a tiny llama, tokenized rows, and recorded runs of transformers and PEFT over them.

    python tests/oracle/training.py [--out DIR] [--seed N]

Each run has NAME.yaml (what forja is given), NAME.json (loss, gradient norm and learning rate of every step) and NAME.safetensors (what
was trained, as it ended). The loop below is transformers' Trainer's arithmetic, written out: the token-mean loss over the whole
window, torch's AdamW, the clipping of torch.nn.utils, the schedules of transformers.optimization. Everything is float32 on one thread.
"""
import argparse
import json
import pathlib
import random

import peft
import torch
import transformers
from safetensors.torch import save_file

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
        for row in micro:
            ids = torch.tensor([row["input_ids"]])
            labels = torch.tensor(row["labels"])[1:]
            logits = model(input_ids=ids).logits[0, :-1].float()
            loss = loss + torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
        loss = loss / n_targets
        loss.backward()
        total += float(loss)
    return total


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
}


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


def groups(model, run):
    """Tensors of two dimensions decay; lora_B has its own rate."""
    by = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            by.setdefault((p.dim() >= 2, "lora_B" in name), []).append(p)
    rate = run["learning_rate"]
    return [dict(params=ps, weight_decay=run.get("weight_decay", 0.0) if decays else 0.0,
                 lr=rate * (run.get("loraplus_lr_ratio", 1.0) if is_b else 1.0)) for (decays, is_b), ps in by.items()]


def record(out, name, run, rows, seed):
    model = transformers.LlamaForCausalLM.from_pretrained(out / "base", torch_dtype=torch.float32, attn_implementation="eager")
    if run["finetuning_type"] == "lora":
        model = make_lora(model, run, seed)
        model.save_pretrained(out / (name + "-init"))
        (out / (name + "-init") / "README.md").unlink(missing_ok=True)
        path = out / (name + "-init") / "adapter_config.json"
        config = json.loads(path.read_text())
        config["base_model_name_or_path"] = "base"
        path.write_text(json.dumps(config, indent=1) + "\n")
    model.train()
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
        trained = [p for p in model.parameters() if p.requires_grad]
        norm = float(torch.nn.utils.clip_grad_norm_(trained, run.get("max_grad_norm", 1.0)))
        rates = [g["lr"] for g in optimizer.param_groups]
        steps.append(dict(loss=loss, grad_norm=norm, learning_rate=min(rates)))
        optimizer.step()
        if schedule:
            schedule.step()
    final = {k.replace(".default", ""): p.detach().clone() for k, p in model.named_parameters() if p.requires_grad}
    save_file(final, out / f"{name}.safetensors")
    (out / f"{name}.json").write_text(json.dumps(dict(
        versions={m.__name__: m.__version__ for m in (torch, transformers, peft)}, steps=steps), indent=1) + "\n")
    lines = [f"{k}: {v}" for k, v in run.items()] + ["stage: sft", f"max_steps: {STEPS}", "disable_shuffling: true", "save_strategy: 'no'"]
    (out / f"{name}.yaml").write_text("".join(line.replace("True", "true") + "\n" for line in lines))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default=pathlib.Path(__file__).parent.parent / "golden" / "training", type=pathlib.Path)
    parser.add_argument("--seed", default=11, type=int)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    make_base(args.out, args.seed)
    rows = make_rows(args.out, args.seed)
    for name, run in RUNS.items():
        need = STEPS * run["per_device_train_batch_size"] * run.get("gradient_accumulation_steps", 1)
        assert need <= ROWS, name
        record(args.out, name, run, rows, args.seed)


if __name__ == "__main__":
    main()
