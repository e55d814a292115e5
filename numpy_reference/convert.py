"""Convert NumPy arrays for the NumPy model and back: parameters, images and labels."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from numpy_reference.forms import ATTENTION, attend_histogram
from numpy_reference.model import SelfAttentionModel
from shared.data.levels import LevelImages, read_images, to_levels, to_pixels
from shared.errors import UserError, check_choice
from shared.params import PARAM_NAMES, check_batch, read_params

DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
Images = Any  # an array, or LevelImages


def find_device(name: str) -> str:
    """Return "cpu", NumPy's only device; raise UserError for another."""
    if name != "cpu":
        raise UserError(f"NumPy computes only on the CPU, not on {name!r}: use --device cpu.")
    return name


def from_params(
    params: Mapping[str, np.ndarray],
    attention: str = "looped",
    dtype: str = "float64",
    device: str = "cpu",
) -> SelfAttentionModel:
    """Check `params`, and build a model that holds a copy of them."""
    params, sizes = read_params(params)
    attend = ATTENTION[check_choice("attention", attention, ATTENTION)]
    check_choice("dtype", dtype, DTYPES)
    find_device(device)
    model = SelfAttentionModel(*sizes, attend, rng=np.random.default_rng(0))
    arrays = [np.array(params[name], dtype=dtype) for name in PARAM_NAMES]
    model.K, model.Q, model.V, model.out_weight, model.out_bias = arrays
    return model


def to_params(model: SelfAttentionModel) -> dict[str, np.ndarray]:
    """Return the parameters as copied NumPy arrays."""
    arrays = (model.K, model.Q, model.V, model.out_weight, model.out_bias)
    return {name: np.array(array) for name, array in zip(PARAM_NAMES, arrays, strict=True)}


def to_batch(
    model: SelfAttentionModel, images: np.ndarray | LevelImages, labels: np.ndarray
) -> tuple[Images, np.ndarray]:
    """Return images and labels, copied, as the model takes them: in its form and dtype.

    Raises UserError unless images are [batch, steps, channels] and labels are classes.
    """
    channels, (outputs, features) = len(model.K), model.out_weight.shape
    size = (features // channels, channels)
    images = read_images(images)
    labels = check_batch(images.shape, labels, size, outputs)
    copy = partial(np.array, dtype=model.K.dtype)
    targets = np.array(labels)  # [batch]
    if model.attend is not attend_histogram:
        return copy(to_pixels(images)), targets
    x = to_levels(images)
    indices = np.array(x.indices)  # [batch, steps]
    counts = copy(x.counts)  # [batch, levels]
    return LevelImages(indices, counts, copy(x.levels)), targets
