#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loss of each type, forja's files beside llama.cpp's. quality.py FORJA MODEL WORK [WINDOWS [TYPE...]]

WINDOWS of 512 tokens are read of each text, 0 for all.
MODEL is a GGUF file; its copy in F16 is what both quantize and the base of every KL divergence. `forja eval` measures both files, in
float32; its conventions are checked first against llama.cpp's own numbers. Prints the rows of docs/performance.md; exit status 1 when
a file of forja's is further from the base than llama.cpp's by more than two standard errors and 2 %."""
import ctypes
import json
import pathlib
import subprocess
import sys

import llama_cpp
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
TEXTS = {"en": HERE.parent / "examples/texts/en.txt", "es": HERE.parent / "examples/texts/es.txt"}
FORJA, MODEL, WORK = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
WINDOWS = int(sys.argv[4]) if len(sys.argv) > 4 else 0
TYPES = {"Q8_0": 7, "Q6_K": 18, "Q5_K_M": 17, "Q5_K_S": 16, "Q5_1": 9, "Q5_0": 8, "Q4_K_M": 15, "Q4_K_S": 14, "IQ4_NL": 25, "IQ4_XS": 30,
         "Q4_1": 3, "Q4_0": 2, "Q3_K_L": 13, "Q3_K_M": 12, "Q3_K_S": 11, "Q2_K": 10}
N_CTX = 512


def forja(*words: str) -> str:
    done = subprocess.run([FORJA, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"quality.py: forja {words[0]} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return done.stdout


def evaluate(model: str, language: str, *options: str) -> dict:
    return json.loads(forja("eval", model, "--perplexity", str(TEXTS[language]), "--windows", str(WINDOWS), "--json", *options))


SILENT = llama_cpp.llama_log_callback(lambda level, text, data: None)


def llama_perplexity(path: str, text: str) -> tuple:
    """Perplexity and its error bar as llama.cpp's own tool computes them, and how many tokens were scored."""
    llm = llama_cpp.Llama(path, n_ctx=N_CTX, n_batch=N_CTX, n_ubatch=N_CTX, logits_all=True, n_threads=2, n_threads_batch=2, verbose=False)
    ids = llm.tokenize(text.encode(), add_bos=True, special=False)
    vocab = llama_cpp.llama_model_get_vocab(llm._model.model)
    values = []
    for start in range(0, len(ids) - N_CTX + 1, N_CTX)[:WINDOWS or None]:
        window = ids[start:start + N_CTX]
        if llama_cpp.llama_vocab_get_add_bos(vocab):
            window[0] = llama_cpp.llama_vocab_bos(vocab)
        llm.reset()
        llm.eval(window)
        logits = np.asarray(llm.scores[:N_CTX], dtype=np.float64)
        for i in range(N_CTX // 2, N_CTX - 1):
            row = logits[i] - logits[i].max()
            values.append(np.log(np.exp(row).sum()) - row[window[i + 1]])
    values = np.array(values)
    mean, error = values.mean(), np.sqrt(((values**2).mean() - values.mean()**2) / (len(values) - 1))
    return float(np.exp(mean)), float(np.exp(mean) * error), len(values)


def llama_quantize(source: str, path: str, ftype: int) -> None:
    params = llama_cpp.llama_model_quantize_default_params()
    params.nthread, params.ftype, params.allow_requantize = 2, ftype, True
    if llama_cpp.llama_model_quantize(source.encode(), path.encode(), ctypes.byref(params)):
        sys.exit(f"quality.py: llama.cpp cannot write {path}")


def check_conventions(base: str) -> bool:
    theirs, bar, count = llama_perplexity(base, TEXTS["en"].read_text(encoding="utf-8"))
    ours = evaluate(base, "en")
    good = abs(ours["perplexity"] / theirs - 1) < 2e-3 and ours["tokens"] == count and abs(ours["perplexity_error"] / bar - 1) < 1e-2
    print(f"{'ok  ' if good else 'FAIL'} perplexity of F16: forja {ours['perplexity']:.4f} ± {ours['perplexity_error']:.4f} of {ours['tokens']} "
          f"tokens, llama.cpp {theirs:.4f} ± {bar:.4f} of {count}", flush=True)
    return good


def main() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    llama_cpp.llama_log_set(SILENT, ctypes.c_void_p(0))
    wide, base, names = str(WORK / "F32.gguf"), str(WORK / "F16.gguf"), sys.argv[5:] or list(TYPES)
    forja("quantize", MODEL, wide, "--type", "F32", "-q")
    forja("quantize", wide, base, "--type", "F16", "-q")
    good = check_conventions(base)
    plain = {language: evaluate(base, language) for language in TEXTS}
    print("\n| | size, MB | perplexity, English | KL, English | same top, % | perplexity, Spanish | KL, Spanish |\n|---|---|---|---|---|---|---|")
    print(f"| F16 | {pathlib.Path(base).stat().st_size / 1e6:.1f} | {plain['en']['perplexity']:.2f} | | | {plain['es']['perplexity']:.2f} | |")
    for name in names:
        files = {"forja": str(WORK / f"{name}.gguf"), "llama.cpp": str(WORK / f"{name}-llama.gguf")}
        forja("quantize", base, files["forja"], "--type", name, "-q")
        llama_quantize(base, files["llama.cpp"], TYPES[name])
        found = {}
        for who, path in files.items():
            found[who] = r = {language: evaluate(path, language, "--kl-base", base) for language in TEXTS}
            print(f"| {name}{'' if who == 'forja' else ', llama.cpp'} | {pathlib.Path(path).stat().st_size / 1e6:.1f} | {r['en']['perplexity']:.2f} | "
                  f"{r['en']['kl']['mean']:.5f} ± {r['en']['kl']['mean_error']:.5f} | {100 * r['en']['same_top']:.1f} | {r['es']['perplexity']:.2f} | "
                  f"{r['es']['kl']['mean']:.5f} ± {r['es']['kl']['mean_error']:.5f} |", flush=True)
        for language in TEXTS:
            ours, theirs = (found[who][language]["kl"] for who in files)
            good &= ours["mean"] <= 1.02 * theirs["mean"] + 2 * np.hypot(ours["mean_error"], theirs["mean_error"])
        for path in files.values():
            pathlib.Path(path).unlink()
    sys.exit(not good)


main()
