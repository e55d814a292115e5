"""The model in plain NumPy: forward only, the reference."""

import shared.startup  # noqa: F401 - or a library that is missing is a traceback
from numpy_reference.convert import DEVICES, DTYPES, find_device, from_params, to_params
from numpy_reference.evaluate import evaluate
from numpy_reference.forms import ATTENTION
from numpy_reference.metrics import cross_entropy
from numpy_reference.model import SelfAttentionModel

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
