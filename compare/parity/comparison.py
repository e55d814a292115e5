"""Comparisons: the largest error, as a fraction of the allowed one."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from compare.expected.bounds import Bounded, error_ratio


@dataclass(frozen=True)
class Comparison:
    """A comparison: its largest error, also as a fraction of the allowed one."""

    quantity: str
    where: str
    error: float
    error_ratio: float

    @property
    def passed(self) -> bool:
        """Whether the error is within its bound."""
        return self.error_ratio <= 1  # NaN does not pass

    def say(self) -> str:
        """Return how large the error is, to be put after the name of the quantity."""
        if np.isnan(self.error):
            return "is NaN"
        if np.isinf(self.error):
            return "is wrong"
        return f"is off by {self.error:.2e}, {self.error_ratio:.3g} times what rounding allows"

    def badness(self) -> float:
        """Return a sort key: the error ratio, with NaN as the largest."""
        return float("inf") if np.isnan(self.error_ratio) else self.error_ratio


def hold_against(quantity: str, where: str, found: np.ndarray, expected: Bounded) -> Comparison:
    """Compare an array with its expected values, elementwise; NaN and other shapes fail."""
    if np.shape(found) != expected.value.shape:
        return must(quantity, f"{where} (its shape)", False)
    error = np.abs(np.asarray(found, dtype=np.float64) - expected.value)
    ratio = error_ratio(found, expected)
    return Comparison(quantity, where, float(np.max(error)), float(np.max(ratio)))


def must(quantity: str, where: str, holds: bool) -> Comparison:
    """Return a yes-or-no comparison: its error is 0 or infinite."""
    error = 0.0 if holds else float("inf")
    return Comparison(quantity, where, error, error)


def relative_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference of two arrays, relative to their largest magnitude or to 1."""
    if np.shape(a) != np.shape(b):
        return float("inf")
    scale = max(1.0, float(np.abs(a).max()), float(np.abs(b).max()))
    return float(np.abs(a - b).max()) / scale


def largest(numbers: Iterable[float]) -> float:
    """Return the largest number, or NaN if any is NaN; Python's `max` may overlook it."""
    return float(np.max(list(numbers)))
