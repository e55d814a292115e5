"""What is checked of the forward pass, of what goes in, and of what is refused."""

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

ROUNDS = 10  # of two threads that evaluate at once
# Worked out by hand, for no code is the judge of accuracy: class 0 is right 5 times of 5, class 1
# 2 of 4, class 3 0 of 4; class 2 is only guessed, and class 4 neither. The last guess is a tie.
GUESSES = (0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 1, 2, None)
LABELS = (0, 0, 1, 1, 3, 3, 0, 0, 1, 1, 3, 3, 0)
MICRO, MACRO = 7 / 13, (1 + 1 / 2 + 0 + 0) / 4


def check_intermediates(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Judge every intermediate of the forward pass, by itself and since the start."""
    for problem in draw_problems(seed):
        batch = Batch(*problem).held_in(case.dtype)
        carried = bound_intermediates(batch, case.dtype)
        for found in judge(case, implementation, batch, carried):
            ratio = found.carried if found.local is None else np.max([found.carried, found.local])
            where = f"{case}, at {list(found.index)}"
            yield Comparison(found.name, where, found.error, float(ratio))


def check_logits(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Evaluate in batches of which the last is short, also where scores are enormous."""
    problems = draw_problems(seed, EVALUATED)
    for problem in (*problems, *(enormous(problem) for problem in problems)):
        logits, _ = expect_evaluation(problem, case.dtype)
        result = evaluate(case, implementation, problem)
        yield must("dtype", str(case), result.logits.dtype == np.dtype(case.dtype))
        yield hold_against("logits", str(case), result.logits, logits)


def check_loss(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Evaluate the mean loss over samples, in nats: the last batch is short, a loss is 1,000."""
    problems = draw_problems(seed, EVALUATED)
    for problem in (*problems, far_apart(problems[0])):
        _, loss = expect_evaluation(problem, case.dtype)
        result = evaluate(case, implementation, problem)
        yield hold_against("loss", str(case), np.array([result.loss]), loss)


def check_threads(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Evaluate two problems of one size at once, in two threads: each gets what it gets alone."""
    one, _, other = draw_problems(seed, EVALUATED)
    problems = (one, other)
    alone = [evaluate(case, implementation, problem) for problem in problems]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # seconds: threads take turns in the middle of everything
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
    """Count what is right: of all samples, or by class; the first of equal logits counts."""
    problem = make_problem(EVALUATED, *SIZES[0][1:], seed=seed)
    unbalanced = problem._replace(labels=np.where(problem.labels == 1, 0, problem.labels))
    # No label is, and no guess will be, one of the last two.
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
    """Make a problem whose images show their guess in a channel; of None all logits are alike."""
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
    """Take every input alike: constant, blank, one-hot, tiny, and what is no number."""
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
    """Make an image's logits NaN where a pixel is, and no other's; the histogram form refuses."""
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
    """Refuse a label that is no class, wherever labels are taken."""
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
    """Take parameters in and give them out: the same numbers, as copies, in the model's dtype."""
    problem = make_problem(*SIZES[0], seed=seed)
    given = {name: array.astype(case.dtype) for name, array in problem.params.items()}
    model = implementation.from_params(given, case.form, case.dtype, case.device)
    where = str(case)
    first = implementation.to_params(model)
    yield must("parameters' names", where, list(first) == list(problem.params))
    for array in (*given.values(), *(array for array in first.values() if array.flags.writeable)):
        array += 1  # whoever changes what was given, or taken, changes no model
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
    """Make scores so large, some thousands, that exp overflows in float64 without its shift."""
    return scaled(problem, 40.0)
