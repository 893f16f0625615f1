# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/data/expected.jsonl anew: what LLaMA-Factory's own converters, templates and processors make of the rows there.

    pip install --no-deps llamafactory==0.9.5 && pip install tokenizers typing_extensions
    python tests/oracle/data.py [--full]
    python tests/oracle/data.py --dir FOLDER --set NAME

Only LLaMA-Factory's data code runs; what it imports besides (torch, datasets, transformers) is replaced by empty modules. Each line of
the result holds a data set, a built-in template, the options, the hash of all ids and labels (fj_dataset's), and some the rows too,
their trained parts between ⟦ and ⟧; all of them with --full, which prints instead of writing. Three things are ours: white space that
a template writes behind the end-of-turn token ("<|im_end|>\n") is trained there and masked here, so it is masked in the result;
rows without a trained token are left out; and five templates write what OURS says, as chat_templates.c explains. With --set it prints how many rows of a data set LLaMA-Factory would train on.
"""
import argparse
import copy
import hashlib
import importlib.machinery
import importlib.util
import json
import pathlib
import struct
import sys
import types
from unittest.mock import MagicMock

sys.path.pop(0)  # this folder has a tokenizers.py of its own
import tokenizers

HERE = pathlib.Path(__file__).resolve().parent.parent / "golden" / "data"
NONE = -100


def empty_module(name):
    m = MagicMock()
    m.__spec__, m.__path__ = importlib.machinery.ModuleSpec(name, None), []
    sys.modules[name] = m
    return m


def import_llamafactory():
    """The folders data/ and data/processor/ as packages, without running any __init__.py."""
    root = pathlib.Path(importlib.util.find_spec("llamafactory").submodule_search_locations[0])
    for name, folder in (("llamafactory", root), ("llamafactory.data", root / "data"), ("llamafactory.extras", root / "extras"),
                         ("llamafactory.data.processor", root / "data" / "processor")):
        m = types.ModuleType(name)
        m.__path__ = [str(folder)]
        sys.modules[name] = m
    for name in ("datasets", "fsspec", "huggingface_hub", "llamafactory.extras.misc", "llamafactory.extras.logging",
                 "llamafactory.extras.constants", "llamafactory.data.mm_plugin"):
        empty_module(name)
    sys.modules["llamafactory.extras.constants"].IGNORE_INDEX = NONE
    sys.modules["llamafactory.extras.constants"].DATA_CONFIG = "dataset_info.json"
    from llamafactory.data import converter, parser, template
    from llamafactory.data.processor import pretrain, supervised
    return converter, parser, template, pretrain, supervised


class Tokenizer:
    """The few members of a transformers tokenizer that the processors touch."""

    def __init__(self, path, eos):
        self.t = tokenizers.Tokenizer.from_file(str(path))
        self.bos_token, self.eos_token = "<s>", eos
        self.bos_token_id, self.eos_token_id = self.t.token_to_id("<s>"), self.t.token_to_id(eos)

    def encode(self, text, add_special_tokens=False):
        return self.t.encode(text, add_special_tokens=add_special_tokens).ids

    def convert_tokens_to_ids(self, token):
        return {"bos_token": self.bos_token_id, "eos_token": self.eos_token_id}.get(token, self.t.token_to_id(token))

    def __call__(self, texts, add_special_tokens, truncation=False, max_length=None):
        ids = [self.encode(t) for t in texts]
        return {"input_ids": [i[:max_length] if truncation else i for i in ids]}


# What our templates write in another way: the formats that are replaced, or the default system message.
OURS = {
    "alpaca": {"system": ["{{content}}\n\n"]},
    "llama2": {"assistant": [" {{content}}", {"eos_token"}]},
    "smollm2": {"default": "You are a helpful AI assistant named SmolLM, trained by Hugging Face"},
    "vicuna": {"system": ["{{content}} "], "assistant": [" {{content}}", {"eos_token"}]},
    "zephyr": {"system": ["<|system|>\n{{content}}", {"eos_token"}, "\n"], "default": "",
               "user": ["<|user|>\n{{content}}", {"eos_token"}, "\n<|assistant|>\n"],
               "assistant": ["{{content}}", {"eos_token"}, "\n"]},
}


def template_of(lf, name):
    t = copy.copy(lf[2].TEMPLATES[name])
    t.enable_thinking = True  # the default of DataArguments
    ours = OURS.get(name, {})
    for part in ("system", "user", "assistant"):
        if part in ours:
            setattr(t, "format_" + part, lf[2].StringFormatter(slots=ours[part]))
    t.default_system = ours.get("default", t.default_system).strip()
    return t


class Layout(int):
    """A token of white space that the template wrote behind an answer."""


class Marked:
    """A template whose answers end in Layout tokens."""

    def __init__(self, inner, tokenizer):
        self.inner, self.tokenizer = inner, tokenizer
        self.mm_plugin = types.SimpleNamespace(process_messages=lambda m, *a: m, process_token_ids=lambda *a: ([], []))

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def encode_multiturn(self, tokenizer, messages, system, tools, discard):
        pairs = self.inner.encode_multiturn(tokenizer, messages, system, tools, discard)
        return [(source, self.mark(target)) for source, target in pairs]

    def mark(self, ids):
        n = len(ids)
        while n and self.tokenizer.t.decode([ids[n - 1]], skip_special_tokens=False).isspace():
            n -= 1
        return ids[:n] + [Layout(i) for i in ids[n:]]


def read_rows(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".txt":
        return [{"text": line} for line in text.splitlines()]
    return json.loads(text) if text.lstrip()[:1] == "[" else [json.loads(line) for line in text.splitlines() if line.strip()]


class Missing(dict):
    """datasets gives None for a column that a row does not have."""

    def __missing__(self, key):
        return None


def converted(lf, attr, rows):
    converter = lf[0].DATASET_CONVERTERS[attr.formatting](dataset_attr=attr, data_args=types.SimpleNamespace())
    out = [converter(Missing(r)) for r in rows]
    return {k: [r[k] for r in out] for k in out[0]}


def attributes(lf, folder, name):
    return lf[1].get_dataset_list([name], str(folder))[0]


def supervised(lf, tokenizer, template, examples, **options):
    args = types.SimpleNamespace(cutoff_len=options.get("cutoff_len", 1 << 20), mask_history=options.get("mask_history", False),
                                 train_on_prompt=options.get("train_on_prompt", False), packing=False, neat_packing=False)
    t = template_of(lf, template)
    t.default_system = options.get("default_system", t.default_system)
    p = lf[4].SupervisedDatasetProcessor(template=Marked(t, tokenizer), tokenizer=tokenizer, processor=None, data_args=args)
    made = p.preprocess_dataset(examples)
    rows = []
    for ids, labels in zip(made["input_ids"], made["labels"]):
        keep = args.train_on_prompt
        rows.append({"ids": [int(i) for i in ids],
                     "labels": [NONE if isinstance(l, Layout) and not keep else int(l) for l in labels]})
    return rows


def cases():
    for template in ("alpaca", "chatml", "default", "empty", "gemma", "llama2", "llama3", "mistral", "phi", "qwen", "qwen3",
                     "qwen3_nothink", "smollm2", "vicuna", "zephyr"):
        for name in ("talks", "questions", "tagged", "named"):
            yield name, template, {}
    for options in ({"mask_history": True}, {"train_on_prompt": True}, {"default_system": "Short."},
                    {"mask_history": True, "default_system": "Short."}):
        for name in ("talks", "questions"):
            yield name, "chatml", options
    for cutoff in (8, 24, 40, 64, 100):
        for more in ({}, {"mask_history": True}, {"train_on_prompt": True}):
            yield "talks", "chatml", {"cutoff_len": cutoff, **more}
            yield "talks", "vicuna", {"cutoff_len": cutoff, **more}


def digest(rows):
    """hash_rows of src/data/dataset.c: training rows, then no evaluation rows."""
    h = hashlib.sha256(struct.pack("<q", len(rows)))
    for r in rows:
        n = len(r["ids"])
        h.update(struct.pack(f"<2i{n}i{n}i", n, 0, *r["ids"], *r["labels"]))
    h.update(struct.pack("<q", 0))
    return h.hexdigest()


def shown(tokenizer, row):
    out, at, n = "", 0, len(row["ids"])
    while at < n:
        trained, end = row["labels"][at] != NONE, at
        while end < n and (row["labels"][end] != NONE) == trained:
            end += 1
        text = tokenizer.t.decode(row["ids"][at:end], skip_special_tokens=False)
        out, at = out + ("\u27e6" + text + "\u27e7" if trained else text), end
    return out


def count(lf, folder, name):
    attr = attributes(lf, folder, name)
    examples = converted(lf, attr, read_rows(folder / attr.dataset_name))
    print(sum(len(p) % 2 == 1 and len(r) == 1 for p, r in zip(examples["_prompt"], examples["_response"])))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=pathlib.Path, default=HERE)
    parser.add_argument("--set")
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    lf = import_llamafactory()
    if args.set:
        return count(lf, args.dir, args.set)
    lines = []
    for name, template, options in cases():
        attr = attributes(lf, HERE, name)
        eos = "<|im_end|>" if template in ("chatml", "qwen", "qwen3", "qwen3_nothink", "smollm2") else "<|endoftext|>"
        tokenizer = Tokenizer(HERE / "tokenizer.json", eos)
        rows = supervised(lf, tokenizer, template, converted(lf, attr, read_rows(HERE / attr.dataset_name)), **options)
        rows = [r for r in rows if any(label != NONE for label in r["labels"][1:])]
        case = {"dataset": name, "template": template, **options, "hash": digest(rows)}
        if args.full or not options and template in ("chatml", "gemma", "mistral", "vicuna"):
            case["rows"] = [shown(tokenizer, r) for r in rows]
        lines.append(json.dumps(case, ensure_ascii=False))
    if args.full:
        return print("\n".join(lines))
    (HERE / "expected.jsonl").write_text("\n".join(lines) + "\n")
    print(len(lines), "cases,", (HERE / "expected.jsonl").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
