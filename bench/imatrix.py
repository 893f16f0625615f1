#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Importance matrices beside PyTorch's and llama.cpp's. imatrix.py FORJA FOLDER WORK [WINDOWS [TYPE...]]

FOLDER is a model in Hugging Face form (llama's names). First the sums of `forja imatrix` over WINDOWS (3) windows of 512 tokens of
text_en.txt against those of hooks in PyTorch, float32 on both sides. Then each TYPE written with that matrix by forja and by llama.cpp
(llama_model_quantize), both measured by `forja eval` against the F16 on texts that the matrix has not seen. Exit status 1 when sums
differ by more than 1e-4 of the largest of their matrix (float32 through 30 layers: 1e-5 here), or a file of forja's is further from the
base than llama.cpp's by more than two standard errors and 2 %."""
import ctypes
import json
import pathlib
import subprocess
import sys

import gguf
import llama_cpp
import numpy as np
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
FORJA, FOLDER, WORK = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
WINDOWS = int(sys.argv[4]) if len(sys.argv) > 4 else 3
TYPES = {"Q4_K_M": 15, "IQ4_XS": 30, "Q3_K_M": 12, "Q2_K": 10}
N_CTX = 512
ROLES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def forja(*words: str) -> str:
    done = subprocess.run([FORJA, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"imatrix.py: forja {words[0]} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return done.stdout


def sums_of_torch(text: str) -> dict:
    model = transformers.AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    ids = transformers.AutoTokenizer.from_pretrained(FOLDER)(text)["input_ids"]
    sums = {}

    def hook(name):
        def add(module, inputs):
            sums[name] = sums.get(name, 0) + inputs[0].double().square().sum((0, 1)).numpy()
        return add

    for i, layer in enumerate(model.model.layers):
        for path, role in ROLES.items():
            layer.get_submodule(path).register_forward_pre_hook(hook(f"blk.{i}.{role}.weight"))
    with torch.no_grad():
        for w in range(WINDOWS):
            model(torch.tensor([ids[w * N_CTX:(w + 1) * N_CTX]]))
    return sums


def compare_sums(ours: dict, theirs: dict) -> bool:
    worst = max(float(np.abs(ours[name] - theirs[name]).max() / theirs[name].max()) for name in theirs)
    good = worst < 1e-4 and set(ours) == set(theirs)
    print(f"{'ok  ' if good else 'FAIL'} sums of {len(ours)} matrices, PyTorch {len(theirs)}: largest difference {worst:.1e} of a matrix's largest",
          flush=True)
    return good


def llama_quantize(source: str, path: str, ftype: int, means: dict) -> None:
    rows = (llama_cpp.llama_model_imatrix_data * (len(means) + 1))()
    for row, (name, mean) in zip(rows, means.items()):
        row.name, row.size = name.encode(), mean.size
        row.data = mean.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread, params.ftype, params.imatrix = 2, ftype, rows
    if llama_cpp.llama_model_quantize(source.encode(), path.encode(), ctypes.byref(params)):
        sys.exit(f"imatrix.py: llama.cpp cannot write {path}")


SILENT = llama_cpp.llama_log_callback(lambda level, text, data: None)


def compare_losses(base: str, matrix: str, means: dict, name: str) -> bool:
    good, files = True, {"forja": str(WORK / "ours.gguf"), "llama.cpp": str(WORK / "theirs.gguf")}
    forja("quantize", base, files["forja"], "--type", name, "--imatrix", matrix, "-q")
    llama_quantize(base, files["llama.cpp"], TYPES[name], means)
    for language in ("en", "es"):
        text = str(HERE.parent / f"examples/texts/{language}.txt")
        kl = {who: json.loads(forja("eval", path, "--perplexity", text, "--windows", str(WINDOWS), "--kl-base", base, "--json"))["kl"]
              for who, path in files.items()}
        ours, theirs = kl["forja"], kl["llama.cpp"]
        fine = ours["mean"] <= 1.02 * theirs["mean"] + 2 * np.hypot(ours["mean_error"], theirs["mean_error"])
        good &= fine
        print(f"{'ok  ' if fine else 'FAIL'} KL of {name}, {language}: forja {ours['mean']:.5f} ± {ours['mean_error']:.5f}, "
              f"llama.cpp {theirs['mean']:.5f} ± {theirs['mean_error']:.5f}", flush=True)
    return good


def main() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    llama_cpp.llama_log_set(SILENT, ctypes.c_void_p(0))
    base, matrix, text = str(WORK / "F16.gguf"), str(WORK / "imatrix.gguf"), HERE / "text_en.txt"
    forja("quantize", FOLDER, base, "--type", "F16", "-q")
    forja("imatrix", FOLDER, "-f", str(text), "-o", matrix, "--windows", str(WINDOWS), "-q")
    tensors = {t.name: np.array(t.data, np.float32).reshape(-1) for t in gguf.GGUFReader(matrix).tensors}
    sums = {name[:-len(".in_sum2")]: x for name, x in tensors.items() if name.endswith(".in_sum2")}
    means = {name: x / tensors[f"{name}.counts"][0] for name, x in sums.items()}
    good = compare_sums(sums, sums_of_torch(text.read_text(encoding="utf-8")))
    for name in sys.argv[5:] or TYPES:
        good &= compare_losses(base, matrix, means, name)
    sys.exit(not good)


main()
