"""Checked by mypy, not run: the three packages meet the contract, and the check can fail."""

import jax_impl
import numpy_reference
import pytorch_impl
from compare.registry.contract import Implementation, Trainer

TRAINERS: list[Trainer] = [pytorch_impl, jax_impl]
FORWARD_ONLY: Implementation = numpy_reference
# mypy says so if the next line is no error.
NO_TRAINER: Trainer = numpy_reference  # type: ignore[assignment]
