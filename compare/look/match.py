"""Find the arrays that two programs have in common, whatever their names.

Two arrays match if their sorted numbers agree: a transpose or reshape does not change those.
Candidates are found through an index of signatures, so that the time grows with the number of
arrays, not of pairs.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from compare.look.values import FLOAT32_U, HALFWAY, Value, apart, scale_of

MOST_CANDIDATES = 12  # arrays with the same signature that are compared number by number
SAMPLE = 97  # numbers that are compared first, before whole arrays

Noise = Callable[[Value], float]


@dataclass(frozen=True)
class Match:
    """Two arrays with the same numbers, and how they are arranged."""

    left: Value
    right: Value
    layout: str  # "same", "axes" (moved, split or merged), "turned" (same shape), or "order"
    best_of: str = "both"  # the side whose best match it is: "left", "right" or "both"

    @property
    def is_solid(self) -> bool:
        """Whether they are arranged as their shapes suggest."""
        return self.layout in ("same", "axes")


def tolerance(noise: float) -> float:
    """Return the relative difference in float64 that fits a float32 error of `noise`."""
    return HALFWAY * min(max(noise, FLOAT32_U), 1.0)


def match_values(left: Sequence[Value], right: Sequence[Value], noise: Noise) -> list[Match]:
    """Match each array of either program with its equal in the other that is nearest in order."""
    ahead = {(id(m.left), id(m.right)): m for m in _match_one_way(left, right, noise)}
    back = {(id(m.right), id(m.left)): m for m in _match_one_way(right, left, noise)}
    matches = [m if pair in back else replace(m, best_of="left") for pair, m in ahead.items()] + [
        Match(m.right, m.left, m.layout, "right") for pair, m in back.items() if pair not in ahead
    ]
    return sorted(matches, key=lambda m: (m.left.order, m.right.order))


def _match_one_way(left: Iterable[Value], right: Iterable[Value], noise: Noise) -> list[Match]:
    index = _Index(right)
    matches, at = [], 0
    for value in left:
        allowed = tolerance(noise(value))
        found = sorted(index.find(value, allowed), key=lambda other: abs(other.order - at))
        options: list[tuple[int, Match]] = []
        for other in found[:MOST_CANDIDATES]:
            layout = layout_of(value.array, other.array, max(allowed, tolerance(noise(other))))
            options.append((_rank(value, other, layout), Match(value, other, layout)))
            if layout == "same":
                break
        if options:
            _, best = min(options, key=lambda option: option[0])
            matches.append(best)
            at = best.right.order
    return matches


def _rank(left: Value, right: Value, layout: str) -> int:
    """Return the rank of a match among several: the same shape in another order comes before axes.

    Heads split by a reshape instead of a transpose are a reshape of the array before.
    """
    if layout == "same":
        return 0
    one_shape = [n for n in left.shape if n != 1] == [n for n in right.shape if n != 1]
    return 1 if one_shape else {"axes": 2, "order": 3}[layout]


class _Index:
    """Arrays by size, sorted by their root mean square."""

    def __init__(self, values: Iterable[Value]):
        self.by_size: dict[int, list[tuple[float, int, Value]]] = {}
        for number, value in enumerate(values):
            entry = (float(value.signature[-1]), number, value)
            self.by_size.setdefault(value.size, []).append(entry)
        for entries in self.by_size.values():
            entries.sort()

    def find(self, value: Value, allowed: float) -> Iterator[Value]:
        """Yield the arrays whose signature equals that of `value` within a relative difference."""
        entries = self.by_size.get(value.size, [])
        rms = float(value.signature[-1])
        scale = float(np.abs(value.signature[1:]).max(initial=0))
        reach = allowed * scale
        first = bisect_left(entries, (rms - reach,))
        last = bisect_right(entries, (rms + reach, len(entries)))
        for _, _, other in entries[first:last]:
            ours, theirs = value.signature, other.signature
            if ours.shape == theirs.shape and np.abs(ours - theirs).max() <= reach:
                yield other


def layout_of(a: np.ndarray, b: np.ndarray, allowed: float) -> str:
    """Return how two arrays with the same numbers are arranged; see Match.layout."""
    a, b = squeeze(a), squeeze(b)
    if a.shape == b.shape:
        if apart(a, b) <= allowed:
            return "same"
        turned = any(apart(a, t) <= allowed for t in _turns(b) if t.shape == a.shape)
        return "turned" if turned else "order"
    if sorted(a.shape) == sorted(b.shape):
        if any(apart(a, t) <= allowed for t in _turns(b) if t.shape == a.shape):
            return "axes"
        return "order"
    return "axes" if _is_reshaped(a, b, allowed) else "order"


def aligned(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """Return `b` with its axes moved so that it is nearest to `a`; None if no order fits."""
    a_shape = squeeze(a).shape
    fits = [turn for turn in _turns(squeeze(b)) if turn.shape == a_shape]
    if fits:
        return min(fits, key=lambda turn: apart(squeeze(a), turn)).reshape(a.shape)
    return b.reshape(a.shape) if a.size == b.size else None


def squeeze(array: np.ndarray) -> np.ndarray:
    """Return an array without its axes of size 1."""
    return array.reshape([size for size in array.shape if size != 1])


def _turns(array: np.ndarray) -> Iterator[np.ndarray]:
    orders = permutations(range(array.ndim)) if array.ndim <= 5 else [range(array.ndim)]
    for order in orders:
        yield array.transpose(tuple(order))


def _is_reshaped(a: np.ndarray, b: np.ndarray, allowed: float) -> bool:
    """Check whether moving axes, and splitting or merging them, turns one array into the other."""
    sample = np.unique(np.linspace(0, a.size - 1, SAMPLE).astype(np.int64))
    scale = max(scale_of(a), scale_of(b))
    others = [(turn, _take(turn, sample)) for turn in _turns(b)]
    for turn in _turns(a):
        some = _take(turn, sample)
        for other, its in others:
            with np.errstate(invalid="ignore"):
                near = np.abs(some - its) <= allowed * scale
            is_near = (near | (some == its)).all()
            if is_near and apart(turn.reshape(-1), other.reshape(-1)) <= allowed:
                return True
    return False


def _take(array: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return some numbers of an array by their flat indices, without copying it."""
    if not array.ndim:
        return array.reshape(1)
    return array[np.unravel_index(indices, array.shape)]
