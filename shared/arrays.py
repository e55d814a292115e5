"""Convert arrays from the user to NumPy, and check them, in the same way for every framework."""

from typing import Any

import numpy as np

from shared.errors import UserError


def to_array(given: Any, what: str) -> np.ndarray:
    """Return an array, a list or a tensor as a NumPy array in C order, of any dtype.

    Arrays that already are one are not copied. Raises UserError for anything that NumPy cannot
    read, such as a PyTorch tensor on a GPU or in bfloat16.
    """
    if hasattr(given, "detach"):  # PyTorch refuses to convert a tensor that requires a gradient
        given = given.detach()
    try:
        return np.asarray(given, order="C")
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise UserError(
            f"{what} cannot be read as a NumPy array ({reason}): convert to one first."
        ) from error


def is_floating(dtype: np.dtype) -> bool:
    """Check whether a dtype is floating-point: NumPy's own, or JAX's bfloat16 and smaller ones."""
    return dtype.kind == "f" or dtype.name.startswith(("bfloat", "float"))


def to_floats(array: np.ndarray) -> np.ndarray:
    """Return real numbers as float32 if it holds all of their dtype exactly, or else as float64.

    So no framework gets a dtype or a byte order that it does not know.
    """
    is_exact = np.can_cast(array.dtype, np.float32)
    return array.astype(np.float32 if is_exact else np.float64, copy=False)
