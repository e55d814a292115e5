"""Find further differences after the first: run modules of the right on inputs of the left.

Behind the first bug every array differs, so arrays no longer match. But a module of the right that
holds the same parameters as a module of the left can be run on the input of the left one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.diagnose.execute import cast, computing, held_by
from compare.diagnose.parting import Parting
from compare.look.hooks import modules_of
from compare.look.match import aligned, layout_of, tolerance
from compare.look.rebuild import arrays_of, rebuild
from compare.look.values import Value, apart, to_numpy
from compare.look.watch import leaves

MOST = 200  # the number of modules of each side that are tried


@dataclass(frozen=True)
class _Part:
    """A module, its path, and the signatures of all its parameters."""

    path: str
    module: Any
    params: tuple[np.ndarray, ...]

    def is_equal(self, other: "_Part") -> bool:
        return len(self.params) == len(other.params) and all(
            a.shape == b.shape and np.allclose(a, b, rtol=1e-6, atol=0)
            for a, b in zip(self.params, other.params, strict=True)
        )


def find_further(
    left: Any, right: Any, parting: Parting, noise: Callable[[Value], float]
) -> list[str]:
    """Return a sentence for each module that differs on the left's own input."""
    ours, theirs = _parts(left), _parts(right)
    first = [_paths(value) for value in (parting.left, parting.right) if value]
    wrong: list[str] = []
    said = []
    for part in sorted(ours, key=lambda part: -part.path.count(".")):
        twins = [other for other in theirs if part.is_equal(other)]
        # The input of this module already parted.
        found = [path for paths in first if f"{part.path} input[0]" not in paths for path in paths]
        if len(twins) != 1 or any(_is_within(path, part.path) for path in (*wrong, *found)):
            continue
        gap = _replay(left, right, part, twins[0], noise)
        if gap is not None:
            wrong.append(part.path)
            said.append(
                f"on the same input, {twins[0].path or type(twins[0].module).__name__} of "
                f"{right.side.name} differs from {part.path} of {left.side.name} by {gap:.2g}"
            )
    return said


def _is_within(path: str, part: str) -> bool:
    return not part or path == part or path.startswith(f"{part}.")


def _paths(value: Value) -> list[str]:
    return [name for kind, name, _ in value.sightings if kind == "module"]


def _parts(observed: Any) -> list[_Part]:
    parts = []
    known = {param.source: param.signature for param in observed.params}
    modules = modules_of(observed.side.program, observed.side.framework)
    for path, module in list(modules.items())[:MOST]:
        found = [known.get(id(array)) for array in arrays_of(module)]
        signatures = sorted(
            (signature for signature in found if signature is not None),
            key=lambda s: (len(s), *s[-2:]),
        )
        if len(signatures) < len(found):
            continue
        if signatures and callable(module):
            parts.append(_Part(path, module, tuple(signatures)))
    return parts


def _replay(
    left: Any, right: Any, ours: _Part, theirs: _Part, noise: Callable[[Value], float]
) -> float | None:
    """Return the difference of two modules on the input of the left one; None if equal."""
    given, gave = _seen(left, f"{ours.path} input[0]"), _seen(left, ours.path)
    own = _seen(right, f"{theirs.path} input[0]")
    if given is None or gave is None or own is None:
        return None
    array = _arranged(given.array, own.shape)
    if array is None:
        return None
    framework = right.side.framework
    try:
        with computing(framework, "float64", 0):
            module = rebuild(theirs.module, lambda a: cast(a, "float64", framework))
            out = to_numpy(next(leaves(module(held_by(array, framework))))[1])
    except Exception:  # it takes more than one input, or integers
        return None
    if out is None or out.size != gave.size:
        return None
    allowed = tolerance(noise(gave))
    if layout_of(gave.array, out, allowed) in ("same", "axes"):
        return None
    other = aligned(gave.array, out)
    return None if other is None else apart(gave.array, other)


def _seen(observed: Any, name: str) -> Value | None:
    look = observed.float64.look
    for value in look.values.values():
        if any(kind == "module" and path == name for kind, path, _ in value.sightings):
            return value
    return None


def _arranged(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return an array with its axes moved to a shape; None unless exactly one way fits."""
    if array.shape == shape:
        return array
    if sorted(array.shape) != sorted(shape) or len(set(shape)) != len(shape):
        return (
            array.reshape(shape)
            if array.size == int(np.prod(shape)) and array.ndim != len(shape)
            else None
        )
    return array.transpose([array.shape.index(size) for size in shape])
