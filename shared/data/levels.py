"""Images by their grey levels: the level of each pixel, and the number of pixels per level.

The histogram form of attention computes once per grey level what the other forms compute once per
pixel. The levels are counted here once for all frameworks: the arrays of LevelImages may be
NumPy's, PyTorch's or JAX's.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shared.arrays import is_floating, to_array, to_floats
from shared.errors import UserError

MAX_LEVELS = 256  # the values of one byte
# The largest scores whose exponentials the form takes without a shift. A gradient divides by the
# square of a sum of up to 784 exponentials: (784 e^30)^2 = 7e31 and e^-60 = 9e-27 are well within
# float32's 3e38 and 1e-38.
MODERATE_SCORE = 30.0
ROWS_AT_ONCE = 1000  # limits the memory of counting: 6 MB of indices


@dataclass(frozen=True)
class LevelImages:
    """Images [n, steps, channels] as indices into a table of levels."""

    indices: Any  # uint8 [n, steps], the level of each pixel
    counts: Any  # float32 [n, levels], the number of pixels of each level
    levels: Any  # float32 [levels, channels], the model's input for each level

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: Any) -> "LevelImages":
        return replace(self, indices=self.indices[rows], counts=self.counts[rows])

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the images: [n, steps, channels]."""
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
    """Return floating-point images [n, steps, channels] by their levels, the distinct pixels.

    Raises UserError if there are more than 256, as with a normalization per pixel, and if a pixel
    is NaN or infinite.
    """
    pixels = images.reshape(-1, images.shape[-1])  # [n * steps, channels]
    if not np.isfinite(pixels).all():
        raise UserError(
            "The images hold NaN or infinity, which is not a grey level: correct them, or choose "
            "another form of attention."
        )
    levels, indices = np.unique(pixels, axis=0, return_inverse=True)
    if len(levels) > MAX_LEVELS:
        raise UserError(
            "The histogram form computes once per grey level, so all pixels need the same "
            f"normalization: these images have {len(levels):,} different values, more than "
            f"{MAX_LEVELS}; normalise globally or choose another form."
        )
    return level_images(indices.reshape(images.shape[:2]).astype(np.uint8), levels)


def read_images(images: Any) -> Any:
    """Return LevelImages unchanged, and other images as a float32 or float64 array.

    Such arrays are not copied. Raises UserError for anything but an array of real numbers.
    """
    if isinstance(images, LevelImages):
        return images
    array = to_array(images, "The images")
    if not is_floating(array.dtype) and array.dtype.kind not in "biu":
        raise UserError(f"The images have dtype {array.dtype}: give real numbers.")
    return to_floats(array)


def to_levels(images: np.ndarray | LevelImages) -> LevelImages:
    """Return images, LevelImages or [n, steps, channels], as LevelImages."""
    return images if isinstance(images, LevelImages) else find_levels(images)


def check_levels(x: Any) -> None:
    """Raise UserError unless images are LevelImages, which the form "histogram" needs."""
    if not isinstance(x, LevelImages):
        raise UserError(
            "The histogram form takes images by their grey levels: convert them with "
            "shared.data.levels.find_levels, or choose another form, such as vectorized."
        )


def to_pixels(images: np.ndarray | LevelImages) -> np.ndarray:
    """Return images, LevelImages or [n, steps, channels], as pixels [n, steps, channels]."""
    return images.levels[images.indices] if isinstance(images, LevelImages) else images


def in_form(images: np.ndarray | LevelImages, attention: str) -> Any:
    """Return images as a form of attention takes them: LevelImages for "histogram", else pixels."""
    images = read_images(images)
    return to_levels(images) if attention == "histogram" else to_pixels(images)
