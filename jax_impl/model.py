"""Self-attention on MNIST in JAX and Flax NNX: every pixel of an image attends to every pixel.

One text with three accents: pytorch_impl, jax_impl and numpy_reference hold the same functions in
the same order, the same step on the same line of model.py. Lay any two of them side by side:

    git diff --no-index pytorch_impl/model.py jax_impl/model.py

The attention is that of Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1, with
one head, no mask and no position embedding. K, Q and V are [channels, channels].
"""

from collections.abc import Callable, Mapping
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from jax import Array
from jax.nn import dot_product_attention, softmax

from jax_impl.blocks import attend_in_blocks
from shared.errors import UserError, check_choice
from shared.levels import MODERATE_SCORE, LevelImages, in_form
from shared.params import PARAM_NAMES, check_images, check_params


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
    # jit would unroll a plain loop; lax.map compiles its body once. checkpoint spares memory.
    attend_one = jax.checkpoint(lambda sample: attend_textbook(sample, K, Q, V))
    attended = jax.lax.map(attend_one, x)  # [batch, steps, channels]
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


def attend_builtin(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Attend with the framework's own call; the scale 1 / sqrt(channels) is its default."""
    query = (x @ Q)[:, :, None]  # [batch, steps, heads, channels]
    key = (x @ K)[:, :, None]  # [batch, steps, heads, channels]
    value = (x @ V)[:, :, None]  # [batch, steps, heads, channels]
    # jax.nn's call takes its softmax in float32 whatever it is given; Flax's keeps float64.
    attend = linen.dot_product_attention if x.dtype == jnp.float64 else dot_product_attention
    attended = attend(query, key, value)[:, :, 0]  # [batch, steps, channels]
    return attended


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
    largest = jnp.abs(scaled).max(axis=0) @ jnp.abs(key).max(axis=0)  # []
    is_moderate = largest <= MODERATE_SCORE  # []

    def from_one_table() -> Array:
        # Where this table is not used, its gradient, 0, must not meet an infinity.
        exponentials = jnp.exp(jnp.where(is_moderate, scores, 0))  # [levels, levels]
        totals = x.counts @ exponentials.mT  # [batch, levels]
        counted = x.counts[:, None] * value.mT  # [batch, channels, levels]
        sums = counted @ exponentials.mT  # [batch, channels, levels]
        by_level = (sums / totals[:, None]).mT  # [batch, levels, channels]
        return by_level

    def from_a_table_each() -> Array:
        # c * exp(score) = exp(score + log c), and softmax takes off the largest that occurs. A
        # level that does not occur has log 0 = -inf, and so the weight 0.
        log_counts = jnp.log(x.counts)[:, None]  # [batch, 1, levels]
        weights = softmax(scores + log_counts, axis=-1)  # [batch, levels, levels]
        by_level = weights @ value  # [batch, levels, channels]
        return by_level

    one_table = from_one_table()  # [batch, levels, channels]
    by_level = jax.lax.cond(is_moderate, lambda: one_table, jax.checkpoint(from_a_table_each))
    indices = x.indices.astype(int)[:, :, None]  # [batch, steps, 1]
    attended = jnp.take_along_axis(by_level, indices, axis=1)  # [batch, steps, channels]
    return attended


ATTENTION: dict[str, Callable[..., Array]] = {
    "textbook": attend_textbook,
    "looped": attend_looped,
    "vectorized": attend_vectorized,
    "builtin": attend_builtin,
    "histogram": attend_histogram,
}

DTYPES = ("float32", "float64", "bfloat16")
DEVICES = ("cpu", "cuda")
Images = np.ndarray | Array | LevelImages


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
        self.attention = check_choice("attention", attention, ATTENTION)
        self.image_shape = (num_steps, num_channels)
        rngs = nnx.Rngs(0) if rngs is None else rngs
        bound, square = 1 / sqrt(num_channels), (num_channels, num_channels)
        self.K = nnx.Param(rngs.params.uniform(square, minval=-bound, maxval=bound))
        self.Q = nnx.Param(rngs.params.uniform(square, minval=-bound, maxval=bound))
        self.V = nnx.Param(rngs.params.uniform(square, minval=-bound, maxval=bound))
        self.out = nnx.Linear(num_steps * num_channels, num_outputs, rngs=rngs)

    @jax.default_matmul_precision("highest")  # or a GPU rounds what it multiplies to TF32
    def __call__(self, x: Images) -> Array:
        """Map images [batch, steps, channels] (NumPy's too) to logits [batch, outputs]."""
        check_images(x.shape, self.image_shape)
        x = as_input(x, self.attention, self.K[...])
        attend = ATTENTION[self.attention]
        attended = attend(x, self.K[...], self.Q[...], self.V[...])  # [batch, steps, channels]
        features = attended.reshape(len(x), -1)  # [batch, steps * channels]
        logits = self.out(features)  # [batch, outputs]
        return logits


jax.tree_util.register_dataclass(LevelImages)  # so that jit takes it as it takes an array


def as_input(x: Images, attention: str, like: Array) -> Images:
    """Give images as a form of attention takes them, with the dtype of `like`."""
    if attention == "histogram" and isinstance(x, jax.core.Tracer):
        raise UserError(
            "Under jit the histogram form takes LevelImages: call find_levels(images), of "
            "shared.levels, before."
        )
    x = in_form(x, attention)
    if not isinstance(x, LevelImages):
        return jnp.asarray(x, dtype=like.dtype)
    indices = jnp.asarray(x.indices)  # [batch, steps]
    counts = jnp.asarray(x.counts, dtype=like.dtype)  # [batch, levels]
    return LevelImages(indices, counts, jnp.asarray(x.levels, dtype=like.dtype))


def find_device(name: str) -> jax.Device:
    """Find the device called "cpu" or "cuda"; a UserError says if it is not there."""
    try:
        return jax.local_devices(backend=name)[0]
    except RuntimeError:
        raise UserError(f"JAX finds no {name!r} device here: use --device cpu.") from None


def from_params(
    params: Mapping[str, np.ndarray],
    attention: str = "looped",
    dtype: str = "float32",
    device: str = "cpu",
) -> SelfAttentionModel:
    """Build the model that holds a copy of `params`, once their names and shapes are checked.

    One in float64 turns on `jax_enable_x64` for the whole process.
    """
    sizes = check_params(params)
    if dtype == "float64":
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
