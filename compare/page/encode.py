"""Encode data for a page: arrays as base64, and JSON that cannot end its script element."""

import base64
from typing import Any

import numpy as np

from shared.files import to_json

# Characters that could end the element or begin another; JSON allows them as \uXXXX. Python
# already writes characters outside ASCII so, U+2028 and U+2029 included.
ESCAPES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&"})


def embed_json(value: Any) -> str:
    """Return `value` as JSON text that is safe inside any HTML element; NaN becomes null."""
    return to_json(value).translate(ESCAPES)


def encode_array(array: np.ndarray) -> dict[str, Any]:
    """Return dtype, shape and little-endian bytes of a uint8, float32 or float64 array."""
    if array.dtype.name not in ("uint8", "float32", "float64"):
        raise ValueError(f"a page cannot hold {array.dtype}")
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "data": base64.b64encode(little.tobytes()).decode("ascii"),
    }


def make_picture(array: np.ndarray, size: int = 112) -> dict[str, Any]:
    """Return a small picture of a matrix [rows, columns]: uint8, 0 at its smallest value, 255 at
    its largest; blocks are averaged so that no side is longer than `size` pixels.
    """
    values = np.asarray(array, dtype=np.float64)
    for axis in (0, 1):
        values = _shorten(values, axis, size)
    low, high = float(values.min()), float(values.max())
    span = high - low
    grey = np.zeros_like(values) if span == 0 else (values - low) / span * 255
    return encode_array(np.round(grey).astype(np.uint8))


def _shorten(values: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Average blocks of equal length along an axis; the last may be shorter."""
    length = values.shape[axis]
    if length <= size:
        return values
    block = -(-length // size)
    starts = np.arange(0, length, block)
    counts = np.diff([*starts, length])
    sums = np.add.reduceat(values, starts, axis=axis)
    return sums / counts.reshape([-1 if a == axis else 1 for a in range(2)])
