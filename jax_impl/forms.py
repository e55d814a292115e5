"""The other forms of attention in JAX: faster ways to compute attend of model.py.

Every form maps x [batch, steps, channels] to attended [batch, steps, channels]; the histogram form
takes LevelImages for x. docs/performance.md compares them.
"""

from collections.abc import Callable
from functools import partial
from math import sqrt

import jax
import jax.numpy as jnp
from flax.nnx.nn.attention import dot_product_attention_weights
from jax import Array
from jax.nn import dot_product_attention, softmax

from jax_impl.blocks import attend_in_blocks
from jax_impl.model import attend_looped, attend_vectorized
from shared.data.levels import MODERATE_SCORE, LevelImages, check_levels

jax.tree_util.register_dataclass(LevelImages)  # so that jit takes it as it takes an array


def attend_blocked(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Compute attention a few samples at a time, so that their tables stay in a CPU's cache."""
    query = x @ Q  # [batch, steps, channels]
    key = x @ K  # [batch, steps, channels]
    value = x @ V  # [batch, steps, channels]
    scaled = query / sqrt(K.shape[-1])  # [batch, steps, channels]
    attended = attend_in_blocks(scaled, key, value)  # [batch, steps, channels]
    return attended


def attend_builtin(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Compute attention with the framework's own call, which scales by 1 / sqrt(channels)."""
    query = (x @ Q)[:, :, None]  # [batch, steps, heads, channels]
    key = (x @ K)[:, :, None]  # [batch, steps, heads, channels]
    value = (x @ V)[:, :, None]  # [batch, steps, heads, channels]
    if x.dtype == jnp.float64:  # jax.nn's call computes its softmax in float32, Flax's does not
        weights = dot_product_attention_weights(query, key)  # [batch, heads, steps, steps]
        attended = weights[:, 0] @ value[:, :, 0]  # [batch, steps, channels]
    else:
        attended = dot_product_attention(query, key, value)[:, :, 0]  # [batch, steps, channels]
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
    largest = jnp.abs(scaled).max(axis=0) @ jnp.abs(key).max(axis=0)  # []
    is_moderate = largest <= MODERATE_SCORE  # []
    # Outside of cond XLA fuses the one table, which is faster than skipping it; if it is not
    # used, its zero gradient must not be multiplied by infinity.
    moderate = jnp.where(is_moderate, scores, 0)  # [levels, levels]
    by_one_table = average_by_one_table(moderate, x.counts, value)  # [batch, levels, channels]
    by_table_each = jax.checkpoint(partial(average_by_table_each, scores, x.counts, value))
    by_level = jax.lax.cond(is_moderate, lambda: by_one_table, by_table_each)
    indices = x.indices.astype(int)[:, :, None]  # [batch, steps, 1]
    attended = jnp.take_along_axis(by_level, indices, axis=1)  # [batch, steps, channels]
    return attended


def average_by_one_table(scores: Array, counts: Array, value: Array) -> Array:
    """Average values with one table of exponentials for all images, while none can overflow."""
    exponentials = jnp.exp(scores)  # [levels, levels]
    totals = counts @ exponentials.mT  # [batch, levels]
    sums = (counts[:, None] * value.mT) @ exponentials.mT  # [batch, channels, levels]
    by_level = (sums / totals[:, None]).mT  # [batch, levels, channels]
    return by_level


def average_by_table_each(scores: Array, counts: Array, value: Array) -> Array:
    """Average values with a softmax for each image: c * exp(score) = exp(score + log c)."""
    log_counts = jnp.log(counts)[:, None]  # [batch, 1, levels]
    weights = softmax(scores + log_counts, -1)  # [batch, levels, levels]
    by_level = weights @ value  # [batch, levels, channels]
    return by_level


ATTENTION: dict[str, Callable[..., Array]] = {
    "looped": attend_looped,
    "vectorized": attend_vectorized,
    "blocked": attend_blocked,
    "builtin": attend_builtin,
    "histogram": attend_histogram,
}
