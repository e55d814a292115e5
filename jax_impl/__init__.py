"""The model in JAX and Flax NNX."""

import shared.startup  # noqa: F401 - or a library that is missing is a traceback
from jax_impl.convert import DEVICES, DTYPES, find_device, from_params, to_params
from jax_impl.eager import eagerly
from jax_impl.forms import ATTENTION
from jax_impl.model import SelfAttentionModel
from jax_impl.train import Training, evaluate, loss_and_gradients

__all__ = [
    "ATTENTION",
    "DEVICES",
    "DTYPES",
    "SelfAttentionModel",
    "Training",
    "eagerly",
    "evaluate",
    "find_device",
    "from_params",
    "loss_and_gradients",
    "to_params",
]
