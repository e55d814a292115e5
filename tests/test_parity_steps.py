"""Every named step by itself, and the trace that points at the first one which is wrong."""

import ast
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from conftest import Case as ModelCase
from conftest import import_or_skip

from compare.bounds import exact
from compare.capture import capture_steps
from compare.hints import find_hint
from compare.problems import Problem, dim_digits, make_problem, real_digits
from compare.steps import STEPS, Batch, Case, Judged, bound_steps, judge
from compare.trace import first_break, main, say_first_break

PROBLEMS = {
    "primes": lambda: make_problem(),
    "one_channel": lambda: make_problem(11, 7, 1, 5, seed=1),
    "real_digits": lambda: real_digits(1, 3),
    "real_digits_three_channels": lambda: real_digits(3, 2),
    "scores_of_hundreds": lambda: dim_digits(1, 100.0),
}
# What a form computes as such, where Python can look: see compare/capture.py.
ALWAYS = {"query", "key", "value", "attended", "logits", "loss"}
TABLES = {
    ("pytorch", "builtin"): set(),
    ("jax", "builtin"): set(),
    ("jax", "vectorized"): set(),  # inside of vmap
    ("numpy", "vectorized"): set(),  # in one piece of memory that is written over
    ("pytorch", "histogram"): {"scores"},
    ("jax", "histogram"): {"scores"},
    ("numpy", "histogram"): {"scores"},
}


def batch_of(problem: Problem) -> Batch:
    return Batch(problem.params, problem.images, problem.labels)


@pytest.mark.parametrize("key", PROBLEMS)
def test_every_step_is_within_its_bound_by_itself_and_since_the_start(case: ModelCase, key: str):
    batch = batch_of(PROBLEMS[key]())
    judged = judge(
        Case(case.name, case.form, case.dtype, case.device),
        case.module,
        batch,
        bound_steps(batch, case.dtype),
    )
    expected = ALWAYS | TABLES.get((case.name, case.form), {"scores", "weights"})
    assert [found.step for found in judged] == [step for step in STEPS if step in expected]
    for found in judged:
        assert found.local is not None
        assert found.local <= 1, found
        assert found.carried <= 1, found
        assert found.hint is None


def plant(module: ModuleType, old: str, new: str, file: str = "model.py") -> SimpleNamespace:
    """Copy an implementation, with one place of its model's source changed."""
    path = Path(str(module.__file__)).parent / file
    source = path.read_text()
    assert old in source, f"{old!r} is not in {path}"
    # JAX takes the registration of a class once, and has it from the model itself.
    source = source.replace("jax.tree_util.register_dataclass(LevelImages)", "")
    tree = ast.parse(source.replace(old, new, 1))
    changed = ModuleType(f"{module.__name__}.model")
    exec(compile(tree, str(path), "exec"), changed.__dict__)
    functions = vars(module) | {"from_params": changed.from_params}
    return SimpleNamespace(**functions)


SOFTMAX = {"pytorch": "dim", "jax": "axis", "numpy": "axis"}
CAST = {
    "pytorch": "(query @ key.mT).float().to(query.dtype)",
    "jax": "(query @ key.mT).astype('float32').astype(query.dtype)",
    "numpy": "(query @ key.mT).astype('float32').astype(query.dtype)",
}
# Where, what is written there, the step it spoils, and what the hint must speak of.
BUGS = {
    "scale_missing": ("query @ key.mT / sqrt(K.shape[-1])", "query @ key.mT", "scores", "scale"),
    "scale_twice": ("/ sqrt(K.shape[-1])", "/ K.shape[-1]", "scores", "scale"),
    "tables_turned": ("query @ key.mT /", "key @ query.mT /", "scores", "transposed"),
    "key_and_query_swapped": ("query = x @ Q", "query = x @ K", "query", None),
    "key_transposed": ("key = x @ K", "key = x @ K.T", "key", None),
    "softmax_over_the_wrong_axis": ("{axis}=-1)", "{axis}=-2)", "weights", "wrong axis"),
    "values_are_keys": ("weights @ value", "weights @ key", "attended", None),
    "float32_inside": ("query @ key.mT /", "{cast} /", "scores", "float32"),
    "epsilon_in_the_scale": ("sqrt(K.shape[-1])", "sqrt(K.shape[-1] + 1e-6)", "scores", None),
    "image_upside_down": ("reshape(len(x), -1)", "reshape(len(x), -1)[:, ::-1]", "logits", None),
}


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("name", SOFTMAX)
def test_a_planted_bug_is_named_at_its_step(name: str, bug: str):
    module = import_or_skip(name)
    old, new, step, hint = BUGS[bug]
    words = {"axis": SOFTMAX[name], "cast": CAST[name]}
    if name == "pytorch":  # it knows no steps backwards
        new = new.replace("[:, ::-1]", ".flip(1)")
    broken = plant(module, *(text.format(**words) for text in (old, new)))
    case = Case(name, "textbook", "float64")
    batch = batch_of(make_problem(2, 7, 3, 5))
    judged = judge(case, broken, batch, bound_steps(batch, case.dtype))
    found = first_break(judged)
    assert found is not None
    assert found.step == step
    assert found.local > 1000
    assert found.error == pytest.approx(abs(found.found - found.expected))
    if hint is not None:
        assert hint in (found.hint or "")
    said = say_first_break({case: judged})
    assert f"{step} breaks first, in {name} textbook in float64 on cpu: at " in (said or "")
    # Whatever else is off later on is off since the start, not by itself.
    later = [other for other in judged if other.step not in (step, "loss") and other.local > 1]
    assert later == []


@pytest.mark.parametrize("bug", ["key_and_query_swapped", "key_transposed", "scale_missing"])
def test_one_channel_hides_what_three_show(bug: str):
    """With one channel all products are of numbers: K x x Q = Q x x K, K' = K and sqrt(1) = 1."""
    module = import_or_skip("numpy")
    old, new, _, _ = BUGS[bug]
    if bug == "key_and_query_swapped":  # both, as whoever swaps the arguments does
        start = "def attend_textbook(x: Array, "
        old, new = f"{start}K: Array, Q: Array", f"{start}Q: Array, K: Array"
    broken = plant(module, old, new)
    problem = make_problem(3, 7, 1, 5)
    found = broken.from_params(problem.params, "textbook", "float64")(problem.images)
    right = module.from_params(problem.params, "textbook", "float64")(problem.images)
    np.testing.assert_allclose(found, right, rtol=1e-12)
    problem = make_problem(3, 7, 3, 5)
    found = broken.from_params(problem.params, "textbook", "float64")(problem.images)
    right = module.from_params(problem.params, "textbook", "float64")(problem.images)
    assert np.abs(found - right).max() > 1e-3


def test_nothing_is_looked_at_when_no_one_looks(implementation):
    """A capture leaves no hook behind, also where the model fails."""
    import sys

    problem = make_problem()
    before = sys.getprofile()
    model = implementation.from_params(problem.params, "textbook")
    capture_steps(implementation, model, problem.images)
    assert sys.getprofile() is before
    with pytest.raises(ValueError, match="images have shape"):
        capture_steps(implementation, model, problem.images[:, :3])
    assert sys.getprofile() is before


def test_a_captured_step_is_a_copy():
    module = import_or_skip("numpy")
    problem = make_problem(2, 7, 3, 5)
    model = module.from_params(problem.params, "textbook")
    first = capture_steps(module, model, problem.images)
    kept = {name: array.copy() for name, array in first.items()}
    capture_steps(module, model, 2 * problem.images)
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
    hint = find_hint("scores", change(value), exact(value), dtype)
    assert (hint is None) if words is None else (words in hint)


def test_nan_does_not_pass():
    judged = Judged("scores", float("nan"), 0.1, (0,), 0.0, 0.0, 0.0, None)
    assert not judged.passed
    assert not Judged("scores", 0.1, float("nan"), (0,), 0.0, 0.0, 0.0, None).passed
    assert first_break([judged]) is judged


def test_local_bounds_go_on_from_what_was_seen():
    """An error put into one step is carried by the local values of the steps behind it."""
    module = import_or_skip("numpy")
    batch = batch_of(make_problem())
    seen = capture_steps(module, module.from_params(batch.params, "textbook"), batch.images)
    seen["scores"] = seen["scores"] + 1.0 * (np.arange(7) == 3)
    local, carried = bound_steps(batch, "float64", seen), bound_steps(batch, "float64")
    np.testing.assert_array_equal(local["scores"].value, carried["scores"].value)
    assert np.abs(local["weights"].value - carried["weights"].value).max() > 0.01


def test_the_command_says_that_all_hold_and_keeps_what_it_found(tmp_path: Path, capsys):
    args = ["--implementations", "numpy", "--images", "1", "--num-channels", "1"]
    files = ["--json", str(tmp_path / "trace.json"), "--figure", str(tmp_path / "trace.png")]
    assert main([*args, *files]) == 0
    assert "Every step is within what rounding allows" in capsys.readouterr().out
    found = json.loads((tmp_path / "trace.json").read_text())
    assert found["passed"] is True
    assert len(found["cases"]) == 8  # four forms, two dtypes
    assert [step["step"] for step in found["cases"][0]["steps"]] == list(STEPS)
    assert (tmp_path / "trace.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_ends_with_1_where_a_step_breaks(monkeypatch, capsys):
    module = import_or_skip("numpy")
    broken = plant(module, "query @ key.mT / sqrt(K.shape[-1])", "query @ key.mT")
    monkeypatch.setattr("compare.trace.load_present", lambda *_: {"numpy": broken})
    assert main(["--implementations", "numpy", "--images", "1", "--forms", "textbook"]) == 1
    out = capsys.readouterr().out
    assert "scores breaks first, in numpy textbook in float32 on cpu" in out
    assert "a scale missing" in out
