"""The catalogue of planted bugs: complete entries, true proofs, and planting without side effects.

`make mutants` shows that each is caught; test_mutants.py does for some.
"""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import import_or_skip

import compare.parity.verdict
import compare.trace.command
from compare.catalogue import BUGS, Bug, plant
from compare.catalogue.plant import change, path_of, whole_lines
from compare.expected.problems import Problem, few_levels, make_dataset, make_problem
from compare.parity.checks import CHECKED
from compare.parity.intermediates import INTERMEDIATES
from shared.config import Config
from shared.training.loop import train

SHORT = {"pytorch_impl": "pytorch", "jax_impl": "jax", "numpy_reference": "numpy"}
BY_NAME = {bug.name: bug for bug in BUGS}
PLACES = [place for bug in BUGS for place in bug.everywhere()]
Seen = dict[str, np.ndarray]


def by_name(bugs: Any) -> Any:
    return pytest.mark.parametrize("bug", bugs, ids=lambda bug: bug.name)


def import_real(bug: Bug) -> ModuleType:
    """Import the package of a bug, or skip the test and name the missing library."""
    if bug.package == "shared":
        return import_module("shared." + bug.file.removesuffix(".py").replace("/", "."))
    if bug.package == "compare":
        return compare
    return import_or_skip(SHORT[bug.package])


def see_evaluation(module: Any, form: str, problem: Problem) -> Seen:
    model = module.from_params(problem.params, form, "float64")
    result = module.evaluate(model, problem.images, problem.labels, batch_size=2)
    return {"logits": result.logits, "loss": np.array(result.loss)}


def differ(one: Seen, other: Seen, relative: float = 1e-10) -> bool:
    """Check whether anything differs by more than `relative`, in its shape, or in being NaN."""
    return one.keys() != other.keys() or any(
        one[name].shape != other[name].shape
        or not np.allclose(one[name], other[name], rtol=relative, atol=relative, equal_nan=True)
        for name in one
    )


def test_names_are_unique_and_there_are_enough():
    assert len(BUGS) >= 132
    assert len(BY_NAME) == len(BUGS)
    assert all(bug.name == bug.name.lower() and bug.name.isidentifier() for bug in BUGS)
    for package in (*SHORT, "shared", "compare"):
        assert sum(bug.package == package for bug in BUGS) >= 5


@by_name(PLACES)
def test_an_entry_is_whole(bug: Bug):
    assert bug.check in CHECKED
    assert bug.intermediate is None or bug.intermediate in INTERMEDIATES
    assert bug.package in (*SHORT, "shared", "compare")
    assert bug.title
    assert bug.why.endswith(".")
    assert bug.sources
    assert all(source.startswith("https://") for source in bug.sources)
    right, wrong = whole_lines(bug)  # raises where the text does not occur exactly once
    assert bug.right.splitlines()[0].strip() in right
    assert right != wrong
    compile(path_of(bug).read_text().replace(bug.right, bug.wrong), bug.file, "exec")


@by_name([bug for bug in BUGS if bug.equivalent])
def test_what_is_said_to_be_the_same_at_one_channel_is_and_at_three_is_not(bug: Bug):
    real, broken = import_real(bug), plant(bug)
    for channels, differs in ((1, False), (3, True)):
        problem = make_problem(3, 7, channels, 5)
        found = see_evaluation(broken, bug.form, problem)
        right = see_evaluation(real, bug.form, problem)
        assert differ(right, found, relative=1e-12) is differs


@by_name([bug for bug in BUGS if bug.small and bug.package in SHORT])
def test_what_is_said_to_be_small_is_no_error_of_an_ordinary_forward_pass(bug: Bug):
    """Or it would need no other check to be caught."""
    real, broken = import_real(bug), plant(bug)
    problem = make_problem(3)
    found = see_evaluation(broken, bug.form, problem)
    assert not differ(see_evaluation(real, bug.form, problem), found, relative=1e-12)


@pytest.mark.filterwarnings("ignore")
@by_name([bug for bug in BUGS if bug.ported])
def test_frameworks_that_share_a_bug_agree_so_that_only_a_check_can_tell(bug: Bug):
    """Both give the same wrong training, evaluation and accuracy."""
    places = [place for place in bug.everywhere() if place.package != "numpy_reference"]
    problem = few_levels(make_problem(17), 13)
    # A last batch that is short, and steps after which other classes are guessed.
    sizes: Any = {"batch_size": 5, "eval_batch_size": 4, "learning_rate": 0.1}
    form: Any = bug.form
    config = Config(epochs=2, dtype="float64", attention=form, accuracy="macro", **sizes)
    seen = []
    for get in (plant, import_real):
        for place in places:
            import_real(place)  # or skip
            *_, last = train(get(place), problem.params, make_dataset(problem), config)
            numbers = (last.train_loss, last.train_accuracy, *last.validation[:2])
            seen.append({**last.params, "": np.array(numbers)})
    one, other, *right = seen
    assert not differ(one, other, relative=1e-6)
    assert not differ(*right, relative=1e-6)
    assert differ(one, right[0], relative=1e-6)


def test_wrong_code_uses_no_name_that_its_file_lacks(tmp_path: Path):
    """It would raise NameError, which every check catches, and the bug would have shown nothing."""
    pytest.importorskip("ruff")
    for number, bug in enumerate(PLACES):
        planted = change(path_of(bug).read_text(), bug)
        (tmp_path / f"{bug.name}_{number}.py").write_text(planted)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", tmp_path]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout


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
    problem = few_levels(make_problem(11), 4)
    for form in real.ATTENTION:
        one, other = (see_evaluation(module, form, problem) for module in (real, twin))
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
        ("x @ ", "", "occurs 3 times"),
        ("weights = softmax(", "weights = softmax(", "are the same text"),
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
