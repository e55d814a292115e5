"""Every implementation, form, dtype and device computes the logits and loss of NumPy float64."""

from functools import cache

import numpy as np
import pytest
from conftest import ModelCase, import_or_skip

import numpy_reference
from compare.expected.bounds import ARITHMETIC, Bounded
from compare.expected.exact import expect_logits, expect_loss
from compare.expected.problems import Problem, dim_digits, make_problem, real_digits
from compare.parity.comparison import hold_against
from shared.data.levels import MODERATE_SCORE
from shared.training.records import Evaluation

# Beside the small ones of the checks `logits` and `loss`.
PROBLEMS = {
    "real_digits": lambda: real_digits(1),
    "real_digits_three_channels": lambda: real_digits(3),
    "scores_of_hundreds": lambda: dim_digits(1, 100.0),
    "scores_of_minus_hundreds": lambda: dim_digits(1, -100.0),
    "scores_of_hundreds_three_channels": lambda: dim_digits(3, 100.0),
}


@cache
def get_problem(key: str) -> Problem:
    return PROBLEMS[key]()


@cache
def exact(key: str, dtype: str) -> tuple[Bounded, Bounded]:
    """Return the exact logits and the exact loss, with their bounds."""
    problem = get_problem(key)
    logits = expect_logits(problem.params, problem.images, ARITHMETIC[dtype])
    return logits, expect_loss(logits, problem.labels, ARITHMETIC[dtype])


@cache
def evaluate(key: str, case: ModelCase) -> Evaluation:
    problem = get_problem(key)
    return case.module.evaluate(case.model(problem.params), problem.images, problem.labels)


@pytest.fixture(params=PROBLEMS)
def problem(request: pytest.FixtureRequest) -> str:
    return request.param


def test_logits_are_within_the_rounding_bound_of_numpy_float64(case: ModelCase, problem: str):
    logits, _ = exact(problem, case.dtype)
    found = evaluate(problem, case).logits
    assert found.dtype == case.dtype
    check = hold_against("logits", problem, found, logits)
    assert check.passed, check


def test_loss_is_within_the_rounding_bound_of_numpy_float64(case: ModelCase, problem: str):
    _, loss = exact(problem, case.dtype)
    check = hold_against("loss", problem, np.array([evaluate(problem, case).loss]), loss)
    assert check.passed, check


@pytest.mark.parametrize("channels", [1, 3])
def test_float32_histogram_is_no_less_exact_than_the_direct_forms(implementation, channels: int):
    problem = real_digits(channels)
    exact = expect_logits(problem.params, problem.images, ARITHMETIC["float32"]).value
    errors = {}
    for form in ("looped", "histogram"):
        model = implementation.from_params(problem.params, attention=form, dtype="float32")
        logits = implementation.evaluate(model, problem.images, problem.labels).logits
        errors[form] = np.abs(logits - exact).max()
    assert 0 < errors["histogram"] <= errors["looped"]


@pytest.mark.parametrize("channels", [1, 3])
def test_one_table_and_a_table_each_agree_where_they_meet(implementation, channels: int):
    """Just below the largest score that one table takes, and just above."""
    problem = make_problem(5, 7, channels, 5)
    pixels = problem.images.astype(np.float64)
    scores = (pixels @ problem.params["Q"]).reshape(-1, channels)
    scores = scores @ (pixels @ problem.params["K"]).reshape(-1, channels).T / channels**0.5
    for ratio in (0.999, 1.001):
        scale = ratio * MODERATE_SCORE / np.abs(scores).max()
        params = problem.params | {"Q": problem.params["Q"] * scale}
        expected = expect_logits(params, problem.images, ARITHMETIC["float64"])
        model = implementation.from_params(params, attention="histogram", dtype="float64")
        found = implementation.evaluate(model, problem.images, problem.labels).logits
        check = hold_against("logits", f"{ratio} of the limit", found, expected)
        assert check.passed, check


def test_the_reference_is_the_formula_written_with_einsum():
    """The reference itself, against the definition in another notation."""
    params, images, _ = make_problem()
    x = images.astype(np.float64)
    query, key, value = (np.einsum("bsi,ic->bsc", x, params[name]) for name in ("Q", "K", "V"))
    scores = np.einsum("bqc,bkc->bqk", query, key) / 3**0.5
    weights = np.exp(scores) / np.exp(scores).sum(axis=2)[:, :, None]
    attended = np.einsum("bqk,bkc->bqc", weights, value)
    weight = params["out.weight"].reshape(5, 7, 3)
    logits = np.einsum("bsc,osc->bo", attended, weight) + params["out.bias"]
    expected = expect_logits(params, images, ARITHMETIC["float64"])
    for found in (logits, numpy_reference.from_params(params)(images)):
        check = hold_against("logits", "the definition", found, expected)
        assert check.passed, check


def test_jax_nn_attention_still_takes_its_softmax_in_float32():
    """The builtin form uses Flax's call in float64 for this reason; if this fails, it need not."""
    import_or_skip("jax")
    import jax

    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        query, key, value = (jax.numpy.asarray(rng.normal(size=(2, 7, 1, 3))) for _ in range(3))
        found = jax.nn.dot_product_attention(query, key, value)
        scores = np.einsum("bqhc,bkhc->bhqk", query, key) / 3**0.5
        weights = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
        exact = np.einsum("bhqk,bkhc->bqhc", weights, value)
        assert found.dtype == np.float64
        assert 1e-10 < np.abs(found - exact).max() < 1e-5
