"""Self-attention on MNIST in plain NumPy: every pixel of an image attends to every pixel.

One text with three accents: pytorch_impl, jax_impl and numpy_reference hold the same functions in
the same order, the same step on the same line of model.py. Lay any two of them side by side:

    git diff --no-index numpy_reference/model.py jax_impl/model.py

The attention is that of Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1, with
one head, no mask and no position embedding. K, Q and V are [channels, channels].

This is the arbiter, which PyTorch and JAX are judged by, so it is written to be read: nothing
but the forward pass, in float64 unless asked otherwise, with softmax written out here, and
loss and accuracy in evaluate.py.
"""

from collections.abc import Mapping
from math import sqrt

import numpy as np
from numpy import ndarray as Array

from shared.errors import UserError, check_choice
from shared.params import PARAM_NAMES, check_images, check_params, initial_params


# Every form of attention maps x [batch, steps, channels] to attended [batch, steps, channels].
def attend_looped(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Attend in one sample at a time: the clearest form to read."""

    def attend_one(x: Array) -> Array:
        query = x @ Q  # [steps, channels]
        key = x @ K  # [steps, channels]
        value = x @ V  # [steps, channels]
        scores = query @ key.mT / sqrt(K.shape[-1])  # [steps, steps]
        weights = softmax(scores, axis=-1)  # [steps, steps]
        attended = weights @ value  # [steps, channels]
        return attended

    # A plain loop: one sample after the other.
    attended = np.stack([attend_one(sample) for sample in x])  # [batch, steps, channels]
    return attended


def attend_vectorized(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Attend in the whole batch at once: the same lines, every array with one more axis."""
    query = x @ Q  # [batch, steps, channels]
    key = x @ K  # [batch, steps, channels]
    value = x @ V  # [batch, steps, channels]
    scores = query @ key.mT / sqrt(K.shape[-1])  # [batch, steps, steps]
    weights = softmax(scores, axis=-1)  # [batch, steps, steps]
    attended = weights @ value  # [batch, steps, channels]
    return attended


def softmax(scores: Array, axis: int) -> Array:
    """Give each row of scores its weights: positive, and their sum is 1."""
    # NumPy has no built-in attention; in its place stands the softmax, which it lacks too.
    # Taking the largest score off every score of its row changes no weight, since the factor
    # cancels below, and no exponential can overflow: the largest is exp(0) = 1.
    shifted = scores - scores.max(axis=axis, keepdims=True)  # [..., steps, steps]
    exponentials = np.exp(shifted)  # [..., steps, steps]
    weights = exponentials / exponentials.sum(axis, keepdims=True)  # [..., steps, steps]
    return weights


ATTENTION = {
    "looped": attend_looped,
    "vectorized": attend_vectorized,
    # "builtin": there is none
}


class SelfAttentionModel:
    """One layer of self-attention over the pixels of an image, then one linear layer."""

    def __init__(
        self,
        num_steps: int = 784,
        num_channels: int = 1,
        num_outputs: int = 10,
        attention: str = "looped",
    ) -> None:
        self.attend = ATTENTION[check_choice("attention", attention, ATTENTION)]
        self.image_shape = (num_steps, num_channels)
        # A fresh start; training begins from shared.params.initial_params in every framework.
        params = initial_params(num_steps, num_channels, num_outputs)
        self.K = params["K"]
        self.Q = params["Q"]
        self.V = params["V"]
        self.out_weight = params["out.weight"]
        self.out_bias = params["out.bias"]

    # NumPy computes in the dtype of its arrays and on the CPU alone.
    def __call__(self, x: Array) -> Array:
        """Map images [batch, steps, channels] to logits [batch, outputs]."""
        check_images(x.shape, self.image_shape)
        x = np.asarray(x, dtype=self.K.dtype)  # [batch, steps, channels]
        attended = self.attend(x, self.K, self.Q, self.V)  # [batch, steps, channels]
        features = attended.reshape(len(x), -1)  # [batch, steps * channels]
        logits = features @ self.out_weight.T + self.out_bias  # [batch, outputs]
        return logits


def find_device(name: str) -> str:
    """NumPy knows one device, "cpu"; a UserError says so when asked for another."""
    if name != "cpu":
        raise UserError(f"NumPy computes on the CPU alone, not on {name!r}: use --device cpu.")
    return name


def from_params(
    params: Mapping[str, np.ndarray],
    attention: str = "looped",
    dtype: str = "float64",
    device: str = "cpu",
) -> SelfAttentionModel:
    """Build the model that holds a copy of `params`, once their names and shapes are checked."""
    sizes = check_params(params)
    find_device(device)
    model = SelfAttentionModel(*sizes, attention=attention)
    arrays = {name: np.array(array, dtype=dtype) for name, array in params.items()}
    model.K, model.Q, model.V = arrays["K"], arrays["Q"], arrays["V"]
    model.out_weight, model.out_bias = arrays["out.weight"], arrays["out.bias"]
    return model


def to_params(model: SelfAttentionModel) -> dict[str, np.ndarray]:
    """Copy the parameters out as NumPy arrays."""
    arrays = (model.K, model.Q, model.V, model.out_weight, model.out_bias)
    return {name: np.array(array) for name, array in zip(PARAM_NAMES, arrays, strict=True)}
