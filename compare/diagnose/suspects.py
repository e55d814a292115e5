"""The usual suspects: what a port is known to get wrong, tried on the input that both sides share.

Each candidate is computed in float64 from an array that both programs have, and held against what
each of them made of it. A suspect is named only if it explains a side to float64's rounding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isclose, sqrt
from typing import Any

import numpy as np

from compare.look.match import Match, aligned
from compare.diagnose.parting import Parting
from compare.look.values import Value, apart
from compare.parity.hints import find_hint

EXPLAINED = 1e-8  # relative: far below float32's rounding
MOST_ROWS = 256  # of an array, that a fit looks at
MOST_PARENTS = 6  # arrays in common that are tried as the input
DOCS = "docs/divergences.md#"
EPSILONS = (0.0, 1e-12, 1e-8, 1e-6, 1e-5, 1e-3)


@dataclass(frozen=True)
class Candidate:
    """A formula by its name, what it gives, and the entry of docs/divergences.md that fits."""

    name: str
    value: np.ndarray
    entry: str = ""


def explain(parting: Parting, matches: Sequence[Match], left: Any, right: Any) -> list[str]:
    """Return what the first arrays that part look like; nothing where no suspect fits."""
    assert parting.left is not None and parting.right is not None
    a = parting.left.array
    b = aligned(a, parting.right.array)
    if b is None:
        return []
    names = left.side.name, right.side.name
    shared = _shared_inputs(parting, matches)
    formula = partial(_find_formula, parting=parting)
    for find in (_find_order, _find_mask, formula, _find_smoothing, _find_factor, _find_offset):
        said = find(a, b, shared, names)
        if said:
            return [said]
    if a.ndim and a.size > 1 and np.isfinite(a).all() and np.any(a):
        hint = find_hint(parting.left.name, b, a, "")
        return [hint] if hint else []
    return []


def _shared_inputs(parting: Parting, matches: Sequence[Match]) -> list[np.ndarray]:
    """Return the nearest arrays in common that what parts was computed from."""
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


Names = tuple[str, str]
Arrays = Sequence[np.ndarray]


def _find_formula(
    a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names, parting: Parting
) -> str | None:
    """Recognise an elementwise function, a softmax, or a normalisation on either side."""
    for x in shared:
        x = _shaped(x, a.shape)
        if x is None or not np.isfinite(x).all():
            continue
        fits: list[Candidate | None] = [None, None]
        for candidate in _formulas(x):
            for side, y in enumerate((a, b)):
                if fits[side] is None and _explains(candidate, y):
                    fits[side] = candidate
        ours, theirs = fits
        if ours and theirs and ours.name != theirs.name:
            return _link(f"{names[0]} computes {ours.name}, {names[1]} {theirs.name}", ours, theirs)
        if said := _find_norms(a, b, x, names):
            return said
        if (ours or theirs) and (said := _find_extra(parting, x, names)):
            return said
        if ours or theirs:
            which, fit = (names[0], ours) if ours else (names[1], theirs)
            assert fit is not None
            if fit.name != "its input":
                return _link(f"{which} computes {fit.name}; the other does not", fit)
            return f"{which} leaves the array as it is; the other does not"
    return None


def _find_extra(parting: Parting, x: np.ndarray, names: Names) -> str | None:
    """Recognise what only one side does with an array that both have: a scale, a layer."""
    for which, value in zip(names, (parting.left, parting.right), strict=True):
        for parent in sorted(value.parents if value else (), key=lambda p: p.order):
            before = _shaped(x, parent.shape)
            if before is None or apart(before, parent.array) < EXPLAINED:
                continue
            factor = _factor(before, parent.array)
            if factor is not None:
                name = _name_factor(factor, (before, *(p.array for p in value.parents if value)))
                return f"only {which} multiplies by {name} before: is a scale missing?"
            for candidate in _formulas(before):
                if _explains(candidate, parent.array):
                    return _link(f"only {which} computes {candidate.name} before", candidate)
    return None


def _link(said: str, *fits: Candidate) -> str:
    entry = next((fit.entry for fit in fits if fit.entry), "")
    return f"{said} ({DOCS}{entry})" if entry else said


def _explains(candidate: Candidate, y: np.ndarray) -> bool:
    return candidate.value.shape == y.shape and apart(candidate.value, y) < EXPLAINED


def _shaped(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    if x.shape == shape:
        return x
    if sorted(x.shape) == sorted(shape) and len(set(shape)) == len(shape):
        return x.transpose([x.shape.index(size) for size in shape])
    return x.reshape(shape) if x.size == int(np.prod(shape)) and x.size else None


def _formulas(x: np.ndarray) -> Iterator[Candidate]:
    """Yield what layers without parameters make of an array."""
    with np.errstate(all="ignore"):
        sigmoid = 1 / (1 + np.exp(-np.clip(x, -700, 700)))
        tanh_gelu = 0.5 * x * (1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
        gelu_entry = "gelu-is-exact-in-pytorch-and-an-approximation-in-jax"
        yield Candidate("its input", x)
        yield Candidate("GELU by erf", x * _normal_cdf(x), gelu_entry)
        yield Candidate("GELU by tanh", tanh_gelu, gelu_entry)
        fast = x / (1 + np.exp(-np.clip(1.702 * x, -700, 700)))
        yield Candidate("GELU by a sigmoid of 1.702 x", fast, gelu_entry)
        yield Candidate("ReLU", np.maximum(x, 0))
        yield Candidate("SiLU", x * sigmoid)
        yield Candidate("a sigmoid", sigmoid)
        yield Candidate("tanh", np.tanh(x))
        yield Candidate("ELU", np.where(x > 0, x, np.expm1(np.minimum(x, 0))))
        yield Candidate("softplus", np.logaddexp(x, 0))
        for slope in (0.01, 0.1, 0.2, 0.3):
            yield Candidate(f"leaky ReLU of slope {slope}", np.where(x > 0, x, slope * x))
        for axis in range(x.ndim):
            shifted = x - x.max(axis=axis, keepdims=True)
            total = np.exp(shifted).sum(axis=axis, keepdims=True)
            said = f"over axis {axis - x.ndim}"
            entry = "without-an-axis-torchs-softmax-takes-the-first-of-three"
            yield Candidate(f"a softmax {said}", np.exp(shifted) / total, entry)
            yield Candidate(f"a log softmax {said}", shifted - np.log(total), entry)


def _normal_cdf(x: np.ndarray) -> np.ndarray:
    from math import erf

    return 0.5 * (1 + np.vectorize(erf, otypes=[np.float64])(x / sqrt(2)))


def _norms(x: np.ndarray) -> Iterator[Candidate]:
    """Yield normalisations of an array, before a scale and a bias per channel."""
    layer = "layernorm-adds-1e-5-to-the-variance-in-pytorch-1e-6-in-flax"
    batch = "batchnorms-momentum-m-is-1---m-elsewhere-and-its-variance-another"
    every = tuple(range(x.ndim))
    axes_of = {"LayerNorm": (-1,), "a norm over all axes but the first": every[1:]}
    axes_of["BatchNorm of its own batch"] = every[:-1]
    with np.errstate(all="ignore"):
        for name, axes in axes_of.items():
            centred = x - x.mean(axis=axes, keepdims=True)
            for ddof in (0, 1):
                variance = x.var(axis=axes, keepdims=True, ddof=ddof)
                for epsilon in EPSILONS:
                    said = f"{name}, epsilon {epsilon:g}" + (", variance by n - 1" if ddof else "")
                    value = centred / np.sqrt(variance + epsilon)
                    entry = layer if axes == (-1,) else batch
                    yield Candidate(said, value, entry)
                    if ddof == 0 and epsilon:
                        value = centred / (np.sqrt(variance) + epsilon)
                        yield Candidate(f"{name}, epsilon {epsilon:g} outside the root", value)
        square = (x**2).mean(axis=-1, keepdims=True)
        for epsilon in EPSILONS:
            yield Candidate(f"RMSNorm, epsilon {epsilon:g}", x / np.sqrt(square + epsilon))


def _find_norms(a: np.ndarray, b: np.ndarray, x: np.ndarray, names: Names) -> str | None:
    """Recognise a normalisation behind a scale and a bias per channel, on both sides."""
    if a.ndim < 2:
        return None
    has_rows = a.size // a.shape[-1] > 2  # as many as a scale and a bias have unknowns, and one
    fits: list[tuple[Candidate, np.ndarray] | None] = [None, None]
    for candidate in _norms(x):
        for side, y in enumerate((a, b)):
            if fits[side] is None and np.isfinite(candidate.value).all():
                scale = np.ones(1) if _explains(candidate, y) else None
                if scale is None and has_rows:
                    scale = _affine_scale(candidate.value, y)
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


def _affine_scale(n: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Return the scale per channel if `y` is a scale and a bias per channel away from `n`."""
    if n.shape != y.shape:
        return None
    rows, its = n.reshape(-1, n.shape[-1])[:MOST_ROWS], y.reshape(-1, y.shape[-1])[:MOST_ROWS]
    centred, other = rows - rows.mean(axis=0), its - its.mean(axis=0)
    with np.errstate(all="ignore"):
        scale = (centred * other).sum(axis=0) / (centred**2).sum(axis=0)
    residual = np.abs(other - scale * centred).max(initial=0)
    if not np.isfinite(residual) or residual > EXPLAINED * np.abs(its).max(initial=0):
        return None
    return scale


def _find_mask(a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names) -> str | None:
    """Recognise a mask of the other polarity, or one that is shifted."""
    entry = f"({DOCS}true-keeps-in-one-call-and-masks-out-in-the-other)"
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
            return f"what one side masks the other keeps: the mask means the opposite {entry}"
        if a.ndim >= 2 and a.shape[-1] > 1:
            for which, more, less in ((names[0], theirs, ours), (names[1], ours, theirs)):
                if np.array_equal(more[..., 1:] & more[..., 1:], less[..., :-1]):
                    return f"the mask of {which} is one position off"
        return "the two mask other positions"
    return None


def _find_offset(a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names) -> str | None:
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


def _find_smoothing(a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names) -> str | None:
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


def _find_factor(a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names) -> str | None:
    """Recognise a constant factor, and name what it is."""
    factor = _factor(a, b)
    if factor is None:
        return None
    name = _name_factor(factor, (a, b, *shared))
    is_size = "=" in name and "sqrt" not in name
    advice = (
        "a sum for a mean, or n for n - 1?" if is_size else "is a scale missing, or there twice?"
    )
    return f"{names[1]} is {name} times {names[0]}: {advice}"


def _factor(a: np.ndarray, b: np.ndarray) -> float | None:
    """Return the one number that `a` has to be multiplied by to give `b`; None if there is none."""
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


def _name_factor(factor: float, arrays: Arrays) -> str:
    """Return a factor, and what it is of the sizes that are about: 0.5 = 1 / sqrt(4)."""
    sizes = {n for array in arrays for n in array.shape if n > 1}
    sizes |= {int(array.size) for array in arrays if 1 < array.size < 10**6}
    known: dict[str, float] = {}
    for n in sorted(sizes, reverse=True):
        known |= {f"{n}": float(n), f"1 / {n}": 1 / n, f"{n} / {n - 1}": n / (n - 1)}
        known |= {f"{n - 1} / {n}": (n - 1) / n, f"sqrt({n})": n**0.5, f"1 / sqrt({n})": n**-0.5}
    name = next((name for name, value in known.items() if isclose(factor, value, rel_tol=1e-7)), "")
    return f"{factor:.6g} = {name}" if name and name != f"{factor:.6g}" else f"{factor:.6g}"


def _find_order(a: np.ndarray, b: np.ndarray, shared: Arrays, names: Names) -> str | None:
    """Recognise the same numbers in another order, and rotations of halves or of pairs."""
    if a.size < 2:
        return None
    if apart(np.sort(a, axis=None), np.sort(b, axis=None)) < EXPLAINED:
        if (
            a.ndim >= 2
            and a.shape[-1] == a.shape[-2]
            and apart(a, np.swapaxes(b, -1, -2)) < EXPLAINED
        ):
            return "transposed: are key and query, or the last two axes, swapped?"
        return "the same numbers in another order: a reshape for a transpose, or heads split otherwise?"
    for x in shared:
        shaped = _shaped(x, a.shape)
        if shaped is None or a.ndim < 2 or a.shape[-1] % 2:
            continue
        kinds = [_rotation(shaped, y) for y in (a, b)]
        if all(kinds) and kinds[0] != kinds[1]:
            return f"{names[0]} rotates {kinds[0]}, {names[1]} {kinds[1]} (rotary embedding)"
    return None


def _rotation(x: np.ndarray, y: np.ndarray) -> str | None:
    """Return which channels a rotation turns together, by the lengths that it keeps."""
    half = x.shape[-1] // 2
    for name, split in (
        ("halves", lambda z: z[..., :half] ** 2 + z[..., half:] ** 2),
        ("pairs", lambda z: z[..., ::2] ** 2 + z[..., 1::2] ** 2),
    ):
        if apart(split(x), split(y)) < EXPLAINED:
            return name
    return None


def explain_noise(value: Value, observed: Any) -> str | None:
    """Return why a side loses precision in float32 in an array, if a suspect fits."""
    twin = observed.float32.look.twin_of(value)
    for parent in sorted(value.parents, key=lambda parent: -parent.order):
        its = observed.float32.look.twin_of(parent)
        if twin is None or its is None:
            continue
        x = _shaped(its.array, twin.array.shape)
        if x is None or x.ndim < 1:
            continue
        mean = x.mean(axis=-1, keepdims=True)
        # E[x²] - E[x]² cancels if the mean is large against the deviation.
        if np.abs(mean).max() > 10 * x.std(axis=-1).max() > 0:
            return (
                "the mean is far larger than the deviation; Flax computes the variance as "
                "E[x²] - E[x]² unless it is told use_fast_variance=False "
                f"({DOCS}flax-computes-the-variance-of-layernorm-as-ex---ex)"
            )
    return None
