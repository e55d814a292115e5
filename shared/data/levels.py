"""Images by their grey levels: which level each pixel has, and how often each level occurs.

The histogram form of attention computes once per grey level what the other forms compute once
per pixel. What it needs is counted here, once, for any framework: the arrays of LevelImages may
be NumPy's, PyTorch's or JAX's.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shared.arrays import is_floating, to_array, to_floats
from shared.errors import UserError

MAX_LEVELS = 256  # what one byte can tell apart
# How large scores may be for the form to take their exponentials as they are. A gradient divides
# by the square of a sum of up to 784 of them: (784 e^30)^2 = 7e31 and e^-60 = 9e-27 leave room to
# float32's 3e38 and 1e-38.
MODERATE_SCORE = 30.0
ROWS_AT_ONCE = 1000  # bounds the memory of counting: 6 MB of indices


@dataclass(frozen=True)
class LevelImages:
    """Images [n, steps, channels] as indices into a table of the levels that pixels can have."""

    indices: Any  # uint8 [n, steps], the level of each pixel
    counts: Any  # float32 [n, levels], how many pixels of an image have each level
    levels: Any  # float32 [levels, channels], what a pixel of each level is to the model

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: Any) -> "LevelImages":
        return replace(self, indices=self.indices[rows], counts=self.counts[rows])

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the images that these stand for: [n, steps, channels]."""
        return (*self.indices.shape, self.levels.shape[-1])


def level_images(indices: np.ndarray, levels: np.ndarray) -> LevelImages:
    """Count the levels of images given as uint8 indices [n, steps] into levels [k, channels]."""
    counts = np.empty((len(indices), len(levels)), dtype=np.float32)
    for start in range(0, len(indices), ROWS_AT_ONCE):
        rows = indices[start : start + ROWS_AT_ONCE]
        offsets = len(levels) * np.arange(len(rows))[:, None]  # one range of bins per image
        flat = np.bincount((rows + offsets).reshape(-1), minlength=len(levels) * len(rows))
        counts[start : start + ROWS_AT_ONCE] = flat.reshape(len(rows), -1)
    return LevelImages(indices, counts, levels)


def find_levels(images: np.ndarray) -> LevelImages:
    """Return the levels of floating-point images [n, steps, channels]: the pixels that differ.

    Raises UserError where there are more than 256 of them, as when every pixel of an image has a
    normalisation of its own, and where a pixel is NaN or infinite.
    """
    pixels = images.reshape(-1, images.shape[-1])  # [n * steps, channels]
    if not np.isfinite(pixels).all():
        raise UserError(
            "The images hold NaN or infinity, which is no grey level: choose another form to see "
            "what it does, or correct the images."
        )
    levels, indices = np.unique(pixels, axis=0, return_inverse=True)
    if len(levels) > MAX_LEVELS:
        raise UserError(
            "The histogram form computes once per grey level, so all pixels must be normalised "
            f"alike: these images have {len(levels):,} different pixels, at most {MAX_LEVELS} can "
            "be told apart; normalise globally or choose another form."
        )
    return level_images(indices.reshape(images.shape[:2]).astype(np.uint8), levels)


def read_images(images: Any) -> Any:
    """Return images as LevelImages, if they are, else as a float32 or float64 array.

    What is one already is not copied. Raises UserError for what is no array of real numbers.
    """
    if isinstance(images, LevelImages):
        return images
    array = to_array(images, "The images")
    if not is_floating(array.dtype) and array.dtype.kind not in "biu":
        raise UserError(f"The images have dtype {array.dtype}: give real numbers.")
    return to_floats(array)


def to_levels(images: np.ndarray | LevelImages) -> LevelImages:
    """Return images [n, steps, channels] as LevelImages, whichever of the two they are."""
    return images if isinstance(images, LevelImages) else find_levels(images)


def check_levels(x: Any) -> None:
    """Raise UserError unless images are LevelImages, as the form "histogram" takes them."""
    if not isinstance(x, LevelImages):
        raise UserError(
            "The histogram form takes images by their grey levels: give it LevelImages, as "
            "shared.data.levels.find_levels makes them, or choose another form, such as vectorized."
        )


def to_pixels(images: np.ndarray | LevelImages) -> np.ndarray:
    """Return images as pixels [n, steps, channels], whichever of the two they are."""
    return images.levels[images.indices] if isinstance(images, LevelImages) else images


def in_form(images: np.ndarray | LevelImages, attention: str) -> Any:
    """Return images as a form of attention takes them: LevelImages for "histogram" alone."""
    images = read_images(images)
    return to_levels(images) if attention == "histogram" else to_pixels(images)
