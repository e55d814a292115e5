"""A comparison and its outcome: the error found, as a fraction of the error that is allowed."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from compare.expected.bounds import Bounded, error_over_bound


@dataclass(frozen=True)
class Check:
    """One comparison: its largest error, and that error as a fraction of what is allowed."""

    quantity: str
    where: str
    error: float
    error_over_bound: float

    @property
    def passed(self) -> bool:
        """Whether the error is within its bound."""
        return self.error_over_bound <= 1  # NaN does not pass


def hold_against(quantity: str, where: str, found: np.ndarray, expected: Bounded) -> Check:
    """Compare what was found with what is expected, elementwise; NaN and other shapes fail."""
    if np.shape(found) != expected.value.shape:
        return must(quantity, f"{where} (its shape)", False)
    error = np.abs(np.asarray(found, dtype=np.float64) - expected.value)
    share = error_over_bound(found, expected)
    return Check(quantity, where, float(np.max(error)), float(np.max(share)))


def must(quantity: str, where: str, holds: bool) -> Check:
    """Make a check of what is either so or not: no error, or an infinite one."""
    error = 0.0 if holds else float("inf")
    return Check(quantity, where, error, error)


def relative_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Measure the largest difference of two arrays, relative to their largest size or to 1."""
    if np.shape(a) != np.shape(b):
        return float("inf")
    scale = max(1.0, float(np.abs(a).max()), float(np.abs(b).max()))
    return float(np.abs(a - b).max()) / scale


def largest(numbers: Iterable[float]) -> float:
    """Give the largest number, and NaN if any is NaN: Python's own `max` may overlook one."""
    return float(np.max(list(numbers)))
