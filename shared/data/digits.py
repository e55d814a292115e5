"""Raw digits, before any normalization, and their checks."""

from typing import NamedTuple

import numpy as np

from shared.errors import UserError

NUM_PIXELS = 784
NUM_CLASSES = 10


class Digits(NamedTuple):
    """Handwritten digits and their labels."""

    pixels: np.ndarray  # uint8 [n, 784], grey levels 0 to 255
    labels: np.ndarray  # int64 [n], 0 to 9


def check_digits(digits: Digits, name: str) -> None:
    """Raise UserError unless the digits, called `name`, have the dtypes and shapes of Digits."""
    pixels, labels = digits
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != NUM_PIXELS:
        raise UserError(
            f"The pixels of {name} are {pixels.dtype} {list(pixels.shape)}: "
            f"they must be uint8 [n, {NUM_PIXELS}]."
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise UserError(
            f"The labels of {name} are {labels.dtype} {list(labels.shape)}: "
            "they must be integers [n]."
        )
    if len(pixels) != len(labels):
        raise UserError(f"{name} has {len(pixels)} images but {len(labels)} labels.")
    if len(labels) == 0:
        raise UserError(f"{name} is empty: there must be at least one digit.")
    wrong = np.flatnonzero((labels < 0) | (labels >= NUM_CLASSES))
    if wrong.size:
        raise UserError(f"Label {wrong[0]} of {name} is {labels[wrong[0]]}: labels must be 0 to 9.")
