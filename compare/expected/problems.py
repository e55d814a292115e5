"""Small problems whose axes have distinct prime sizes, so that swapped axes cannot go unnoticed."""

from typing import NamedTuple

import numpy as np

from shared.data.levels import find_levels
from shared.data.load import Dataset, Split, load_data
from shared.params import initial_params, param_shapes


class Problem(NamedTuple):
    """Parameters and one batch."""

    params: dict[str, np.ndarray]
    images: np.ndarray  # float32 [batch, steps, channels]
    labels: np.ndarray  # int64 [batch]


def make_problem(
    batch: int = 2, steps: int = 7, channels: int = 3, outputs: int = 5, *, seed: int = 0
) -> Problem:
    """Draw asymmetric parameters of ordinary size, and images; all are exact in float32."""
    rng = np.random.default_rng(seed)
    params = {
        name: rng.normal(size=shape).astype(np.float32).astype(np.float64)
        for name, shape in param_shapes(steps, channels, outputs).items()
    }
    images = rng.normal(size=(batch, steps, channels)).astype(np.float32)
    return Problem(params, images, rng.integers(outputs, size=batch))


def scaled(problem: Problem, factor: float) -> Problem:
    """Multiply K and Q by a factor, and so the scores by its square."""
    params = {name: problem.params[name] * factor for name in ("K", "Q")}
    return problem._replace(params=problem.params | params)


def few_levels(problem: Problem, num_levels: int, *, seed: int = 0) -> Problem:
    """Draw the pixels from a few levels, as in 8-bit images."""
    rng = np.random.default_rng(seed)
    batch, steps, channels = problem.images.shape
    levels = rng.normal(size=(num_levels, channels)).astype(np.float32)
    return problem._replace(images=levels[rng.integers(num_levels, size=(batch, steps))])


def real_digits(channels: int, count: int = 5) -> Problem:
    """Return a few digits of the sample, with the parameters that training starts from."""
    test = load_data("sample", num_channels=channels).test
    return Problem(
        initial_params(num_channels=channels, seed=7), test.images[:count], test.labels[:count]
    )


def dim_digits(channels: int, factor: float, count: int = 5) -> Problem:
    """Return digits with scores so large that the histogram form must not share exponentials.

    For most queries the largest score is that of the brightest level, which does not occur in the
    first digit (dim) nor in the second (blank): relative to that score, all exponentials of these
    digits are 0 in float32.
    """
    test = load_data("sample", num_channels=channels).test
    pixels = test.pixels[:count].copy()
    pixels[0] //= 3
    pixels[1] = 0
    params = initial_params(num_channels=channels, seed=7)
    product = np.abs(params["K"].sum() * params["Q"].sum())  # all channels of a pixel are equal
    params["Q"] = (params["Q"] * factor / product).astype(np.float32).astype(np.float64)
    assert test.levels is not None
    return Problem(params, test.levels[pixels], test.labels[:count])


def make_dataset(problem: Problem) -> Dataset:
    """Return a data set whose three splits are all the batch of a problem."""
    found = find_levels(problem.images)
    split = Split(found.indices, problem.images, problem.labels, found.levels)
    return Dataset(train=split, validation=split, test=split)
