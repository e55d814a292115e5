"""Read the intermediates of a model while it runs, without changing the model.

Every intermediate is a local variable of the same name, in functions called attend..., forward or
__call__. Python calls a profile function whenever a function returns (sys.setprofile), and that
function reads the local variables of the returning one. So the model needs no hooks, and there is
no cost when nothing is captured.
"""

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from compare.look.values import Store, apart, to_numpy
from compare.look.watch import Look
from compare.registry.contract import Implementation, eagerly, is_file_of
from shared.data.levels import LevelImages
from shared.errors import UserError

PROJECTIONS = ("query", "key", "value", "attended")
TABLES = ("scores", "weights")
CALLS = ("forward", "__call__")
NEAR = 1e-2  # relative: a badly rounded array is closer, another array is not


def capture_intermediates(
    implementation: Implementation, model: Any, images: np.ndarray | LevelImages
) -> dict[str, np.ndarray]:
    """Evaluate a model on images [batch, steps, channels]; return its intermediates by name.

    The images are as the model's form takes them: LevelImages for the histogram form.

    They are NumPy arrays: query, key, value and attended [batch, steps, channels], scores and
    weights [batch, steps, steps] and logits [batch, outputs]. Intermediates are missing if a form
    does not compute them, or not in Python (the tables of a built-in call or of a compiled loop).
    Those that the histogram form computes per level are returned per pixel, as for other forms.
    If the implementation has a function `intermediates`, it is called instead.
    """
    x = images
    own = getattr(implementation, "intermediates", None)
    if own is not None:
        return _check_given(own(model, x), x)
    pieces: dict[str, list[np.ndarray]] = {}

    @cache
    def names_of(file: str, function: str) -> tuple[str, ...]:
        return _names_in(Path(file).name, function) if is_file_of(implementation, file) else ()

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "return":
            for name in names_of(frame.f_code.co_filename, frame.f_code.co_name):
                value = frame.f_locals.get(name)
                array = to_numpy(value) if hasattr(value, "shape") else None
                if array is not None:
                    pieces.setdefault(name, []).append(array)

    labels = np.zeros(len(x), dtype=np.int64)
    with eagerly(implementation):
        before = sys.getprofile()
        sys.setprofile(look)
        try:
            implementation.evaluate(model, x, labels, batch_size=len(x), accuracy="micro")
        finally:
            sys.setprofile(before)
    return _put_together(pieces, x)


def capture_by_value(
    implementation: Implementation,
    model: Any,
    images: np.ndarray | LevelImages,
    expected: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the arrays that an implementation computes and that are close to the expected ones.

    For implementations with other names of functions and variables: an intermediate is found by its
    numbers. One that is completely wrong is not found.
    """
    file = getattr(implementation, "__file__", None) or ""
    look = Look(Store(), (str(Path(file).parent),))
    look.see("input", "images", "input", images)
    labels = np.zeros(len(images), dtype=np.int64)
    with eagerly(implementation), look.tracing():
        implementation.evaluate(model, images, labels, batch_size=len(images), accuracy="micro")
    look.put_together()
    found = {}
    for name, value in expected.items():
        same_size = [seen.array for seen in look.values.values() if seen.size == value.size]
        shaped = [array.reshape(value.shape) for array in same_size]
        nearest = min(shaped, key=lambda array: apart(array, value), default=None)
        if nearest is not None and apart(nearest, value) < NEAR:
            found[name] = nearest
    return found


def _names_in(file: str, function: str) -> tuple[str, ...]:
    """Return the names of the intermediates to look for in a function of an implementation."""
    if file == "blocks.py":  # where queries are scaled, and hold one block
        return TABLES if function == "write_weights" else ()
    if function.startswith("attend") or function in CALLS:
        return (*PROJECTIONS, *TABLES, "logits")
    return ()


def _shapes(x: np.ndarray | LevelImages) -> dict[str, tuple[int, ...]]:
    """Return the shape of each intermediate of one image, except the logits."""
    steps, channels = int(x.shape[1]), int(x.shape[2])
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(PROJECTIONS, (steps, channels))
    return shapes | dict.fromkeys(TABLES, (steps, steps))


def _check_given(
    found: Mapping[str, np.ndarray], x: np.ndarray | LevelImages
) -> dict[str, np.ndarray]:
    """Check the shapes of the intermediates that an implementation returns itself."""
    shapes = _shapes(x)
    for name, array in found.items():
        shape = (len(x), *shapes.get(name, np.shape(array)[1:]))
        if name not in (*shapes, "logits") or np.shape(array) != shape:
            raise UserError(
                f"The function intermediates returned {name!r} of shape {np.shape(array)}: give "
                f"{', '.join((*shapes, 'logits'))}, in the shapes of docs/add_a_framework.md."
            )
    return dict(found)


def _put_together(
    pieces: Mapping[str, list[np.ndarray]], x: np.ndarray | LevelImages
) -> dict[str, np.ndarray]:
    """Join the pieces of each intermediate, whole, by sample or by block, into [batch, ...]."""
    batch, shapes = len(x), _shapes(x)
    found = {}
    for name, arrays in pieces.items():
        shape = shapes.get(name, arrays[-1].shape[1:])
        if isinstance(x, LevelImages):
            arrays = [_by_pixel(array, x) for array in arrays]
        # The axis of heads, of size 1, is removed.
        whole = [a for a in arrays if a.size == batch * np.prod(shape) and len(a) == batch]
        ours = [array for array in arrays if array.shape[-len(shape) :] == shape]
        if whole:
            found[name] = whole[0].reshape(batch, *shape)
        elif sum(array.size for array in ours) == batch * np.prod(shape):
            found[name] = np.concatenate([array.reshape(-1, *shape) for array in ours])
    return found


def _by_pixel(array: np.ndarray, x: LevelImages) -> np.ndarray:
    """Expand an array computed per level, [levels, ...], to one per pixel, [batch, steps, ...]."""
    levels, indices = len(x.levels), np.asarray(x.indices)
    if array.shape == (levels, levels):
        return array[indices[:, :, None], indices[:, None, :]]
    if array.shape == (levels, x.shape[-1]):
        return array[indices]
    return array
