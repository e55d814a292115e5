"""The tables at the head of chapters of docs/divergences.md are true."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compare.divergences.command import TEMPLATE

pytest.importorskip("flax", reason="flax is not installed")
pytest.importorskip("torch", reason="torch is not installed")

import jax
import torch
from flax import nnx
from jax import numpy as jnp
from torch import nn
from torch.nn import functional as F

CHAPTERS = TEMPLATE.with_name("chapters")
X = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")  # [steps, channels]
Attend = Callable[[np.ndarray, Any], np.ndarray]  # of tokens and a mask [queries, keys]


def rows(chapter: str) -> list[list[str]]:
    """Return the cells of the one table of a chapter, without its head."""
    lines = [line for line in (CHAPTERS / chapter).read_text().splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def torch_function(x: np.ndarray, mask: Any) -> np.ndarray:
    query, x = torch.zeros(1, *x.shape), torch.tensor(x)[None]
    return F.scaled_dot_product_attention(query, x, x, attn_mask=torch.tensor(mask))[0].numpy()


def torch_layer(argument: str, need_weights: bool, x: np.ndarray, mask: Any) -> np.ndarray:
    torch.manual_seed(0)
    layer, x = nn.MultiheadAttention(4, 2, batch_first=True), torch.tensor(x)[None]
    given = {argument: torch.tensor(mask)[: 1 if "padding" in argument else 2]}
    return layer(x, x, x, need_weights=need_weights, **given)[0][0].detach().numpy()


def torch_encoder(argument: str, x: np.ndarray, mask: Any) -> np.ndarray:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    given = {argument: torch.tensor(mask)[: 1 if "padding" in argument else 2]}
    return layer(torch.tensor(x)[None], **given)[0].detach().numpy()


def jax_function(call: Any, argument: str, x: np.ndarray, mask: Any) -> np.ndarray:
    x = jnp.array(x)[None, :, None]
    return np.array(call(0 * x, x, x, **{argument: jnp.array(mask)[None, None]})[0, :, 0])


def flax_layer(x: np.ndarray, mask: Any) -> np.ndarray:
    layer = nnx.MultiHeadAttention(2, 4, decode=False, rngs=nnx.Rngs(0))
    layer.query.kernel[...] *= 0
    return np.array(layer(jnp.array(x)[None], mask=jnp.array(mask)[None, None])[0])


# Every pair of a call and an argument, in the order of the table's rows.
CALLS: list[tuple[str, Attend]] = [
    ("F.scaled_dot_product_attention", torch_function),
    ("nn.MultiheadAttention", partial(torch_layer, "attn_mask", True)),
    ("nn.MultiheadAttention", partial(torch_layer, "key_padding_mask", True)),
    ("need_weights=False", partial(torch_layer, "attn_mask", False)),
    ("need_weights=False", partial(torch_layer, "key_padding_mask", False)),
    ("nn.TransformerEncoderLayer", partial(torch_encoder, "src_mask")),
    ("nn.TransformerEncoderLayer", partial(torch_encoder, "src_key_padding_mask")),
    ("jax.nn", partial(jax_function, jax.nn.dot_product_attention, "mask")),
    ("bias", partial(jax_function, jax.nn.dot_product_attention, "bias")),
    ("bias", partial(jax_function, nnx.dot_product_attention, "bias")),
    ("nnx.MultiHeadAttention", partial(jax_function, nnx.dot_product_attention, "mask")),
    ("nnx.MultiHeadAttention", flax_layer),
]


def is_seen(attend: Attend, mask: Any) -> bool:
    """Check whether the first output changes with the second token."""
    other = X.copy()
    other[1] *= 2
    return not np.allclose(attend(X, mask)[0], attend(other, mask)[0])


def meaning_of_true(attend: Attend) -> str:
    seen = [is_seen(attend, [[flag, not flag]] * 2) for flag in (True, False)]
    assert seen in ([False, True], [True, False])
    return "seen" if seen[1] else "hidden"


def meaning_of_floats(attend: Attend) -> str:
    try:
        seen = is_seen(attend, [[0.0, -np.inf]] * 2)
    except ValueError:
        return "an error"
    return "seen where not 0" if seen else "added"


def without_a_key(attend: Attend, hide: Any, show: Any) -> str:
    found = attend(X, [[hide, hide]] * 2)
    if np.isnan(found).all():
        return "NaN"
    if np.allclose(found, attend(X, [[show, show]] * 2)):  # where all scores are equal
        return "the mean of all values"
    return "0"


def row_of(name: str) -> list[str]:
    return next(row for row in rows("attention.md") if name in f"{row[0]} {row[1]}")


@pytest.mark.parametrize(("name", "attend"), CALLS)
def test_a_call_reads_its_mask_as_the_table_says(name: str, attend: Attend):
    _, _, true, floats, none = row_of(name)
    assert meaning_of_floats(attend) == floats
    if name == "bias":
        assert (true, without_a_key(attend, -np.inf, 0.0)) == ("-", none)
        return
    assert meaning_of_true(attend) == true
    hide = true == "hidden"
    assert none.startswith(without_a_key(attend, hide, not hide))


def test_a_zero_in_the_table_is_a_zero_of_attention():
    assert not torch_function(X, [[False] * 2] * 2).any()
    assert not torch_layer("attn_mask", False, X, [[True] * 2] * 2).any()


def test_evaluation_without_gradients_makes_nan_of_a_row_without_a_key():
    x, hidden = torch.tensor(X)[None], torch.ones(1, 2, dtype=torch.bool)
    layer = nn.MultiheadAttention(4, 2, batch_first=True).eval()
    encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    with torch.no_grad():
        found = layer(x, x, x, key_padding_mask=hidden, need_weights=False)[0]
        assert found.isnan().all()
        assert encoder(x, src_key_padding_mask=hidden).isnan().all()
    assert encoder(x, src_key_padding_mask=hidden).isfinite().all()
    for name in ("need_weights=False", "nn.TransformerEncoderLayer"):
        assert row_of(name)[-1] == "0, but NaN under `eval()` and `no_grad()`"


class Block(nn.Module):
    """A pre-norm MLP block."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))


class FlaxBlock(nnx.Module):
    """The same block with the same parameters, computed in bfloat16."""

    def __init__(self, block: Block):
        given = {"dtype": jnp.bfloat16, "rngs": nnx.Rngs(0)}
        width = block.up.in_features
        self.norm = nnx.LayerNorm(width, epsilon=1e-5, **given)
        self.up = nnx.Linear(width, 4 * width, **given)
        self.down = nnx.Linear(4 * width, width, **given)
        for own, layer in ((self.up, block.up), (self.down, block.down)):
            own.kernel[...] = layer.weight.detach().numpy().T
            own.bias[...] = layer.bias.detach().numpy()

    def __call__(self, x):
        return x + self.down(nnx.gelu(self.up(self.norm(x)), approximate=False))


def test_the_errors_of_bfloat16_are_those_measured():
    torch.manual_seed(0)
    model = nn.Sequential(*(Block(256) for _ in range(4)))
    port = nnx.Sequential(*(FlaxBlock(block) for block in model))
    x = np.random.default_rng(0).normal(size=(32, 256)).astype("float32")
    flax = [np.array(port(jnp.array(x, dtype)), "f8") for dtype in ("float32", "bfloat16")]
    with torch.no_grad():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            autocast = model(torch.tensor(x)).double().numpy()
        exact = model.double()(torch.tensor(x).double()).numpy()
        low = model.float().bfloat16()(torch.tensor(x).bfloat16()).double().numpy()
    pairs = [(autocast, exact), (flax[0], exact), (low, exact), (flax[1], exact), (low, flax[1])]
    found = [np.abs(one - other).max() / np.abs(exact).max() for one, other in pairs]
    np.testing.assert_allclose(
        found, [float(row[2]) for row in rows("computing_in_bfloat16.md")], rtol=0.3
    )


def test_what_autocast_keeps_in_float32_on_a_cpu():
    x = torch.ones(2, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = nn.Linear(4, 4)(x)
        low = [hidden, hidden.softmax(dim=-1), nn.LayerNorm(4)(hidden)]
        high = [x + hidden, nn.Embedding(3, 4)(torch.tensor([0])), F.mse_loss(hidden, hidden)]
        high.append(F.cross_entropy(hidden, torch.tensor([0, 1])))
    assert {each.dtype for each in low} == {torch.bfloat16}
    assert {each.dtype for each in high} == {torch.float32}
    assert jax.nn.softmax(jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16


def test_one_rounding_to_bfloat16_is_at_most_2_to_the_minus_8():
    x = np.linspace(1, 2, 100_001)
    error = np.abs(torch.tensor(x).bfloat16().double().numpy() / x - 1).max()
    assert 0.99 * 2**-8 < error <= 2**-8
    assert re.search(
        r"by up to 2\^-8 = 0\.4 %", (CHAPTERS / "computing_in_bfloat16.md").read_text()
    )


def test_every_chapter_file_stands_on_the_page():
    page = Path(__file__).resolve().parents[3] / "docs" / "divergences.md"
    for file in CHAPTERS.glob("*.md"):
        assert file.read_text() in page.read_text()
