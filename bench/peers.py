#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make peers: forja's numbers against llama.cpp, transformers and PEFT. peers.py FORJA MODEL WORK

MODEL is a GGUF file of the llama family; what is written goes to the folder WORK. One line a comparison; exit status 1 if one fails."""
import ctypes
import json
import pathlib
import subprocess
import sys

import llama_cpp
import numpy as np
import torch
from peft import PeftModel
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
FORJA, MODEL, WORK = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
# Int8 activations move the log-probability of SmolLM2's best token by up to 0.46 in 1000 tokens: where the two best are nearer to
# each other than twice that, either may be chosen.
NEAR = 0.92
PROMPTS = ["The capital of France is", "La capital de Colombia es", "Water boils at", "def fibonacci(n):", "Once upon a time",
           "El agua hierve a", "The three primary colours are", "1, 2, 3, 4,", "A good friend is someone who", "Había una vez"]
failures = 0


def forja(*words: str) -> str:
    done = subprocess.run([FORJA, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"peers.py: forja {words[0]} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return done.stdout


def report(what: str, value: float, most: float) -> None:
    global failures
    good = value <= most
    failures += not good
    print(f"{'ok  ' if good else 'FAIL'} {what}: {value:.3g} (at most {most:g})", flush=True)


def probe(model: str, ids: list, *options: str) -> np.ndarray:
    out = WORK / "logits.safetensors"
    forja("probe", "logits", model, "--ids", ",".join(map(str, ids)), "--out", str(out), *options)
    return load_file(out)["logits"].astype(np.float64)


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def mean_kl(reference: np.ndarray, other: np.ndarray) -> float:
    p, q = log_softmax(reference), log_softmax(other)
    return float((np.exp(p) * (p - q)).sum(-1).mean())


def loss(logits: np.ndarray, ids: list) -> float:
    return float(-log_softmax(logits[:-1])[np.arange(len(ids) - 1), ids[1:]].sum())


def llama_logits(path: str, chunks: list) -> list:
    llama_cpp.llama_log_set(SILENT, ctypes.c_void_p(0))
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    if not model:
        sys.exit(f"peers.py: llama.cpp cannot read {path}")
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = max(map(len, chunks))
    params.n_threads = params.n_threads_batch = 2
    context = llama_cpp.llama_init_from_model(model, params)
    n_vocab = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    batch, answers = llama_cpp.llama_batch_init(params.n_batch, 0, 1), []
    for ids in chunks:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
        if llama_cpp.llama_decode(context, batch):
            sys.exit("peers.py: llama_decode failed")
        raw = np.ctypeslib.as_array(llama_cpp.llama_get_logits(context), shape=(len(ids), n_vocab))
        answers.append(raw.astype(np.float64))
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return answers


SILENT = llama_cpp.llama_log_callback(lambda level, text, data: None)


def compare_perplexity(chunks: list) -> None:
    """Files that forja writes, read by both."""
    tokens = sum(len(c) - 1 for c in chunks)
    for kind in ("F32", "BF16", "Q8_0", "Q6_K", "Q4_K_M", "Q4_0"):
        path = str(WORK / f"{kind}.gguf")
        forja("quantize", str(WORK / "F32.gguf") if kind != "F32" else MODEL, path, "--type", kind, "-q")
        theirs = np.exp(sum(loss(x, c) for x, c in zip(llama_logits(path, chunks), chunks)) / tokens)
        ours = np.exp(sum(loss(probe(path, c, "--fast"), c) for c in chunks) / tokens)
        report(f"perplexity of {kind}: forja {ours:.4f}, llama.cpp {theirs:.4f}, relative difference", abs(ours / theirs - 1), 0.005)


def compare_logits(reference, chunks: dict) -> None:
    """llama.cpp rounds activations to 8 bits too: its distance from float32 is the measure for ours where the text is foreign to the
    model and every distance is larger."""
    for language, ids in chunks.items():
        with torch.no_grad():
            theirs = reference(torch.tensor([ids])).logits[0].double().numpy()
        report(f"mean KL from transformers in float32, {language}", mean_kl(theirs, probe(MODEL, ids)), 1e-5)
        fast, peer = mean_kl(theirs, probe(MODEL, ids, "--fast")), mean_kl(theirs, llama_logits(MODEL, [ids])[0])
        if language == "English":
            report(f"mean KL with --fast, {language}", fast, 3e-3)
        report(f"the same over llama.cpp's own, {language} ({fast:.2e} and {peer:.2e})", fast / peer, 1.2)


def compare_greedy(reference) -> None:
    wrong = near = total = 0
    for prompt in PROMPTS:
        answer = json.loads(forja("run", MODEL, "-p", prompt, "--temp", "0", "--repeat-penalty", "1", "-n", "32", "--ignore-eos", "--json"))
        before, ids = answer["prompt_ids"], answer["ids"]
        with torch.no_grad():
            logits = reference(torch.tensor([before + ids])).logits[0, len(before) - 1:-1]
        best = logits.max(-1)
        gaps = best.values - logits[torch.arange(len(ids)), ids]
        total += len(ids)
        near += int(((gaps > 0) & (gaps < NEAR)).sum())
        wrong += int((gaps >= NEAR).sum())
    report(f"greedy tokens of {total} that transformers would not have chosen (and {near} between near equals)", wrong, 0)
    report("share between near equals", near / total, 0.05)


def compare_adapter(ids: list) -> None:
    """An adapter that forja trains, on the folder that forja writes."""
    folder, adapter, recipe, rows = WORK / "hf", WORK / "adapter", WORK / "lora.yaml", WORK / "rows.jsonl"
    forja("export", str(WORK / "F32.gguf"), str(folder), "--format", "hf", "--type", "F32", "-q")
    half = len(ids) // 2
    rows.write_text("".join(json.dumps({"input_ids": part, "labels": part}) + "\n" for part in (ids[:half], ids[half:])))
    recipe.write_text(f"model_name_or_path: {folder}\ndataset: {rows}\noutput_dir: {adapter}\nstage: sft\nfinetuning_type: lora\n"
                      "lora_rank: 8\nlora_target: all\nper_device_train_batch_size: 2\nmax_steps: 5\nlearning_rate: 1.0e-3\n"
                      "overwrite_output_dir: true\nsave_strategy: 'no'\n")
    forja("train", str(recipe), "-q")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        plain = model(torch.tensor([ids])).logits[0].double().numpy()
        theirs = PeftModel.from_pretrained(model, adapter)(torch.tensor([ids])).logits[0].double().numpy()
    ours = probe(str(folder), ids, "--adapter", str(adapter))
    report("logits with forja's adapter in PEFT, largest difference over the largest logit",
           float(np.abs(ours - theirs).max() / np.abs(theirs).max()), 1e-4)
    report("the same, seen from the plain model: share of what the adapter changes",
           float(np.abs(ours - theirs).max() / np.abs(plain - theirs).max()), 1e-2)


def main() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    ids = []
    for name in ("text_en.txt", "text_es.txt"):
        text = (HERE / name).read_text(encoding="utf-8")
        ids += json.loads(forja("tokenize", MODEL, "--json", "--text", text))["ids"]
    chunks = [ids[i:i + 512] for i in range(0, len(ids) - 64, 512)]
    print(f"{len(ids)} tokens of English and Spanish in {len(chunks)} chunks")
    compare_perplexity(chunks)
    path = pathlib.Path(MODEL).resolve()
    reference = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    compare_logits(reference, {"English": chunks[0], "Spanish": chunks[-1]})
    compare_greedy(reference)
    compare_adapter(chunks[0][:256])
    sys.exit(failures > 0)


main()
