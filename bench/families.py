#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench families: each family's speed beside llama's. families.py FORJA RANDOM_MODEL WORK [--type NAME] [--pairs N] [--only WORD]

Models of random weights with 768 values a token, of about 100 million parameters in the products of a token (families.json). Each is
measured in turns with llama's, one process a measurement; a ratio is of tokens/s times those parameters, so 1.00 is the same work in the
same time and experts count as many as a token goes to. It prints the medians of the pairs' ratios."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
COMMON = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 16384, "max_position_embeddings": 4096,
          "rms_norm_eps": 1e-05, "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": False}
TIED = {"gemma", "gemma2", "gemma3_text", "cohere", "bloom", "mpt", "gpt2", "grok", "jetmoe", "falcon", "phi3small"}


def measured(*command: str) -> dict:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"families.py: {' '.join(command[:3])} … failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def make(args: argparse.Namespace, name: str, own: dict) -> tuple:
    folder = args.work / name
    folder.mkdir(parents=True, exist_ok=True)
    config = {**COMMON, **own}
    if own["model_type"] in TIED:
        config["tie_word_embeddings"] = True
    (folder / "config.json").write_text(json.dumps(config))
    file = str(folder / f"{args.type}.gguf")
    return file, measured(args.random_model, str(folder), file, args.type)


def speed(args: argparse.Namespace, file: str) -> dict:
    done = measured(args.forja, "bench", file, "--json", "--no-limits", "-r", "2", "-p", "256", "-n", "16", "-t", str(args.threads))
    return {test: done[test]["tokens_per_second"] for test in ("prompt", "answer")}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("forja")
    parser.add_argument("random_model")
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--type", default="Q4_K_M")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="families whose name holds this")
    args = parser.parse_args()
    families = json.loads((HERE / "families.json").read_text())
    base, size = make(args, "llama", families["llama"])
    print(f"| {args.type} | parameters | in products | prompt, tokens/s | ratio | answer, tokens/s | ratio |\n|---|---|---|---|---|---|---|")
    for name, own in families.items():
        if args.only not in name:
            continue
        file, n = make(args, name, own)
        pairs = [(speed(args, base), speed(args, file)) for _ in range(args.pairs)]
        cells = []
        for test in ("prompt", "answer"):
            rate = statistics.median(b[test] for _, b in pairs)
            ratio = statistics.median(b[test] / a[test] for a, b in pairs) * n["active"] / size["active"]
            cells.append(f"{rate:.0f} | {ratio:.2f}")
        print(f"| {name} | {n['parameters'] / 1e6:.0f} M | {n['active'] / 1e6:.0f} M | {' | '.join(cells)} |", flush=True)
        if file != base:
            pathlib.Path(file).unlink()


main()
