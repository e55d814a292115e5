"""How far rounding alone can move a number: worst-case bounds, computed beside the exact values.

Notation and the bound for a sum are from N. J. Higham, "Accuracy and Stability of Numerical
Algorithms" (2nd ed., SIAM, 2002), chapters 2 and 3: u is the unit roundoff (2^-24 in float32),
gamma(n) = n u / (1 - n u), and a computed inner product of n terms, in any order of summation and
with or without fused multiply-add, is off by at most gamma(n) times the sum of the absolute
values of its terms. An error of the inputs of an operation is carried through it by the triangle
inequality. The softmax's error is relative: every weight changes by a factor of at most
exp(2 d) if no score of its row changes by more than d.

The operations here know nothing of the model, whose intermediates are in compare/expected/exact.py.
"""

from dataclasses import dataclass, replace

import numpy as np

# Roundings of the scale: a square root, and a division or up to four products with its parts
# (PyTorch's built-in call multiplies query and key by the root of the scale).
SCALE_ROUNDINGS = 6
# Error of a library's exp, in units of u: vectorised ones promise a few units in the last place.
EXP_ROUNDINGS = 8


@dataclass(frozen=True)
class Bounded:
    """A float64 value and, elementwise, how far a computed one may lie from it.

    `size` is the sum of the absolute values of the terms that it was summed from: what roundings
    are relative to, however much cancels between the terms.
    """

    value: np.ndarray
    bound: np.ndarray
    size: np.ndarray

    @property
    def mT(self) -> "Bounded":  # noqa: N802 - NumPy's name
        """Swap the last two axes."""
        return Bounded(self.value.mT, self.bound.mT, self.size.mT)

    @property
    def reach(self) -> np.ndarray:
        """The size, with the error: no computed value is larger."""
        return self.size + self.bound

    def reshape(self, *shape: int) -> "Bounded":
        """Give the same numbers another shape."""
        return Bounded(*(array.reshape(*shape) for array in (self.value, self.bound, self.size)))

    def take(self, rows: np.ndarray) -> "Bounded":
        """Take these rows, along the first axis."""
        return Bounded(*(array[rows] for array in (self.value, self.bound, self.size)))

    def sum(self, axis: int, *, keepdims: bool = False) -> "Bounded":
        """Add along an axis, with no rounding: whoever adds up counts it."""
        return Bounded(
            *(array.sum(axis, keepdims=keepdims) for array in (self.value, self.bound, self.size))
        )


def exact(array: np.ndarray) -> Bounded:
    """Take numbers as they are, in float64, with no error."""
    value = np.asarray(array, dtype=np.float64)
    return Bounded(value, np.zeros_like(value), np.abs(value))


def stored(bounded: Bounded) -> Bounded:
    """Take what has been summed and stored: from here on its size is its own."""
    return replace(bounded, size=np.abs(bounded.value))


def error_ratio(found: np.ndarray, bounded: Bounded) -> np.ndarray:
    """Divide errors by bounds, elementwise: no error is 0, also where none is allowed."""
    error = np.abs(np.asarray(found, dtype=np.float64) - bounded.value)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error == 0, 0.0, error / bounded.bound)


def gamma(n: int, u: float) -> float:
    """Bound the relative error that n roundings leave: n u / (1 - n u)."""
    return n * u / (1 - n * u)


@dataclass(frozen=True)
class Arithmetic:
    """How a dtype rounds, and what its operations do to values and their bounds."""

    stored: float  # the unit roundoff of a number that is kept
    summed: float  # of a running sum of products, which may be kept in more bits
    factor: float  # of a factor of a matrix product, before it is multiplied
    tiny: float  # the smallest normal number: JAX flushes what is smaller to zero on a CPU

    def matmul(self, a: Bounded, b: Bounded, terms: int | None = None) -> Bounded:
        """Multiply matrices: the errors of both factors, and the rounding of sums of products.

        `terms` is how many are added up, where others than those of this product join them.
        """
        n = a.value.shape[-1] if terms is None else terms
        size = a.size @ b.size
        carried = a.bound @ b.size + a.reach @ b.bound  # so reach @ reach is size + carried
        relative = gamma(n, self.summed) + self.factor * (2 + self.factor)
        if self.stored > self.summed:
            relative += self.stored * (1 + relative)
        # A number or a product too small for the dtype is rounded to less, or flushed to zero.
        flushed = n * self.tiny * (1 + np.max(a.size, initial=0) + np.max(b.size, initial=0))
        return Bounded(a.value @ b.value, carried + relative * (size + carried) + flushed, size)

    def multiply(self, a: Bounded, b: Bounded) -> Bounded:
        """Multiply elementwise."""
        carried = a.bound * b.size + a.size * b.bound + a.bound * b.bound
        rounded = self.stored * a.reach * b.reach + self.tiny
        return Bounded(a.value * b.value, carried + rounded, a.size * b.size)

    def scale(self, a: Bounded, factor: float, roundings: int = 1) -> Bounded:
        """Multiply by a number that is itself computed, with a few roundings in all."""
        rounded = gamma(roundings, self.stored) * a.reach + self.tiny
        return Bounded(
            a.value * factor, (a.bound + rounded) * abs(factor) + self.tiny, a.size * abs(factor)
        )

    def add(self, a: Bounded, b: Bounded) -> Bounded:
        """Add elementwise."""
        rounded = self.stored * (a.reach + b.reach)
        return Bounded(a.value + b.value, a.bound + b.bound + rounded, a.size + b.size)

    def softmax(self, scores: Bounded) -> Bounded:
        """Take the softmax of every row: relative error of the exponentials and of their sum."""
        u = self.stored
        largest = scores.value.max(axis=-1, keepdims=True)
        exponentials = np.exp(scores.value - largest)
        weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
        num_terms = weights.shape[-1]
        # Taking off the maximum rounds once, relative to the difference, or the logarithm of the
        # sum does. A call that works block by block takes off a running maximum and corrects for
        # it later: twice the roundings.
        spread = largest - scores.value.min(axis=-1, keepdims=True) + np.log(num_terms)
        exponent = scores.bound.max(axis=-1, keepdims=True) + 2 * u * (spread + EXP_ROUNDINGS)
        # Where exponents may be far off, a weight may be all but any: no more than exp(2 d) times
        # as large, in logarithms since it can be 0 in float64, and never above 1.
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
    # Twice as much: the exact values are themselves worked out in float64, and as far off.
    "float64": replace(_FLOAT64, stored=2 * _FLOAT64.stored, summed=2 * _FLOAT64.summed),
    "float32": _FLOAT32,
    # A tensor core's: the factors are cut to 10 bits after the point, sums stay in float32. See
    # https://docs.nvidia.com/cuda/cublas/ and torch.set_float32_matmul_precision.
    "tf32": replace(_FLOAT32, factor=2.0**-11),
    # 7 bits after the point; products of matrices, and sums, are added up in float32.
    "bfloat16": replace(_FLOAT32, stored=2.0**-8),
}
