"""The data of every implementation: float32 images, integer labels, three splits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.data.digits import Digits, check_digits
from shared.data.levels import MAX_LEVELS, LevelImages, in_form, level_images
from shared.data.mnist import load_mnist
from shared.data.normalization import Normalization, fit_normalization, normalize
from shared.data.sample import load_sample
from shared.errors import UserError, check_choice


@dataclass(frozen=True)
class Split:
    """One split of the data, raw and normalised."""

    pixels: np.ndarray  # uint8 [n, 784], grey levels 0 to 255
    images: np.ndarray  # float32 [n, 784, channels], normalised: the model's input
    labels: np.ndarray  # int64 [n], 0 to 9
    # float32 [256, channels]: each grey level, normalised; None if that differs between pixels.
    levels: np.ndarray | None = None

    def first(self, count: int) -> "Split":
        """Return the first `count` digits."""
        return Split(self.pixels[:count], self.images[:count], self.labels[:count], self.levels)

    def in_form(self, attention: str) -> np.ndarray | LevelImages:
        """Return the images as a form of attention takes them; see shared.data.levels.in_form."""
        if attention == "histogram" and self.levels is not None:
            return level_images(self.pixels, self.levels)
        return in_form(self.images, attention)


@dataclass(frozen=True)
class Dataset:
    """The three splits, normalised with the statistics of the training split."""

    train: Split
    validation: Split
    test: Split


def load_data(
    data: str = "sample",
    *,
    normalization: str = "global",
    num_channels: int = 1,
    mnist_dir: Path | None = None,
) -> Dataset:
    """Load "sample" or "mnist", normalise it, and repeat every pixel over the channels.

    Raises UserError for a wrong file, folder or option.
    """
    check_choice("data", data, ("sample", "mnist"))
    digits = load_sample() if data == "sample" else load_mnist(mnist_dir)
    return prepare(digits, normalization=normalization, num_channels=num_channels)


def prepare(
    digits: dict[str, Digits], *, normalization: str = "global", num_channels: int = 1
) -> Dataset:
    """Normalise the splits "train", "validation" and "test" with the statistics of the first."""
    if num_channels < 1:
        raise UserError(f"The number of channels is {num_channels}: give 1 or more.")
    for name, split in digits.items():
        check_digits(split, f"the {name} split")
    fitted = fit_normalization(digits["train"].pixels, normalization)
    return Dataset(
        **{name: _prepare(split, fitted, num_channels) for name, split in digits.items()}
    )


def _prepare(digits: Digits, fitted: Normalization, num_channels: int) -> Split:
    levels = None
    if fitted.is_global:
        every_level = np.arange(MAX_LEVELS, dtype=np.uint8)[:, None]
        levels = _repeat(normalize(every_level, fitted)[:, 0], num_channels)  # [256, channels]
        images = levels[digits.pixels]  # [n, steps, channels]
    else:
        images = _repeat(normalize(digits.pixels, fitted), num_channels)  # [n, steps, channels]
    return Split(digits.pixels, images, digits.labels.astype(np.int64), levels)


def _repeat(pixels: np.ndarray, num_channels: int) -> np.ndarray:
    return np.repeat(pixels[..., None], num_channels, axis=-1)
