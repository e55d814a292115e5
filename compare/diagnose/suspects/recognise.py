"""Recognise known bugs of ports: try each on an input that both sides share.

Each candidate is computed in float64 from an array that both programs have, and compared with what
each of them computed from it. It is reported only if it explains a side to float64's rounding.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from compare.diagnose.parting import Parting
from compare.diagnose.suspects.formulas import (
    DOCS,
    EXPLAINED,
    Candidate,
    affine_scale,
    explains,
    formulas,
    norms,
    shaped,
)
from compare.diagnose.suspects.patterns import (
    Arrays,
    Names,
    find_factor,
    name_factor,
    recognise_factor,
    recognise_mask,
    recognise_offset,
    recognise_order,
    recognise_smoothing,
)
from compare.look.match import Match, aligned
from compare.look.values import Value, apart
from compare.parity.hints import find_hint

MOST_PARENTS = 6  # the number of common arrays that are tried as the input


def explain(parting: Parting, matches: Sequence[Match], left: Any, right: Any) -> list[str]:
    """Return explanations of the first arrays that part; none if no known bug fits."""
    if parting.left is None or parting.right is None:
        return []
    a = parting.left.array
    b = aligned(a, parting.right.array)
    if b is None or apart(a, b) < EXPLAINED:  # less than the precision that a candidate must reach
        return []
    if apart(a, b) < 10 * EXPLAINED:  # any candidate would explain both sides
        return []
    names = left.side.name, right.side.name
    shared = _shared_inputs(parting, matches)
    formula = partial(_recognise_formula, parting=parting)
    for find in (
        recognise_order,
        recognise_mask,
        recognise_offset,
        formula,
        recognise_smoothing,
        recognise_factor,
    ):
        said = find(a, b, shared, names)
        if said:
            return [said]
    if a.ndim and a.size > 1 and np.isfinite(a).all() and np.any(a):
        hint = find_hint(parting.left.name, b, a, "")
        return [hint] if hint else []
    return []


def _shared_inputs(parting: Parting, matches: Sequence[Match]) -> list[np.ndarray]:
    """Return the nearest common arrays that the parting arrays were computed from."""
    by_id = {id(match.left): match for match in matches if match.is_solid}
    found: list[np.ndarray] = []
    waiting: list[Value] = [parting.left] if parting.left else []
    seen: set[int] = set()
    while waiting and len(found) < MOST_PARENTS:
        value = waiting.pop(0)
        for parent in sorted(value.parents, key=lambda p: -p.order):
            if id(parent) in seen:
                continue
            seen.add(id(parent))
            if id(parent) in by_id:
                found.append(parent.array)
            else:
                waiting.append(parent)
    if parting.common is not None and not found:
        found.append(parting.common.left.array)
    return found


def _recognise_formula(
    a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names, parting: Parting
) -> str | None:
    """Recognise an elementwise function, a softmax, or a normalization on either side."""
    for array in shared:
        x = shaped(array, a.shape)
        if x is None or not np.isfinite(x).all():
            continue
        fits: list[Candidate | None] = [None, None]
        for candidate in formulas(x):
            for side, y in enumerate((a, b)):
                if fits[side] is None and explains(candidate, y):
                    fits[side] = candidate
        ours, theirs = fits
        if ours and theirs and ours.name != theirs.name:
            return _link(f"{names[0]} computes {ours.name}, {names[1]} {theirs.name}", ours, theirs)
        if said := _recognise_norms(a, b, x, names):
            return said
        if (ours or theirs) and (said := _recognise_extra(parting, x, names)):
            return said
        if ours or theirs:
            which, fit = (names[0], ours) if ours else (names[1], theirs)
            assert fit is not None
            if fit.name != "its input":
                return _link(f"{which} computes {fit.name}; the other does not", fit)
            return f"{which} leaves the array as it is; the other does not"
    return None


def _recognise_extra(parting: Parting, x: np.ndarray, names: Names) -> str | None:
    """Recognise a scale or a layer that only one side applies to an array both have."""
    for which, value in zip(names, (parting.left, parting.right), strict=True):
        if value is None:
            continue
        for parent in sorted(value.parents, key=lambda p: p.order):
            before = shaped(x, parent.shape)
            if before is None or apart(before, parent.array) < EXPLAINED:
                continue
            factor = find_factor(before, parent.array)
            if factor is not None:
                name = name_factor(factor, (before, *(p.array for p in value.parents)))
                return f"only {which} multiplies by {name} before, in {parent}: is a scale missing?"
            for candidate in formulas(before):
                if explains(candidate, parent.array):
                    return _link(f"only {which} computes {candidate.name} before", candidate)
    return None


def _link(said: str, *fits: Candidate) -> str:
    entry = next((fit.entry for fit in fits if fit.entry), "")
    return f"{said} ({DOCS}{entry})" if entry else said


def _recognise_norms(a: np.ndarray, b: np.ndarray, x: np.ndarray, names: Names) -> str | None:
    """Recognise normalizations with scale and bias per channel on both sides."""
    if a.ndim < 2:
        return None
    has_rows = a.size // a.shape[-1] > 2  # more rows than the unknowns: scale, bias
    fits: list[tuple[Candidate, np.ndarray] | None] = [None, None]
    for candidate in norms(x):
        for side, y in enumerate((a, b)):
            if fits[side] is None and np.isfinite(candidate.value).all():
                scale = np.ones(1) if explains(candidate, y) else None
                if scale is None and has_rows:
                    scale = affine_scale(candidate.value, y)
                if scale is not None:
                    fits[side] = (candidate, scale)
    if fits[0] is None or fits[1] is None:
        return None
    (ours, scale), (theirs, other) = fits[0], fits[1]
    if ours.name != theirs.name:
        return _link(f"{names[0]} computes {ours.name}; {names[1]} {theirs.name}", ours, theirs)
    for which, more, less in ((names[0], scale, other), (names[1], other, scale)):
        if np.allclose(more - less, 1, atol=1e-6):
            return f"{which} scales by 1 + w, where the other scales by w ({ours.name})"
    return f"both compute {ours.name}, with another scale or bias"


def explain_noise(value: Value, observed: Any) -> str | None:
    """Return why a side loses precision in float32 in an array, if a known cause fits."""
    twin = observed.float32.look.twin_of(value)
    for parent in sorted(value.parents, key=lambda parent: -parent.order):
        its = observed.float32.look.twin_of(parent)
        if twin is None or its is None:
            continue
        x = shaped(its.array, twin.array.shape)
        if x is None or x.ndim < 1:
            continue
        mean = x.mean(axis=-1, keepdims=True)
        # E[x²] - E[x]² cancels if the mean is much larger than the deviation.
        if np.abs(mean).max() > 10 * x.std(axis=-1).max() > 0:
            return (
                "the mean is far larger than the deviation; Flax computes the variance as "
                "E[x²] - E[x]² unless given use_fast_variance=False "
                f"({DOCS}flax-computes-the-variance-of-layernorm-as-ex---ex)"
            )
    return None
