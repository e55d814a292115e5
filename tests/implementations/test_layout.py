"""The layout: files that can be compared side by side, and true shape comments."""

import ast
import difflib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from conftest import PACKAGES, import_or_skip

from compare.expected.problems import make_dataset, make_problem
from shared.config import Config
from shared.training.records import begin_training

ROOT = Path(__file__).resolve().parents[2]
INTERMEDIATES = ("query", "key", "value", "scores", "weights", "attended", "features", "logits")


FILES = {  # whose lines carry shapes
    "pytorch": ("model", "forms", "blocks", "convert", "metrics", "train"),
    "jax": ("model", "forms", "blocks", "convert", "metrics", "train"),
    "numpy": ("model", "forms", "blocks", "convert", "metrics", "evaluate"),
}


def path_of(name: str, file: str = "model") -> Path:
    return ROOT / PACKAGES[name] / f"{file}.py"


def assigned_name(node: ast.AST) -> str | None:
    """Return the target of `name = ...`, or nothing for any other statement."""
    if isinstance(node, ast.Assign):
        target = node.targets[0]
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        target = node.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def test_each_model_is_one_screen():
    for name, most in (("pytorch", 70), ("jax", 70), ("numpy", 72)):
        assert len(path_of(name).read_text().splitlines()) <= most, name


@pytest.mark.parametrize(("one", "other"), [("pytorch", "jax"), ("numpy", "jax")])
def test_at_least_65_percent_of_the_lines_of_two_models_are_the_same(one: str, other: str):
    """Of the longer one's lines, blank lines left out."""
    a, b = (
        [line for line in path_of(name).read_text().splitlines() if line] for name in (one, other)
    )
    blocks = difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    assert sum(block.size for block in blocks) / max(len(a), len(b)) >= 0.65


@pytest.mark.parametrize("name", ["pytorch", "jax"])
def test_a_file_that_is_run_by_itself_says_what_to_run(name: str):
    import_or_skip(name)
    command = [sys.executable, str(path_of(name, "train"))]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 1
    assert f"run `python -m {PACKAGES[name]}`" in ran.stderr


@pytest.mark.parametrize("name", PACKAGES)
def test_every_step_carries_its_shape(name: str):
    for file in ("model", "forms"):
        lines = path_of(name, file).read_text().splitlines()
        nodes = ast.walk(ast.parse(path_of(name, file).read_text()))
        bare = [
            f"{file}.py, line {node.end_lineno}"
            for node in nodes
            if assigned_name(node) in INTERMEDIATES
            and shape_comment(lines[node.end_lineno - 1]) is None
        ]
        assert bare == []


def shape_comment(line: str) -> str | None:
    """Return the shape at a line's end: `x @ Q  # [batch, steps]` gives "batch, steps"."""
    code, mark, comment = line.rpartition("  # [")
    is_shape = mark and comment.endswith("]") and "]," not in comment and code.strip()
    return comment.rstrip("]") if is_shape else None


def record_shapes(paths: Sequence[Path], call: Any) -> dict[tuple[Path, int], tuple[int, ...]]:
    """Run `call`; return the shape of each assigned or returned array, by file and line."""
    targets = {
        (path, node.end_lineno): name
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if (name := assigned_name(node)) is not None
    }
    shapes: dict[tuple[Path, int], tuple[int, ...]] = {}
    by_name = {str(path): path for path in paths}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        path = by_name.get(frame.f_code.co_filename)
        if path is None:
            return None
        last = frame.f_lineno

        def note(line: int, value: Any) -> None:
            if hasattr(value, "shape"):
                shapes[path, line] = tuple(value.shape)

        def step(frame: FrameType, event: str, value: Any) -> Any:
            nonlocal last
            if (path, last) in targets:
                note(last, frame.f_locals.get(targets[path, last]))
            if event == "return":
                note(frame.f_lineno, value)
            last = frame.f_lineno
            return step

        return step

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)
    return shapes


def use_everything(module: Any) -> None:
    """Evaluate, differentiate and train in every form, with moderate scores and with large ones."""
    problem = make_problem(2, 7, 3, 5)
    params, images, labels = problem
    large = params | {key: 9 * params[key] for key in "KQ"}  # too large for one table
    for form in module.ATTENTION:
        model = module.from_params(params, form, "float64")
        module.evaluate(model, images, labels, batch_size=2)
        if hasattr(module, "Training"):
            config = Config(attention=form, batch_size=2)
            start = begin_training(params, "float32")
            data = make_dataset(problem).train
            training = module.Training(start.params, start.adam, data, config)
            training.take_steps(np.array([[0, 1], [1, 0], [0, 1]]))
            module.loss_and_gradients(training.model, images, labels)
    module.evaluate(module.from_params(large, "histogram"), images, labels, accuracy="macro")


@pytest.mark.parametrize("name", PACKAGES)
def test_every_shape_comment_is_true(name: str):
    module = import_or_skip(name)
    paths = [path_of(name, file) for file in FILES[name]]
    if name == "jax":  # what is compiled runs its Python lines only while it is traced
        import jax

        jax.clear_caches()
    shapes = record_shapes(paths, lambda: use_everything(module))
    # Every pixel of these images differs from every other: there are 2 * 7 levels.
    sizes = {"batch": 2, "channels": 3, "outputs": 5, "heads": 1, "levels": 14, "1": 1}
    sizes |= {"n": 2, "block": 2, "batches": 3, "channels + 1": 4}
    commented = {
        (path, number): comment
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if (comment := shape_comment(line)) is not None
    }
    assert len(commented) >= 35
    assert commented.keys() <= shapes.keys(), "a commented line never ran"
    for (path, number), comment in commented.items():
        axes = [axis for axis in comment.removeprefix("..., ").split(", ") if axis]
        # `steps` are pixels to the model, and training steps to the loop around it.
        stated = [
            tuple(int(np.prod([known[factor] for factor in axis.split(" * ")])) for axis in axes)
            for known in (sizes | {"steps": steps} for steps in (7, 3, 14))
        ]
        found = shapes[path, number]
        found = found[-len(axes) :] if comment.startswith("...") else found
        assert found in stated, f"line {number} of {path.name} states [{comment}]"


HOUSE = ("shared", "pytorch_impl", "jax_impl", "numpy_reference", "compare")


@pytest.mark.parametrize("package", HOUSE)
def test_a_file_fits_in_the_head(package: str):
    for path in (ROOT / package).rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path.name
