"""The other forms of attention in NumPy: faster ways to compute attend of model.py.

Every form maps x [batch, steps, channels] to attended [batch, steps, channels]; the histogram form
takes LevelImages for x. NumPy has no built-in attention. docs/performance.md compares them.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np
from numpy import ndarray as Array

from numpy_reference.blocks import attend_in_blocks
from numpy_reference.model import attend_looped, attend_vectorized, softmax
from shared.data.levels import MODERATE_SCORE, LevelImages, check_levels


def attend_blocked(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Compute attention a few samples at a time, so that their tables stay in a CPU's cache."""
    query = x @ Q  # [batch, steps, channels]
    key = x @ K  # [batch, steps, channels]
    value = x @ V  # [batch, steps, channels]
    scaled = query / sqrt(K.shape[-1])  # [batch, steps, channels]
    attended = attend_in_blocks(scaled, key, value)  # [batch, steps, channels]
    return attended


def attend_histogram(x: LevelImages, K: Array, Q: Array, V: Array) -> Array:
    """Compute attention once per grey level instead of once per pixel: exact, and much faster.

    Without positions, pixels of one level have the same query, key and value. A level that occurs
    c times in an image adds c times the same term to the two sums in
        attended = sum of exp(score) * value / sum of exp(score)    over all keys
    so it is enough to sum over the levels, each counted c times.
    """
    check_levels(x)
    query = x.levels @ Q  # [levels, channels]
    key = x.levels @ K  # [levels, channels]
    value = x.levels @ V  # [levels, channels]
    scaled = query / sqrt(K.shape[-1])  # [levels, channels]
    scores = scaled @ key.mT  # [levels, levels]
    # No score is larger than this product of the largest queries and keys.
    largest = np.abs(scaled).max(axis=0) @ np.abs(key).max(axis=0)  # []
    is_moderate = largest <= MODERATE_SCORE  # []
    average = average_by_one_table if is_moderate else average_by_table_each
    by_level = average(scores, x.counts, value)  # [batch, levels, channels]
    indices = x.indices.astype(int)[:, :, None]  # [batch, steps, 1]
    attended = np.take_along_axis(by_level, indices, axis=1)  # [batch, steps, channels]
    return attended


def average_by_one_table(scores: Array, counts: Array, value: Array) -> Array:
    """Average values with one table of exponentials for all images, while none can overflow."""
    exponentials = np.exp(scores)  # [levels, levels]
    totals = counts @ exponentials.mT  # [batch, levels]
    sums = (counts[:, None] * value.mT) @ exponentials.mT  # [batch, channels, levels]
    by_level = (sums / totals[:, None]).mT  # [batch, levels, channels]
    return by_level


def average_by_table_each(scores: Array, counts: Array, value: Array) -> Array:
    """Average values with a softmax for each image: c * exp(score) = exp(score + log c)."""
    with np.errstate(divide="ignore"):  # log 0 = -inf: the weight of such a level is 0
        log_counts = np.log(counts)[:, None]  # [batch, 1, levels]
    weights = softmax(scores + log_counts, -1)  # [batch, levels, levels]
    by_level = weights @ value  # [batch, levels, channels]
    return by_level


ATTENTION: dict[str, Callable[..., Array]] = {
    "looped": attend_looped,
    "vectorized": attend_vectorized,
    "blocked": attend_blocked,
    "histogram": attend_histogram,
}
