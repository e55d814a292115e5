"""The problems of the checks, and the calls that they share."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np

from compare.expected.bounds import ARITHMETIC, Bounded, gamma
from compare.expected.exact import expect_logits, expect_loss
from compare.expected.problems import Problem, few_levels, make_problem
from compare.parity.comparison import Comparison, hold_against
from compare.parity.intermediates import Case
from shared.config import Config
from shared.training.records import Evaluation

# Distinct primes for every axis, so that swapped axes show; three channels, since with one a
# missing scale or swapped key and query change nothing; and one channel, as in the original.
# The checks use few sizes, since JAX compiles for each.
# The second has more than two blocks of the form "blocked", the last of which is short.
SIZES = ((2, 7, 3, 5), (11, 13, 1, 5))
NUM_LEVELS = 4  # of the last problem, which has equal pixels, like an image of few levels
EVALUATED = 13  # images, in batches of three: the last is short
TRAINED = (11, 7, 3, 5)  # in batches of five: one sample is left out of every epoch

Comparisons = Iterator[Comparison]


def draw_problems(seed: int, batch: int | None = None) -> tuple[Problem, ...]:
    """Draw a problem of each size and one of few levels; `batch` replaces the number of samples."""
    problems = [make_problem(batch or size[0], *size[1:], seed=seed) for size in SIZES]
    return *problems, few_levels(problems[0], NUM_LEVELS, seed=seed)


def far_apart(problem: Problem) -> Problem:
    """Return a problem with two logits 1,000 apart: the softmax of one is 0 in any dtype."""
    bias = problem.params["out.bias"].copy()
    bias[[0, -1]] += (500, -500)
    labels = np.where(np.arange(len(problem.labels)) % 2, len(bias) - 1, problem.labels)
    return problem._replace(params=problem.params | {"out.bias": bias}, labels=labels)


def at_score(problem: Problem, score: float) -> Problem:
    """Return a problem of one channel with every score close to `score`, which may be negative.

    The histogram form uses another branch above MODERATE_SCORE, and exp(-1000) is 0.
    """
    rng = np.random.default_rng(0)
    levels = np.array([[1.0], [0.97], [0.94], [0.9]], np.float32)
    images = levels[rng.integers(len(levels), size=problem.images.shape[:2])]
    root = np.float32(abs(score) ** 0.5).astype(np.float64).reshape(1, 1)
    sizes = {"K": root, "Q": np.copysign(root, score)}
    return problem._replace(params=problem.params | sizes, images=images)


def config_of(case: Case, **options: object) -> Config:
    """Return the training config for a case."""
    config = Config(epochs=1, batch_size=2)
    in_case = {"attention": case.form, "dtype": case.dtype, "device": case.device}
    return replace(config, **in_case, **options)  # type: ignore[arg-type]


def expect_evaluation(problem: Problem, dtype: str) -> tuple[Bounded, Bounded]:
    """Return the exact logits and the exact mean loss, with their bounds."""
    logits = expect_logits(problem.params, problem.images, ARITHMETIC[dtype])
    return logits, expect_loss(logits, problem.labels, ARITHMETIC[dtype])


def evaluate(
    case: Case, implementation: ModuleType, problem: Problem, accuracy: str = "micro"
) -> Evaluation:
    """Evaluate a problem in batches of three."""
    model = implementation.from_params(problem.params, case.form, case.dtype, case.device)
    result: Evaluation = implementation.evaluate(
        model, problem.images, problem.labels, batch_size=3, accuracy=accuracy
    )
    return result


def hold_fraction(quantity: str, where: str, found: float, expected: float) -> Comparison:
    """Compare an accuracy, a quotient of counts or a mean of some, kept in float32 by metrics."""
    allowed = gamma(8, ARITHMETIC["float32"].stored) * np.ones(1)
    bounded = Bounded(np.array([expected]), allowed, allowed)
    return hold_against(quantity, where, np.array([found]), bounded)


def refuses(function: Callable[..., object], *args: object) -> bool:
    """Check whether a call raises ValueError, and nothing else."""
    try:
        function(*args)
    except ValueError:  # UserError is one
        return True
    return False
