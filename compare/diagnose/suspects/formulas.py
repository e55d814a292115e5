"""What layers make of an array, computed in float64: the usual suspects by their formulas."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import erf, sqrt

import numpy as np

from compare.look.values import apart

EXPLAINED = 1e-8  # relative: far below float32's rounding
MOST_ROWS = 256  # of an array, that a fit looks at
EPSILONS = (0.0, 1e-12, 1e-8, 1e-6, 1e-5, 1e-3)
DOCS = "docs/divergences.md#"


@dataclass(frozen=True)
class Candidate:
    """A formula by its name, what it gives, and the entry of docs/divergences.md that fits."""

    name: str
    value: np.ndarray
    entry: str = ""


def explains(candidate: Candidate, y: np.ndarray) -> bool:
    """Tell whether a candidate gives an array, to float64's rounding."""
    return candidate.value.shape == y.shape and apart(candidate.value, y) < EXPLAINED


def shaped(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return an array in a shape, its axes moved or reshaped; None if it does not fit."""
    if x.shape == shape:
        return x
    if sorted(x.shape) == sorted(shape) and len(set(shape)) == len(shape):
        return x.transpose([x.shape.index(size) for size in shape])
    return x.reshape(shape) if x.size == int(np.prod(shape)) and x.size else None


def formulas(x: np.ndarray) -> Iterator[Candidate]:
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
            entry = "without-an-axis-torchs-softmax-uses-axis-0-of-three"
            yield Candidate(f"a softmax {said}", np.exp(shifted) / total, entry)
            yield Candidate(f"a log softmax {said}", shifted - np.log(total), entry)


def _normal_cdf(x: np.ndarray) -> np.ndarray:

    return 0.5 * (1 + np.vectorize(erf, otypes=[np.float64])(x / sqrt(2)))


def norms(x: np.ndarray) -> Iterator[Candidate]:
    """Yield normalisations of an array, before a scale and a bias per channel."""
    layer = "layernorm-adds-1e-5-to-the-variance-in-pytorch-1e-6-in-flax"
    batch = "batchnorms-momentum-m-in-pytorch-is-1---m-in-flax"
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


def affine_scale(n: np.ndarray, y: np.ndarray) -> np.ndarray | None:
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
