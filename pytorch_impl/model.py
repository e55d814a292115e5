"""Self-attention on MNIST in PyTorch: every pixel of an image attends to every pixel.

One text with three accents: pytorch_impl, jax_impl and numpy_reference hold the same functions in
the same order, the same step on the same line of model.py. Lay any two of them side by side:

    git diff --no-index pytorch_impl/model.py jax_impl/model.py

The attention is that of Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1, with
one head, no mask and no position embedding. K, Q and V are [channels, channels].

Here a module is called for its side effects too: `backward()` writes into its parameters.
"""

from collections.abc import Callable, Mapping
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn, softmax
from torch.nn.functional import scaled_dot_product_attention

from pytorch_impl.blocks import attend_in_blocks
from shared.errors import UserError, check_choice
from shared.levels import MODERATE_SCORE, LevelImages, in_form
from shared.params import check_images, check_params


def attend_textbook(x: Tensor, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
    """Attend as the formula stands: in one sample or, by the same lines, in each of a batch."""
    query = x @ Q  # [..., steps, channels]
    key = x @ K  # [..., steps, channels]
    value = x @ V  # [..., steps, channels]
    scores = query @ key.mT / sqrt(K.shape[-1])  # [..., steps, steps]
    weights = softmax(scores, dim=-1)  # [..., steps, steps]
    attended = weights @ value  # [..., steps, channels]
    return attended


# Every form of attention maps x [batch, steps, channels] to attended [batch, steps, channels].
def attend_looped(x: Tensor, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
    """Attend in one sample at a time: the clearest form to read."""
    # A plain loop: PyTorch runs it as it stands, one sample after the other.
    samples = [attend_textbook(sample, K, Q, V) for sample in x]
    attended = torch.stack(samples)  # [batch, steps, channels]
    return attended


def attend_vectorized(x: Tensor, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
    """Attend in the whole batch, a few samples at a time, so that their tables stay in cache."""
    # attend_textbook(x, K, Q, V) is right too, but on a CPU slower than the loop: its tables,
    # [batch, steps, steps], fit no cache, and each is new memory. See docs/performance.md.
    query = x @ Q  # [batch, steps, channels]
    key = x @ K  # [batch, steps, channels]
    value = x @ V  # [batch, steps, channels]
    scaled = query / sqrt(K.shape[-1])  # [batch, steps, channels]
    attended = attend_in_blocks(scaled, key, value)  # [batch, steps, channels]
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


def attend_histogram(x: LevelImages, K: Tensor, Q: Tensor, V: Tensor) -> Tensor:
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
    largest = scaled.detach().abs().amax(dim=0) @ key.detach().abs().amax(dim=0)  # []
    is_moderate = largest <= MODERATE_SCORE  # []

    def from_one_table() -> Tensor:
        # No shift by the largest score is needed: it would cancel in the division.
        exponentials = scores.exp()  # [levels, levels]
        totals = x.counts @ exponentials.mT  # [batch, levels]
        counted = x.counts[:, None] * value.mT  # [batch, channels, levels]
        sums = counted @ exponentials.mT  # [batch, channels, levels]
        by_level = (sums / totals[:, None]).mT  # [batch, levels, channels]
        return by_level

    def from_a_table_each() -> Tensor:
        # c * exp(score) = exp(score + log c), and softmax takes off the largest that occurs. A
        # level that does not occur has log 0 = -inf, and so the weight 0.
        log_counts = x.counts.log()[:, None]  # [batch, 1, levels]
        weights = softmax(scores + log_counts, dim=-1)  # [batch, levels, levels]
        by_level = weights @ value  # [batch, levels, channels]
        return by_level

    # A plain `if` looks at the number; for that, once a step, a GPU has to finish first.
    by_level = from_one_table() if is_moderate else from_a_table_each()
    indices = x.indices.long()[:, :, None].expand(-1, -1, len(V))  # [batch, steps, channels]
    attended = by_level.gather(dim=1, index=indices)  # [batch, steps, channels]
    return attended


ATTENTION: dict[str, Callable[..., Tensor]] = {
    "textbook": attend_textbook,
    "looped": attend_looped,
    "vectorized": attend_vectorized,
    "builtin": attend_builtin,
    "histogram": attend_histogram,
}

DTYPES = ("float32", "float64", "bfloat16")
DEVICES = ("cpu", "cuda")
Images = np.ndarray | Tensor | LevelImages


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
        self.attention = check_choice("attention", attention, ATTENTION)
        self.image_shape = (num_steps, num_channels)
        # A fresh start; training begins from shared.params.initial_params in every framework.
        bound, square = 1 / sqrt(num_channels), (num_channels, num_channels)
        self.K = nn.Parameter(torch.empty(square).uniform_(-bound, bound))
        self.Q = nn.Parameter(torch.empty(square).uniform_(-bound, bound))
        self.V = nn.Parameter(torch.empty(square).uniform_(-bound, bound))
        self.out = nn.Linear(num_steps * num_channels, num_outputs)

    # On a GPU, PyTorch multiplies float32 in full float32 unless told otherwise.
    def forward(self, x: Images) -> Tensor:
        """Map images [batch, steps, channels] (NumPy's too) to logits [batch, outputs]."""
        check_images(x.shape, self.image_shape)
        x = as_input(x, self.attention, self.K)
        attend = ATTENTION[self.attention]
        attended = attend(x, self.K, self.Q, self.V)  # [batch, steps, channels]
        features = attended.reshape(len(x), -1)  # [batch, steps * channels]
        logits = self.out(features)  # [batch, outputs]
        return logits


def as_input(x: Images, attention: str, like: Tensor) -> Images:
    """Give images as a form of attention takes them, with the dtype and device of `like`."""
    x = in_form(x, attention)
    if not isinstance(x, LevelImages):
        return torch.as_tensor(x).to(like)
    indices = torch.as_tensor(x.indices, device=like.device)  # [batch, steps]
    counts = torch.as_tensor(x.counts).to(like)  # [batch, levels]
    return LevelImages(indices, counts, torch.as_tensor(x.levels).to(like))


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
    to = {"dtype": getattr(torch, dtype), "device": find_device(device)}
    arrays = {name: torch.tensor(array, **to) for name, array in params.items()}
    model.load_state_dict(arrays, assign=True)
    return model


def to_params(model: SelfAttentionModel) -> dict[str, np.ndarray]:
    """Copy the parameters out as NumPy arrays: `state_dict()` itself aliases the live ones."""
    return {name: to_numpy(array).copy() for name, array in model.state_dict().items()}


def to_numpy(tensor: Tensor) -> np.ndarray:
    """Give a tensor's numbers to NumPy, which has no bfloat16: float32 holds it exactly."""
    kept = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return kept.numpy(force=True)
