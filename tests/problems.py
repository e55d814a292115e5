"""Small problems with a distinct prime for every axis, so that no swap of axes can hide."""

from typing import NamedTuple

import numpy as np

from shared.data import Dataset, Split
from shared.levels import find_levels
from shared.params import param_shapes


class Problem(NamedTuple):
    """Parameters and one batch for them."""

    params: dict[str, np.ndarray]
    images: np.ndarray  # float32 [batch, steps, channels]
    labels: np.ndarray  # int64 [batch]


def make_problem(
    batch: int = 2, steps: int = 7, channels: int = 3, outputs: int = 5, *, seed: int = 0
) -> Problem:
    """Draw asymmetric weights of ordinary size and images; all numbers are exact in float32."""
    rng = np.random.default_rng(seed)
    params = {
        name: rng.normal(size=shape).astype(np.float32).astype(np.float64)
        for name, shape in param_shapes(steps, channels, outputs).items()
    }
    images = rng.normal(size=(batch, steps, channels)).astype(np.float32)
    return Problem(params, images, rng.integers(outputs, size=batch))


def make_dataset(problem: Problem) -> Dataset:
    """Use the batch of a problem as training, validation and test split."""
    found = find_levels(problem.images)
    split = Split(found.indices, problem.images, problem.labels, found.levels)
    return Dataset(train=split, validation=split, test=split)
