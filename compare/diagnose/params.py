"""The parameters of both programs, matched by value, whatever their names."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compare.diagnose.execute import Side
from compare.look.hooks import modules_of
from compare.look.rebuild import arrays_of
from compare.look.values import FLOAT32_U, Value, signature_of, to_numpy

BFLOAT16_DROPPED = np.uint32(0xFFFF)  # the bits of float32 that bfloat16 lacks


@dataclass(frozen=True)
class Param:
    """A parameter of a program: its name, its numbers, and their signature."""

    name: str
    array: np.ndarray
    signature: np.ndarray
    source: int = 0  # the id of the program's own array

    def is_equal(self, other: "Param", allowed: float = FLOAT32_U) -> bool:
        """Check whether the sorted numbers agree to float32's rounding."""
        if self.array.size != other.array.size or self.signature.shape != other.signature.shape:
            return False
        scale = float(np.abs(self.signature).max(initial=0))
        return float(np.abs(self.signature - other.signature).max()) <= 2 * allowed * scale


def params_of(side: Side) -> list[Param]:
    """Return all floating-point arrays that a program holds, in the order they are found."""
    held = arrays_of(side.program)
    names = _names(side)
    found = []
    for number, array in enumerate(held):
        values = to_numpy(array)
        if values is not None:
            name = names.get(id(array), f"array {number} of its parameters")
            found.append(Param(name, values, signature_of(values), id(array)))
    return found


def _names(side: Side) -> dict[int, str]:
    """Return the names of a program's parameters by their ids, if its framework has names."""
    names: dict[int, str] = {}
    for path, module in modules_of(side.program, side.framework).items():
        if side.framework == "torch":
            for name, array in (*module._parameters.items(), *module._buffers.items()):
                names.setdefault(id(array), f"{path}.{name}".lstrip("."))
        else:
            nnx = sys.modules["flax.nnx"]
            for name, variable in vars(module).items():
                if isinstance(variable, nnx.Variable):
                    names.setdefault(id(variable.get_value()), f"{path}.{name}".lstrip("."))
    return names


def group_params(
    left: Sequence[Param], right: Sequence[Param]
) -> list[tuple[list[int], list[int]]]:
    """Return the indices of parameters that are equal on both sides, in groups of equal ones."""
    groups: list[tuple[list[int], list[int]]] = []
    for place, param in enumerate(left):
        for ours, _ in groups:
            if left[ours[0]].is_equal(param):
                ours.append(place)
                break
        else:
            equal = [n for n, other in enumerate(right) if param.is_equal(other)]
            groups.append(([place], equal))
    return groups


def mark_params(values: Sequence[Value], params: Sequence[Param]) -> None:
    """Mark the arrays that are a parameter, possibly transposed: they are not computed."""
    sizes = {param.array.size for param in params}
    for value in values:
        if value.size in sizes:
            seen = Param(value.name, np.empty(value.shape), value.signature)
            value.is_param = any(param.is_equal(seen) for param in params)


def explain_params(
    left: Side, right: Side, ours: Sequence[Param], theirs: Sequence[Param]
) -> list[str]:
    """Return which parameter of one side is the other side's rounded to bfloat16, if one is."""
    groups = group_params(ours, theirs)
    lonely = [ours[place] for places, equal in groups if not equal for place in places]
    taken = {n for _, equal in groups for n in equal}
    others = [param for n, param in enumerate(theirs) if n not in taken]
    said = []
    for param in lonely:
        for other in others:
            if param.is_equal(other, 2.0**-8) and _differ_in_bfloat16(param, other):
                rounded, exact = (left, right) if _is_bfloat16(param.array) else (right, left)
                name = param.name if rounded is left else other.name
                said.append(
                    f"{name} of {rounded.name} is the parameter of {exact.name} rounded to bfloat16"
                )
                break
    return said[:3]


def _differ_in_bfloat16(a: Param, b: Param) -> bool:
    return _is_bfloat16(a.array) != _is_bfloat16(b.array)


def _is_bfloat16(array: np.ndarray) -> bool:
    """Check whether bfloat16 can hold every number of an array exactly."""
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
    return not (bits & BFLOAT16_DROPPED).any()
