"""How far rounding alone can move the logits and the loss: worst-case bounds, computed.

Notation and the bound for a sum are from N. J. Higham, "Accuracy and Stability of Numerical
Algorithms" (2nd ed., SIAM, 2002), chapters 2 and 3: u is the unit roundoff (2^-24 in float32),
gamma(n) = n u / (1 - n u), and a computed inner product of n terms, in any order of summation and
with or without fused multiply-add, is off by at most gamma(n) times the sum of the absolute
values of its terms. An error of the inputs of a step is carried through it by the triangle
inequality. The softmax's error is relative: every weight changes by a factor of at most
exp(2 d) if no score of its row changes by more than d.

The exact values in the bounds are the NumPy reference's own in float64, step by step.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

# Roundings of the scale: a square root, and a division or up to four products with its parts
# (PyTorch's built-in call multiplies query and key by the root of the scale).
SCALE_ROUNDINGS = 6
# Error of a library's exp, in units of u: vectorised ones promise a few units in the last place.
EXP_ROUNDINGS = 8
# The smallest normal number of float32; JAX flushes what is smaller to zero on a CPU. In float64
# it is smaller still, and this more than enough.
TINY = float(np.finfo(np.float32).tiny)


class Bounded(NamedTuple):
    """A float64 value and, elementwise, how far a computed one may lie from it."""

    value: np.ndarray
    bound: np.ndarray


def unit_roundoff(dtype: str) -> float:
    """Give u, half the distance from 1 to the next number of the dtype."""
    return float(np.finfo(dtype).eps) / 2


def gamma(n: int, u: float) -> float:
    """Bound the relative error that n roundings leave: n u / (1 - n u)."""
    return n * u / (1 - n * u)


def matmul(a: Bounded, b: Bounded, u: float) -> Bounded:
    """Multiply matrices: the errors of both factors, and the rounding of sums of products."""
    size_a, size_b = np.abs(a.value), np.abs(b.value)
    carried = a.bound @ size_b + size_a @ b.bound + a.bound @ b.bound
    n = a.value.shape[-1]
    rounded = gamma(n, u) * ((size_a + a.bound) @ (size_b + b.bound))
    # A number or a product too small for the dtype is rounded to less, or flushed to zero.
    flushed = n * TINY * (1 + np.max(size_a, initial=0) + np.max(size_b, initial=0))
    return Bounded(a.value @ b.value, carried + rounded + flushed)


def softmax(scores: Bounded, u: float) -> Bounded:
    """Take the softmax of every row: relative error of the exponentials and of their sum."""
    largest = scores.value.max(axis=-1, keepdims=True)
    exponentials = np.exp(scores.value - largest)
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    num_terms = weights.shape[-1]
    # Taking off the maximum rounds once, relative to the difference. A call that works block by
    # block takes off a running maximum and corrects for it later: twice the roundings.
    spread = largest - scores.value.min(axis=-1, keepdims=True)
    exponent = scores.bound.max(axis=-1, keepdims=True) + 2 * u * spread + 2 * EXP_ROUNDINGS * u
    # Where exponents may be far off, a weight may be all but any: no more than exp(2 d) times as
    # large, in logarithms since it can be 0 in float64, and never above 1.
    logs = scores.value - largest - np.log(exponentials.sum(axis=-1, keepdims=True))
    grown = np.where(
        2 * exponent > 1,
        np.exp(np.minimum(logs + 2 * exponent, 0)),
        weights * np.expm1(np.minimum(2 * exponent, 1)),
    )
    rounded = gamma(2 * num_terms + 2, u) * (weights + grown)
    # A weight too small for the dtype is rounded or flushed to zero.
    bound = np.minimum(grown + rounded + TINY, 1)
    return Bounded(weights, bound)


def logits_bound(params: Mapping[str, np.ndarray], images: np.ndarray, *, dtype: str) -> Bounded:
    """Give the exact logits [batch, outputs] of float32 images, and how far rounding moves them.

    `params` are those that the judged model holds, exactly; images are [batch, steps, channels].
    """
    u = unit_roundoff(dtype)
    held = {name: exact(array) for name, array in params.items()}
    rows = [sample_bounds(held, exact(image), u)["logits"] for image in images]
    return Bounded(np.stack([row.value for row in rows]), np.stack([row.bound for row in rows]))


def loss_bound(logits: Bounded, *, dtype: str) -> float:
    """Bound the error of the mean cross-entropy (nats) of computed logits [batch, outputs].

    No logit's error changes a sample's loss by more than twice itself; then come the roundings of
    the log of a sum of exponentials, of a difference, and of a mean over the batch.
    """
    u = unit_roundoff(dtype)
    batch, outputs = logits.value.shape
    size = np.abs(logits.value).max(axis=-1) + logits.bound.max(axis=-1)
    carried = 2 * logits.bound.max(axis=-1)
    rounded = gamma(outputs + 2 * EXP_ROUNDINGS, u) + 8 * u * (2 * size + np.log(outputs))
    losses = 2 * size + np.log(outputs)
    return float((carried + rounded).mean() + gamma(batch, u) * losses.mean())


def exact(array: np.ndarray) -> Bounded:
    """Take numbers as they are, in float64, with no error."""
    value = np.asarray(array, dtype=np.float64)
    return Bounded(value, np.zeros_like(value))


def sample_bounds(
    params: Mapping[str, Bounded],
    image: Bounded,
    u: float,
    seen: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> dict[str, Bounded]:
    """Give value and bound of every step of an image [steps, channels], by the step's name.

    With nothing `seen`, values are exact and errors carried from step to step: how far rounding
    can have moved a step since the start. Where `seen` holds what was computed at a step, the
    steps after it go on from that instead: a step is then bounded by itself, and the first one
    that is off is the one that is wrong.
    """
    steps: dict[str, Bounded] = {}

    def step(name: str, bounded: Bounded) -> Bounded:
        steps[name] = bounded
        return exact(seen[name]) if name in seen else bounded

    query = step("query", matmul(image, params["Q"], u))
    key = step("key", matmul(image, params["K"], u))
    value = step("value", matmul(image, params["V"], u))
    products = matmul(query, _transposed(key), u)
    scale = 1 / np.sqrt(image.value.shape[-1])
    rounding = gamma(SCALE_ROUNDINGS, u) * (np.abs(products.value) + products.bound)
    scores = step("scores", Bounded(products.value * scale, (products.bound + rounding) * scale))
    weights = step("weights", softmax(scores, u))
    attended = step("attended", matmul(weights, value, u))
    features = Bounded(attended.value.reshape(1, -1), attended.bound.reshape(1, -1))
    summed = matmul(features, _transposed(params["out.weight"]), u)
    bias = params["out.bias"].value
    rounding = gamma(1, u) * (np.abs(summed.value) + summed.bound + np.abs(bias))
    step("logits", Bounded((summed.value + bias)[0], (summed.bound + rounding)[0]))
    return steps


def _transposed(matrix: Bounded) -> Bounded:
    return Bounded(matrix.value.mT, matrix.bound.mT)
