"""Attention a few samples at a time, with a gradient written by hand, in reused memory.

By default JAX keeps the [steps, steps] tables of a whole batch from the forward pass for the
backward pass, which no cache can hold. Here `jax.lax.map` goes through the batch in blocks, and
the backward pass recomputes the weights, as FlashAttention does (Dao et al., 2022, section 3.1).
"""

import jax
import jax.numpy as jnp
from jax import Array

# Samples in a block: at 784 steps in float32 a table takes 10 MB, which a cache can hold.
BLOCK = 4

Residuals = tuple[Array, Array, Array, Array, Array]


def attend_in_blocks(query: Array, key: Array, value: Array) -> Array:
    """Compute softmax(query keyᵀ) value; all are [batch, steps, channels].

    JAX has no forward mode (jax.jvp) for a custom_vjp: use the vectorized form for it.
    """
    samples = (query, key, value)
    return jax.lax.map(lambda sample: attend_sample(*sample), samples, batch_size=BLOCK)


@jax.custom_vjp
def attend_sample(query: Array, key: Array, value: Array) -> Array:
    """Compute softmax(query keyᵀ) value; all are [steps, channels]."""
    attended, _ = forward(query, key, value)
    return attended


def forward(query: Array, key: Array, value: Array) -> tuple[Array, Residuals]:
    """Compute the attention of one sample; nothing of shape [steps, steps] is kept."""
    scores = query @ key.mT  # [steps, steps]
    largest = scores.max(axis=-1, keepdims=True)  # [steps, 1]
    exponentials = jnp.exp(scores - largest)  # [steps, steps]
    # One product sums the values and, by a column of ones, the exponentials. Only the sums are
    # divided, so no table of weights is written.
    ones = jnp.ones_like(value[:, :1])  # [steps, 1]
    sums = exponentials @ jnp.concat([value, ones], axis=-1)  # [steps, channels + 1]
    attended, totals = sums[:, :-1] / sums[:, -1:], sums[:, -1:]
    return attended, (query, key, value, attended, largest + jnp.log(totals))


# Autodiff would use the forward pass's precision; a gradient by hand has to set its own.
@jax.default_matmul_precision("highest")
def backward(residuals: Residuals, gradient: Array) -> tuple[Array, Array, Array]:
    """Compute the gradient by query, key and value from that by attended."""
    query, key, value, attended, log_totals = residuals
    weights = jnp.exp(query @ key.mT - log_totals)  # [steps, steps]
    by_value = weights.mT @ gradient  # [steps, channels]
    by_weights = gradient @ value.mT  # [steps, steps]
    # A row of the softmax's gradient subtracts sum(weights * by_weights), which is this sum.
    shift = (gradient * attended).sum(axis=-1, keepdims=True)  # [steps, 1]
    by_scores = weights * (by_weights - shift)  # [steps, steps]
    by_query = by_scores @ key  # [steps, channels]
    by_key = by_scores.mT @ query  # [steps, channels]
    return by_query, by_key, by_value


attend_sample.defvjp(forward, backward)
