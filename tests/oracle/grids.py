# SPDX-License-Identifier: Apache-2.0
"""Makes src/quant/tables_grids.c: the code books of IQ1, IQ2 and IQ3, which are part of those formats.

    build/venv/bin/python tests/oracle/grids.py src/quant/tables_grids.c

The values come from the gguf package; the packing is ours: an entry is one uint16, value i of it at bits 2i (IQ1, IQ2:
8 values, an index into 3 levels) or 4i (IQ3: 4 values, an index into 8 levels).
"""
import pathlib
import sys

import gguf.quants
import numpy as np

BOOKS = ['IQ1_S', 'IQ2_XXS', 'IQ2_XS', 'IQ2_S', 'IQ3_XXS', 'IQ3_S']


def entries(name):
    book = getattr(gguf.quants, name)
    book.init_grid()
    levels = np.array(book.grid_map)
    index = np.searchsorted(levels, book.grid.reshape(book.grid_shape))
    bits = 2 if len(levels) == 3 else 4
    return (index << (bits * np.arange(book.grid_shape[1]))).sum(axis=1)


def main(path):
    text = ['/* SPDX-License-Identifier: Apache-2.0',
            ' * The code books of IQ1, IQ2 and IQ3 (grids.h). Made by tests/oracle/grids.py from the gguf package. */',
            '#include "quant/grids.h"', '', '/* clang-format off */']
    for name in BOOKS:
        numbers = ['0x%04x' % e for e in entries(name)]
        text += ['const uint16_t fj_grid_%s[%d] = {' % (name.lower(), len(numbers))]
        text += ['    ' + ', '.join(numbers[i:i + 12]) + ',' for i in range(0, len(numbers), 12)]
        text += ['};', '']
    pathlib.Path(path).write_text('\n'.join(text[:-1]) + '\n/* clang-format on */\n')


if __name__ == '__main__':
    main(sys.argv[1])
