"""Checked by mypy, not run: the three packages satisfy the contract, and the check can fail."""

import jax_impl
import numpy_reference
import pytorch_impl
from compare.registry.contract import Implementation, Trainer

TRAINERS: list[Trainer] = [pytorch_impl, jax_impl]
FORWARD_ONLY: Implementation = numpy_reference
# mypy reports an error if the next line is correct.
NO_TRAINER: Trainer = numpy_reference  # type: ignore[assignment]
