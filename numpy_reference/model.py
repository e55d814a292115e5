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

from collections.abc import Callable, Mapping
from math import sqrt

import numpy as np
from numpy import ndarray as Array

from numpy_reference.blocks import attend_in_blocks
from shared.errors import UserError, check_choice
from shared.levels import MODERATE_SCORE, LevelImages, in_form
from shared.params import PARAM_NAMES, check_images, check_params, initial_params


def attend_textbook(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Attend as the formula stands: in one sample or, by the same lines, in each of a batch."""
    query = x @ Q  # [..., steps, channels]
    key = x @ K  # [..., steps, channels]
    value = x @ V  # [..., steps, channels]
    scores = query @ key.mT / sqrt(K.shape[-1])  # [..., steps, steps]
    weights = softmax(scores, axis=-1)  # [..., steps, steps]
    attended = weights @ value  # [..., steps, channels]
    return attended


# Every form of attention maps x [batch, steps, channels] to attended [batch, steps, channels].
def attend_looped(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Attend in one sample at a time: the clearest form to read."""
    # A plain loop: one sample after the other.
    samples = [attend_textbook(sample, K, Q, V) for sample in x]
    attended = np.stack(samples)  # [batch, steps, channels]
    return attended


def attend_vectorized(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Attend in the whole batch, a few samples at a time, so that their tables stay in cache."""
    # attend_textbook(x, K, Q, V) is right too, but on a CPU slower than the loop: its tables,
    # [batch, steps, steps], fit no cache, and each is new memory. See docs/performance.md.
    query = x @ Q  # [batch, steps, channels]
    key = x @ K  # [batch, steps, channels]
    value = x @ V  # [batch, steps, channels]
    scaled = query / sqrt(K.shape[-1])  # [batch, steps, channels]
    attended = attend_in_blocks(scaled, key, value)  # [batch, steps, channels]
    return attended


def softmax(scores: Array, axis: int) -> Array:
    """Give each row of scores its weights: positive, and their sum is 1."""
    # NumPy has no built-in attention; in its place stands the softmax, which it lacks too.
    # Taking the largest score off every score of its row changes no weight, since the factor
    # cancels below, and no exponential can overflow: the largest is exp(0) = 1.
    shifted = scores - scores.max(axis=axis, keepdims=True)  # [..., queries, keys]
    exponentials = np.exp(shifted)  # [..., queries, keys]
    weights = exponentials / exponentials.sum(axis, keepdims=True)  # [..., queries, keys]
    return weights


def attend_histogram(x: LevelImages, K: Array, Q: Array, V: Array) -> Array:
    """Attend once per grey level instead of once per pixel: exact, and by far the fastest."""
    # There is no position in the model, so pixels of one level have the same query, key and
    # value. A level that an image holds c times adds c times the same terms to the two sums
    #     attended = sum of exp(score) * value / sum of exp(score)    over all keys
    # and so it is enough to sum over the levels, each counted c times.
    query = x.levels @ Q  # [levels, channels]
    key = x.levels @ K  # [levels, channels]
    value = x.levels @ V  # [levels, channels]
    scaled = query / sqrt(K.shape[-1])  # [levels, channels]
    scores = scaled @ key.mT  # [levels, levels]
    # One table serves the whole batch while no exponential in it can overflow or vanish. No score
    # is larger than this product of the largest queries and keys.
    largest = np.abs(scaled).max(axis=0) @ np.abs(key).max(axis=0)  # []
    is_moderate = largest <= MODERATE_SCORE  # []

    def from_one_table() -> Array:
        # No shift by the largest score is needed: it would cancel in the division.
        exponentials = np.exp(scores)  # [levels, levels]
        totals = x.counts @ exponentials.mT  # [batch, levels]
        counted = x.counts[:, None] * value.mT  # [batch, channels, levels]
        sums = counted @ exponentials.mT  # [batch, channels, levels]
        by_level = (sums / totals[:, None]).mT  # [batch, levels, channels]
        return by_level

    def from_a_table_each() -> Array:
        # c * exp(score) = exp(score + log c), and softmax takes off the largest that occurs.
        with np.errstate(divide="ignore"):  # log 0 = -inf: the weight of such a level is 0
            log_counts = np.log(x.counts)[:, None]  # [batch, 1, levels]
        weights = softmax(scores + log_counts, axis=-1)  # [batch, levels, levels]
        by_level = weights @ value  # [batch, levels, channels]
        return by_level

    # A plain `if`: only the table that is used is computed.
    by_level = from_one_table() if is_moderate else from_a_table_each()
    indices = x.indices.astype(int)[:, :, None]  # [batch, steps, 1]
    attended = np.take_along_axis(by_level, indices, axis=1)  # [batch, steps, channels]
    return attended


ATTENTION: dict[str, Callable[..., Array]] = {
    "textbook": attend_textbook,
    "looped": attend_looped,
    "vectorized": attend_vectorized,
    # "builtin": there is none
    "histogram": attend_histogram,
}

DTYPES = ("float32", "float64")
DEVICES = ("cpu",)
Images = Array | LevelImages


class SelfAttentionModel:
    """One layer of self-attention over the pixels of an image, then one linear layer."""

    def __init__(
        self,
        num_steps: int = 784,
        num_channels: int = 1,
        num_outputs: int = 10,
        attention: str = "looped",
    ) -> None:
        self.attention = check_choice("attention", attention, ATTENTION)
        self.image_shape = (num_steps, num_channels)
        # A fresh start; training begins from shared.params.initial_params in every framework.
        params = initial_params(num_steps, num_channels, num_outputs)
        self.K = params["K"]
        self.Q = params["Q"]
        self.V = params["V"]
        self.out_weight = params["out.weight"]
        self.out_bias = params["out.bias"]

    # NumPy computes in the dtype of its arrays and on the CPU alone.
    def __call__(self, x: Images) -> Array:
        """Map images [batch, steps, channels] to logits [batch, outputs]."""
        check_images(x.shape, self.image_shape)
        x = as_input(x, self.attention, self.K)
        attend = ATTENTION[self.attention]
        attended = attend(x, self.K, self.Q, self.V)  # [batch, steps, channels]
        features = attended.reshape(len(x), -1)  # [batch, steps * channels]
        logits = features @ self.out_weight.T + self.out_bias  # [batch, outputs]
        return logits


def as_input(x: Images, attention: str, like: Array) -> Images:
    """Give images as a form of attention takes them, with the dtype of `like`."""
    x = in_form(x, attention)
    if not isinstance(x, LevelImages):
        return np.asarray(x, dtype=like.dtype)
    indices = np.asarray(x.indices)  # [batch, steps]
    counts = np.asarray(x.counts, dtype=like.dtype)  # [batch, levels]
    return LevelImages(indices, counts, np.asarray(x.levels, dtype=like.dtype))


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
