#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PyTorch + PEFT's side of bench/train_step.c: train_step.py FOLDER f32|bf16 checkpointing|whole [steps [tokens [threads]]].

The same weights, ids, ranks, optimizer and clipping; one line of JSON with the same fields. In bf16 the model and the adapter are
bfloat16: PEFT's default keeps the adapter in float32, which is a quarter slower and takes more memory."""
import json
import resource
import statistics
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

RANK = 8


def main() -> None:
    folder, kind, mode = sys.argv[1:4]
    steps, tokens, threads = (int(v) for v in (sys.argv[4:] + ["4", "512", "2"][len(sys.argv) - 4:]))
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16 if kind == "bf16" else torch.float32,
                                                 attn_implementation="sdpa")
    model.config.use_cache = False
    if mode == "checkpointing":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"),
                           autocast_adapter_dtype=False)
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    ids = torch.tensor([[(i * 7919 + 13) % model.config.vocab_size for i in range(tokens)]])
    seconds, losses = [], []
    for _ in range(steps):
        started = time.perf_counter()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - started)
    timed = seconds[1:] or seconds
    print(json.dumps({"tokens_per_second": round(tokens / statistics.median_high(timed), 2),
                      "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                      "loss": [round(losses[0], 5), round(losses[-1], 5)]}))


main()
