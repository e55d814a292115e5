"""Run the model operation by operation, so that its intermediates have values."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import jax


@contextmanager
def eagerly() -> Iterator[None]:
    """Disable jit and checkpoint, whose functions see tracers without values.

    Under `jax.disable_jit`, `jax.lax.map` runs as a Python loop. The results are those of the same
    operations one by one; a compiler that fuses them may round differently.
    """

    def leave_out(function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    with jax.disable_jit(), patch.object(jax, "checkpoint", leave_out):
        yield
