"""Self-attention on MNIST in PyTorch: every pixel of an image attends to every pixel.

The attention is that of Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1, with
one head, no mask and no position embedding. K, Q and V are [channels, channels].
"""

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor, nn, softmax


def attend(x: Tensor, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
    """Compute the attention of one sample, or of every sample of a batch."""
    query = x @ Q  # [..., steps, channels]
    key = x @ K  # [..., steps, channels]
    value = x @ V  # [..., steps, channels]
    scores = query @ key.mT / sqrt(K.shape[-1])  # [..., steps, steps]
    weights = softmax(scores, -1)  # [..., steps, steps]
    attended = weights @ value  # [..., steps, channels]
    return attended


def attend_looped(x: Tensor, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
    """Compute the attention of one sample after another, as the original does."""
    samples = [attend(sample, K, Q, V) for sample in x]
    return torch.stack(samples)  # [batch, steps, channels]


attend_vectorized = attend  # the whole batch at once: [batch, steps, channels]


class SelfAttentionModel(nn.Module):
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
    ) -> None:
        super().__init__()
        self.attend = attend
        bound, square = 1 / sqrt(num_channels), (num_channels, num_channels)

        def draw() -> nn.Parameter:
            return nn.Parameter(torch.empty(square).uniform_(-bound, bound))

        self.K, self.Q, self.V = draw(), draw(), draw()
        self.out = nn.Linear(num_steps * num_channels, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [batch, steps, channels] to logits [batch, outputs]."""
        attended = self.attend(x, self.K, self.Q, self.V)  # [batch, steps, channels]
        features = attended.reshape(len(x), -1)  # [batch, steps * channels]
        logits = self.out(features)  # [batch, outputs]
        return logits
