"""Patterns of a wrong array compared with the right one: a factor, a mask, another order."""

from collections.abc import Sequence
from math import isclose

import numpy as np

from compare.diagnose.suspects.formulas import DOCS, EXPLAINED, shaped
from compare.look.values import apart

Names = tuple[str, str]
Arrays = Sequence[np.ndarray]


def recognise_mask(a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names) -> str | None:
    """Recognise a mask that is inverted, shifted, or missing on one side."""
    entry = f"({DOCS}true-keeps-in-one-call-and-masks-out-in-the-other)"
    if all((y == np.round(y)).all() and y.max() > 1 for y in (a, b) if y.size):
        return None  # an index of 0 is not a mask
    for read in (lambda y: y == 0, lambda y: ~np.isfinite(y) | (y < -1e4)):
        ours, theirs = read(a), read(b)
        if (not ours.any() and not theirs.any()) or ours.all() or theirs.all():
            continue
        if np.array_equal(ours, theirs):
            continue
        if not ours.any() or not theirs.any():
            which = names[0] if ours.any() else names[1]
            return f"only {which} masks: is a mask forgotten, or of the wrong dtype?"
        if not (ours & theirs).any() or np.array_equal(ours, ~theirs):
            return f"one side masks what the other keeps: the mask has the opposite meaning {entry}"
        if a.ndim >= 2 and a.shape[-1] > 1:
            for which, more, less in ((names[0], theirs, ours), (names[1], ours, theirs)):
                if np.array_equal(more[..., 1:] & more[..., 1:], less[..., :-1]):
                    return f"the mask of {which} is one position off"
        return "the two mask different positions"
    return None


def recognise_offset(a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names) -> str | None:
    """Recognise a bias per channel that only one side adds."""
    if a.ndim < 2 or not np.isfinite(a - b).all():
        return None
    gap = b - a
    for axis in range(a.ndim):
        others = tuple(n for n in range(a.ndim) if n != axis)
        if int(np.prod([a.shape[n] for n in others])) < 2 or not np.any(gap):
            continue
        spread = np.abs(gap - gap.mean(axis=others, keepdims=True)).max()
        if spread < EXPLAINED * max(np.abs(a).max(), np.abs(b).max()):
            return (
                f"the difference is one number per index of axis {axis - a.ndim}, the same for all "
                "others: is a bias missing, there twice, or another one?"
            )
    return None


def recognise_smoothing(a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names) -> str | None:
    """Recognise a loss with label smoothing against one without."""
    if a.size > 1:
        return None
    for logits in shared:
        if logits.ndim != 2:
            continue
        shifted = logits - logits.max(axis=-1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        for which, plain, other in ((names[1], a.item(), b.item()), (names[0], b.item(), a.item())):
            smoothing = (other - plain) / (-logs.mean() - plain)
            if 0.001 < smoothing < 0.9 and isclose(smoothing, round(smoothing, 3), abs_tol=1e-9):
                return f"{which} smooths its labels by {round(smoothing, 3):g}"
    return None


def recognise_factor(a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names) -> str | None:
    """Recognise a constant factor, and suggest its origin."""
    factor = find_factor(a, b)
    if factor is None:
        return None
    name = name_factor(factor, (a, b, *shared))
    is_size = "=" in name and "sqrt" not in name
    advice = (
        "a sum for a mean, or n for n - 1?" if is_size else "is a scale missing, or there twice?"
    )
    return f"{names[1]} is {name} times {names[0]}: {advice}"


def find_factor(a: np.ndarray, b: np.ndarray) -> float | None:
    """Return the number that turns `a` into `b` by multiplication; None if there is none."""
    finite = np.isfinite(a) & np.isfinite(b)
    x, y = a[finite], b[finite]
    if not x.size or not (x**2).sum():
        return None
    factor = float((x * y).sum() / (x**2).sum())
    largest = float(np.abs(y).max())
    if (
        not factor
        or abs(factor - 1) < EXPLAINED
        or np.abs(y - factor * x).max() > EXPLAINED * largest
    ):
        return None
    return factor


def name_factor(factor: float, arrays: Arrays) -> str:
    """Return a factor as text, with its formula by a size of the arrays: 0.5 = 1 / sqrt(4)."""
    sizes = {n for array in arrays for n in array.shape if n > 1}
    sizes |= {int(array.size) for array in arrays if 1 < array.size < 10**6}
    known: dict[str, float] = {}
    for n in sorted(sizes, reverse=True):
        known |= {f"{n}": float(n), f"1 / {n}": 1 / n, f"{n} / {n - 1}": n / (n - 1)}
        known |= {f"{n - 1} / {n}": (n - 1) / n, f"sqrt({n})": n**0.5, f"1 / sqrt({n})": n**-0.5}
    name = next((name for name, value in known.items() if isclose(factor, value, rel_tol=1e-7)), "")
    return f"{factor:.6g} = {name}" if name and name != f"{factor:.6g}" else f"{factor:.6g}"


def recognise_order(a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names) -> str | None:
    """Recognise the same numbers in another order, and rotary embeddings of halves or pairs."""
    if a.size < 2:
        return None
    if apart(np.sort(a, axis=None), np.sort(b, axis=None)) < EXPLAINED:
        if (
            a.ndim >= 2
            and a.shape[-1] == a.shape[-2]
            and apart(a, np.swapaxes(b, -1, -2)) < EXPLAINED
        ):
            return "transposed: are key and query, or the last two axes, swapped?"
        return "another order: a reshape for a transpose, or heads split otherwise?"
    for x in shared:
        turned = shaped(x, a.shape)
        if turned is None or a.ndim < 2 or a.shape[-1] % 2:
            continue
        kinds = [_rotation(turned, y) for y in (a, b)]
        if all(kinds) and kinds[0] != kinds[1]:
            return f"{names[0]} rotates {kinds[0]}, {names[1]} {kinds[1]} (rotary embedding)"
    return None


def _rotation(x: np.ndarray, y: np.ndarray) -> str | None:
    """Return which channels a rotation pairs, found by the lengths that it preserves."""
    half = x.shape[-1] // 2
    for name, split in (
        ("halves", lambda z: z[..., :half] ** 2 + z[..., half:] ** 2),
        ("pairs", lambda z: z[..., ::2] ** 2 + z[..., 1::2] ** 2),
    ):
        if apart(split(x), split(y)) < EXPLAINED:
            return name
    return None
