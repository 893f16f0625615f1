#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's files, as torch.save and its ways write them: tests/golden/torch and tests/fuzz/corpus/torch.

Usage: torch_files.py            writes them, from the repository's root

golden/torch/NAME.bin holds what NAME.safetensors says, or tensors.safetensors where there is none of that name; model/ is
decoders/tiny-cohere in two shards; adapter/ is training/lora-init in PEFT's old form. Made with torch 2.13.
"""
import collections
import io
import json
import pathlib
import shutil
import struct
import zipfile

import torch
from safetensors.torch import load_file, save_file

GOLDEN = pathlib.Path("tests/golden/torch")
CORPUS = pathlib.Path("tests/fuzz/corpus/torch")


def tensors():
    torch.manual_seed(4)
    whole = torch.randn(6, 4)
    out = {t: torch.arange(-3, 3).to(getattr(torch, t)).reshape(3, 2)
           for t in ("float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")}
    out |= {"rows": whole[2:5], "turned": whole.t(), "column": whole[:, 1], "every": whole[::2, 1:], "again": whole,
            "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "ñ.weight": torch.randn(2, 1, 3).transpose(0, 2)}
    return out


def plain(values):
    return {k: v.detach().clone(memory_format=torch.contiguous_format) for k, v in values.items()}


def saved(value, **options):
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def zip64(archive):
    """The same entries with every number where zip64 has it."""
    old, out, directory = zipfile.ZipFile(io.BytesIO(archive)), b"", b""
    ones = 0xFFFFFFFF
    for info in old.infolist():
        data, name, at = old.read(info), info.filename.encode(), len(out)
        out += struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0, info.CRC, ones, ones, len(name), 20) + name
        out += struct.pack("<HHQQ", 1, 16, len(data), len(data)) + data
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 0, 0, 0, info.CRC, ones, ones, len(name), 28, 0, 0, 0, 0, ones)
        directory += name + struct.pack("<HHQQQ", 1, 24, len(data), len(data), at)
    n, at, end = len(old.infolist()), len(out), len(out) + len(directory)
    out += directory + struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, n, n, len(directory), at)
    return out + struct.pack("<IIQI", 0x07064B50, 0, end, 1) + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, ones, ones, 0)


def compressed(archive):
    old, out = zipfile.ZipFile(io.BytesIO(archive)), io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info), zipfile.ZIP_STORED if info.filename.endswith((".pkl", "byteorder")) else zipfile.ZIP_DEFLATED)
    return out.getvalue()


def model():
    source, out = pathlib.Path("tests/golden/decoders/tiny-cohere"), GOLDEN / "model"
    values = load_file(source / "model.safetensors")
    names = sorted(values)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "config.json", out)
    weight_map = {}
    for i, part in enumerate((names[::2], names[1::2])):
        file = f"pytorch_model-0000{i + 1}-of-00002.bin"
        torch.save(collections.OrderedDict((k, values[k]) for k in part), out / file)
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": sum(v.nbytes for v in values.values())}, "weight_map": weight_map}
    (out / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")


def adapter():
    source, out = pathlib.Path("tests/golden/training/lora-init"), GOLDEN / "adapter"
    out.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "adapter_config.json", out)
    torch.save(load_file(source / "adapter_model.safetensors"), out / "adapter_model.bin")


def files():
    values = tensors()
    few = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(6).reshape(2, 3).t()}
    parameters = {"p": torch.nn.Parameter(torch.ones(2, 2)), "q": torch.nn.Parameter(torch.zeros(3), requires_grad=False)}
    parameters["p"].note = 3  # attributes: _rebuild_parameter_with_state
    unsigned = {t: torch.arange(4).to(getattr(torch, t)) for t in ("uint16", "uint32", "uint64")}  # _rebuild_tensor_v3
    ordered = torch.nn.Linear(3, 2).state_dict()  # OrderedDict with _metadata
    training = {"epoch": 3, "lr": 0.5, "loss": torch.tensor(1.0), "state_dict": few, "name": None, "betas": (0.9, 0.99), "history": [1, 2]}
    return {
        "zip": (values, saved(values)),
        "legacy": (values, saved(values, _use_new_zipfile_serialization=False)),
        "protocol4": (values, saved(values, pickle_protocol=4)),
        "zip64": (values, zip64(saved(values))),
        "training": (few, saved(training)),
        "parameters": (parameters, saved(parameters)),
        "unsigned": (unsigned, saved(unsigned)),
        "ordered": (ordered, saved(ordered)),
    }


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    CORPUS.mkdir(parents=True, exist_ok=True)
    save_file(plain(tensors()), GOLDEN / "tensors.safetensors")
    small = {"a": torch.ones(1)}
    (GOLDEN / "compressed.bin").write_bytes(compressed(saved(small)))
    for name, (values, data) in files().items():
        (GOLDEN / f"{name}.bin").write_bytes(data)
        if set(values) != set(tensors()):
            save_file(plain(values), GOLDEN / f"{name}.safetensors")
            (CORPUS / f"{name}.bin").write_bytes(data)
    few = {"a": torch.arange(6.0).reshape(2, 3).t(), "b": torch.tensor(1)}
    (CORPUS / "legacy.bin").write_bytes(saved(few, _use_new_zipfile_serialization=False))
    (CORPUS / "zip64.bin").write_bytes(zip64(saved(small)))
    model()
    adapter()
