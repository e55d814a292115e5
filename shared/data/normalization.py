"""Normalise grey levels to the model's inputs: (pixel - shift) / scale, in three ways."""

from typing import NamedTuple

import numpy as np

from shared.errors import UserError, check_choice

ROWS_AT_ONCE = 1000  # limits the memory: float64 intermediates of 1,000 images take 6 MB


class Normalization(NamedTuple):
    """The shift and the scale of every pixel, in grey levels (0 to 255)."""

    shift: np.ndarray  # float64 [1] or [784]
    scale: np.ndarray  # float64 [1] or [784]

    @property
    def is_global(self) -> bool:
        """Whether a grey level becomes the same number at every pixel."""
        return self.shift.size == self.scale.size == 1


def fit_normalization(pixels: np.ndarray, kind: str) -> Normalization:
    """Compute shift and scale from the statistics of training pixels, uint8 [n, 784].

    "global": one mean and one standard deviation for all pixels.
    "per-pixel": those of each pixel. A pixel that never varies has the deviation 0; it is divided
    by 255 instead, so that it is 0 in training and at most 1 in size in other images.
    "original": as in the original: each pixel's own mean, but ONE scale for all, the standard
    deviation of the 784 variances (both with n - 1 in the denominator, as in torch).
    """
    check_choice("normalization", kind, ("global", "per-pixel", "original"))
    n = len(pixels)
    sums, squares = _power_sums(pixels)
    if kind == "global":
        count, total, total_squares = pixels.size, int(sums.sum()), int(squares.sum())
        # Integers throughout: no rounding before the division.
        variance = (count * total_squares - total**2) / count**2
        scale = np.array([variance**0.5])
        if variance == 0:
            raise UserError("All training pixels are equal, so their scale is 0: use other images.")
        return Normalization(np.array([total / count]), scale)
    variances = (n * squares - sums**2) / n**2
    mean = sums / n
    if kind == "per-pixel":
        return Normalization(mean, np.where(variances > 0, np.sqrt(variances), 255.0))
    if n < 2:
        raise UserError(f"The original's normalization needs at least 2 training images, not {n}.")
    if np.ptp(variances) == 0:
        raise UserError("All training pixels vary alike, so the original's scale is 0: use global.")
    scale = np.std(variances * n / (n - 1) + 1e-8, ddof=1, keepdims=True)
    return Normalization(mean, scale)


def normalize(pixels: np.ndarray, normalization: Normalization) -> np.ndarray:
    """Normalise uint8 [n, 784] to float32 [n, 784], computed in float64 a few rows at a time."""
    images = np.empty(pixels.shape, dtype=np.float32)
    for start in range(0, len(pixels), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        images[rows] = (pixels[rows] - normalization.shift) / normalization.scale
    if not np.isfinite(images).all():
        raise UserError("Normalised images hold NaN or infinity: the statistics are unusable.")
    return images


def _power_sums(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of every pixel and of its square over the images: int64 [784], exact."""
    sums = np.zeros(pixels.shape[1], dtype=np.int64)
    squares = np.zeros(pixels.shape[1], dtype=np.int64)
    for start in range(0, len(pixels), ROWS_AT_ONCE):
        rows = pixels[start : start + ROWS_AT_ONCE].astype(np.int64)
        sums += rows.sum(axis=0)
        squares += (rows**2).sum(axis=0)
    return sums, squares
