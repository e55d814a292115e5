"""See what a model computes on its way, step by step, without a line of it in the model.

Every step has a local variable of its own name in model.py and blocks.py. Python can call a
function whenever another returns (sys.setprofile), and that function may look at the variables
of the one that returns. So nothing is added to the model, and nothing costs anything when no one
looks.
"""

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from shared.levels import LevelImages, in_form

PROJECTIONS = ("query", "key", "value", "attended")
TABLES = ("scores", "weights")
CALLS = ("forward", "__call__")


def capture_steps(
    implementation: ModuleType, model: Any, images: np.ndarray | LevelImages
) -> dict[str, np.ndarray]:
    """Run a model on images [batch, steps, channels] and give its steps by name, as NumPy arrays.

    A step that a form does not compute as such, or not where Python can look (the tables of a
    built-in call, or of a compiled loop), is missing. What the histogram form computes once per
    level is given once per pixel, like everyone's.
    """
    folder = Path(str(implementation.__file__)).parent
    pieces: dict[str, list[np.ndarray]] = {}

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event != "return" or Path(frame.f_code.co_filename).parent != folder:
            return
        for name in _steps_of(Path(frame.f_code.co_filename).name, frame.f_code.co_name):
            value = _to_numpy(frame.f_locals.get(name))
            if value is not None:
                pieces.setdefault(name, []).append(value)

    x = in_form(images, model.attention)
    eagerly = getattr(implementation, "eagerly", nullcontext)
    with eagerly():
        before = sys.getprofile()
        sys.setprofile(look)
        try:
            model(x)
        finally:
            sys.setprofile(before)
    return _put_together(pieces, x)


def _steps_of(file: str, function: str) -> tuple[str, ...]:
    """Name the steps to look for in a function of a package."""
    if file == "blocks.py":  # where queries are scaled ones, and of a block
        return TABLES if function == "write_weights" else ()
    if file == "model.py" and function.startswith("attend_"):
        return (*PROJECTIONS, *TABLES)
    return ("logits",) if file == "model.py" and function in CALLS else ()


def _to_numpy(value: Any) -> np.ndarray | None:
    """Copy a concrete array out of its framework; None for all else, such as JAX's tracers."""
    if not hasattr(value, "shape"):
        return None
    if hasattr(value, "detach"):  # PyTorch's: they may need a gradient, or be on a GPU
        return value.detach().double().numpy(force=True).copy()
    try:
        return np.array(value)
    except TypeError:  # a tracer has no values
        return None


def _put_together(
    pieces: Mapping[str, list[np.ndarray]], x: np.ndarray | LevelImages
) -> dict[str, np.ndarray]:
    """Make one array [batch, ...] of what was seen of each step: whole, by sample or by block."""
    batch, steps, channels = x.shape
    shapes = dict.fromkeys(PROJECTIONS, (steps, channels)) | dict.fromkeys(TABLES, (steps, steps))
    found = {}
    for name, arrays in pieces.items():
        shape = shapes.get(name, arrays[-1].shape[1:])
        if isinstance(x, LevelImages):
            arrays = [_by_pixel(array, x) for array in arrays]
        # A head's axis, of size 1, is no axis of ours.
        whole = [a for a in arrays if a.size == batch * np.prod(shape) and len(a) == batch]
        ours = [array for array in arrays if array.shape[-len(shape) :] == shape]
        if whole:
            found[name] = whole[0].reshape(batch, *shape)
        elif sum(array.size for array in ours) == batch * np.prod(shape):
            found[name] = np.concatenate([array.reshape(-1, *shape) for array in ours])
    return found


def _by_pixel(array: np.ndarray, x: LevelImages) -> np.ndarray:
    """Give what was computed once per level, [levels, ...], once per pixel, [batch, steps, ...]."""
    levels, indices = len(x.levels), np.asarray(x.indices)
    if array.shape == (levels, levels):
        return array[indices[:, :, None], indices[:, None, :]]
    if array.shape == (levels, x.shape[-1]):
        return array[indices]
    return array
