"""The exact gradients, and those of every implementation on real digits."""

from functools import cache

import numpy as np
import pytest
from conftest import ModelCase

import numpy_reference
from compare.expected.bounds import ARITHMETIC, EXP_ROUNDINGS, Bounded
from compare.expected.exact import expect_gradients
from compare.expected.problems import Problem, dim_digits, make_problem, real_digits
from compare.parity.comparison import hold_against

# Beside the small ones of the check `gradients`.
PROBLEMS = {
    "real_digits": lambda: real_digits(1),
    "real_digits_three_channels": lambda: real_digits(3),
    # Some digits lack the level of most queries' best score; one is blank altogether.
    "scores_of_hundreds": lambda: dim_digits(1, 100.0),
    "scores_of_minus_hundreds": lambda: dim_digits(1, -100.0),
}


@cache
def get_problem(key: str) -> Problem:
    return PROBLEMS[key]()


@cache
def exact(key: str, dtype: str) -> dict[str, Bounded]:
    """Return the exact gradients and their bounds, the same for every implementation and form."""
    return expect_gradients(*get_problem(key), ARITHMETIC[dtype])


def complex_step(problem: Problem, form: str, step: float = 1e-200) -> dict[str, np.ndarray]:
    """Differentiate the loss of the NumPy reference by every parameter, one at a time.

    f'(x) = Im f(x + ih) / h, with an error of h^2 and no difference of nearly equal numbers
    (Squire and Trapp, SIAM Review 40, 1998): as exact as f itself.
    """

    def loss(params: dict[str, np.ndarray]) -> complex:
        model = numpy_reference.from_params(problem.params, form)
        for name, array in params.items():
            setattr(model, name.replace(".", "_"), array)
        logits = model(problem.images)
        # A largest logit that is complex would be taken off by its real part alone, and cancels.
        shifted = logits - logits.real.max(axis=-1, keepdims=True)
        log_sum = np.log(np.exp(shifted).sum(axis=-1))
        return (log_sum - shifted[np.arange(len(shifted)), problem.labels]).mean()

    gradients = {}
    for name, array in problem.params.items():
        gradients[name] = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            moved = {key: other.astype(complex) for key, other in problem.params.items()}
            moved[name][index] += 1j * step
            gradients[name][index] = loss(moved).imag / step
    return gradients


@pytest.mark.parametrize("size", [(11, 7, 1, 5), (2, 7, 3, 5), (3, 7, 4, 5)])
def test_the_exact_gradients_are_the_derivatives_of_the_numpy_loss(size: tuple[int, ...]):
    problem = make_problem(*size)
    expected = expect_gradients(*problem, ARITHMETIC["float64"])
    for name, found in complex_step(problem, "vectorized").items():
        check = hold_against(name, "complex step", found, expected[name])
        assert check.passed, check
        assert np.abs(found).max() > 1e-4, f"{name} has no gradient worth comparing"


@pytest.mark.parametrize("key", PROBLEMS)
def test_gradients_are_within_their_bound(trainer_case: ModelCase, key: str):
    params, images, labels = get_problem(key)
    model = trainer_case.model(params)
    _, gradients = trainer_case.module.loss_and_gradients(model, images, labels)
    for name, gradient in exact(key, trainer_case.dtype).items():
        check = hold_against(name, key, gradients[name], gradient)
        assert check.passed, check


def test_the_bound_of_a_float64_gradient_is_small_enough_to_see_a_bug():
    """On small problems an error of one part in 10^9 stands out, in every parameter."""
    problem = make_problem()
    for name, gradient in expect_gradients(*problem, ARITHMETIC["float64"]).items():
        assert gradient.bound.max() < 1e-9 * np.abs(gradient.value).max(), name
    assert EXP_ROUNDINGS * ARITHMETIC["float64"].stored < 1e-14
