"""The checks of the forward pass, of its inputs, and of refused inputs."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np

from compare.expected.bounds import exact
from compare.expected.problems import Problem, make_dataset, make_problem, scaled
from compare.parity.common import (
    EVALUATED,
    SIZES,
    Comparisons,
    config_of,
    draw_problems,
    evaluate,
    expect_evaluation,
    far_apart,
    hold_fraction,
    refuses,
)
from compare.parity.comparison import Comparison, hold_against, must
from compare.parity.intermediates import Batch, Case, bound_intermediates, judge
from numpy_reference.metrics import measure_accuracy
from shared.params import param_shapes
from shared.training.loop import train

ROUNDS = 10  # evaluations per thread, in two threads at once
# Accuracy worked out by hand, not by code: class 0 has 5 of 5 right, class 1 has 2 of 4, class 3
# has 0 of 4; class 2 is only predicted, class 4 does not occur. The last prediction is a tie.
GUESSES = (0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 1, 2, None)
LABELS = (0, 0, 1, 1, 3, 3, 0, 0, 1, 1, 3, 3, 0)
MICRO, MACRO = 7 / 13, (1 + 1 / 2 + 0 + 0) / 4


def check_intermediates(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check every intermediate of the forward pass, by itself and accumulated since the start."""
    for problem in draw_problems(seed):
        batch = Batch(*problem).held_in(case.dtype)
        carried = bound_intermediates(batch, case.dtype)
        for found in judge(case, implementation, batch, carried):
            ratio = found.carried if found.local is None else np.max([found.carried, found.local])
            where = f"{case}, at {list(found.index)}"
            yield Comparison(found.name, where, found.error, float(ratio))


def check_logits(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check logits evaluated in batches, the last of them short, also for enormous scores."""
    problems = draw_problems(seed, EVALUATED)
    for problem in (*problems, *(enormous(problem) for problem in problems)):
        logits, _ = expect_evaluation(problem, case.dtype)
        result = evaluate(case, implementation, problem)
        yield must("dtype", str(case), result.logits.dtype == np.dtype(case.dtype))
        yield hold_against("logits", str(case), result.logits, logits)


def check_loss(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check the mean loss in nats, with a short last batch and with a loss of 1,000."""
    problems = draw_problems(seed, EVALUATED)
    for problem in (*problems, far_apart(problems[0])):
        _, loss = expect_evaluation(problem, case.dtype)
        result = evaluate(case, implementation, problem)
        yield hold_against("loss", str(case), np.array([result.loss]), loss)


def check_threads(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check that two threads that evaluate at once get the same results as each alone."""
    one, _, other = draw_problems(seed, EVALUATED)
    problems = (one, other)
    alone = [evaluate(case, implementation, problem) for problem in problems]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # seconds, so that threads switch often
    try:
        with ThreadPoolExecutor(len(problems)) as pool:
            put = list(problems) * ROUNDS
            found = list(pool.map(lambda problem: evaluate(case, implementation, problem), put))
    finally:
        sys.setswitchinterval(before)
    for number, each in enumerate(found):
        same = np.array_equal(each.logits, alone[number % len(alone)].logits)
        yield must("logits", f"{case}, two threads at once", same)


def check_accuracy(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check the accuracy of all samples and by class; of equal logits the first counts."""
    problem = make_problem(EVALUATED, *SIZES[0][1:], seed=seed)
    unbalanced = problem._replace(labels=np.where(problem.labels == 1, 0, problem.labels))
    # Neither labels nor predictions use the last two classes.
    unlikely = problem.params | {"out.bias": problem.params["out.bias"] - [0, 0, 0, 1e3, 1e3]}
    absent = problem._replace(params=unlikely, labels=problem.labels % 3)
    tied = problem._replace(params={n: 0 * array for n, array in problem.params.items()})
    for put in (problem, unbalanced, absent, tied):
        for kind in ("micro", "macro"):
            result = evaluate(case, implementation, put, accuracy=kind)
            expected = measure_accuracy(result.logits, put.labels, kind)
            yield hold_fraction(f"{kind} accuracy", str(case), result.accuracy, expected)
    put = guessing(GUESSES, LABELS)
    for kind, expected in (("micro", MICRO), ("macro", MACRO)):
        found = evaluate(case, implementation, put, accuracy=kind).accuracy
        yield hold_fraction(f"{kind} accuracy by hand", str(case), found, expected)


def guessing(guesses: Sequence[int | None], labels: Sequence[int]) -> Problem:
    """Return a problem with given predictions; for None, all logits are equal."""
    _, steps, channels, outputs = SIZES[0]
    images = np.zeros((len(guesses), steps, channels), np.float32)
    for image, guess in zip(images, guesses, strict=True):
        if guess is not None:
            image[:, guess] = 1
    params = {
        name: np.zeros(shape) for name, shape in param_shapes(steps, channels, outputs).items()
    }
    params["V"] = np.eye(channels)
    params["out.weight"][:channels] = np.tile(np.eye(channels), steps)
    return Problem(params, images, np.array(labels))


def check_inputs(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check unusual images: constant, blank, one-hot, tiny, and with NaN or infinity."""
    problem = make_problem(EVALUATED, *SIZES[0][1:], seed=seed)
    one_hot = np.zeros_like(problem.images)
    one_hot[:, 2] = 1
    for images in (
        np.zeros_like(problem.images),
        np.ones_like(problem.images) * problem.images[:1, :1],
        one_hot,
        problem.images * np.float32(1e-40),
        problem.images * np.float32(30),
    ):
        put = problem._replace(images=images.astype(np.float32))
        logits, _ = expect_evaluation(put, case.dtype)
        yield hold_against("logits", str(case), evaluate(case, implementation, put).logits, logits)
    yield from check_no_number(case, implementation, problem)


def check_no_number(case: Case, implementation: ModuleType, problem: Problem) -> Comparisons:
    """Check that a NaN pixel makes only its image's logits NaN; the histogram form refuses it."""
    right = evaluate(case, implementation, problem).logits
    for value in (np.nan, np.inf, -np.inf):
        images = problem.images.copy()
        images[1, 4, 2] = value
        put = problem._replace(images=images)
        if case.form == "histogram":
            refused = refuses(evaluate, case, implementation, put)
            yield must(f"{value} is refused", str(case), refused)
            continue
        with np.errstate(invalid="ignore"):  # NumPy says so
            found = evaluate(case, implementation, put).logits
        yield must(f"{value} makes its image NaN", str(case), bool(np.isnan(found[1]).all()))
        same = np.array_equal(np.delete(found, 1, 0), np.delete(right, 1, 0))
        yield must(f"{value} leaves other images alone", str(case), same)


def check_labels(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check that a label that is not a class is refused by every function that takes labels."""
    problem = make_problem(*SIZES[0], seed=seed)
    model = implementation.from_params(problem.params, case.form, case.dtype, case.device)
    for wrong in (-100, -1, 5, 255):
        labels = problem.labels.copy()
        labels[0] = wrong
        where = f"{case}, label {wrong} of 5 classes"
        put = problem._replace(labels=labels)
        yield must("evaluate refuses", where, refuses(evaluate, case, implementation, put))
        if hasattr(implementation, "loss_and_gradients"):
            refused = refuses(implementation.loss_and_gradients, model, put.images, labels)
            yield must("loss_and_gradients refuses", where, refused)
        if hasattr(implementation, "Training"):
            training = train(implementation, put.params, make_dataset(put), config_of(case))
            yield must("train refuses", where, refuses(next, training))


def check_params(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check that parameters come out as they went in, as copies, in the model's dtype."""
    problem = make_problem(*SIZES[0], seed=seed)
    given = {name: array.astype(case.dtype) for name, array in problem.params.items()}
    model = implementation.from_params(given, case.form, case.dtype, case.device)
    where = str(case)
    first = implementation.to_params(model)
    yield must("parameters' names", where, list(first) == list(problem.params))
    for array in (*given.values(), *(array for array in first.values() if array.flags.writeable)):
        array += 1  # changing either array must not change the model
    for name, array in implementation.to_params(model).items():
        expected = problem.params[name]
        yield must(f"dtype of {name}", where, array.dtype == np.dtype(case.dtype))
        yield hold_against(name, where, array, exact(expected))
    wrong = dict(problem.params)
    wrong["K"] = wrong["K"][:, :2]
    for what, params in (
        ("a missing parameter", {n: a for n, a in problem.params.items() if n != "V"}),
        ("a wrong shape", wrong),
    ):
        yield must(f"{what} is refused", where, refuses(implementation.from_params, params))


def enormous(problem: Problem) -> Problem:
    """Return a problem with scores in the thousands, whose exp overflows even in float64."""
    return scaled(problem, 40.0)
