"""Gradients: PyTorch against JAX, and both against central differences of the NumPy loss."""

import numpy as np
import pytest
from conftest import DEVICES, FORMS, TRAINERS, Case, import_or_skip, skip_without_device
from problems import Problem, dim_digits, make_problem

import numpy_reference

SIZES = {"one_channel": (11, 7, 1, 5), "primes": (2, 7, 3, 5), "four_channels": (3, 7, 4, 5)}


@pytest.fixture(params=SIZES)
def problem(request: pytest.FixtureRequest) -> Problem:
    return make_problem(*SIZES[request.param])


def numpy_loss(params: dict[str, np.ndarray], problem: Problem) -> float:
    logits = numpy_reference.from_params(params)(problem.images.astype(np.float64))
    return float(numpy_reference.cross_entropy(logits, problem.labels).mean())


def central_differences(problem: Problem, step: float = 1e-5) -> dict[str, np.ndarray]:
    """Differentiate the float64 NumPy loss by every parameter, one at a time."""
    gradients = {}
    for name, array in problem.params.items():
        gradients[name] = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            up, down = array.copy(), array.copy()
            up[index] += step
            down[index] -= step
            rise = numpy_loss(problem.params | {name: up}, problem)
            fall = numpy_loss(problem.params | {name: down}, problem)
            gradients[name][index] = (rise - fall) / (2 * step)
    return gradients


def test_gradients_are_the_central_differences_of_the_numpy_loss(
    trainer_case: Case, problem: Problem
):
    model = trainer_case.model(problem.params)
    _, gradients = trainer_case.module.loss_and_gradients(model, problem.images, problem.labels)
    assert list(gradients) == list(problem.params)
    # The differences are off by step^2 times the third derivative, and by rounding / step:
    # both near 1e-10 here. float32 adds its own 6e-8, grown over some hundred roundings.
    tolerance = {"float64": 1e-8, "float32": 100 * 2.0**-24}[trainer_case.dtype]
    for name, expected in central_differences(problem).items():
        assert gradients[name].shape == expected.shape
        scale = max(1, np.abs(expected).max())
        assert np.abs(gradients[name] - expected).max() <= tolerance * scale, name


@pytest.mark.parametrize("form", FORMS["jax"])
@pytest.mark.parametrize("device", DEVICES)
def test_gradients_of_pytorch_and_jax_agree_in_float64(form: str, device: str, problem: Problem):
    found = {}
    for name in TRAINERS:
        module = import_or_skip(name)
        skip_without_device(name, device)
        case = Case(name, form, "float64", device, module)
        model = case.model(problem.params)
        found[name] = module.loss_and_gradients(model, problem.images, problem.labels)
    (loss_a, gradients_a), (loss_b, gradients_b) = found.values()
    assert loss_a == pytest.approx(loss_b, rel=1e-13)
    for name in problem.params:
        scale = np.abs(gradients_a[name]).max()
        assert scale > 1e-4, f"{name} has no gradient worth comparing"
        assert np.abs(gradients_a[name] - gradients_b[name]).max() <= 1e-12 * scale, name


@pytest.mark.parametrize("factor", [100.0, -100.0])
def test_gradients_stay_finite_and_right_where_scores_are_large(trainer_case: Case, factor: float):
    """Some digits lack the level of most queries' best score; one is blank altogether."""
    problem = dim_digits(1, factor)
    model = trainer_case.model(problem.params)
    _, gradients = trainer_case.module.loss_and_gradients(model, problem.images, problem.labels)
    exact = trainer_case.module.from_params(problem.params, attention="textbook", dtype="float64")
    _, expected = trainer_case.module.loss_and_gradients(exact, problem.images, problem.labels)
    # A score of 800 is off by as many units in the last place of 1, and so is each weight,
    # relatively. The gradients of K and Q are small sums of such terms, large by themselves.
    largest = max(np.abs(gradient).max() for gradient in expected.values())
    tolerance = 10 * 800 * np.finfo(trainer_case.dtype).eps * largest
    for name, gradient in gradients.items():
        assert np.abs(gradient - expected[name]).max() <= tolerance, name
