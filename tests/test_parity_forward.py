"""Every implementation, form, dtype and device computes the logits and loss of NumPy float64."""

from functools import cache

import numpy as np
import pytest
from conftest import Case, import_or_skip

import numpy_reference
from compare.bounds import Bounded, logits_bound, loss_bound
from compare.problems import Problem, dim_digits, make_problem, real_digits
from shared.levels import MODERATE_SCORE
from shared.records import Evaluation

PROBLEMS = {
    "primes": lambda: make_problem(),
    "one_channel": lambda: make_problem(3, 11, 1, 5, seed=1),
    "four_channels": lambda: make_problem(3, 7, 4, 5, seed=2),
    "batch_of_one": lambda: make_problem(1, 7, 3, 5, seed=3),
    "large_scores": lambda: scaled(make_problem(2, 7, 3, 5, seed=4), 6.0),
    "real_digits": lambda: real_digits(1),
    "real_digits_three_channels": lambda: real_digits(3),
    "scores_of_hundreds": lambda: dim_digits(1, 100.0),
    "scores_of_minus_hundreds": lambda: dim_digits(1, -100.0),
    "scores_of_hundreds_three_channels": lambda: dim_digits(3, 100.0),
}


def scaled(problem: Problem, factor: float) -> Problem:
    return problem._replace(
        params=problem.params | {name: problem.params[name] * factor for name in ("K", "Q")}
    )


@cache
def get_problem(key: str) -> Problem:
    return PROBLEMS[key]()


@cache
def exact(key: str, dtype: str) -> tuple[Bounded, float, float]:
    """Give the exact logits and their bound, the exact loss and its bound."""
    problem = get_problem(key)
    logits = logits_bound(problem.params, problem.images, dtype=dtype)
    loss = numpy_reference.cross_entropy(logits.value, problem.labels).mean()
    return logits, float(loss), loss_bound(logits, dtype=dtype)


@cache
def evaluate(key: str, case: Case) -> Evaluation:
    problem = get_problem(key)
    return case.module.evaluate(case.model(problem.params), problem.images, problem.labels)


@pytest.fixture(params=PROBLEMS)
def problem(request: pytest.FixtureRequest) -> str:
    return request.param


def test_logits_are_within_the_rounding_bound_of_numpy_float64(case: Case, problem: str):
    logits, _, _ = exact(problem, case.dtype)
    found = evaluate(problem, case).logits
    assert found.dtype == case.dtype
    assert found.shape == logits.value.shape
    assert np.all(np.abs(found - logits.value) <= logits.bound)


def test_loss_is_within_the_rounding_bound_of_numpy_float64(case: Case, problem: str):
    _, loss, allowed = exact(problem, case.dtype)
    assert abs(evaluate(problem, case).loss - loss) <= allowed


def test_accuracy_is_the_same_number(case: Case, problem: str):
    logits, _, _ = exact(problem, case.dtype)
    expected = (logits.value.argmax(axis=-1) == get_problem(problem).labels).mean()
    # The frameworks' metrics divide in float32.
    assert evaluate(problem, case).accuracy == pytest.approx(expected, abs=1e-7)


def test_float64_is_float64_throughout(float64_case: Case, problem: str):
    """One float32 step inside would show as an error near 1e-7."""
    logits, _, _ = exact(problem, "float64")
    error = np.abs(evaluate(problem, float64_case).logits - logits.value).max()
    assert error <= 1e-12 * max(1, np.abs(logits.value).max())


@pytest.mark.parametrize("name", ["pytorch", "jax", "numpy"])
@pytest.mark.parametrize("channels", [1, 3])
def test_float32_histogram_is_no_less_exact_than_the_direct_forms(name: str, channels: int):
    module = import_or_skip(name)
    problem = real_digits(channels)
    exact = logits_bound(problem.params, problem.images, dtype="float32").value
    errors = {}
    for form in ("looped", "histogram"):
        model = module.from_params(problem.params, attention=form, dtype="float32")
        logits = module.evaluate(model, problem.images, problem.labels).logits
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
        reference = numpy_reference.from_params(params, "textbook")(problem.images)
        model = implementation.from_params(params, attention="histogram", dtype="float64")
        found = implementation.evaluate(model, problem.images, problem.labels).logits
        np.testing.assert_allclose(found, reference, rtol=1e-11, atol=1e-12)


def test_the_reference_is_the_formula_written_with_einsum():
    """The arbiter itself, against the definition in another notation."""
    params, images, _ = make_problem()
    x = images.astype(np.float64)
    query, key, value = (np.einsum("bsi,ic->bsc", x, params[name]) for name in ("Q", "K", "V"))
    scores = np.einsum("bqc,bkc->bqk", query, key) / 3**0.5
    weights = np.exp(scores) / np.exp(scores).sum(axis=2)[:, :, None]
    attended = np.einsum("bqk,bkc->bqc", weights, value)
    weight = params["out.weight"].reshape(5, 7, 3)
    logits = np.einsum("bsc,osc->bo", attended, weight) + params["out.bias"]
    found = numpy_reference.from_params(params)(images)
    np.testing.assert_allclose(found, logits, rtol=1e-12, atol=1e-13)


def test_evaluation_in_batches_changes_nothing(implementation):
    params, images, labels = make_problem(batch=7)
    model = implementation.from_params(params, dtype="float64")
    whole = implementation.evaluate(model, images, labels, batch_size=7)
    parts = implementation.evaluate(model, images, labels, batch_size=3)  # 3 + 3 + 1
    np.testing.assert_allclose(parts.logits, whole.logits, rtol=1e-12, atol=1e-13)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-13)
    assert parts.accuracy == whole.accuracy


def test_jax_nn_attention_still_takes_its_softmax_in_float32():
    """Why the builtin form takes Flax's call in float64; if this fails, it no longer has to."""
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
