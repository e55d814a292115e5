"""The planted bugs of the forward pass, found without the names of the contract.

PyTorch's model comes from the source with the bug, JAX's from the clean one. `diagnose` knows
neither `attend` nor `scores`: it sees two programs.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from compare import diagnose
from compare.catalogue import BUGS, plant
from compare.diagnose.report import Report
from compare.expected.problems import few_levels, make_problem, scaled
from shared.data.levels import LevelImages, find_levels

pytorch_impl = pytest.importorskip("pytorch_impl")
jax_impl = pytest.importorskip("jax_impl")

PROBLEM = few_levels(make_problem(batch=2, steps=7, channels=3, outputs=5), num_levels=4)
SCORES = 12.0  # K and Q times as large: scores of some hundred
OF_PYTORCH = {bug.name: bug for bug in BUGS if bug.package == "pytorch_impl"}
# Not bugs of the forward pass: gradients, training, reported numbers, shared memory.
ELSEWHERE = (
    *("gradients", "adam", "loss", "repeat", "resume", "accuracy", "parameters", "copies"),
    *("data", "digits"),
)
FORWARD = [name for name, bug in OF_PYTORCH.items() if bug.check not in ELSEWHERE]
# These affect only numbers of some kind.
ON_LARGE_SCORES = ("softmax_without_the_shift",)
ON_NAN = ("nan_made_zero",)
# These have their own verdicts.
OF_ANOTHER_KIND = {
    "float32_inside": "float32 within float64",
    "features_channel_first": "other order",
    "dropout_left_on": "cannot tell",
    "softmax_without_the_shift": "not finite",
}
Params = Mapping[str, np.ndarray]


def pytorch_program(module: Any, params: Params, form: str) -> Callable:
    """Return a function of arrays: of pixels or, in the histogram form, of levels."""
    model = module.from_params(params, form)
    if form != "histogram":
        return model

    def classify(indices: Any, counts: Any, levels: Any) -> Any:
        return model(LevelImages(indices, counts, levels))

    return classify


def jax_program(params: Params, form: str) -> Callable:
    model = jax_impl.from_params(params, "vectorized")
    if form != "histogram":
        return model
    return lambda indices, counts, levels: model(levels[indices])


def diagnose_ours(
    module: Any, form: str, images: np.ndarray, params: Params, **options: Any
) -> Report:
    inputs = [images]
    if form == "histogram":
        x = find_levels(images)
        inputs = [x.indices, x.counts, x.levels]
    ours, theirs = pytorch_program(module, params, form), jax_program(params, form)
    return diagnose(ours, theirs, *inputs, **options)


@pytest.mark.parametrize("form", ["looped", "vectorized", "blocked", "builtin", "histogram"])
def test_every_clean_form_is_the_same_function(form: str):
    report = diagnose_ours(pytorch_impl, form, PROBLEM.images, PROBLEM.params)
    assert report.verdict == "same function", str(report)
    assert report.matched >= 2


@pytest.mark.parametrize("name", [n for n in FORWARD if n not in (*ON_LARGE_SCORES, *ON_NAN)])
def test_a_planted_bug_of_the_forward_pass_is_found(name: str):
    bug = OF_PYTORCH[name]
    report = diagnose_ours(plant(bug), bug.form, PROBLEM.images, PROBLEM.params)
    assert report.verdict == OF_ANOTHER_KIND.get(name, "bug"), str(report)
    if report.verdict == "cannot tell":
        assert "random" in report.sentence
    if report.verdict == "bug":
        assert not any("another order" in hint for hint in report.hints), str(report)
    if report.verdict == "bug" and bug.form != "histogram":  # which holds no array per pixel
        assert str(bug.intermediate) in report.place, str(report)


@pytest.mark.parametrize("name", ON_LARGE_SCORES)
def test_a_bug_of_large_scores_is_found_on_large_scores(name: str):
    bug = OF_PYTORCH[name]
    large = scaled(PROBLEM, SCORES)
    clean = diagnose_ours(pytorch_impl, bug.form, large.images, large.params)
    assert clean.verdict == "same function", str(clean)
    report = diagnose_ours(plant(bug), bug.form, large.images, large.params)
    assert report.verdict == OF_ANOTHER_KIND[name], str(report)


@pytest.mark.parametrize("name", ON_NAN)
def test_a_bug_that_hides_nan_is_found_on_nan(name: str):
    bug = OF_PYTORCH[name]
    images = PROBLEM.images.copy()
    images[1, 2, 0] = np.nan
    clean = diagnose_ours(pytorch_impl, bug.form, images, PROBLEM.params)
    assert clean.verdict == "same function", str(clean)
    report = diagnose_ours(plant(bug), bug.form, images, PROBLEM.params)
    assert report.verdict == "bug", str(report)


def test_every_bug_of_the_forward_pass_is_in_one_of_the_tables():
    """The bugs left out are in training, measuring or copying."""
    left_out = {name: bug.check for name, bug in OF_PYTORCH.items() if name not in FORWARD}
    assert set(left_out.values()) <= set(ELSEWHERE)
    assert len(FORWARD) >= 15
    assert {bug.file for bug in map(OF_PYTORCH.get, FORWARD) if bug} <= {"model.py", "forms.py"}


def test_a_gradient_by_hand_that_is_wrong_shows_only_with_gradients():
    bug = OF_PYTORCH["gradient_by_key_not_turned"]
    planted = plant(bug)
    for gradients, verdict in ((False, "same function"), (True, "bug")):
        report = diagnose_ours(
            planted, bug.form, PROBLEM.images, PROBLEM.params, gradients=gradients
        )
        assert report.verdict == verdict, str(report)
    clean = diagnose_ours(pytorch_impl, bug.form, PROBLEM.images, PROBLEM.params, gradients=True)
    assert clean.verdict == "same function", str(clean)
