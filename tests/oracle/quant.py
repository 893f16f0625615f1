# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/quant/blocks.safetensors: what other programs make of the same numbers.

    python3 -m venv build/venv && build/venv/bin/pip install gguf numpy pywhispercpp
    build/venv/bin/python tests/oracle/quant.py tests/golden/quant/blocks.safetensors

weight              (8,512) f32: rows 0-1 normal, 2-3 heavy tails, 4-5 columns of different size, 6-7 far from zero
importance          (512)   f32: weights of the columns, as an importance matrix has them
TYPE.bytes          (8,B)   u8: the weight as the gguf package writes it, checked to be ggml's bytes (PLAIN)
TYPE.random_bytes   (6,B)   u8: blocks of any codes and scales
TYPE.random_values  (6,n)   f32: what the gguf package reads from them
metadata            versions; rms.TYPE and weighted.TYPE: errors that ggml's reference encoder leaves on the whole weight,
                    one number a pair of rows (FIT and GIVEN; weighted: with the importance given to it)
ggml itself comes as the shared library inside pywhispercpp's wheel.
"""
import ctypes
import glob
import importlib.metadata
import json
import pathlib
import struct
import sys

import gguf
import numpy as np

PLAIN = ['Q8_0', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'TQ1_0', 'TQ2_0']
FIT = ['Q4_K', 'Q5_K', 'Q6_K', 'Q2_K', 'Q3_K', 'IQ4_NL', 'IQ4_XS', 'MXFP4']
GIVEN = ['IQ2_XS']  # ggml writes it with an importance matrix only: rms is that of equal weights
READ = ['IQ3_S', 'IQ3_XXS', 'IQ2_S', 'IQ2_XS', 'IQ2_XXS', 'IQ1_M', 'IQ1_S']
ORDER = PLAIN[:5] + FIT + PLAIN[5:] + READ
HALVES = {'Q8_0': [0], 'Q4_0': [0], 'Q5_0': [0], 'Q4_1': [0, 2], 'Q5_1': [0, 2],  # where scales lie in a block
          'Q4_K': [0, 2], 'Q5_K': [0, 2], 'Q6_K': [208], 'Q2_K': [80, 82], 'Q3_K': [108], 'IQ4_NL': [0], 'IQ4_XS': [0],
          'MXFP4': [], 'TQ1_0': [52], 'TQ2_0': [64], 'IQ3_S': [0], 'IQ3_XXS': [0], 'IQ2_S': [0], 'IQ2_XS': [0],
          'IQ2_XXS': [0], 'IQ1_S': [0], 'IQ1_M': []}


def ggml():
    site = pathlib.Path(importlib.metadata.distribution('pywhispercpp').locate_file('pywhispercpp.libs'))
    ctypes.CDLL(glob.glob(str(site / 'libgomp*'))[0], mode=ctypes.RTLD_GLOBAL)
    lib = ctypes.CDLL(glob.glob(str(site / 'libggml-base*'))[0])
    encode = lib.ggml_quantize_chunk
    encode.restype = ctypes.c_size_t
    encode.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
    return encode


def ggml_bytes(encode, name, x, importance=None):
    kind = gguf.GGMLQuantizationType[name]
    n, size = gguf.GGML_QUANT_SIZES[kind]
    out = np.zeros((x.shape[0], x.shape[1] // n * size), np.uint8)
    weights = importance.ctypes.data if importance is not None else None
    encode(int(kind), x.ctypes.data, out.ctypes.data, 0, x.shape[0], x.shape[1], weights)
    return out


def weight(rng):
    x = rng.standard_normal((8, 512)) * 0.05
    x[2:4] = rng.standard_t(3, (2, 512)) * 0.02
    x[4:6] *= np.exp(rng.standard_normal(512))
    x[6:8] += 0.15
    return x.astype(np.float32)


def random_blocks(rng, name):
    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]][1]
    blocks = rng.integers(0, 256, (6, size)).astype(np.uint8)
    for at in HALVES[name]:  # any finite half: small, negative and subnormal ones too
        scale = rng.standard_normal(6) * [1, 1e-2, 1e-4, 1e-6, 1e-7, 100]
        blocks[:, at:at + 2] = scale.astype('<f2').view(np.uint8).reshape(6, 2)
    if name == 'IQ1_M':  # its half lies in the top nibbles of four 16-bit words: not infinite, not NaN
        blocks[:, 55] &= 0xbf
    return blocks


def errors(x, y, w):
    e = (x.astype(np.float64) - y) ** 2 * w
    return ' '.join('%.9g' % np.sqrt(p.sum() / (np.ones_like(p) * w).sum()) for p in e.reshape(4, 2, -1))


def save(path, tensors, metadata):
    names = {'float32': 'F32', 'uint8': 'U8'}
    header, blob = {'__metadata__': metadata}, b''
    for name, t in tensors.items():
        raw = np.ascontiguousarray(t).tobytes()
        offsets = [len(blob), len(blob) + len(raw)]
        header[name] = {'dtype': names[t.dtype.name], 'shape': list(t.shape), 'data_offsets': offsets}
        blob += raw
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack('<Q', len(text)) + text + blob)


def main(path):
    rng, encode = np.random.default_rng(20240607), ggml()
    x = weight(rng)
    importance = (rng.chisquare(1, 512) ** 2).astype(np.float32)
    tensors = {'weight': x, 'importance': importance}
    versions = [f'{p} {importlib.metadata.version(p)}' for p in ('gguf', 'numpy', 'pywhispercpp')]
    metadata = {'versions': ', '.join(versions)}

    for name in ORDER:
        kind = gguf.GGMLQuantizationType[name]
        if name in PLAIN:
            tensors[name + '.bytes'] = gguf.quantize(x, kind)
            assert (tensors[name + '.bytes'] == ggml_bytes(encode, name, x)).all(), name
        elif name in FIT + GIVEN:
            equal = np.ones(512, np.float32) if name in GIVEN else None
            metadata['rms.' + name] = errors(x, gguf.dequantize(ggml_bytes(encode, name, x, equal), kind), np.float64(1))
            y = gguf.dequantize(ggml_bytes(encode, name, x, importance), kind)
            metadata['weighted.' + name] = errors(x, y, importance.astype(np.float64))
        tensors[name + '.random_bytes'] = random_blocks(rng, name)
        tensors[name + '.random_values'] = gguf.dequantize(tensors[name + '.random_bytes'], kind)
    save(path, tensors, metadata)


if __name__ == '__main__':
    main(sys.argv[1])
