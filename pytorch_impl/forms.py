"""The other forms of attention in PyTorch: faster ways to compute attend of model.py.

Every form maps x [batch, steps, channels] to attended [batch, steps, channels]; the histogram form
takes LevelImages for x. docs/performance.md compares them.
"""

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor, softmax
from torch.nn.functional import scaled_dot_product_attention

from pytorch_impl.blocks import attend_in_blocks
from pytorch_impl.model import attend_looped, attend_vectorized
from shared.data.levels import MODERATE_SCORE, LevelImages, check_levels


def attend_blocked(x: Tensor, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
    """Compute attention a few samples at a time, so that their tables stay in a CPU's cache."""
    query = x @ Q  # [batch, steps, channels]
    key = x @ K  # [batch, steps, channels]
    value = x @ V  # [batch, steps, channels]
    scaled = query / sqrt(K.shape[-1])  # [batch, steps, channels]
    attended = attend_in_blocks(scaled, key, value)  # [batch, steps, channels]
    return attended


def attend_builtin(x: Tensor, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
    """Compute attention with the framework's own call, which scales by 1 / sqrt(channels)."""
    query = (x @ Q)[:, None]  # [batch, heads, steps, channels]
    key = (x @ K)[:, None]  # [batch, heads, steps, channels]
    value = (x @ V)[:, None]  # [batch, heads, steps, channels]
    attended = scaled_dot_product_attention(query, key, value)[:, 0]  # [batch, steps, channels]
    return attended


def attend_histogram(x: LevelImages, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
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
    largest = scaled.detach().abs().amax(dim=0) @ key.detach().abs().amax(dim=0)  # []
    is_moderate = largest <= MODERATE_SCORE  # []
    # Reading the number synchronizes with a GPU, once per step.
    average = average_by_one_table if is_surely(is_moderate) else average_by_table_each
    by_level = average(scores, x.counts, value)  # [batch, levels, channels]
    indices = x.indices.long()[:, :, None].expand(-1, -1, len(V))  # [batch, steps, channels]
    attended = by_level.gather(dim=1, index=indices)  # [batch, steps, channels]
    return attended


def is_surely(condition: Tensor) -> bool:
    """Check whether a condition holds; return False if its value is not available.

    torch.func.vmap has several values, torch.export and the device "meta" have none.
    """
    if torch.compiler.is_exporting():
        return False
    try:
        return bool(condition)
    except RuntimeError:
        return False


def average_by_one_table(scores: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    """Average values with one table of exponentials for all images, while none can overflow."""
    exponentials = scores.exp()  # [levels, levels]
    totals = counts @ exponentials.mT  # [batch, levels]
    sums = (counts[:, None] * value.mT) @ exponentials.mT  # [batch, channels, levels]
    by_level = (sums / totals[:, None]).mT  # [batch, levels, channels]
    return by_level


def average_by_table_each(scores: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    """Average values with a softmax for each image: c * exp(score) = exp(score + log c)."""
    log_counts = counts.log()[:, None]  # [batch, 1, levels]
    weights = softmax(scores + log_counts, -1)  # [batch, levels, levels]
    by_level = weights @ value  # [batch, levels, channels]
    return by_level


ATTENTION: dict[str, Callable[..., Tensor]] = {
    "looped": attend_looped,
    "vectorized": attend_vectorized,
    "blocked": attend_blocked,
    "builtin": attend_builtin,
    "histogram": attend_histogram,
}
