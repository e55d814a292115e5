"""Worst-case bounds of rounding errors, computed together with the exact values.

Notation and the bound for a sum are from N. J. Higham, "Accuracy and Stability of Numerical
Algorithms" (2nd ed., SIAM, 2002), chapters 2 and 3: u is the unit roundoff (2^-24 in float32),
gamma(n) = n u / (1 - n u), and a computed inner product of n terms, in any order of summation and
with or without fused multiply-add, is off by at most gamma(n) times the sum of the absolute
values of its terms. An error in the inputs of an operation is propagated by the triangle
inequality. The softmax's error is relative: every weight changes by a factor of at most
exp(2 d) if no score of its row changes by more than d.

The operations here do not depend on the model; its intermediates are in compare/expected/exact.py.
"""

from dataclasses import dataclass, replace

import numpy as np

# Roundings of the scale: a square root, and a division or up to four products with its parts
# (PyTorch's built-in call multiplies query and key by the root of the scale).
SCALE_ROUNDINGS = 6
# Error of a library's exp, in units of u: vectorised ones guarantee a few units in the last place.
EXP_ROUNDINGS = 8


@dataclass(frozen=True)
class Bounded:
    """A float64 value and, elementwise, the largest error that a computed one may have.

    `size` is the sum of the absolute values of the summed terms: roundings are relative to it,
    however much the terms cancel.
    """

    value: np.ndarray
    bound: np.ndarray
    size: np.ndarray

    @property
    def mT(self) -> "Bounded":  # noqa: N802 - NumPy's name
        """The transpose of the last two axes."""
        return Bounded(self.value.mT, self.bound.mT, self.size.mT)

    @property
    def reach(self) -> np.ndarray:
        """The size plus the error: no computed value is larger."""
        return self.size + self.bound

    def reshape(self, *shape: int) -> "Bounded":
        """Return the same numbers in another shape."""
        return Bounded(*(array.reshape(*shape) for array in (self.value, self.bound, self.size)))

    def take(self, rows: np.ndarray) -> "Bounded":
        """Return these rows of the first axis."""
        return Bounded(*(array[rows] for array in (self.value, self.bound, self.size)))

    def sum(self, axis: int, *, keepdims: bool = False) -> "Bounded":
        """Sum along an axis without rounding; the caller adds the rounding of its sums."""
        return Bounded(
            *(array.sum(axis, keepdims=keepdims) for array in (self.value, self.bound, self.size))
        )


def exact(array: np.ndarray) -> Bounded:
    """Return numbers in float64, without error."""
    value = np.asarray(array, dtype=np.float64)
    return Bounded(value, np.zeros_like(value), np.abs(value))


def stored(bounded: Bounded) -> Bounded:
    """Return a sum once it is stored: from here on, its size is its own absolute value."""
    return replace(bounded, size=np.abs(bounded.value))


def error_ratio(found: np.ndarray, bounded: Bounded) -> np.ndarray:
    """Divide errors by bounds, elementwise; no error gives 0, even if the bound is 0."""
    error = np.abs(np.asarray(found, dtype=np.float64) - bounded.value)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error == 0, 0.0, error / bounded.bound)


def gamma(n: int, u: float) -> float:
    """Return the bound of the relative error after n roundings: n u / (1 - n u)."""
    return n * u / (1 - n * u)


@dataclass(frozen=True)
class Arithmetic:
    """The rounding of a dtype, and its operations on values with bounds."""

    stored: float  # the unit roundoff of a stored number
    summed: float  # of a running sum of products, which may have more bits
    factor: float  # of a factor of a matrix product, before it is multiplied
    tiny: float  # the smallest normal number: JAX flushes smaller ones to zero on a CPU

    def matmul(self, a: Bounded, b: Bounded, terms: int | None = None) -> Bounded:
        """Multiply matrices, with the errors of both factors and the rounding of sums of products.

        `terms` is the number of terms in a sum, if terms of other products are added to it.
        """
        n = a.value.shape[-1] if terms is None else terms
        size = a.size @ b.size
        carried = a.bound @ b.size + a.reach @ b.bound  # so reach @ reach is size + carried
        relative = gamma(n, self.summed) + self.factor * (2 + self.factor)
        if self.stored > self.summed:
            relative += self.stored * (1 + relative)
        # A number or a product too small for the dtype loses digits or is flushed to zero.
        flushed = n * self.tiny * (1 + np.max(a.size, initial=0) + np.max(b.size, initial=0))
        return Bounded(a.value @ b.value, carried + relative * (size + carried) + flushed, size)

    def multiply(self, a: Bounded, b: Bounded) -> Bounded:
        """Multiply elementwise."""
        carried = a.bound * b.size + a.size * b.bound + a.bound * b.bound
        rounded = self.stored * a.reach * b.reach + self.tiny
        return Bounded(a.value * b.value, carried + rounded, a.size * b.size)

    def scale(self, a: Bounded, factor: float, roundings: int = 1) -> Bounded:
        """Multiply by a computed number, with `roundings` roundings in all."""
        rounded = gamma(roundings, self.stored) * a.reach + self.tiny
        return Bounded(
            a.value * factor, (a.bound + rounded) * abs(factor) + self.tiny, a.size * abs(factor)
        )

    def add(self, a: Bounded, b: Bounded) -> Bounded:
        """Add elementwise."""
        rounded = self.stored * (a.reach + b.reach)
        return Bounded(a.value + b.value, a.bound + b.bound + rounded, a.size + b.size)

    def softmax(self, scores: Bounded) -> Bounded:
        """Compute the softmax of every row, with the errors of exponentials and of their sum."""
        u = self.stored
        largest = scores.value.max(axis=-1, keepdims=True)
        exponentials = np.exp(scores.value - largest)
        weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
        num_terms = weights.shape[-1]
        # Subtracting the maximum (or the logarithm of the sum) rounds once, relative to the
        # difference. A call that works block by block subtracts a running maximum and corrects it
        # later: twice the roundings.
        spread = largest - scores.value.min(axis=-1, keepdims=True) + np.log(num_terms)
        exponent = scores.bound.max(axis=-1, keepdims=True) + 2 * u * (spread + EXP_ROUNDINGS)
        # If exponents may be far off, a weight can have almost any value: at most exp(2 d) times
        # the exact one, computed in logarithms since it can be 0 in float64, and at most 1.
        logs = scores.value - largest - np.log(exponentials.sum(axis=-1, keepdims=True))
        grown = np.where(
            2 * exponent > 1,
            np.exp(np.minimum(logs + 2 * exponent, 0)),
            weights * np.expm1(np.minimum(2 * exponent, 1)),
        )
        relative = gamma(2 * num_terms, self.summed) + gamma(2, u)
        # A weight too small for the dtype is rounded or flushed to zero.
        bound = np.minimum(grown + relative * (weights + grown) + self.tiny, 1)
        return Bounded(weights, bound, weights)


def _plain(dtype: str) -> Arithmetic:
    u = float(np.finfo(dtype).eps) / 2
    return Arithmetic(stored=u, summed=u, factor=0.0, tiny=float(np.finfo(dtype).tiny))


_FLOAT32, _FLOAT64 = _plain("float32"), _plain("float64")

ARITHMETIC = {
    # Twice as much: the exact values are themselves computed in float64, with the same error.
    "float64": replace(_FLOAT64, stored=2 * _FLOAT64.stored, summed=2 * _FLOAT64.summed),
    "float32": _FLOAT32,
    # Of a tensor core: the factors have 10 bits after the point, sums stay in float32. See
    # https://docs.nvidia.com/cuda/cublas/ and torch.set_float32_matmul_precision.
    "tf32": replace(_FLOAT32, factor=2.0**-11),
    # 7 bits after the point; matrix products and sums are accumulated in float32.
    "bfloat16": replace(_FLOAT32, stored=2.0**-8),
}
