#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What each sampling filter, each penalty and whole chains of them leave of a row of logits: tests/golden/sample/cases.jsonl.

Usage: sample.py             writes it, from the repository's root; needs numpy
Written from the papers and llama.cpp's description of its samplers, in double, by sorting everything: nothing is shared with the C code.
Rows: {"filter", "args", "logits", "p": {id: probability}}, {"penalty", "args", "context", "breaks", "logits", "out"},
{"settings", "generation", "context", "logits", "p"} for a whole sampler.
"""
import json
import pathlib

import numpy as np

OUT = pathlib.Path("tests/golden/sample/cases.jsonl")
V = 40
rng = np.random.default_rng(20)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


class Row:
    """Tokens still in the running: ids and logits, best first, equals by id."""

    def __init__(self, logits, ids=None):
        ids = np.arange(len(logits)) if ids is None else ids
        logits = np.asarray(logits, np.float64)
        keep = np.isfinite(logits)
        order = np.lexsort((ids[keep], -logits[keep]))
        self.ids, self.logits = ids[keep][order], logits[keep][order]

    def only(self, mask):
        return Row(self.logits[mask], self.ids[mask])

    def p(self):
        return softmax(self.logits)


def top_k(r, k):
    return r.only(np.arange(len(r.ids)) < k) if k > 0 else r


def top_p(r, p):
    if p >= 1:
        return r
    before = np.concatenate([[0.0], np.cumsum(r.p())[:-1]])
    return r.only((before < p) | (np.arange(len(before)) == 0))


def min_p(r, p):
    return r.only(r.p() >= p * r.p().max())


def typical(r, p):
    if p >= 1:
        return r
    q = r.p()
    entropy = -(q * np.log(q)).sum()
    order = np.argsort(np.abs(-np.log(q) - entropy), kind="stable")
    n = int(np.searchsorted(np.cumsum(q[order]), p, side="right")) + 1
    mask = np.zeros(len(q), bool)
    mask[order[:n]] = True
    return r.only(mask)


def sigma(r, n):
    return r.only(r.logits >= r.logits.max() - n * r.logits.std()) if n > 0 else r


def xtc(r, threshold):
    above = int((r.p() >= threshold).sum())
    return r.only(np.arange(len(r.ids)) >= above - 1) if above > 1 else r


def temperature(r, t, spread=0.0, exponent=1.0):
    if spread > 0 and len(r.ids) > 1:
        q = r.p()
        share = -(q * np.log(q)).sum() / np.log(len(q))
        low = max(0.0, t - spread)
        t = low + (t + spread - low) * share ** exponent
    return Row(r.logits / t, r.ids) if t > 0 else top_k(r, 1)


def mirostat1(r, mu):
    x = r.logits[:100]
    t = np.log((np.arange(len(x) - 1) + 2) / (np.arange(len(x) - 1) + 1))
    s = (t * (x[:-1] - x[1:])).sum() / (t * t).sum()
    e = s - 1
    k = (e * 2 ** mu / (1 - V ** -e)) ** (1 / s)
    return top_k(r, max(1, int(k)))


def mirostat2(r, mu):
    surprise = -np.log2(r.p())
    return r.only((surprise <= mu) | (np.arange(len(r.ids)) == 0))


def penalize(logits, context, repeat, presence, frequency, last_n):
    out = np.asarray(logits, np.float64).copy()
    window = context if last_n < 0 else context[max(0, len(context) - last_n):] if last_n else []
    for i in set(window):
        out[i] = out[i] / repeat if out[i] > 0 else out[i] * repeat
        out[i] -= presence + frequency * window.count(i)
    return out


def dry(logits, context, breaks, multiplier, base, allowed, last_n):
    """Each earlier place whose text before it ends as the whole text ends: what came next there is penalized by that length."""
    out = np.asarray(logits, np.float64).copy()
    window = context if last_n < 0 else context[max(0, len(context) - last_n):] if last_n else []
    n, longest = len(window), {}
    for at in range(1, n):
        length = 0
        while length < at and window[at - 1 - length] == window[n - 1 - length] and window[n - 1 - length] not in breaks:
            length += 1
        if length >= allowed:
            longest[window[at]] = max(length, longest.get(window[at], 0))
    for i, length in longest.items():
        out[i] -= multiplier * base ** (length - allowed)
    return out


DEFAULTS = {"temp": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "typical": 1.0, "top_nsigma": -1.0, "xtc_probability": 0.0,
            "xtc_threshold": 0.1, "dynatemp_range": 0.0, "dynatemp_exp": 1.0, "repeat_penalty": 1.0, "presence_penalty": 0.0,
            "frequency_penalty": 0.0, "repeat_last_n": 64, "dry_multiplier": 0.0, "dry_base": 1.75, "dry_allowed_length": 2,
            "dry_penalty_last_n": 64, "order": "llama", "logit_bias": []}
FROM_MODEL = {"temp": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "typical": "typical_p",
              "repeat_penalty": "repetition_penalty"}


def chain(given, generation, context, logits):
    s = dict(DEFAULTS)
    for ours, theirs in FROM_MODEL.items():
        if generation and theirs in generation:
            s[ours] = generation[theirs]
    if generation and "repetition_penalty" in generation:
        s["repeat_last_n"] = -1
    s.update(given)
    x = np.asarray(logits, np.float64).copy()
    for b in s["logit_bias"]:
        at = max(b.rfind("+"), b.rfind("-"))
        x[int(b[:at])] += float(b[at:])
    x = penalize(x, context, s["repeat_penalty"], s["presence_penalty"], s["frequency_penalty"], s["repeat_last_n"])
    if s["dry_multiplier"]:
        x = dry(x, context, [], s["dry_multiplier"], s["dry_base"], s["dry_allowed_length"], s["dry_penalty_last_n"])
    r = Row(x)
    if s["temp"] == 0 and not s["dynatemp_range"]:
        return top_k(r, 1)
    steps = {"sigma": lambda r: sigma(r, s["top_nsigma"]), "top_k": lambda r: top_k(r, s["top_k"]), "typical": lambda r: typical(r, s["typical"]),
             "top_p": lambda r: top_p(r, s["top_p"]), "min_p": lambda r: min_p(r, s["min_p"]),
             "xtc": lambda r: xtc(r, s["xtc_threshold"]) if s["xtc_probability"] == 1 and s["xtc_threshold"] <= 0.5 else r,
             "temp": lambda r: temperature(r, s["temp"], s["dynatemp_range"], s["dynatemp_exp"])}
    order = {"llama": "sigma top_k typical top_p min_p xtc temp", "hf": "temp top_k top_p min_p typical sigma xtc"}[s["order"]]
    for name in order.split():
        r = steps[name](r)
    return r


def rounded(x):
    return [float(np.float32(v)) for v in x]


def logits_of(kind):
    x = rng.normal(size=V) * {"usual": 2.0, "flat": 0.05, "peaked": 6.0}[kind]
    return rounded(np.round(x, 3))


def shares(r):
    return {str(int(i)): float(f"{p:.9g}") for i, p in zip(r.ids, r.p())}


FILTERS = [("top_k", top_k, [[1], [7], [40], [0], [100]]), ("top_p", top_p, [[0.0], [0.3], [0.9], [0.999], [1.0]]),
           ("min_p", min_p, [[0.02], [0.3], [1.0]]), ("typical", typical, [[0.2], [0.7], [0.95]]), ("sigma", sigma, [[0.5], [1.5], [-1.0]]),
           ("xtc", xtc, [[0.02], [0.1], [0.4]]), ("temperature", temperature, [[0.5], [3.0], [0.0], [1.0, 0.6, 1.0], [0.8, 2.0, 2.5]]),
           ("mirostat1", mirostat1, [[1.0], [4.0], [8.0]]), ("mirostat2", mirostat2, [[0.5], [3.0], [9.0]])]
SETTINGS = [
    {}, {"temp": 0}, {"temp": 0, "repeat_penalty": 1.8}, {"temp": 0, "logit_bias": ["3+30.0"]}, {"temp": 0, "logit_bias": ["3+2.5", "9-inf", "3+1.0"]},
    {"temp": 1.3, "top_k": 5}, {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temp": 1.0}, {"top_p": 0.5, "temp": 2.0},
    {"order": "hf", "temp": 2.0, "top_p": 0.5}, {"order": "hf", "temp": 0.6, "top_k": 12, "min_p": 0.1, "typical": 0.9},
    {"top_k": 0, "typical": 0.6, "min_p": 0.0}, {"top_nsigma": 1.0, "temp": 1.5}, {"xtc_probability": 1.0, "xtc_threshold": 0.05, "temp": 1.0},
    {"repeat_penalty": 1.5, "presence_penalty": 0.4, "frequency_penalty": 0.3, "repeat_last_n": 6, "temp": 1.0},
    {"repeat_penalty": 1.5, "repeat_last_n": 0, "temp": 1.0}, {"frequency_penalty": 0.7, "repeat_last_n": -1, "temp": 1.0},
    {"dry_multiplier": 0.8, "temp": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}, {"dynatemp_range": 0.5, "temp": 0.9, "dynatemp_exp": 1.5},
]
GENERATIONS = [None, {"temperature": 1.4, "top_k": 9, "repetition_penalty": 1.3}, {"do_sample": True, "top_p": 0.4, "min_p": 0.2}]


def main():
    rows = []
    for name, f, lists in FILTERS:
        for args in lists:
            for kind in ("usual", "flat", "peaked"):
                logits = logits_of(kind)
                rows.append({"filter": name, "args": args, "logits": logits, "p": shares(f(Row(logits), *args))})
    equal = rounded([1.0, 2.0, 2.0, 0.5, 2.0] + [0.0] * 35)
    rows.append({"filter": "top_k", "args": [2], "logits": equal, "p": shares(top_k(Row(equal), 2))})
    for args in ([1.5, 0.0, 0.0, -1], [1.0, 0.5, 0.25, 5], [0.5, -0.5, 0.1, 64], [2.0, 1.0, 1.0, 0]):
        context = rng.integers(0, 12, 20).tolist()
        logits = logits_of("usual")
        rows.append({"penalty": "repeat", "args": args, "context": context, "breaks": [], "logits": logits,
                     "out": penalize(logits, context, *args).tolist()})
    for args in ([0.8, 1.75, 2, -1], [2.0, 1.2, 1, 12], [0.5, 1.0, 3, 64], [1.0, 3.0, 2, 0]):
        for breaks in ([], [4]):
            context = rng.integers(0, 4, 6).tolist() * 3 + [4] + rng.integers(0, 5, 4).tolist() * 2
            context += context[:9]
            logits = logits_of("usual")
            rows.append({"penalty": "dry", "args": args, "context": context, "breaks": breaks, "logits": logits,
                         "out": dry(logits, context, breaks, *args).tolist()})
    for i, settings in enumerate(SETTINGS):
        for generation in GENERATIONS[:1] if i % 3 else GENERATIONS:
            base = rng.integers(0, 10, 5).tolist()
            context, logits = base + [17] + base, logits_of("usual")
            rows.append({"settings": settings, "generation": generation, "context": context, "logits": logits,
                         "p": shares(chain(settings, generation, context, logits))})
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("".join(json.dumps(r) + "\n" for r in rows))
    print(len(rows), "rows,", OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
