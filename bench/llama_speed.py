#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""llama.cpp's side of bench.py, each as JSON:

llama_speed.py speed FILE PROMPT PREDICT ROUNDS THREADS CACHE   what `forja bench -p -n -r -ctk -ctv` does: one batch of prompt tokens,
    then single tokens behind it; the first round of each warms up and does not count; medians
llama_speed.py load FILE THREADS                      milliseconds from the file's name to the first token, with all imported before
llama_speed.py quantize FILE OUT TYPE THREADS         seconds that writing OUT takes, and the processor's"""
import ctypes
import json
import resource
import statistics
import sys
import time

import llama_cpp as L

CACHES = {"f32": L.GGML_TYPE_F32, "f16": L.GGML_TYPE_F16, "q8_0": L.GGML_TYPE_Q8_0, "q4_0": L.GGML_TYPE_Q4_0}
SILENT = L.llama_log_callback(lambda level, text, data: None)


class Session:
    def __init__(self, path: str, n_ctx: int, n_batch: int, threads: int, cache: str) -> None:
        model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
        if not model:
            sys.exit(f"llama_speed.py: llama.cpp cannot read {path}")
        params = L.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = params.n_ubatch = max(n_batch, 1)
        params.n_threads = params.n_threads_batch = threads
        params.type_k = params.type_v = CACHES[cache]
        if cache in ("q8_0", "q4_0"):
            params.flash_attn_type = L.LLAMA_FLASH_ATTN_TYPE_ENABLED  # quantized values need it
        self.context = L.llama_init_from_model(model, params)
        if not self.context:
            sys.exit(f"llama_speed.py: llama.cpp has no context for {path} with a cache of {cache}")
        self.memory = L.llama_get_memory(self.context)
        self.n_vocab = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
        self.batch = L.llama_batch_init(max(n_batch, 1), 0, 1)

    def decode(self, start: int, n: int) -> None:
        batch = self.batch
        batch.n_tokens = n
        for i in range(n):
            batch.token[i] = ((start + i) * 7919 + 13) % self.n_vocab
            batch.pos[i] = start + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i + 1 == n
        if L.llama_decode(self.context, batch):
            sys.exit("llama_speed.py: llama_decode failed")
        L.llama_synchronize(self.context)


def speed(path: str, prompt: int, predict: int, rounds: int, threads: int, cache: str) -> dict:
    session = Session(path, prompt + predict + 1, prompt, threads, cache)
    prompts, answers = [], []
    for _ in range(1 + rounds):
        L.llama_memory_clear(session.memory, True)
        started = time.perf_counter()
        session.decode(0, prompt)
        prompts.append(prompt / (time.perf_counter() - started))
    for _ in range(1 + rounds):
        L.llama_memory_seq_rm(session.memory, 0, prompt, -1)
        started = time.perf_counter()
        for i in range(predict):
            session.decode(prompt + i, 1)
        answers.append(predict / (time.perf_counter() - started))
    return {"prompt": statistics.median(prompts[1:]), "answer": statistics.median(answers[1:])}


def load(path: str, threads: int) -> dict:
    started = time.perf_counter()
    Session(path, 512, 512, threads, "f16").decode(0, 1)
    return {"total_ms": 1e3 * (time.perf_counter() - started)}


def quantize(path: str, out: str, kind: str, threads: int) -> dict:
    params = L.llama_model_quantize_default_params()
    params.nthread, params.ftype = threads, getattr(L, f"LLAMA_FTYPE_MOSTLY_{kind}")
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    if L.llama_model_quantize(path.encode(), out.encode(), ctypes.byref(params)):
        sys.exit(f"llama_speed.py: llama.cpp cannot write {out}")
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {"seconds": time.perf_counter() - started,
            "processor_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def main() -> None:
    L.llama_log_set(SILENT, ctypes.c_void_p(0))
    L.llama_backend_init()
    jobs = {"speed": (speed, (str, int, int, int, int, str)), "load": (load, (str, int)), "quantize": (quantize, (str, str, str, int))}
    job, kinds = jobs[sys.argv[1]]
    print(json.dumps(job(*(kind(word) for kind, word in zip(kinds, sys.argv[2:], strict=True)))))


main()
