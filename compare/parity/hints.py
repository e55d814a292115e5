"""Recognise wrong intermediates by patterns that are known from ports between frameworks."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

# A pattern fits if it explains the error down to this, relative to the array's magnitude: far
# above float32's rounding, far below the size of any pattern.
CLOSE = 1e-4
FLOAT32_U, TF32_U, BFLOAT16_U = 2.0**-24, 2.0**-11, 2.0**-8


def find_hint(
    name: str,
    found: np.ndarray,
    expected: np.ndarray,
    dtype: str,
    others: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> str | None:
    """Return what the error of `found` looks like, or "" if no pattern fits.

    `others` are the exact values of the other intermediates.
    """
    if not np.isfinite(found).all():
        return "NaN or infinity: a softmax without its shift, or a division by zero?"
    for other, value in others.items():
        is_other = other != name and value.shape == found.shape
        if is_other and _is_close(found, value):
            return f"what {other} should be: are the two swapped?"
    if expected.ndim > 1 and (hint := _find_turned(name, found, expected)):
        return hint
    if hint := _find_scaled(found, expected):
        return hint
    return _find_rounded(found, expected, dtype)


def _find_turned(name: str, found: np.ndarray, expected: np.ndarray) -> str | None:
    """Recognise a transposed table, and weights normalised over the wrong axis."""
    if name == "weights":
        rows, columns = (np.abs(found.sum(axis=axis) - 1).max() for axis in (-1, -2))
        if columns < CLOSE < rows:
            return "each column sums to 1, not each row: softmax over the wrong axis"
    is_square = found.shape[-1] == found.shape[-2]
    if is_square and _is_close(found, expected.mT) and not _is_close(found, expected):
        return "transposed: are key and query, or the axes, swapped?"
    return None


def _find_scaled(found: np.ndarray, expected: np.ndarray) -> str | None:
    """Recognise a constant factor."""
    factor = float((found * expected).sum() / (expected**2).sum())
    if abs(factor - 1) > 10 * CLOSE and _is_close(found, factor * expected):
        return f"{factor:.6g} times what it should be: is a scale missing, or there twice?"
    return None


def _find_rounded(found: np.ndarray, expected: np.ndarray, dtype: str) -> str | None:
    """Recognise the rounding of a dtype with fewer bits than the one asked for."""
    relative = np.abs(found - expected).max() / np.abs(expected).max()
    if dtype == "float64" and FLOAT32_U / 30 < relative < 300 * FLOAT32_U:
        return "an error of float32's size: something in this float64 run computes in float32"
    if dtype == "float32" and TF32_U / 30 < relative < 4 * TF32_U:
        return (
            "this looks like TF32: set jax.default_matmul_precision('highest'), or "
            "torch.set_float32_matmul_precision('highest')"
        )
    if dtype == "float32" and 4 * TF32_U <= relative < 4 * BFLOAT16_U:
        return "an error of bfloat16's size: is a product computed in bfloat16?"
    return None


def _is_close(found: np.ndarray, expected: np.ndarray) -> bool:
    return bool(np.abs(found - expected).max() <= CLOSE * np.abs(expected).max())
