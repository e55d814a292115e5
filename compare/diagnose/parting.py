"""Where two programs part: the last array in common, and the first that only one of them has.

An array without an equal need not be wrong: the other program may compute the same result by
another formula. Such an array is ignored if something computed from it has an equal. The programs
part at the first array that has no equal and is not ignored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compare.look.match import Match, aligned
from compare.look.values import Value, apart, scale_of

Arrays = Sequence[np.ndarray]
CLOSE = 1e-9  # relative: float64's rounding, and some
NEAR = 24  # the number of parting arrays that are tried as counterparts


@dataclass(frozen=True)
class Parting:
    """The last arrays in common, and the first that part; None where none was seen."""

    common: Match | None
    left: Value | None
    right: Value | None

    @property
    def is_of_one_size(self) -> bool:
        """Whether the two arrays that part have the same size."""
        return (
            self.left is not None and self.right is not None and self.left.size == self.right.size
        )

    def difference(self) -> tuple[float, tuple[int, ...], float, float] | None:
        """Return the largest relative difference, its index, and the two numbers there."""
        if not self.is_of_one_size:
            return None
        assert self.left is not None
        assert self.right is not None
        a = self.left.array
        b = aligned(a, self.right.array)
        if b is None:
            return None
        with np.errstate(invalid="ignore"):
            gap = np.abs(a - b)
        gap = np.where(
            np.isfinite(gap), gap, np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.inf)
        )
        index = tuple(int(n) for n in np.unravel_index(int(np.argmax(gap)), gap.shape))
        return apart(a, b), index, float(a[index]), float(b[index])


def find_parting(
    left: Sequence[Value],
    right: Sequence[Value],
    matches: Sequence[Match],
    outputs: tuple[Iterable[Value], Iterable[Value]],
    biases: tuple[Arrays, Arrays] = ((), ()),
) -> Parting:
    """Return where two programs part, from the arrays that were seen and their matches."""
    solid = [match for match in matches if match.is_solid]
    equal = (
        {id(m.left) for m in solid if m.best_of != "right"},
        {id(m.right) for m in solid if m.best_of != "left"},
    )
    losts = _lost(left, equal[0], outputs[0]), _lost(right, equal[1], outputs[1])
    arranged = {id(m.left): m for m in solid}, {id(m.right): m for m in solid}
    for lost, params, own in zip(losts, biases, arranged, strict=True):
        kept = [v for v in lost[: 2 * NEAR] if not _is_taken(v, params, matches, own)]
        lost[:] = kept or lost
    first, second = _pair(*losts, biases)
    if first is None or second is None:  # one side has no unmatched array but its output
        first = first or _first_unequal(outputs[0], equal[0])
        second = second or _first_unequal(outputs[1], equal[1])
    gone = {id(value) for lost in losts for value in lost}
    common = [m for m in solid if not gone & {id(m.left), id(m.right)}]
    return Parting(_last_common(first, second, common), first, second)


def _lost(values: Sequence[Value], equal: set[int], outputs: Iterable[Value]) -> list[Value]:
    """Return, in order, the arrays that have no equal and no descendant with one."""
    children: dict[int, list[Value]] = {}
    for value in values:
        for parent in value.parents:
            children.setdefault(id(parent), []).append(value)
    equal = equal | {id(piece) for value in values if id(value) in equal for piece in value.pieces}
    healed: set[int] = set()
    ends = {id(value) for value in outputs}
    reaches = set(ends)
    has_outputs = bool(reaches)
    for value in sorted(values, key=lambda value: value.order, reverse=True):
        after = children.get(id(value), [])
        if any((id(c) in equal and not c.is_plain) or id(c) in healed for c in after):
            healed.add(id(value))
        if any(id(child) in reaches for child in after):
            reaches.add(id(value))
    well = equal | healed
    reaches |= {
        id(whole)
        for whole in values
        if any(id(piece) in reaches for piece in whole.pieces)
        and not any(id(piece) in well for piece in whole.pieces)
    }
    return [
        value
        for value in values
        if id(value) not in equal
        and id(value) not in healed
        and ((value.parents and not value.is_plain and not value.is_param) or id(value) in ends)
        and (not has_outputs or id(value) in reaches)
    ]


def _first_unequal(values: Iterable[Value], equal: set[int]) -> Value | None:
    """Return the first output that has no equal, or the first output if all have one."""
    outputs = list(values)
    return next((v for v in outputs if id(v) not in equal), outputs[0] if outputs else None)


def _is_taken(
    value: Value, params: Arrays, matches: Sequence[Match], solid: Mapping[int, Match]
) -> bool:
    """Check whether an array only repeats numbers of a parent or a parameter.

    A slice or a transpose computes nothing. The same numbers in another order may be the bug, but
    only if the other side has another array to compare them with than the one they were taken from.
    """
    if value.pieces:
        return all(_is_taken(piece, params, matches, solid) for piece in value.pieces)
    for parent in value.parents:
        if parent.size > value.size and np.isin(value.array, parent.array).all():
            return True
        if parent.size == value.size and id(parent) in solid:
            whole = solid[id(parent)]
            mine = [m for m in matches if value in (m.left, m.right) and not m.is_solid]
            if mine and all({m.left, m.right} & {whole.left, whole.right} for m in mine):
                return True
    larger = [array for array in params if array.size > value.size]
    return not value.from_input and any(np.isin(value.array, array).all() for array in larger)


def _pair(
    left: list[Value], right: list[Value], biases: tuple[Arrays, Arrays]
) -> tuple[Value | None, Value | None]:
    """Choose the first two arrays, among those that part, that stand for the same quantity.

    If one lacks only a bias that its side holds, the bias may be added later, so the two are
    skipped.
    """
    if not left or not right:
        return (left[0] if left else None), (right[0] if right else None)
    options = [(left[0], other) for other in right[:NEAR]]
    options += [(other, right[0]) for other in left[:NEAR]]
    fitting = [(a, b) for a, b in options if a.size == b.size]
    if not fitting:
        return left[0], right[0]
    first, second = min(fitting, key=lambda pair: _sorted_apart(*pair))
    lacks_a_bias = _lacks(second, first, biases[1]) or _lacks(first, second, biases[0])
    if lacks_a_bias and left[-1] is not first and right[-1] is not second:
        return _pair(_after(left, first), _after(right, second), biases)
    return first, second


def _after(values: list[Value], value: Value) -> list[Value]:
    return [other for other in values if other.order > value.order]


def _lacks(value: Value, other: Value, biases: Arrays) -> bool:
    """Check whether `other` is `value` plus one of some biases along an axis."""
    gap = (
        other.array - turned if (turned := aligned(other.array, value.array)) is not None else None
    )
    if gap is None or not np.isfinite(gap).all():
        return False
    scale = scale_of(other.array)
    for axis in range(gap.ndim):
        line = np.moveaxis(gap, axis, -1).reshape(-1, gap.shape[axis])
        if np.abs(line - line[0]).max() <= CLOSE * scale:
            flats = [bias.reshape(-1) for bias in biases if bias.size == line.shape[1]]
            if any(np.abs(flat - line[0]).max() <= CLOSE * scale for flat in flats):
                return True
    return False


def _sorted_apart(a: Value, b: Value) -> float:
    """Return the difference of two arrays' quantiles, relative to the larger magnitude."""
    if a.signature.shape != b.signature.shape:
        return float("inf")
    scale = max(scale_of(a.signature[1:]), scale_of(b.signature[1:])) or 1.0
    return float(np.abs(a.signature - b.signature).max()) / scale


def _last_common(left: Value | None, right: Value | None, solid: Sequence[Match]) -> Match | None:
    """Return the last match that the parting arrays were computed from."""
    of_left, of_right = ancestors(left), ancestors(right)
    both = [m for m in solid if id(m.left) in of_left and id(m.right) in of_right]
    either = [m for m in solid if id(m.left) in of_left or id(m.right) in of_right]
    informative = [m for m in both or either or solid if not m.left.is_plain]
    return max(informative or both or either, key=lambda m: m.left.order, default=None)


def ancestors(value: Value | None) -> set[int]:
    """Return the ids of all arrays that an array was computed from."""
    found: set[int] = set()
    waiting = list(value.parents) if value is not None else []
    while waiting:
        parent = waiting.pop()
        if id(parent) not in found:
            found.add(id(parent))
            waiting.extend(parent.parents)
    return found
