"""The catalogue of planted bugs: each is real, small, and changes what its claim is about."""

import sys
from dataclasses import replace
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import import_or_skip

import compare.parity
import compare.trace
from compare.catalogue import BUGS, Bug, plant
from compare.catalogue.plant import path_of, whole_lines
from compare.catalogue.records import STEPS
from compare.claims import CLAIMED
from compare.claims.comparator import check_comparator
from compare.problems import Problem, make_dataset, make_problem
from shared.config import Config
from shared.digits import Digits

SHORT = {"pytorch_impl": "pytorch", "jax_impl": "jax", "numpy_reference": "numpy"}
BY_NAME = {bug.name: bug for bug in BUGS}
Seen = dict[str, np.ndarray]


def by_name(bugs: Any) -> Any:
    return pytest.mark.parametrize("bug", bugs, ids=lambda bug: bug.name)


def import_real(bug: Bug) -> ModuleType:
    """Import what a bug is planted in, or skip by the name of the library that is missing."""
    if bug.package == "shared":
        return import_module(f"shared.{path_of(bug).stem}")
    if bug.package == "compare":
        return compare
    return import_or_skip(SHORT[bug.package])


def few_levels(batch: int = 3, channels: int = 3) -> Problem:
    """Draw a problem whose images have pixels that are alike, which only counting can tell."""
    problem = make_problem(batch, 7, channels, 5)
    rng = np.random.default_rng(1)
    levels = rng.normal(size=(4, channels)).astype(np.float32)
    return problem._replace(images=levels[rng.integers(4, size=(batch, 7))])


def see_evaluation(module: Any, form: str, problem: Problem) -> Seen:
    model = module.from_params(problem.params, form, "float64")
    result = module.evaluate(model, problem.images, problem.labels, batch_size=2)
    return {"logits": result.logits, "loss": np.array(result.loss)}


def see_gradients(module: Any, form: str, problem: Problem) -> Seen:
    model = module.from_params(problem.params, form, "float64")
    loss, gradients = module.loss_and_gradients(model, problem.images, problem.labels)
    return {"loss": np.array(loss), **gradients}


def see_training(module: Any, form: str, problem: Problem, accuracy: str = "micro") -> Seen:
    """Train two epochs, the last batch of validation short; see all that is reported."""
    in_case: Any = {"dtype": "float64", "attention": form, "accuracy": accuracy}
    config = Config(epochs=2, batch_size=5, eval_batch_size=5, **in_case)
    seen: Seen = {}
    for epoch in module.train(problem.params, make_dataset(problem), config):
        seen |= {f"{epoch.number} {name}": array for name, array in epoch.params.items()}
        seen[f"{epoch.number} step losses"] = epoch.step_losses
        seen[f"{epoch.number} means"] = np.array([epoch.train_loss, epoch.train_accuracy])
        seen[f"{epoch.number} validation"] = epoch.validation.logits
        seen[f"{epoch.number} loss"] = np.array(epoch.validation.loss)
    if form != "histogram":
        images = problem.images.copy()
        images[1] = np.nan
        data = make_dataset(problem)
        data = replace(data, train=replace(data.train, images=images))
        (epoch,) = module.train(problem.params, data, replace(config, epochs=1, batch_size=1))
        seen["train loss beside NaN"] = np.array(epoch.train_loss)
    return seen


def see_accuracy(module: Any, form: str) -> Seen:
    """See both accuracies, of ordinary logits and of logits that are all alike."""
    problem = make_problem(11)
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 3, 3, 4])
    seen = {}
    for tied in (False, True):
        params = problem.params | {"out.weight": problem.params["out.weight"] * (not tied)}
        params |= {"out.bias": params["out.bias"] * (not tied)}
        model = module.from_params(params, form, "float64")
        for kind in ("micro", "macro"):
            result = module.evaluate(model, problem.images, labels, accuracy=kind)
            seen[f"{kind} {tied}"] = np.array(result.accuracy)
    return seen


def see_inputs(module: Any, form: str) -> Seen:
    """See scores of thousands and, where a form takes it, a pixel that is NaN."""
    problem = make_problem(3)  # of 21 levels, of which an image has 7
    large = {key: 100 * problem.params[key] for key in "KQ"}
    seen = see_evaluation(module, form, problem._replace(params=problem.params | large))
    seen["alike"] = see_evaluation(module, form, few_levels())["logits"]
    if form != "histogram":
        images = problem.images.copy()
        images[1, 2, 0] = np.nan
        holed = problem._replace(images=images)
        seen["nan"] = see_evaluation(module, form, holed)["logits"]
    return seen


def see_labels(module: Any, form: str) -> Seen:
    """See whether a label that is no class is refused."""
    problem = make_problem()
    wrong = problem._replace(labels=np.full_like(problem.labels, -1))
    try:
        return {"refused": np.array(0.0), **see_evaluation(module, form, wrong)}
    except ValueError:
        return {"refused": np.array(1.0)}


def see_parameters(module: Any, form: str) -> Seen:
    """See what comes out, and what does once someone has written into what went in or out."""
    params = {name: array.copy() for name, array in make_problem().params.items()}
    # More digits than float32 has: a float64 run must not lose them.
    params = {name: array * (1 + 1e-8) for name, array in params.items()}
    model = module.from_params(params, form, "float64")
    out = module.to_params(model)
    seen = {name: array.copy() for name, array in out.items()}
    for array in (*params.values(), *out.values()):
        array[...] = 7
    return seen | {f"{name} later": array for name, array in module.to_params(model).items()}


def see_data(module: Any) -> Seen:
    """See what a module of `shared` makes of a few digits, or of nothing but its own files."""
    rng = np.random.default_rng(0)
    splits = {
        name: Digits(rng.integers(256, size=(20, 784), dtype=np.uint8), np.arange(20) % 10)
        for name in ("train", "validation", "test")
    }
    splits["train"].pixels[:, 5] = 9  # a pixel that never varies
    name = module.__name__.split(".")[-1]
    if name == "normalization":
        kinds = ("global", "per-pixel", "seed")
        fitted = [module.fit_normalization(splits["train"].pixels, kind) for kind in kinds]
        return {str(i): part for i, part in enumerate(np.concat(pair) for pair in fitted)}
    if name == "data":
        return {"images": module.prepare(splits).train.images}
    if name == "sample":
        return {"pixels": module.load_sample()["test"].pixels.astype(float)}
    return module.initial_params(7, 3, 5)


def see(bug: Bug, module: Any) -> Seen:
    """See what the bug's claim is about."""
    with np.errstate(all="ignore"):  # NumPy says when it meets NaN or infinity
        if bug.claim in ("adam", "trajectory", "epochs"):
            by_class = bug.file == "metrics.py"
            accuracy = "macro" if by_class else "micro"
            return see_training(module, bug.form, few_levels(23), accuracy)
        if bug.claim == "gradients":
            return see_gradients(module, bug.form, few_levels())
        if bug.claim in ("accuracy", "inputs", "labels", "parameters"):
            return globals()[f"see_{bug.claim}"](module, bug.form)
        if bug.claim == "data":
            return see_data(module)
        if bug.claim == "comparator":
            passed = [check.passed for check in check_comparator(module)]
            return {"passed": np.array(passed, dtype=float)}
        return see_evaluation(module, bug.form, few_levels())


@cache
def see_right(package: str, file: str, claim: str, form: str) -> Seen:
    bug = replace(BUGS[0], package=package, file=file, claim=claim, form=form)
    return see(bug, import_real(bug))


def differ(one: Seen, other: Seen, relative: float = 1e-10) -> bool:
    """Tell whether anything differs by more than `relative`, in its shape, or in being NaN."""
    return one.keys() != other.keys() or any(
        one[name].shape != other[name].shape
        or not np.allclose(one[name], other[name], rtol=relative, atol=relative, equal_nan=True)
        for name in one
    )


def test_names_are_unique_and_there_are_enough():
    assert len(BUGS) >= 38
    assert len(BY_NAME) == len(BUGS)
    assert all(bug.name == bug.name.lower() and bug.name.isidentifier() for bug in BUGS)
    for package in (*SHORT, "shared", "compare"):
        assert sum(bug.package == package for bug in BUGS) >= 5


@by_name(BUGS)
def test_an_entry_is_whole(bug: Bug):
    assert bug.claim in CLAIMED
    assert bug.step is None or bug.step in STEPS
    assert bug.package in (*SHORT, "shared", "compare")
    assert bug.title
    assert bug.why.endswith(".")
    assert bug.sources
    assert all(source.startswith("https://") for source in bug.sources)
    right, wrong = whole_lines(bug)  # raises where the text does not occur exactly once
    assert bug.right.splitlines()[0].strip() in right
    assert right != wrong
    compile(path_of(bug).read_text().replace(bug.right, bug.wrong), bug.file, "exec")


@by_name(BUGS)
def test_every_bug_changes_what_its_claim_is_about(bug: Bug):
    import_real(bug)
    right = see_right(bug.package, bug.file, bug.claim, bug.form)
    wrong = see(bug, plant(bug))
    assert differ(right, wrong)


@by_name([bug for bug in BUGS if bug.equivalent])
def test_what_is_said_to_be_the_same_at_one_channel_is_and_at_three_is_not(bug: Bug):
    real, broken = import_real(bug), plant(bug)
    for channels, differs in ((1, False), (3, True)):
        problem = make_problem(3, 7, channels, 5)
        found = see_evaluation(broken, bug.form, problem)
        right = see_evaluation(real, bug.form, problem)
        assert differ(right, found, relative=1e-12) is differs


@by_name([bug for bug in BUGS if bug.small])
def test_what_is_said_to_be_small_is_no_error_of_an_ordinary_forward_pass(bug: Bug):
    """Or it would need no other claim to be caught."""
    real, broken = import_real(bug), plant(bug)
    problem = make_problem(3)
    found = see_evaluation(broken, bug.form, problem)
    assert not differ(see_evaluation(real, bug.form, problem), found, relative=1e-12)


@pytest.mark.parametrize("package", SHORT)
def test_the_twin_of_a_package_is_the_package(package: str):
    """Planting by itself changes nothing: not the twin, and not what was imported before."""
    bug = next(bug for bug in BUGS if bug.package == package)
    real = import_real(bug)
    before, path = dict(sys.modules), list(sys.meta_path)
    twin = plant(bug, _keep=True)
    assert sys.modules == before
    assert all(sys.modules[name] is module for name, module in before.items())
    assert sys.meta_path == path
    assert twin is not real
    assert twin.__file__ == real.__file__
    assert twin.from_params is not real.from_params
    problem = few_levels(11)
    for form in real.ATTENTION:
        for found in (see_evaluation, see_gradients, see_training):
            trains = found is not see_evaluation
            if not trains or (hasattr(real, "train") and form in ("vectorized", "histogram")):
                one, other = found(real, form, problem), found(twin, form, problem)
                for name, array in one.items():
                    np.testing.assert_array_equal(other[name], array)


def test_a_module_of_shared_is_planted_and_the_others_do_not_hear_of_it():
    import shared
    import shared.params

    bug = BY_NAME["one_seed_for_every_draw"]
    before, real = dict(sys.modules), shared.params
    planted = plant(bug)
    assert planted is not real
    assert shared.params is real
    assert sys.modules == before
    np.testing.assert_array_equal(planted.initial_params()["K"], planted.initial_params()["Q"])
    assert not np.array_equal(real.initial_params()["K"], real.initial_params()["Q"])


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("no such line", "", "occurs 0 times in numpy_reference/model.py"),
        ("query = x @ Q", "", "occurs 2 times"),
        ("weights = exponentials /", "weights = exponentials /", "are the same text"),
    ],
)
def test_a_text_that_does_not_stand_there_once_is_refused(right: str, wrong: str, says: str):
    bug = replace(BUGS[0], package="numpy_reference", file="model.py", right=right, wrong=wrong)
    with pytest.raises(ValueError, match=says):
        plant(bug)


def test_a_bug_that_does_not_run_leaves_everything_as_it_was():
    import_or_skip("numpy")
    bug = replace(BY_NAME["scores_turned"], wrong="scores = = key /")
    before, path = dict(sys.modules), list(sys.meta_path)
    with pytest.raises(SyntaxError):
        plant(bug)
    assert sys.modules == before
    assert sys.meta_path == path


def test_a_file_that_the_package_does_not_read_is_refused():
    import_or_skip("numpy")
    bug = replace(BUGS[0], package="numpy_reference", file="__main__.py")
    bug = replace(bug, right="FROM_CHECKPOINT = (", wrong="FROM_CHECKPOINT = list(")
    with pytest.raises(ValueError, match=r"importing numpy_reference does not read __main__\.py"):
        plant(bug)
