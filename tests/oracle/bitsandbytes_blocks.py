# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/quant/bitsandbytes.safetensors, and src/quant/tables_dynamic.c: what bitsandbytes makes of the same numbers.

    build/venv/bin/pip install bitsandbytes==0.50.0
    build/venv/bin/python tests/oracle/bitsandbytes_blocks.py tests/golden/quant/bitsandbytes.safetensors src/quant/tables_dynamic.c

weight              (8,512) f32: that of quant.py with rows 2, 3 of quarters (values in the middle of two codes) and of zeros
TYPE.blocks         (8,B)   u8: NF4, FP4: a block is its absmax and its codes; INT8: the absmax of the row and 64 codes
TYPE.values         (8,512) f32
scales              (600)   f32: absmax of blocks; scales.codes (600) u8, scales.run_scale (3), scales.offset (1),
                    scales.values (600) f32: the same coded in 8 bits, and what they are then
"""
import importlib.metadata
import sys

import bitsandbytes.functional as F
import numpy as np
import quant
import torch


def with_scales(absmax, codes):
    n = absmax.shape[0]
    return np.concatenate([absmax.reshape(n, 1).view(np.uint8), codes.reshape(n, -1)], 1)


def four_bit(x, kind, tensors):
    codes, state = F.quantize_4bit(torch.from_numpy(x), quant_type=kind.lower(), blocksize=64)
    blocks = with_scales(state.absmax.numpy(), codes.numpy().reshape(-1, 32))
    tensors[kind + '.blocks'] = blocks.reshape(8, -1)
    tensors[kind + '.values'] = F.dequantize_4bit(codes, state).numpy()


def rows(x, tensors):
    codes, scale, _ = F.int8_vectorwise_quant(torch.from_numpy(x))
    tensors['INT8.values'] = F.int8_vectorwise_dequant(codes, scale).numpy()
    blocks = with_scales(np.repeat(scale.numpy(), 8), codes.numpy().view(np.uint8).reshape(64, 64))
    tensors['INT8.blocks'] = blocks.reshape(8, -1)


def nested(rng, tensors):
    scales = torch.from_numpy((0.1 + 0.02 * rng.standard_normal(600)).astype(np.float32))
    offset = scales.mean()
    codes, state = F.quantize_blockwise(scales - offset, blocksize=256)
    tensors['scales'], tensors['scales.offset'] = scales.numpy(), offset.reshape(1).numpy()
    tensors['scales.codes'], tensors['scales.run_scale'] = codes.numpy(), state.absmax.numpy()
    tensors['scales.values'] = (F.dequantize_blockwise(codes, state) + offset).numpy()


def table(path):
    values = ['%.9gf' % v if '.' in '%.9g' % v or 'e' in '%.9g' % v else '%.1ff' % v for v in F.create_dynamic_map().tolist()]
    lines = ['/* SPDX-License-Identifier: Apache-2.0',
             ' * Values of the 8-bit codes of scales (nf4.h). Made by tests/oracle/bitsandbytes_blocks.py. */',
             '#include "quant/nf4.h"', '', '/* clang-format off */', 'const float fj_dynamic_map[256] = {']
    lines += ['    ' + ', '.join(values[i:i + 8]) + ',' for i in range(0, 256, 8)]
    open(path, 'w').write('\n'.join(lines + ['};', '/* clang-format on */', '']))


def main(path, table_path):
    rng = np.random.default_rng(20240607)
    x = quant.weight(rng)
    x[2] = rng.integers(-8, 9, 512) / 8
    x[3, 64:128] = 0
    tensors = {'weight': x}
    four_bit(x, 'NF4', tensors)
    four_bit(x, 'FP4', tensors)
    rows(x, tensors)
    nested(rng, tensors)
    versions = ', '.join(f'{p} {importlib.metadata.version(p)}' for p in ('bitsandbytes', 'numpy', 'torch'))
    quant.save(path, tensors, {'versions': versions})
    table(table_path)


if __name__ == '__main__':
    main(*sys.argv[1:])
