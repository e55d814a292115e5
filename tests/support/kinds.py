"""Kinds of array-like values with the same numbers, and values that are not arrays of numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


def torch_of(array: np.ndarray, dtype: str = "float32", **options: Any) -> Any:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    return torch.tensor(array, dtype=getattr(torch, dtype), **options)


def jax_of(array: np.ndarray, dtype: str = "float32") -> Any:
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    return jax.numpy.asarray(array, dtype)


def read_only(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy.setflags(write=False)
    return copy


FLOATS: dict[str, Callable[[np.ndarray], Any]] = {
    "float32": np.float32,
    "float64": np.float64,
    "float16": np.float16,
    "longdouble": np.longdouble,
    "big-endian": lambda array: array.astype(">f4"),
    "bfloat16 of JAX": lambda array: jax_of(array, "bfloat16"),
    "bfloat16 of NumPy": lambda array: np.asarray(jax_of(array, "bfloat16")),
    "JAX": jax_of,
    "tensor": torch_of,
    "tensor with gradient": lambda array: torch_of(array, requires_grad=True),
    "list": np.ndarray.tolist,
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "backwards": lambda array: np.flip(np.flip(array).copy()),
}
INTEGERS: dict[str, Callable[[np.ndarray], Any]] = {
    **{name: getattr(np, name) for name in ("uint8", "int8", "uint16", "int32", "int64", "uint64")},
    "big-endian": lambda array: array.astype(">i4"),
    "JAX": lambda array: jax_of(array, "uint8"),
    "tensor": lambda array: torch_of(array, dtype="uint8"),
    "list": lambda array: array.astype(int).tolist(),
    "read-only": lambda array: read_only(array.astype(int)),
    "backwards": lambda array: np.flip(np.flip(array.astype(int)).copy()),
}
REALS = FLOATS | {f"whole, {name}": convert for name, convert in INTEGERS.items()}
NO_NUMBERS: dict[str, tuple[Callable[[np.ndarray], Any], str]] = {
    "complex": (np.complex64, "have dtype complex64: give"),
    "object": (lambda array: array.astype(object), "have dtype object: give"),
    "text": (lambda array: array.astype(str), "have dtype <U.*: give"),
    "ragged": (lambda _: [[1.0], [1.0, 2.0]], "cannot be read as a NumPy array .setting an array"),
    "bfloat16 of PyTorch": (
        lambda array: torch_of(array, dtype="bfloat16"),
        "cannot be read as a NumPy array .Got unsupported ScalarType BFloat16.: convert to one",
    ),
}
