"""Self-attention on MNIST in PyTorch: every pixel of an image attends to every pixel.

One text with three accents: pytorch_impl, jax_impl and numpy_reference hold the same functions in
the same order, the same step on the same line of model.py. Lay any two of them side by side:

    git diff --no-index pytorch_impl/model.py jax_impl/model.py

The attention is that of Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1, with
one head, no mask and no position embedding. K, Q and V are [channels, channels].

Here a module is called for its side effects too: `backward()` writes into its parameters.
"""

from collections.abc import Mapping
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn, softmax
from torch.nn.functional import scaled_dot_product_attention

from shared.errors import UserError, check_choice
from shared.params import check_images, check_params


# Every form of attention maps x [batch, steps, channels] to attended [batch, steps, channels].
def attend_looped(x: Tensor, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
    """Attend in one sample at a time: the clearest form to read."""

    def attend_one(x: Tensor) -> Tensor:
        query = x @ Q  # [steps, channels]
        key = x @ K  # [steps, channels]
        value = x @ V  # [steps, channels]
        scores = query @ key.mT / sqrt(K.shape[-1])  # [steps, steps]
        weights = softmax(scores, dim=-1)  # [steps, steps]
        attended = weights @ value  # [steps, channels]
        return attended

    # A plain loop: PyTorch runs it as it stands, one sample after the other.
    attended = torch.stack([attend_one(sample) for sample in x])  # [batch, steps, channels]
    return attended


def attend_vectorized(x: Tensor, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
    """Attend in the whole batch at once: the same lines, every array with one more axis."""
    query = x @ Q  # [batch, steps, channels]
    key = x @ K  # [batch, steps, channels]
    value = x @ V  # [batch, steps, channels]
    scores = query @ key.mT / sqrt(K.shape[-1])  # [batch, steps, steps]
    weights = softmax(scores, dim=-1)  # [batch, steps, steps]
    attended = weights @ value  # [batch, steps, channels]
    return attended


def attend_builtin(x: Tensor, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
    """Attend with the framework's own call; the scale 1 / sqrt(channels) is its default."""
    query = (x @ Q)[:, None]  # [batch, heads, steps, channels]
    key = (x @ K)[:, None]  # [batch, heads, steps, channels]
    value = (x @ V)[:, None]  # [batch, heads, steps, channels]
    # PyTorch's call keeps the dtype it is given.
    attend = scaled_dot_product_attention
    attended = attend(query, key, value)[:, 0]  # [batch, steps, channels]
    return attended


ATTENTION = {
    "looped": attend_looped,
    "vectorized": attend_vectorized,
    "builtin": attend_builtin,
}


class SelfAttentionModel(nn.Module):
    """One layer of self-attention over the pixels of an image, then one linear layer."""

    def __init__(
        self,
        num_steps: int = 784,
        num_channels: int = 1,
        num_outputs: int = 10,
        attention: str = "looped",
    ) -> None:
        super().__init__()
        self.attend = ATTENTION[check_choice("attention", attention, ATTENTION)]
        self.image_shape = (num_steps, num_channels)
        # A fresh start; training begins from shared.params.initial_params in every framework.
        bound, square = 1 / sqrt(num_channels), (num_channels, num_channels)
        self.K = nn.Parameter(torch.empty(square).uniform_(-bound, bound))
        self.Q = nn.Parameter(torch.empty(square).uniform_(-bound, bound))
        self.V = nn.Parameter(torch.empty(square).uniform_(-bound, bound))
        self.out = nn.Linear(num_steps * num_channels, num_outputs)

    # On a GPU, PyTorch multiplies float32 in full float32 unless told otherwise.
    def forward(self, x: Tensor) -> Tensor:
        """Map images [batch, steps, channels] (NumPy's too) to logits [batch, outputs]."""
        check_images(x.shape, self.image_shape)
        x = torch.as_tensor(x).to(self.K)  # [batch, steps, channels]
        attended = self.attend(x, self.K, self.Q, self.V)  # [batch, steps, channels]
        features = attended.reshape(len(x), -1)  # [batch, steps * channels]
        logits = self.out(features)  # [batch, outputs]
        return logits


def find_device(name: str) -> torch.device:
    """Find the device called "cpu" or "cuda"; a UserError says if it is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("PyTorch finds no 'cuda' device here: use --device cpu.")
    return torch.device(name)


def from_params(
    params: Mapping[str, np.ndarray],
    attention: str = "looped",
    dtype: str = "float32",
    device: str = "cpu",
) -> SelfAttentionModel:
    """Build the model that holds a copy of `params`, once their names and shapes are checked."""
    sizes = check_params(params)
    with torch.device("meta"):  # the shapes alone: nothing is drawn or allocated
        model = SelfAttentionModel(*sizes, attention=attention)
    to = {"dtype": getattr(torch, np.dtype(dtype).name), "device": find_device(device)}
    arrays = {name: torch.tensor(array, **to) for name, array in params.items()}
    model.load_state_dict(arrays, assign=True)
    return model


def to_params(model: SelfAttentionModel) -> dict[str, np.ndarray]:
    """Copy the parameters out as NumPy arrays: `state_dict()` itself aliases the live ones."""
    return {name: array.numpy(force=True).copy() for name, array in model.state_dict().items()}
