"""Every intermediate by itself, and the trace that names the first wrong one."""

import json
from functools import cache, partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import PACKAGES, ModelCase, import_or_skip

from compare.catalogue import BUGS, Bug, plant
from compare.expected.bounds import ARITHMETIC, error_ratio, exact
from compare.expected.exact import expect_intermediates, expect_logits, hold
from compare.expected.problems import Problem, dim_digits, make_problem, real_digits
from compare.parity.capture import capture_intermediates
from compare.parity.hints import find_hint
from compare.parity.intermediates import (
    INTERMEDIATES,
    Batch,
    Case,
    Judged,
    bound_intermediates,
    first_break,
    judge,
)
from compare.registry.contract import form_of
from compare.trace.command import main, say_first_break

# Beside the small ones of the check `intermediates`.
PROBLEMS = {
    "real_digits_three_channels": lambda: real_digits(3, 1),
    "scores_of_hundreds": lambda: dim_digits(1, 100.0, 3),
}
# What a form computes as such, where Python can look: see compare/parity/capture.py.
ALWAYS = {"query", "key", "value", "attended", "logits", "loss"}
TABLES = {
    ("pytorch", "builtin"): set(),
    ("jax", "builtin"): set(),
    ("jax", "blocked"): set(),  # inside of vmap
    ("numpy", "blocked"): set(),  # in one piece of memory that is written over
    ("pytorch", "histogram"): {"scores"},
    ("jax", "histogram"): {"scores"},
    ("numpy", "histogram"): {"scores"},
}


def batch_of(problem: Problem) -> Batch:
    return Batch(problem.params, problem.images, problem.labels)


class Exact:
    """A batch, and the accumulated bounds of its intermediates by dtype, for all cases."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.carried = cache(partial(bound_intermediates, batch))


@pytest.fixture(scope="module", params=PROBLEMS)
def expected(request: pytest.FixtureRequest) -> Exact:
    """One problem after another, each for all cases, since they take a hundred megabytes."""
    return Exact(batch_of(PROBLEMS[request.param]()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_distinct_pixels_are_those_of_all_pixels(expected: Exact, dtype: str):
    params, images = hold(expected.batch.params), expected.batch.images
    found = expect_logits(expected.batch.params, images, ARITHMETIC[dtype])
    samples = [expect_intermediates(params, exact(image), ARITHMETIC[dtype]) for image in images]
    for name in ("value", "bound", "size"):
        whole = [getattr(each["logits"], name) for each in samples]
        np.testing.assert_allclose(getattr(found, name), whole, rtol=1e-11)


def test_every_intermediate_is_within_its_bound_by_itself_and_since_the_start(
    case: ModelCase, expected: Exact
):
    judged = judge(
        case,
        case.module,
        expected.batch,
        expected.carried(case.dtype),
    )
    names = [found.name for found in judged]
    if case.implementation in PACKAGES:
        seen = ALWAYS | TABLES.get((case.implementation, case.form), {"scores", "weights"})
        if (case.implementation, case.form, case.dtype) == ("jax", "builtin", "float64"):
            seen |= {"weights"}  # there it is Flax's call for the weights alone
        assert names == [name for name in INTERMEDIATES if name in seen]
        assert all(found.local is not None for found in judged)
    for found in judged:
        assert found.local is None or found.local <= 1, found
        assert found.carried <= 1, found
        assert found.hint is None
    if names == ["logits", "loss"]:
        pytest.skip(f"{case.implementation} shows no intermediates: logits and loss were judged")


# Planted bugs, and what the hint must speak of; `make mutants` plants all.
HINTS = {
    "scale_of_the_steps": "scale",
    "scores_turned": "transposed",
    "float32_constant": "float32",
    "key_reshaped_instead_of_transposed": None,
    "histogram_swaps_key_and_query": "what key should be",
}


def planted(name: str) -> tuple[Bug, ModuleType]:
    (bug,) = (bug for bug in BUGS if bug.name == name)
    return bug, plant(bug)


@pytest.mark.parametrize("name", HINTS)
def test_a_planted_bug_is_named_at_its_step_with_a_hint(name: str):
    bug, broken = planted(name)
    short = {package: short for short, package in PACKAGES.items()}[bug.package]
    import_or_skip(short)
    case = Case(short, bug.form, "float64")
    batch = batch_of(make_problem(2, 7, 3, 5))
    judged = judge(case, broken, batch, bound_intermediates(batch, case.dtype))
    found = first_break(judged)
    assert found is not None
    assert found.name == bug.intermediate
    assert found.local > 1000
    assert found.error == pytest.approx(abs(found.found - found.expected))
    assert HINTS[name] is None or HINTS[name] in (found.hint or "")
    said = say_first_break({case: judged})
    assert f"{bug.intermediate} breaks first, in {case}: at " in (said or "")
    # Whatever else is off later on is off since the start, not by itself.
    alone = [other.name for other in judged if other.local is not None and other.local > 1]
    assert set(alone) - {bug.intermediate, "loss"} <= ({"key"} if "swaps" in name else set())


def test_what_follows_a_nan_is_not_said_to_be_expected():
    """The loss of NaN logits is NaN too, but that is not its expected value."""
    module = import_or_skip("numpy")
    batch = batch_of(make_problem())

    def evaluate(*args: object, **options: object) -> Any:
        result = module.evaluate(*args, **options)
        return result._replace(logits=result.logits * np.nan, loss=float("nan"))

    broken: Any = SimpleNamespace(**(vars(module) | {"evaluate": evaluate}))
    case = Case("numpy", "vectorized", "float64")
    for found in judge(case, broken, batch, bound_intermediates(batch, case.dtype)):
        assert np.isfinite(found.expected)
        assert found.passed == (found.name not in ("logits", "loss"))


def test_nothing_is_looked_at_when_no_one_looks(implementation):
    """A capture leaves no hook behind, also where the model fails."""
    import sys

    problem = make_problem()
    before = sys.getprofile()
    model = implementation.from_params(problem.params, form_of(implementation, "vectorized"))
    capture_intermediates(implementation, model, problem.images)
    assert sys.getprofile() is before
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        capture_intermediates(implementation, model, problem.images[:, :3])
    assert sys.getprofile() is before


def test_a_captured_step_is_a_copy():
    module = import_or_skip("numpy")
    problem = make_problem(2, 7, 3, 5)
    model = module.from_params(problem.params, "vectorized")
    first = capture_intermediates(module, model, problem.images)
    kept = {name: array.copy() for name, array in first.items()}
    capture_intermediates(module, model, 2 * problem.images)
    for name, array in kept.items():
        np.testing.assert_array_equal(first[name], array)


@pytest.mark.parametrize(
    ("change", "dtype", "words"),
    [
        (lambda x: x * (1 + 3e-7), "float64", "float32's size"),
        (lambda x: x * (1 + 2e-4 * np.sign(np.sin(np.arange(x.size))).reshape(x.shape)), "float32",
         "TF32"),
        (lambda x: 3.0 * x, "float32", "3 times what it should be"),
        (lambda x: np.where(x == x.max(), np.nan, x), "float32", "NaN or infinity"),
        (lambda x: x.mT, "float64", "transposed"),
        (lambda x: x + np.sin(np.arange(x.size)).reshape(x.shape), "float64", None),
    ],
)  # fmt: skip
def test_hints_know_their_patterns(change, dtype: str, words: str | None):
    value = np.random.default_rng(0).normal(size=(2, 7, 7))
    hint = find_hint("scores", change(value), value, dtype)
    assert (hint is None) if words is None else (words in hint)


def test_nan_does_not_pass():
    judged = Judged("scores", float("nan"), 0.1, (0,), 0.0, 0.0, 0.0, None)
    assert not judged.passed
    assert not Judged("scores", 0.1, float("nan"), (0,), 0.0, 0.0, 0.0, None).passed
    assert first_break([judged]) is judged


def test_local_bounds_go_on_from_what_was_seen():
    """Local bounds of later intermediates start from an earlier, wrong one."""
    module = import_or_skip("numpy")
    batch = batch_of(make_problem())
    seen = capture_intermediates(
        module, module.from_params(batch.params, "vectorized"), batch.images
    )
    seen["scores"] = seen["scores"] + 1.0 * (np.arange(7) == 3)
    local, carried = (
        bound_intermediates(batch, "float64", seen),
        bound_intermediates(batch, "float64"),
    )
    np.testing.assert_array_equal(local["scores"].value, carried["scores"].value)
    assert np.abs(local["weights"].value - carried["weights"].value).max() > 0.01


def test_the_command_says_that_all_hold_and_keeps_what_it_found(tmp_path: Path, capsys):
    args = ["--implementations", "numpy", "--images", "1", "--num-channels", "1"]
    files = ["--json", str(tmp_path / "trace.json"), "--figure", str(tmp_path / "trace.png")]
    assert main([*args, *files]) == 0
    assert "Every intermediate is within its rounding bound" in capsys.readouterr().out
    found = json.loads((tmp_path / "trace.json").read_text())
    assert found["passed"] is True
    assert len(found["cases"]) == 8  # four forms, two dtypes
    assert [each["name"] for each in found["cases"][0]["intermediates"]] == list(INTERMEDIATES)
    assert (tmp_path / "trace.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_ends_with_1_where_a_step_breaks(monkeypatch, capsys):
    _, broken = planted("scale_of_the_steps")
    monkeypatch.setattr("compare.trace.command.load_present", lambda *_: {"numpy": broken})
    assert main(["--implementations", "numpy", "--images", "1", "--forms", "vectorized"]) == 1
    out = capsys.readouterr().out
    assert "scores breaks first, in numpy vectorized in float32 on cpu" in out
    assert "is a scale missing" in " ".join(out.split())


def test_a_product_of_tf32_is_recognised_and_is_within_the_bound_of_tf32():
    """A float32 run with factors of 10 bits, as in a tensor core: wrong for float32, not a bug."""
    import_or_skip("jax")
    bug, broken = planted("tf32_product")
    case = Case("jax", bug.form, "float32")
    batch = batch_of(real_digits(3, 1))
    judged = judge(case, broken, batch, bound_intermediates(batch, "float32"))
    found = first_break(judged)
    assert found is not None
    assert found.name == bug.intermediate
    assert "this looks like TF32: set jax.default_matmul_precision" in (found.hint or "")
    seen = capture_intermediates(broken, broken.from_params(batch.params, bug.form), batch.images)
    allowed = bound_intermediates(batch, "tf32", seen)[found.name]
    assert error_ratio(seen[found.name], allowed).max() <= 1


def test_a_difference_of_the_compiled_program_alone_is_said_to_be_one():
    """Scores of 1e10: compiled, JAX computes them twice and rounds them otherwise."""
    module = import_or_skip("jax")
    problem = make_problem(4, 49, 3, 5)
    enormous = {name: 1e5 * problem.params[name] for name in "KQ"}
    batch = batch_of(problem._replace(params=problem.params | enormous)).held_in("float32")
    case = Case("jax", "looped", "float32")
    found = first_break(judge(case, module, batch, bound_intermediates(batch, "float32")))
    if found is None:
        pytest.skip("this compiler computes the scores once")
    assert found.name == "logits"
    assert "only the compiled program differs" in (found.hint or "")
