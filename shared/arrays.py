"""Arrays that a user gives, converted to NumPy and checked, the same for every framework."""

from typing import Any

import numpy as np

from shared.errors import UserError


def to_array(given: Any, what: str) -> np.ndarray:
    """Return an array, a list or a tensor as a NumPy array in C order, of whatever dtype.

    What is one already is not copied. Raises UserError for what NumPy cannot read, such as a tensor
    of PyTorch on a GPU or in bfloat16.
    """
    if hasattr(given, "detach"):  # or PyTorch would refuse one that requires a gradient
        given = given.detach()
    try:
        return np.asarray(given, order="C")
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise UserError(
            f"{what} cannot be read as a NumPy array ({reason}): convert to one first."
        ) from error


def is_floating(dtype: np.dtype) -> bool:
    """Check whether a dtype is of floating-point numbers: NumPy's own, or JAX's narrow ones."""
    return dtype.kind == "f" or dtype.name.startswith(("bfloat", "float"))


def to_floats(array: np.ndarray) -> np.ndarray:
    """Return real numbers as float32 where that holds all of their dtype exactly, else float64.

    So no framework meets a dtype or a byte order that it does not know.
    """
    is_exact = np.can_cast(array.dtype, np.float32)
    return array.astype(np.float32 if is_exact else np.float64, copy=False)
