"""Attention a few samples at a time, in reused memory.

By default NumPy allocates new [batch, steps, steps] tables for every operation on a batch. The
system has to clear that memory, page by page, and no cache can hold it. Here one small table
serves the whole batch.
"""

import numpy as np
from numpy import ndarray as Array

# Samples in a block: at 784 steps in float64 its table takes 10 MB, which a cache can hold.
BLOCK = 2


def attend_in_blocks(query: Array, key: Array, value: Array) -> Array:
    """Compute softmax(query keyᵀ) value; all are [batch, steps, channels]."""
    attended = np.empty_like(value)  # [batch, steps, channels]
    steps = query.shape[1]
    table = np.empty((BLOCK, steps, steps), dtype=query.dtype)
    for start in range(0, len(query), BLOCK):
        block = slice(start, start + BLOCK)
        exponents = np.matmul(query[block], key[block].mT, out=table[: len(query[block])])
        exponents -= exponents.max(axis=-1, keepdims=True)  # [block, steps, steps]
        exponentials = np.exp(exponents, out=exponents)  # [block, steps, steps]
        totals = exponentials.sum(axis=-1, keepdims=True)  # [block, steps, 1]
        attended[block] = exponentials @ value[block] / totals
    return attended
