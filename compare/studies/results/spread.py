"""Means and spreads over seeds, and prediction intervals for one more run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import cos, pi, sin, sqrt, tan
from statistics import mean, stdev
from typing import Any

import numpy as np

CONFIDENCE = 0.95
WINDOWS = 60  # of the steps, evenly spaced on a log axis


@dataclass(frozen=True)
class Spread:
    """The values of a quantity with several seeds, at least two."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return mean(self.values)

    @property
    def deviation(self) -> float:
        """Their standard deviation, with n - 1 in the denominator."""
        return stdev(self.values)

    def prediction(self) -> tuple[float, float]:
        """The interval that contains one more run with probability 95 %, if runs are normal.

        It is mean +- t * deviation * sqrt(1 + 1/n), with the quantile t of Student's distribution
        with n - 1 degrees of freedom; see "prediction interval" in any textbook, such as
        Hahn and Meeker, Statistical Intervals (1991), section 4.7.
        """
        count = len(self.values)
        half = student_quantile(count - 1) * self.deviation * sqrt(1 + 1 / count)
        return self.mean - half, self.mean + half

    def holds(self, value: float) -> bool:
        """Check whether `value` is inside the prediction interval."""
        low, high = self.prediction()
        return low <= value <= high


@cache
def student_quantile(freedom: int) -> float:
    """Compute the t with P(|T| <= t) = CONFIDENCE, where T has Student's distribution.

    For whole degrees of freedom that probability is a finite sum in theta, where tan(theta) = t /
    sqrt(freedom): Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and
    26.7.4.
    """
    is_odd = freedom % 2

    def probability(theta: float) -> float:
        total, term = 0.0, cos(theta) ** is_odd
        for power in range(is_odd, freedom - 1, 2):
            total += term
            term *= cos(theta) ** 2 * (power + 1) / (power + 2)
        total *= sin(theta)
        return 2 / pi * (theta + total) if is_odd else total

    low, high = 0.0, pi / 2
    for _ in range(60):  # bisection, down to the last bit
        middle = (low + high) / 2
        low, high = (middle, high) if probability(middle) < CONFIDENCE else (low, middle)
    return sqrt(freedom) * tan(low)


def differences(values: Sequence[float], others: Sequence[float]) -> Spread:
    """Return the spread of the differences per seed, in which effects of the seed alone cancel."""
    return Spread(tuple(a - b for a, b in zip(values, others, strict=True)))


def follow(a: np.ndarray, b: np.ndarray) -> dict[str, list[Any]]:
    """Return the relative difference of two trainings' losses over the steps.

    Steps are grouped in windows that grow with their number; each has its last step, and the median
    and the largest difference |a - b| / |a|.
    """
    size = min(len(a), len(b))
    a, b = a[:size].astype(np.float64), b[:size].astype(np.float64)
    relative = np.abs(a - b) / np.abs(a)
    ends = np.unique(np.geomspace(1, size, WINDOWS).round().astype(int))
    starts = [0, *ends[:-1]]
    windows = [relative[start:end] for start, end in zip(starts, ends, strict=True)]
    return {
        "step": ends.tolist(),
        "median": [float(f"{np.median(window):.4g}") for window in windows],
        "largest": [float(f"{window.max():.4g}") for window in windows],
    }
