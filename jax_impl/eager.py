"""Run the model operation by operation, so that what it computes can be looked at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import jax


@contextmanager
def eagerly() -> Iterator[None]:
    """Leave out jit and checkpoint: their functions see tracers, and tracers have no values.

    Under `jax.disable_jit` a loop of `jax.lax.map` runs as a loop of Python's. The numbers are
    those of the same operations, one by one; a compiler that fuses them may round otherwise.
    """

    def leave_out(function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    with jax.disable_jit(), patch.object(jax, "checkpoint", leave_out):
        yield
