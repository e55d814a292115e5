"""Convert NumPy arrays for the PyTorch model and back: parameters, images and labels."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pytorch_impl.forms import ATTENTION, attend_histogram
from pytorch_impl.model import SelfAttentionModel
from shared.data.levels import LevelImages, read_images, to_levels, to_pixels
from shared.errors import UserError, check_choice
from shared.params import check_batch, read_params

DTYPES = ("float32", "float64", "bfloat16")
DEVICES = ("cpu", "cuda")
Images = Any  # a tensor, or LevelImages of tensors


def find_device(name: str) -> torch.device:
    """Return the device called "cpu" or "cuda"; raise UserError if the machine has none."""
    check_choice("device", name, (*DEVICES, "meta"))  # meta: shapes without numbers
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("PyTorch finds no 'cuda' device here: use --device cpu.")
    return torch.device(name)


def from_params(
    params: Mapping[str, np.ndarray],
    attention: str = "looped",
    dtype: str = "float32",
    device: str = "cpu",
) -> SelfAttentionModel:
    """Check `params`, and build a model that holds a copy of them."""
    params, sizes = read_params(params)
    attend = ATTENTION[check_choice("attention", attention, ATTENTION)]
    check_choice("dtype", dtype, DTYPES)
    to = {"dtype": getattr(torch, dtype), "device": find_device(device)}
    with torch.device("meta"):  # only shapes: nothing is drawn or allocated
        model = SelfAttentionModel(*sizes, attend)
    arrays = {name: torch.tensor(array, **to) for name, array in params.items()}
    model.load_state_dict(arrays, assign=True)
    return model


def to_params(model: SelfAttentionModel) -> dict[str, np.ndarray]:
    """Return the parameters as copied NumPy arrays; `state_dict()` itself aliases the live ones."""
    return {name: to_numpy(array).copy() for name, array in model.state_dict().items()}


def to_batch(
    model: SelfAttentionModel, images: np.ndarray | LevelImages, labels: np.ndarray
) -> tuple[Images, Tensor]:
    """Return images and labels, copied, as the model takes them: in its form, dtype and device.

    Raises UserError unless images are [batch, steps, channels] and labels are classes.
    """
    channels, features = len(model.K), model.out.in_features
    size = (features // channels, channels)
    images = read_images(images)
    labels = check_batch(images.shape, labels, size, model.out.out_features)
    copy = partial(torch.tensor, dtype=model.K.dtype, device=model.K.device)
    targets = torch.tensor(labels, device=model.K.device)  # [batch]
    if model.attend is not attend_histogram:
        return copy(to_pixels(images)), targets
    x = to_levels(images)
    indices = torch.tensor(x.indices, device=model.K.device)  # [batch, steps]
    counts = copy(x.counts)  # [batch, levels]
    return LevelImages(indices, counts, copy(x.levels)), targets


def to_numpy(tensor: Tensor) -> np.ndarray:
    """Return a tensor as a NumPy array; bfloat16, which NumPy lacks, becomes float32 exactly."""
    kept = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return kept.numpy(force=True)
