"""Self-attention on MNIST in JAX and Flax NNX: every pixel of an image attends to every pixel.

One text with three accents: pytorch_impl, jax_impl and numpy_reference hold the same functions in
the same order, the same step on the same line of model.py. Lay any two of them side by side:

    git diff --no-index pytorch_impl/model.py jax_impl/model.py

The attention is that of Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1, with
one head, no mask and no position embedding. K, Q and V are [channels, channels].
"""

from collections.abc import Mapping
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from jax import Array
from jax.nn import dot_product_attention, softmax

from shared.errors import UserError, check_choice
from shared.params import PARAM_NAMES, check_images, check_params


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

    # jit would unroll a plain loop; lax.map compiles its body once. checkpoint: see README, Speed.
    attended = jax.lax.map(jax.checkpoint(attend_one), x)  # [batch, steps, channels]
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


def attend_builtin(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Attend with the framework's own call; the scale 1 / sqrt(channels) is its default."""
    query = (x @ Q)[:, :, None]  # [batch, steps, heads, channels]
    key = (x @ K)[:, :, None]  # [batch, steps, heads, channels]
    value = (x @ V)[:, :, None]  # [batch, steps, heads, channels]
    # jax.nn's call takes its softmax in float32 whatever it is given; Flax's keeps float64.
    attend = linen.dot_product_attention if x.dtype == jnp.float64 else dot_product_attention
    attended = attend(query, key, value)[:, :, 0]  # [batch, steps, channels]
    return attended


ATTENTION = {
    "looped": attend_looped,
    "vectorized": attend_vectorized,
    "builtin": attend_builtin,
}


class SelfAttentionModel(nnx.Module):
    """One layer of self-attention over the pixels of an image, then one linear layer."""

    def __init__(
        self,
        num_steps: int = 784,
        num_channels: int = 1,
        num_outputs: int = 10,
        attention: str = "looped",
        rngs: nnx.Rngs | None = None,
    ) -> None:
        self.attend = ATTENTION[check_choice("attention", attention, ATTENTION)]
        self.image_shape = (num_steps, num_channels)
        rngs = nnx.Rngs(0) if rngs is None else rngs
        bound, square = 1 / sqrt(num_channels), (num_channels, num_channels)
        self.K = nnx.Param(rngs.params.uniform(square, minval=-bound, maxval=bound))
        self.Q = nnx.Param(rngs.params.uniform(square, minval=-bound, maxval=bound))
        self.V = nnx.Param(rngs.params.uniform(square, minval=-bound, maxval=bound))
        self.out = nnx.Linear(num_steps * num_channels, num_outputs, rngs=rngs)

    @jax.default_matmul_precision("highest")  # or a GPU rounds what it multiplies to TF32
    def __call__(self, x: Array) -> Array:
        """Map images [batch, steps, channels] (NumPy's too) to logits [batch, outputs]."""
        check_images(x.shape, self.image_shape)
        x = jnp.asarray(x, dtype=self.K.dtype)  # [batch, steps, channels]
        attended = self.attend(x, self.K[...], self.Q[...], self.V[...])  # [batch, steps, channels]
        features = attended.reshape(len(x), -1)  # [batch, steps * channels]
        logits = self.out(features)  # [batch, outputs]
        return logits


def find_device(name: str) -> jax.Device:
    """Find the device called "cpu" or "cuda"; a UserError says if it is not there."""
    try:
        return jax.devices(name)[0]
    except RuntimeError:
        raise UserError(f"JAX finds no {name!r} device here: use --device cpu.") from None


def place(module: nnx.Pytree, device: jax.Device) -> None:
    """Commit all that a module holds to a device, in place, as PyTorch's `module.to` does.

    What is not committed is, once a jitted function has returned it: that function would then be
    compiled a second time, for its own result.
    """
    nnx.update(module, jax.device_put(nnx.state(module), device))


def from_params(
    params: Mapping[str, np.ndarray],
    attention: str = "looped",
    dtype: str = "float32",
    device: str = "cpu",
) -> SelfAttentionModel:
    """Build the model that holds a copy of `params`, once their names and shapes are checked."""
    sizes = check_params(params)
    if np.dtype(dtype) == np.float64:
        jax.config.update("jax_enable_x64", True)  # or JAX makes float32 of it, silently
    model = nnx.eval_shape(lambda: SelfAttentionModel(*sizes, attention=attention))
    to = {"dtype": dtype, "device": find_device(device)}
    arrays = {name: jnp.array(array, **to) for name, array in params.items()}
    kernel, bias = arrays.pop("out.weight").T, arrays.pop("out.bias")
    nnx.update(model, {**arrays, "out": {"kernel": kernel, "bias": bias}})
    return model


def to_params(model: SelfAttentionModel) -> dict[str, np.ndarray]:
    """Copy the parameters out as NumPy arrays: `nnx.state()` itself aliases the live ones."""
    arrays = (model.K, model.Q, model.V, model.out.kernel.T, model.out.bias)
    return {name: np.array(array) for name, array in zip(PARAM_NAMES, arrays, strict=True)}
