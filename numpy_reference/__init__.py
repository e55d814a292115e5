"""The model in plain NumPy: forward only, the arbiter."""

from numpy_reference.evaluate import cross_entropy, evaluate
from numpy_reference.model import (
    ATTENTION,
    DEVICES,
    DTYPES,
    SelfAttentionModel,
    find_device,
    from_params,
    to_params,
)

__all__ = [
    "ATTENTION",
    "DEVICES",
    "DTYPES",
    "SelfAttentionModel",
    "cross_entropy",
    "evaluate",
    "find_device",
    "from_params",
    "to_params",
]
