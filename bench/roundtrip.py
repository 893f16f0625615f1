#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make peers: GGUF files of every family in llama.cpp, and back to folders. roundtrip.py FORJA GOLDEN WORK

Each small model of GOLDEN (random weights, tests/golden/decoders) becomes a GGUF file, whose logits in llama.cpp are compared with
forja's, and a folder again, whose tensors must be those that it was made from, bit for bit. One line a model; exit status 1 if one fails."""
import ctypes
import json
import pathlib
import subprocess
import sys

import llama_cpp as L
import numpy as np
import torch
from safetensors.torch import load_file

FORJA, GOLDEN, WORK = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
IDS = [3, 17, 5, 19, 8, 8, 12, 11, 20, 2, 9]
# llama.cpp's gelu is a table of f16: up to 7e-4 of the largest logit; where it takes none, float32 in another order.
NEAR, NEAR_GELU = 5e-6, 3e-3
# What llama.cpp does not know or does in another way: no test of its logits.
OTHER = {"dclm-bf16": "no such architecture", "jetmoe-bf16": "no such architecture", "phi3small-bf16": "no such architecture",
         "nemotron-reward": "reward heads are not run", "tiny-falcon-rw": "Falcon without parallel blocks is not run",
         "tiny-window": "llama's window is not run", "tiny-phi3": "phi3's window is not run",
         "tiny-phi3-long": "long factors are taken by the context's size", "tiny-bias": "biases of the MLP are not run",
         "tiny-cohere": "norms of q and k are not run in small models", "tiny-phi": "norms of q and k are not run",
         "tiny-mamba": "biases of the projections are not run", "tiny-nemotron": "heads of another size than d_model / heads are not run",
         "tiny-gemma2": "query_pre_attn_scalar is not run", "tiny-gemma3": "query_pre_attn_scalar is not run"}
OTHER_NAMES = {"grok1-hpcai"}  # GGUF does not say which of two community layouts it was: it comes back in the other's names
SILENT = L.llama_log_callback(lambda level, text, data: None)


def llama_logits(path: pathlib.Path) -> np.ndarray:
    model = L.llama_model_load_from_file(str(path).encode(), L.llama_model_default_params())
    if not model:
        raise RuntimeError("llama.cpp does not open it")
    params = L.llama_context_default_params()
    params.n_ctx, params.n_threads, params.type_k, params.type_v, params.flash_attn_type = 64, 1, 0, 0, 0
    context = L.llama_init_from_model(model, params)
    batch = L.llama_batch_init(len(IDS), 0, 1)
    batch.n_tokens = len(IDS)
    for i, token in enumerate(IDS):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
        batch.seq_id[i][0] = 0
    if L.llama_decode(context, batch):
        raise RuntimeError("llama_decode failed")
    n = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    rows = [np.ctypeslib.as_array(L.llama_get_logits_ith(context, i), (n,)).copy() for i in range(len(IDS))]
    L.llama_batch_free(batch)
    L.llama_free(context)
    L.llama_model_free(model)
    return np.array(rows)


def forja(*words: str) -> None:
    done = subprocess.run([FORJA, *words, "-q"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[0])


def tensors(folder: pathlib.Path) -> dict:
    found = {}
    for file in folder.glob("*.safetensors"):
        if "model" in file.name:
            found.update(load_file(str(file)))
    return found


def changed(a: dict, b: dict) -> list:
    """Names whose bits differ. GPT-2's folders may leave the prefix out, GGUF does not say so."""
    b = b | {name.removeprefix("transformer."): t for name, t in b.items()}
    return [n for n, t in a.items() if n not in b or t.dtype != b[n].dtype or not torch.equal(t.contiguous().view(torch.uint8), b[n].contiguous().view(torch.uint8))]


def check(folder: pathlib.Path) -> str:
    name = folder.name
    gguf, back, out = WORK / f"{name}.gguf", WORK / name, WORK / "logits.safetensors"
    forja("export", str(folder), str(gguf), "--format", "gguf")
    forja("export", str(gguf), str(back), "--format", "hf")
    bad = changed(tensors(folder), tensors(back))
    if bad and name not in OTHER_NAMES:
        raise RuntimeError(f"back in a folder {bad[0]} is not what it was ({len(bad)} such)")
    if name in OTHER:
        return f"the same bits; llama.cpp: {OTHER[name]}"
    forja("export", str(folder), str(gguf), "--format", "gguf", "--type", "F32") # of bf16 llama.cpp rounds the activations, too
    forja("probe", "logits", str(gguf), "--ids", ",".join(map(str, IDS)), "--out", str(out))
    ours = load_file(str(out))["logits"].double().numpy()
    far = float(np.abs(ours - llama_logits(gguf)).max() / np.abs(ours).max())
    act = json.dumps(json.loads((folder / "config.json").read_text()))
    most = NEAR_GELU if "gelu" in act or any(k in name for k in ("bloom", "falcon", "gemma", "gpt", "mpt", "phi", "grok")) else NEAR
    if far > most:
        raise RuntimeError(f"llama.cpp's logits differ by {far:.2g} of the largest, at most {most:g}")
    return f"{'other names' if name in OTHER_NAMES else 'the same bits'}; llama.cpp's logits within {far:.2g} of the largest"


def main() -> None:
    failures = 0
    WORK.mkdir(parents=True, exist_ok=True)
    L.llama_log_set(SILENT, ctypes.c_void_p(0))
    L.llama_backend_init()
    for folder in sorted(p for p in GOLDEN.iterdir() if any(p.glob("*.safetensors"))):
        try:
            print(f"ok   {folder.name}: {check(folder)}", flush=True)
        except RuntimeError as problem:
            failures += 1
            print(f"FAIL {folder.name}: {problem}", flush=True)
    sys.exit(failures > 0)


main()
