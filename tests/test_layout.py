"""The house: files that can be laid side by side, true shape comments, imports that point down."""

import ast
import difflib
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from conftest import FORMS, PACKAGES, import_or_skip

from compare.problems import make_problem

ROOT = Path(__file__).resolve().parent.parent
STEPS = ("query", "key", "value", "scores", "weights", "attended", "features", "logits")
FRAMEWORKS = {"torch", "torchmetrics", "jax", "jaxlib", "flax", "optax", "tensorflow"}


def model_path(name: str) -> Path:
    return ROOT / PACKAGES[name] / "model.py"


def assigned_name(node: ast.AST) -> str | None:
    """Name what `name = ...` assigns to, or nothing for any other statement."""
    if isinstance(node, ast.Assign):
        target = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def landmarks(path: Path) -> dict[str, int]:
    """Find the line of every function and class, and of every step within its function."""
    found: dict[str, int] = {}

    def visit(node: ast.AST, scope: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                # PyTorch's `forward` is what the others call `__call__`.
                name = "forward" if child.name == "__call__" else child.name
                inner = f"{scope}{name}."
                found[inner] = child.lineno
                visit(child, inner)
            else:
                name = assigned_name(child)
                if name in (*STEPS, "sums", "by_level", "ATTENTION"):
                    found[f"{scope}{name}"] = child.lineno
                visit(child, scope)

    visit(ast.parse(path.read_text()), "")
    return found


@pytest.mark.parametrize(("one", "other"), [("pytorch", "jax"), ("pytorch", "numpy")])
def test_the_same_step_stands_on_the_same_line(one: str, other: str):
    a, b = landmarks(model_path(one)), landmarks(model_path(other))
    until = a["SelfAttentionModel.forward.logits"]
    shared = {name for name in a.keys() & b.keys() if a[name] <= until}
    expected = {f"attend.{step}" for step in STEPS[:6]} | {"attend_looped.attended"}
    expected |= {f"attend_blocked.{step}" for step in (*STEPS[:3], "attended")}
    expected |= {f"attend_histogram.{step}" for step in (*STEPS[:4], "by_level", "attended")}
    expected |= {f"attend_histogram.from_one_table.{step}" for step in ("sums", "by_level")}
    expected |= {f"attend_histogram.from_a_table_each.{step}" for step in ("weights", "by_level")}
    expected |= {f"SelfAttentionModel.forward.{step}" for step in STEPS[5:]} | {"ATTENTION"}
    assert expected <= shared
    assert {name: a[name] for name in shared} == {name: b[name] for name in shared}


def test_at_least_60_percent_of_the_lines_of_pytorch_and_jax_are_identical():
    a, b = (model_path(name).read_text().splitlines() for name in ("pytorch", "jax"))
    blocks = difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    identical = sum(block.size for block in blocks)
    assert identical / max(len(a), len(b)) >= 0.6


@pytest.mark.parametrize("name", PACKAGES)
def test_every_step_carries_its_shape(name: str):
    lines = model_path(name).read_text().splitlines()
    bare = [
        f"{number}: {lines[number - 1].strip()}"
        for step, number in landmarks(model_path(name)).items()
        if step.split(".")[-1] in STEPS and shape_comment(lines[number - 1]) is None
    ]
    assert bare == []


def shape_comment(line: str) -> str | None:
    """Read the shape off a line's end: `x @ Q  # [batch, steps]` gives "batch, steps"."""
    code, mark, comment = line.rpartition("  # [")
    return comment.rstrip("]") if mark and comment.endswith("]") and "=" in code else None


def record_shapes(path: Path, call: Any) -> dict[int, tuple[int, ...]]:
    """Run `call` and note, for each line of `path` that assigns to a name, the value's shape."""
    targets = {
        node.end_lineno: name
        for node in ast.walk(ast.parse(path.read_text()))
        if (name := assigned_name(node)) is not None
    }
    shapes: dict[int, tuple[int, ...]] = {}

    def note(frame: FrameType, line: int) -> None:
        value = frame.f_locals.get(targets.get(line, ""))
        if hasattr(value, "shape"):
            shapes[line] = tuple(value.shape)

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != str(path):
            return None
        last = frame.f_lineno

        def step(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal last
            note(frame, last)
            last = frame.f_lineno
            return step

        return step

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)
    return shapes


@pytest.mark.parametrize("name", PACKAGES)
def test_every_shape_comment_is_true(name: str):
    module = import_or_skip(name)
    # Every pixel of these images differs from every other: there are 2 * 7 levels.
    sizes = {"batch": 2, "steps": 7, "channels": 3, "outputs": 5, "heads": 1, "levels": 14, "1": 1}
    params, images, _ = make_problem(2, 7, 3, 5)
    path = model_path(name)
    shapes: dict[int, tuple[int, ...]] = {}
    for form in FORMS[name]:
        for factor in (1, 9):  # scores for one table, and scores too large for it
            scaled = params | {key: factor * params[key] for key in "KQ"}
            model = module.from_params(scaled, attention=form)
            shapes |= record_shapes(path, lambda model=model: model(images))
    commented = {
        number: comment
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if (comment := shape_comment(line)) is not None
    }
    assert len(commented) >= 14
    assert commented.keys() <= shapes.keys(), "a commented line never ran"
    for number, comment in commented.items():
        axes = [axis for axis in comment.removeprefix("..., ").split(", ") if axis]
        claimed = [
            tuple(int(np.prod([known[factor] for factor in axis.split(" * ")])) for axis in axes)
            for known in (sizes | {"queries": n, "keys": n} for n in (7, 14))
        ]
        found = shapes[number][-len(axes) :] if comment.startswith("...") else shapes[number]
        assert found in claimed, f"line {number} of {path.name} claims [{comment}]"


def imported_packages(path: Path) -> set[str]:
    """Name every top-level package that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


HOUSE = ("shared", "pytorch_impl", "jax_impl", "numpy_reference", "compare")
MAY_IMPORT = {
    "shared": set(),
    "pytorch_impl": {"shared", "torch", "torchmetrics"},
    "jax_impl": {"shared", "jax", "flax", "optax"},
    "numpy_reference": {"shared"},
    "compare": {"shared", "numpy_reference"},
}
ALSO = {
    # It prepares the digits, once and inside a function; no model meets it.
    "shared/mnist.py": {"tensorflow"},
    # The linear classifier that the model is held against is PyTorch's, inside a function.
    "compare/results/controls.py": {"torch"},
}


@pytest.mark.parametrize("package", HOUSE)
def test_imports_point_down_only(package: str):
    guarded = set(HOUSE) | FRAMEWORKS
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        where = path.relative_to(ROOT).as_posix()
        may_import = MAY_IMPORT[package] | ALSO.get(where, set()) | {package}
        wrong = (imported_packages(path) & guarded) - may_import
        assert not wrong, f"{where} imports {wrong}"


@pytest.mark.parametrize("package", HOUSE)
def test_a_file_fits_in_the_head(package: str):
    for path in (ROOT / package).rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path.name
