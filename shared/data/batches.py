"""Draw the samples of every batch, with NumPy, never inside a framework."""

from math import ceil
from typing import Any

import numpy as np

from shared.arrays import to_array
from shared.errors import UserError

STEPS_AT_ONCE = 125  # in one call; divides MNIST's 3,125 batches of 16


def epoch_batches(
    num_samples: int, batch_size: int, *, sampling: str = "shuffle", seed: int = 0, epoch: int = 0
) -> np.ndarray:
    """Draw the batches of one epoch as indices: int64 [batches, batch_size].

    With "shuffle" every sample is in at most one batch; samples that do not fill a last batch are
    left out of this epoch. With "replacement" each index is drawn independently, for as many
    batches. The order depends only on `seed` and `epoch`, so any epoch can be drawn again.
    """
    if not 1 <= batch_size <= num_samples:
        raise UserError(
            f"The batch size is {batch_size}: choose 1 to {num_samples}, the number of samples."
        )
    rng = np.random.default_rng([seed, epoch])
    shape = (count_batches(num_samples, batch_size), batch_size)
    if sampling == "replacement":
        return rng.integers(num_samples, size=shape)
    return rng.permutation(num_samples)[: shape[0] * shape[1]].reshape(shape)


def count_batches(num_samples: int, batch_size: int) -> int:
    """Return the number of batches in an epoch; samples that do not fill one are left out."""
    return num_samples // batch_size


def batches_in_order(num_samples: int, batch_size: int) -> list[slice]:
    """Return the slices of batches in order, for evaluation; the last may be short."""
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise UserError(f"The batch size is {batch_size}: give a whole number, 1 or more.")
    starts = range(0, num_samples, batch_size)
    return [slice(start, min(start + batch_size, num_samples)) for start in starts]


def check_rows(batches: Any, num_samples: int) -> np.ndarray:
    """Check that batches are indices of samples, [steps, batch], and return them as int64.

    Raises UserError. The frameworks differ here: JAX reads the last sample for an index out of
    range, and PyTorch treats uint8 as a mask.
    """
    rows = to_array(batches, "The batches")
    if rows.ndim != 2 or not rows.size or not np.issubdtype(rows.dtype, np.integer):
        raise UserError(
            f"The batches have shape {rows.shape} and dtype {rows.dtype}: give whole numbers, "
            "[steps, batch]."
        )
    wrong = rows[(rows < 0) | (rows >= num_samples)]
    if wrong.size:
        raise UserError(f"A batch holds sample {wrong[0]}: give 0 to {num_samples - 1}.")
    return rows.astype(np.int64, copy=False)


def in_parts(batches: np.ndarray, taken: int, checkpoint_every: int) -> list[np.ndarray]:
    """Split the batches of an epoch, without those already `taken`, into parts.

    A part is trained in one call, which JAX compiles into one loop; progress, checkpoints, and the
    reaction to a signal come between parts. All parts but the last have the same length, since JAX
    compiles each length: the longest that STEPS_AT_ONCE and `checkpoint_every` allow.
    """
    length = ceil(checkpoint_every / ceil(checkpoint_every / STEPS_AT_ONCE))
    cuts = range(taken - taken % length + length, len(batches), length)
    parts = np.split(batches[taken:], [cut - taken for cut in cuts])
    return parts if taken < len(batches) else []
