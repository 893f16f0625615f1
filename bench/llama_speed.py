#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""llama.cpp's side of `forja bench`: llama_speed.py FILE.gguf [prompt [predict [rounds [threads]]]].

One batch of prompt tokens, then single tokens behind it, as `forja bench -p -n -r` does: the first round of each warms up and does
not count. Medians as JSON."""
import ctypes
import json
import statistics
import sys
import time

import llama_cpp as L


def main() -> None:
    path = sys.argv[1]
    prompt, predict, rounds, threads = (int(v) for v in (sys.argv[2:] + ["512", "64", "3", "2"][len(sys.argv) - 2:]))
    silent = L.llama_log_callback(lambda level, text, data: None)
    L.llama_log_set(silent, ctypes.c_void_p(0))
    L.llama_backend_init()
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    if not model:
        sys.exit(f"llama_speed.py: llama.cpp cannot read {path}")
    params = L.llama_context_default_params()
    params.n_ctx = prompt + predict + 1
    params.n_batch = params.n_ubatch = max(prompt, 1)
    params.n_threads = params.n_threads_batch = threads
    context = L.llama_init_from_model(model, params)
    memory = L.llama_get_memory(context)
    n_vocab = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    batch = L.llama_batch_init(max(prompt, 1), 0, 1)

    def decode(start: int, n: int) -> None:
        batch.n_tokens = n
        for i in range(n):
            batch.token[i] = ((start + i) * 7919 + 13) % n_vocab
            batch.pos[i] = start + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i + 1 == n
        if L.llama_decode(context, batch):
            sys.exit("llama_speed.py: llama_decode failed")
        L.llama_synchronize(context)

    prompts, answers = [], []
    for _ in range(1 + rounds):
        L.llama_memory_clear(memory, True)
        started = time.perf_counter()
        decode(0, prompt)
        prompts.append(prompt / (time.perf_counter() - started))
    for _ in range(1 + rounds):
        L.llama_memory_seq_rm(memory, 0, prompt, -1)
        started = time.perf_counter()
        for i in range(predict):
            decode(prompt + i, 1)
        answers.append(predict / (time.perf_counter() - started))
    print(json.dumps({"prompt": statistics.median(prompts[1:]), "answer": statistics.median(answers[1:])}))


main()
