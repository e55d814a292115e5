"""Any numbers: images and parameters drawn by Hypothesis, and the effect of NaN."""

import numpy as np
import pytest
from conftest import ModelCase, import_or_skip

from compare.expected.bounds import ARITHMETIC
from compare.expected.exact import expect_logits
from compare.expected.problems import Problem, make_problem
from compare.parity.comparison import hold_against
from shared.data.levels import find_levels
from shared.errors import UserError

pytest.importorskip("hypothesis", reason="hypothesis is not installed")

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

BATCH, STEPS, CHANNELS, OUTPUTS = 2, 7, 3, 5
KINDS = ("normal", "constant", "one_hot", "blank", "two_levels")


def draw_images(kind: str, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Draw float32 images [batch, steps, channels] of a kind, with pixels of a size."""
    shape = (BATCH, STEPS, CHANNELS)
    if kind == "normal":
        images = rng.normal(size=shape)
    elif kind == "constant":
        images = np.ones(shape) * rng.normal(size=(BATCH, 1, CHANNELS))
    elif kind == "one_hot":
        images = np.zeros(shape)
        images[np.arange(BATCH), rng.integers(STEPS, size=BATCH)] = 1
    elif kind == "two_levels":
        images = rng.normal(size=(2, CHANNELS))[rng.integers(2, size=(BATCH, STEPS))]
    else:
        images = np.zeros(shape)
    return (scale * images).astype(np.float32)


def draw_problem(kind: str, pixels: float, scores: float, seed: int) -> Problem:
    """Draw a problem whose pixels and whose K and Q are of the sizes asked for."""
    rng = np.random.default_rng(seed)
    problem = make_problem(BATCH, STEPS, CHANNELS, OUTPUTS, seed=seed)
    params = dict(problem.params)
    for name in ("K", "Q"):
        params[name] = (scores**0.5 * params[name]).astype(np.float32).astype(np.float64)
    return problem._replace(params=params, images=draw_images(kind, pixels, rng))


# Scores of up to some million. From about 1e9, where float32's numbers are 64 apart, jitted JAX
# gives NaN: it computes scores twice, rounded differently from their maximum, and exp overflows.
pixel_sizes = st.integers(-12, 1).map(lambda exponent: 10.0**exponent)
score_sizes = st.integers(-12, 3).map(lambda exponent: 10.0**exponent)


# One compiled program serves all examples of a case: their shapes are the same.
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kind=st.sampled_from(KINDS), pixels=pixel_sizes, scores=score_sizes, seed=st.integers(0, 999)
)
@example(kind="normal", pixels=1.0, scores=1000.0, seed=0)  # scores of thousands
@example(kind="normal", pixels=1e-40, scores=1.0, seed=1)  # pixels too small to be normal numbers
@example(kind="one_hot", pixels=100.0, scores=1.0, seed=2)
@example(kind="constant", pixels=30.0, scores=1e3, seed=3)
def test_logits_are_within_their_bound(
    case: ModelCase, kind: str, pixels: float, scores: float, seed: int
):
    problem = draw_problem(kind, pixels, scores, seed)
    logits = expect_logits(problem.params, problem.images, ARITHMETIC[case.dtype])
    found = case.module.evaluate(case.model(problem.params), problem.images, problem.labels).logits
    check = hold_against("logits", kind, found, logits)
    assert check.passed, check


def test_levels_that_are_no_numbers_are_refused():
    import_or_skip("numpy")
    images = np.zeros((2, 7, 1), np.float32)
    images[0, 3] = np.nan
    with pytest.raises(UserError, match="NaN or infinity"):
        find_levels(images)
