#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: forja against its peers on this machine. bench.py FORJA TRAIN_STEP MODELS [--pairs N] [--threads N] [--only WORD]

Each row interleaves forja and the peer, one process a measurement, PAIRS times, and prints the medians, the median of the pairs'
ratios with the smallest and the largest, and forja's share of what the machine can do, measured in the same minutes. Ratios are of
speeds (of times the other way round) and of memory. MODELS is the folder with F32.gguf, BF16.gguf … and hf/. The table goes to standard output, each pair to a CSV named after the processor."""
import argparse
import csv
import datetime
import json
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TYPES = ["F32", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0"]
CACHES = ["f16", "q8_0", "q4_0"]
PROMPT, LONG, PREDICT, STEPS = 512, 2048, 64, 4
# Operations of one token of a LoRA step of rank 8 with 512 tokens: each of 134.5 million weights is used forward and for dx
# (4 a weight), causal attention (forward 2 * 2 * 256 * 576 a layer, backward 2.5 times that, 30 layers), 2.4 million adapter
# weights forward, dx and dW (6 a weight).
TRAIN_FLOP = 4 * 134.5e6 + 3.5 * 4 * 256 * 576 * 30 + 6 * 2.44e6


def measured(*command: str) -> dict:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        sys.exit(f"bench.py: {' '.join(command[:3])} … failed: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def llama(*words: object) -> dict:
    return measured(sys.executable, str(HERE / "llama_speed.py"), *map(str, words))


def inference(args: argparse.Namespace, kind: str, length: int, cache: str, ending: str) -> list:
    file = str(args.models / f"{kind}.gguf")
    rows = {"prompt": [], "answer": []}
    for _ in range(args.pairs):
        ours = measured(args.forja, "bench", file, "--json", "-r", "3", "-p", str(length), "-n", str(PREDICT), "-t", str(args.threads),
                        "-ctk", cache, "-ctv", cache)
        peer = llama("speed", file, length, PREDICT, 3, args.threads, cache)
        for test, pairs in rows.items():
            pairs.append((ours[test]["tokens_per_second"], peer[test], ours[test]["limit"]))
    return [(f"{test} {kind}{ending}", "tokens/s", pairs) for test, pairs in rows.items()]


def loading(args: argparse.Namespace, kind: str) -> list:
    file = str(args.models / f"{kind}.gguf")
    pairs = []
    for _ in range(args.pairs):
        ours = measured(args.forja, "bench", file, "--load", "--json", "-t", str(args.threads))
        pairs.append((ours["load"]["total_ms"], llama("load", file, args.threads)["total_ms"], 0))
    return [(f"load {kind}", "ms", pairs)]


def quantizing(args: argparse.Namespace, kind: str) -> list:
    """In processor seconds too: they say what wall time hides where others use the processors."""
    source, out = str(args.models / "F32.gguf"), str(args.models / "quantized.gguf")
    wall, busy = [], []
    for _ in range(args.pairs):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([args.forja, "quantize", source, out, "--type", kind, "-q", "-t", str(args.threads)],
                       stdout=subprocess.DEVNULL, check=True)
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        pathlib.Path(out).unlink()
        peer = llama("quantize", source, out, kind, args.threads)
        pathlib.Path(out).unlink()
        wall.append((seconds, peer["seconds"], 0))
        busy.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peer["processor_seconds"], 0))
    return [(f"quantize {kind}", "s", wall), (f"quantize {kind}, processor", "s", busy)]


def training(args: argparse.Namespace, kind: str, mode: str) -> list:
    file = str(args.models / f"{kind.upper()}.gguf")
    rest = [kind, mode, str(STEPS), str(PROMPT), str(args.threads)]
    speed, memory = [], []
    for _ in range(args.pairs):
        limits = measured(args.forja, "doctor", "--json", "-t", str(args.threads))
        ours = measured(args.train_step, file, *rest)
        peer = measured(sys.executable, str(HERE / "train_step.py"), str(args.models / "hf"), kind, "whole", *rest[2:])
        if abs(ours["loss"][0] - peer["loss"][0]) > (1e-3 if kind == "f32" else 3e-2):
            sys.exit(f"bench.py: the first losses differ: {ours['loss'][0]} here, {peer['loss'][0]} there")
        speed.append((ours["tokens_per_second"], peer["tokens_per_second"], limits[f"{kind}_flops"] / TRAIN_FLOP))
        memory.append((ours["peak_bytes"] / 1e6, peer["peak_bytes"] / 1e6, 0))
    name = f"LoRA {kind}" + (", checkpointing" if mode == "checkpointing" else "")
    return [(name, "tokens/s", speed), (f"{name}, peak", "MB", memory)]


def line(name: str, unit: str, pairs: list) -> str:
    ratios = sorted(peer / ours if unit in ("s", "ms") else ours / peer for ours, peer, _ in pairs)
    ours, peer = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    shares = [p[0] / p[2] for p in pairs if p[2]]
    share = f"{100 * statistics.median(shares):.0f} %" if shares else ""
    digits = 2 if unit == "s" else 0
    return (f"| {name} | {ours:.{digits}f} {unit} | {peer:.{digits}f} {unit} | {statistics.median(ratios):.2f} | "
            f"{ratios[0]:.2f} … {ratios[-1]:.2f} | {share} |")


def keep(args: argparse.Namespace, rows: list) -> None:
    """Adds the pairs to the processor's CSV."""
    processor = measured(args.forja, "doctor", "--json", "--seconds", "0.01")["processor"]
    path = HERE / "results" / (re.sub(r"[^a-z0-9]+", "-", processor.lower()).strip("-") + ".csv")
    path.parent.mkdir(exist_ok=True)
    is_new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        if is_new:
            out.writerow(["date", "threads", "row", "unit", "ours", "peer", "limit"])
        for name, unit, pairs in rows:
            for pair in pairs:
                out.writerow([datetime.date.today(), args.threads, name, unit, *(f"{v:.4g}" for v in pair)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("forja")
    parser.add_argument("train_step")
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--keep", action="store_true", help="add the pairs to results/")
    args = parser.parse_args()
    jobs = [(f"prompt answer {kind}", inference, (kind, PROMPT, "f16" if kind != "F32" else "f32", "")) for kind in TYPES]
    jobs += [(f"long prompt answer cache {cache}", inference, ("Q4_K_M", LONG, cache, f", {LONG} tokens, cache {cache}")) for cache in CACHES]
    jobs += [(f"load {kind}", loading, (kind,)) for kind in ("Q8_0", "Q4_K_M")]
    jobs += [(f"quantize {kind}", quantizing, (kind,)) for kind in ("Q8_0", "Q4_K_M")]
    jobs += [(f"LoRA {kind} {mode}", training, (kind, mode)) for kind in ("f32", "bf16") for mode in ("whole", "checkpointing")]
    print("| | forja | peer | ratio | of pairs | of the limit |\n|---|---|---|---|---|---|", flush=True)
    for name, job, rest in jobs:
        if args.only.lower() in name.lower():
            rows = job(args, *rest)
            for row in rows:
                print(line(*row), flush=True)
            if args.keep:
                keep(args, rows)


main()
