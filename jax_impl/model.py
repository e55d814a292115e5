"""Self-attention on MNIST in JAX and Flax NNX: every pixel of an image attends to every pixel.

The attention is that of Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1, with
one head, no mask and no position embedding. K, Q and V are [channels, channels].
"""

from collections.abc import Callable
from math import sqrt

import jax
from flax import nnx
from jax import Array
from jax.nn import softmax


def attend(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Compute the attention of one sample, or of every sample of a batch."""
    query = x @ Q  # [..., steps, channels]
    key = x @ K  # [..., steps, channels]
    value = x @ V  # [..., steps, channels]
    scores = query @ key.mT / sqrt(K.shape[-1])  # [..., steps, steps]
    weights = softmax(scores, -1)  # [..., steps, steps]
    attended = weights @ value  # [..., steps, channels]
    return attended


def attend_looped(x: Array, K: Array, Q: Array, V: Array) -> Array:
    """Compute the attention of one sample after another, as the original does."""
    # jit would unroll a Python loop; the gradient would keep every sample's tables.
    attend_one = jax.checkpoint(lambda sample: attend(sample, K, Q, V))
    return jax.lax.map(attend_one, x)  # [batch, steps, channels]


attend_vectorized = attend  # the whole batch at once: [batch, steps, channels]


class SelfAttentionModel(nnx.Module):
    """One layer of self-attention over the pixels of an image, then one linear layer.

    `attend` is the form of attention, any of forms.ATTENTION. K, Q and V are drawn uniformly from
    [-1 / sqrt(channels), 1 / sqrt(channels)].
    """

    def __init__(
        self,
        num_steps: int = 784,
        num_channels: int = 1,
        num_outputs: int = 10,
        attend: Callable = attend_looped,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.attend = attend
        bound, square = 1 / sqrt(num_channels), (num_channels, num_channels)

        def draw() -> nnx.Param:
            return nnx.Param(rngs.params.uniform(square, minval=-bound, maxval=bound))

        self.K, self.Q, self.V = draw(), draw(), draw()
        self.out = nnx.Linear(num_steps * num_channels, num_outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Map images [batch, steps, channels] to logits [batch, outputs]."""
        attended = self.attend(x, self.K, self.Q, self.V)  # [batch, steps, channels]
        features = attended.reshape(len(x), -1)  # [batch, steps * channels]
        logits = self.out(features)  # [batch, outputs]
        return logits
