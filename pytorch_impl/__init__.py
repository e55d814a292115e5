"""The model in PyTorch."""

from pytorch_impl.model import (
    ATTENTION,
    DEVICES,
    DTYPES,
    SelfAttentionModel,
    find_device,
    from_params,
    to_params,
)
from pytorch_impl.train import evaluate, loss_and_gradients, train

__all__ = [
    "ATTENTION",
    "DEVICES",
    "DTYPES",
    "SelfAttentionModel",
    "evaluate",
    "find_device",
    "from_params",
    "loss_and_gradients",
    "to_params",
    "train",
]
