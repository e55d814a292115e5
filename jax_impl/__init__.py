"""The model in JAX and Flax NNX."""

from jax_impl.eager import eagerly
from jax_impl.model import (
    ATTENTION,
    DEVICES,
    DTYPES,
    SelfAttentionModel,
    find_device,
    from_params,
    to_params,
)
from jax_impl.train import evaluate, loss_and_gradients, train

__all__ = [
    "ATTENTION",
    "DEVICES",
    "DTYPES",
    "SelfAttentionModel",
    "eagerly",
    "evaluate",
    "find_device",
    "from_params",
    "loss_and_gradients",
    "to_params",
    "train",
]
