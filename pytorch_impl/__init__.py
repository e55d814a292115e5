"""The model in PyTorch."""

import shared.startup  # noqa: F401 - or a library that is missing is a traceback
from pytorch_impl.convert import DEVICES, DTYPES, find_device, from_params, to_params
from pytorch_impl.forms import ATTENTION
from pytorch_impl.model import SelfAttentionModel
from pytorch_impl.train import Training, evaluate, loss_and_gradients

__all__ = [
    "ATTENTION",
    "DEVICES",
    "DTYPES",
    "SelfAttentionModel",
    "Training",
    "evaluate",
    "find_device",
    "from_params",
    "loss_and_gradients",
    "to_params",
]
