"""The checks of gradients, of Adam's steps and state, and of whole trainings."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import pairwise
from types import ModuleType

import numpy as np

from compare.expected.adam import expect_moments, expect_params, start_of_adam
from compare.expected.bounds import ARITHMETIC, Bounded, gamma
from compare.expected.exact import expect_gradients, expect_logits, expect_loss
from compare.expected.problems import Problem, few_levels, make_dataset, make_problem
from compare.expected.training import ExactTraining, train_exactly
from compare.parity.common import (
    SIZES,
    TRAINED,
    Comparisons,
    at_score,
    config_of,
    draw_problems,
    expect_evaluation,
    far_apart,
    hold_fraction,
)
from compare.parity.comparison import Comparison, hold_against, must, relative_difference
from compare.parity.intermediates import Case
from numpy_reference.metrics import measure_accuracy
from shared.config import Config
from shared.data.batches import epoch_batches
from shared.data.levels import MODERATE_SCORE
from shared.data.load import Dataset
from shared.training.loop import draw_batches, train
from shared.training.records import Epoch, TrainingState, begin_training

TRAJECTORY_SAMPLES, TRAJECTORY_EPOCHS = 127, 20  # 500 steps of 5; each epoch leaves out two samples
# The allowed relative difference after 500 steps in float64: far above rounding, which has grown
# to about 1e-14 by then, and far below any difference of method.
TRAJECTORY_TOLERANCE = 1e-10
ADAM_STEPS = 3
# So large that a step changes the predictions. The checks share it, since JAX compiles per rate.
STEEP = {"learning_rate": 0.3}


def check_gradients(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check the gradients of a batch's mean loss by every parameter."""
    problems = draw_problems(seed)
    around = [ratio * MODERATE_SCORE for ratio in (0.999, 1.001, 2.6, 40)]
    extremes = [at_score(problems[1], score) for size in around for score in (size, -size)]
    for problem in (*problems, far_apart(problems[0]), *extremes):
        params, images, labels = problem
        expected = expect_gradients(params, images, labels, ARITHMETIC[case.dtype])
        model = implementation.from_params(params, case.form, case.dtype, case.device)
        loss, gradients = implementation.loss_and_gradients(model, images, labels)
        _, exact_loss = expect_evaluation(problem, case.dtype)
        yield hold_against("loss", str(case), np.array([loss]), exact_loss)
        yield must("gradients' names", str(case), list(gradients) == list(params))
        for name, gradient in expected.items():
            yield hold_against(f"gradient of {name}", str(case), gradients[name], gradient)


def check_adam(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check a few steps of Adam, each from the state that the implementation held before it."""
    # Some gradients are as small as Adam's epsilon, so that its place in the formula matters.
    problem = with_small_gradients(make_problem(*SIZES[0], seed=seed))
    yield from check_adam_steps(case, implementation, problem)


def check_adam_steps(case: Case, implementation: ModuleType, problem: Problem) -> Comparisons:
    """Check a few steps of Adam on one batch, which has all samples of a problem."""
    arithmetic = ARITHMETIC[case.dtype]
    config = config_of(case, epochs=ADAM_STEPS, batch_size=len(problem.labels))
    params, state = dict(problem.params), start_of_adam(problem.params)
    for epoch in train(implementation, problem.params, make_dataset(problem), config):
        gradients = expect_gradients(params, problem.images, problem.labels, arithmetic)
        moments = expect_moments(state, gradients, arithmetic)
        where = f"{case}, step {epoch.number}"
        yield must("Adam's step", where, epoch.adam.step == epoch.number)
        logits = expect_logits(params, problem.images, arithmetic)
        loss = expect_loss(logits, problem.labels, arithmetic)
        yield hold_against("step loss", where, epoch.step_losses, loss)
        expected = expect_params(params, epoch.adam, config.learning_rate, arithmetic)
        for name in params:
            for quantity, found, wanted in (
                ("first moment", epoch.adam.first_moment[name], moments[0][name]),
                ("second moment", epoch.adam.second_moment[name], moments[1][name]),
                ("stepped", epoch.params[name], expected[name]),
            ):
                yield hold_against(f"{quantity} {name}", where, found, wanted)
        params, state = dict(epoch.params), epoch.adam


def check_trajectory(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check that 500 steps in float64, over several epochs, stay close to the exact training."""
    problem = trajectory_problem(seed)
    config = config_of(case, epochs=TRAJECTORY_EPOCHS, batch_size=5, seed=seed)
    exact_training = exact_trajectory(seed)
    epochs = list(train(implementation, problem.params, make_dataset(problem), config))
    losses, last = np.concatenate([epoch.step_losses for epoch in epochs]), epochs[-1]
    where = f"{case} after {len(losses)} steps"
    yield must("number of steps", where, last.adam.step == len(exact_training.losses))
    states = pair_states(last, exact_training)
    for quantity, found, expected in (("losses", losses, exact_training.losses), *states):
        allowed = TRAJECTORY_TOLERANCE * np.abs(expected).max() * np.ones_like(expected)
        yield hold_against(quantity, where, found, Bounded(expected, allowed, np.abs(expected)))


def check_epochs(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check the report of each epoch: means over its steps, validation at its end, copies."""
    problem = trained_problem(seed)
    sampling = "replacement"  # check_trajectory shuffles
    config = config_of(
        case, epochs=3, batch_size=5, seed=seed, sampling=sampling, eval_batch_size=4, **STEEP
    )
    other = problem._replace(images=problem.images[::-1].copy(), labels=(problem.labels + 1) % 5)
    tested = problem._replace(images=np.zeros_like(problem.images))
    data = Dataset(*(make_dataset(each).train for each in (problem, other, tested)))
    start = {n: a.copy() for n, a in problem.params.items()}
    kept = [  # each epoch as it was yielded, and as it is after later ones
        (epoch, {name: array.copy() for name, array in epoch.params.items()})
        for epoch in train(implementation, problem.params, data, config)
    ]
    where = str(case)
    yield from check_waiting(case, implementation, problem, data, config)
    yield must("number of epochs", where, [e.number for e, _ in kept] == [1, 2, 3])
    for name, array in start.items():
        same = np.array_equal(problem.params[name], array)
        yield must(f"{name} that training began from is left alone", where, same)
    if case.dtype == "float64":
        yield from check_train_accuracy(case, implementation, problem, config)
    if case.form != "histogram":  # which refuses NaN
        yield from check_nan_loss(case, implementation, problem, config)
    for epoch, copied in kept:
        where = f"{case}, epoch {epoch.number}"
        yield must("images trained on", where, epoch.samples == 10)
        mean = epoch.step_losses.astype(np.float64).mean(keepdims=True)
        # TorchMetrics and Flax keep their means in float32.
        allowed = gamma(len(epoch.step_losses) + 2, ARITHMETIC["float32"].stored) * mean
        reported = np.array([epoch.train_loss])
        yield hold_against("train loss", where, reported, Bounded(mean, allowed, mean))
        held = other._replace(params=copied)
        logits, loss = expect_evaluation(held, case.dtype)
        yield hold_against("validation logits", where, epoch.validation.logits, logits)
        yield hold_against("validation loss", where, np.array([epoch.validation.loss]), loss)
        right = measure_accuracy(epoch.validation.logits, other.labels, "micro")
        yield hold_fraction("validation accuracy", where, epoch.validation.accuracy, right)
        for name, array in copied.items():
            same = np.array_equal(epoch.params[name], array)
            yield must(f"{name} is a copy", where, same)
    moved = [not np.array_equal(a["V"], b["V"]) for (_, a), (_, b) in pairwise(kept)]
    yield must("every epoch moves the parameters", str(case), all(moved))


def check_resume(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check that training resumed within an epoch ends as if it had never stopped."""
    problem = trained_problem(seed)
    data = make_dataset(problem)
    config = config_of(case, epochs=2, batch_size=5, seed=seed, checkpoint_every=1, **STEEP)
    stops: list[TrainingState] = []
    *_, a = train(
        implementation,
        problem.params,
        data,
        config,
        on_part=lambda steps, epoch: stops.append(epoch.copy_state()),
    )
    *_, b = train(implementation, problem.params, data, config, start=stops[2])
    where = f"{case}, resumed after {stops[2].adam.step} steps"
    yield must("Adam's step", where, a.adam.step == b.adam.step == 4)
    states = pair_states(a, b)
    for quantity, expected, found in (("losses", a.step_losses, b.step_losses), *states):
        error = relative_difference(found, expected)
        yield Comparison(quantity, where, error, error / TRAJECTORY_TOLERANCE)


def check_repeat(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check that a model gives the same loss and gradients twice."""
    params, images, labels = draw_problems(seed)[0]
    model = implementation.from_params(params, case.form, case.dtype, case.device)
    answers = [  # copied, since the second result may overwrite the first
        deepcopy(implementation.loss_and_gradients(model, images, labels)) for _ in range(2)
    ]
    (loss, first), (again, second) = answers
    yield must("the loss", f"{case}, asked twice", loss == again)
    for name, gradient in first.items():
        same = np.array_equal(gradient, second[name])
        yield must(f"gradient of {name}", f"{case}, asked twice", same)


def check_copies(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check that changing the inputs of a training after its start has no effect."""
    problem = trained_problem(seed)
    config = config_of(case, epochs=2, batch_size=5, seed=seed, eval_batch_size=4, **STEEP)
    expected = list(train(implementation, problem.params, make_dataset(problem), config))
    given = deepcopy(problem)
    data = make_dataset(given)
    training = train(implementation, given.params, data, config)
    found = [next(training)]
    assert data.train.levels is not None  # the problem has few
    for array in (given.images, data.train.levels, *given.params.values()):
        array *= 0
    for array in (given.labels, data.train.pixels):
        array[...] = array[::-1].copy()
    found += training
    for a, b in zip(found, expected, strict=True):
        where = f"{case}, epoch {b.number}"
        yield must("step losses", where, np.array_equal(a.step_losses, b.step_losses))
        same = np.array_equal(a.validation.logits, b.validation.logits)
        yield must("validation logits", where, same)
        for name, array in b.params.items():
            yield must(name, where, np.array_equal(a.params[name], array))


def check_waiting(
    case: Case, implementation: ModuleType, problem: Problem, data: Dataset, config: Config
) -> Comparisons:
    """Check that the steps are finished when they return, so that their time can be measured."""
    start = begin_training(problem.params, config.dtype)
    training = implementation.Training(start.params, start.adam, data.train, config)
    taken = training.take_steps(draw_batches(len(problem.labels), 1, config))
    waited = all(isinstance(array, np.ndarray) for array in taken)
    yield must("steps are waited for", str(case), waited)


def check_train_accuracy(
    case: Case, implementation: ModuleType, problem: Problem, config: Config
) -> Comparisons:
    """Check the training accuracy of each epoch against the exact training's."""
    exact_training = train_exactly(problem, config)
    labels = np.split(exact_training.labels, config.epochs)
    logits = np.split(exact_training.logits, config.epochs)
    for kind in ("micro", "macro"):
        training = train(
            implementation, problem.params, make_dataset(problem), replace(config, accuracy=kind)
        )
        for epoch, outputs, targets in zip(training, logits, labels, strict=True):
            batches = zip(outputs, targets, strict=True)  # each by itself, as the original does
            right = float(np.mean([measure_accuracy(*batch, kind) for batch in batches]))
            yield hold_fraction(f"{kind} train accuracy", str(case), epoch.train_accuracy, right)
            right = measure_accuracy(epoch.validation.logits, problem.labels, kind)
            found = epoch.validation.accuracy
            yield hold_fraction(f"{kind} validation accuracy", str(case), found, right)


def check_nan_loss(
    case: Case, implementation: ModuleType, problem: Problem, config: Config
) -> Comparisons:
    """Check that a NaN loss makes the mean of its epoch NaN."""
    first, second = epoch_batches(
        len(problem.labels), config.batch_size, sampling=config.sampling, seed=config.seed, epoch=1
    )
    images = problem.images.copy()
    images[np.setdiff1d(second, first)[0], 2, 1] = np.nan  # so the first batch's loss is a number
    data = make_dataset(problem)
    broken = replace(data, train=replace(data.train, images=images))
    with np.errstate(invalid="ignore"):
        epoch = next(iter(train(implementation, problem.params, broken, config)))
    is_nan = np.isnan([*epoch.step_losses, epoch.train_loss]).tolist()
    yield must("NaN makes the train loss NaN", str(case), is_nan == [False, True, True])


@cache
def exact_trajectory(seed: int) -> ExactTraining:
    """Return the exact training on the trajectory's problem."""
    config = Config(epochs=TRAJECTORY_EPOCHS, batch_size=5, seed=seed)
    return train_exactly(trajectory_problem(seed), config)


def pair_states(
    a: Epoch | ExactTraining, b: Epoch | ExactTraining
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Return the final parameters and Adam's moments of two trainings in pairs, by name."""
    for kind, found, expected in (
        ("parameter", a.params, b.params),
        ("first moment", a.adam.first_moment, b.adam.first_moment),
        ("second moment", a.adam.second_moment, b.adam.second_moment),
    ):
        for name, array in expected.items():
            yield f"{kind} {name}", found[name], array


def trained_problem(seed: int) -> Problem:
    """Return the problem that is trained on for a few epochs."""
    return few_levels(make_problem(*TRAINED, seed=seed), 13, seed=seed)


def trajectory_problem(seed: int) -> Problem:
    """Return the problem that is trained on for 500 steps, with levels for the histogram form."""
    return few_levels(make_problem(TRAJECTORY_SAMPLES, 5, 3, 2, seed=seed), 31, seed=seed)


def with_small_gradients(problem: Problem) -> Problem:
    """Return a problem whose last layer is so small that K, Q and V have gradients near 1e-8."""
    weight = (problem.params["out.weight"] * 1e-8).astype(np.float32).astype(np.float64)
    return problem._replace(params=problem.params | {"out.weight": weight})
