"""Layers of products: one line against many, batched against looped, packed against separate."""

import flax.linen
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import torch
import torch.nn.functional as F
from flax import nnx
from ports import Bug, draw, load, normal, ports
from torch import nn


class OneLine(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(11, 23), nn.Linear(23, 5)

    def forward(self, x):
        return self.b(F.gelu(self.a(x)))


def one_line():
    weights = {"a__weight": draw(1, 23, 11), "a__bias": draw(1, 23)}
    return load(OneLine(), **weights, b__weight=draw(1, 5, 23), b__bias=draw(1, 5))


class FeedForward(nnx.Module):
    def __init__(self, bug):
        self.up = nnx.Linear(11, 23, rngs=nnx.Rngs(0))
        self.down = nnx.Linear(23, 5, rngs=nnx.Rngs(0))
        self.bug = bug

    def __call__(self, tokens):
        hidden = self.up(tokens)
        if self.bug == "relu":
            active = jax.nn.relu(hidden)
        else:
            active = nnx.gelu(hidden, approximate=self.bug == "gelu by tanh")
        return self.down(active)


def feed_forward(bug):
    model, kernel, bias = FeedForward(bug), draw(1, 23, 11).T, draw(1, 23)
    if bug == "kernel reshaped":
        kernel = kernel.T.reshape(11, 23)
    if bug == "no bias":
        bias = 0 * bias
    last = draw(1, 5, 23)
    if bug == "last kernel of the other layer":
        last = draw(2, 5, 23)
    nnx.update(model.up, {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)})
    nnx.update(model.down, {"kernel": jnp.asarray(last.T), "bias": jnp.asarray(draw(1, 5))})
    return model


def dense_of_torch():
    """The layer of google/flax 963 and 3128: 768 numbers to 512."""
    weight, bias = torch.from_numpy(draw(3, 512, 768)), torch.from_numpy(draw(3, 512))
    return lambda sample: F.linear(sample, weight, bias)


def dense_of_linen(bug):
    layer, kernel, bias = flax.linen.Dense(512), draw(3, 512, 768).T, draw(3, 512)
    if bug == "kernel reshaped":
        kernel = draw(3, 512, 768).reshape(768, 512)
    if bug == "weights of bfloat16":
        kernel = kernel.astype(ml_dtypes.bfloat16).astype(kernel.dtype)
    if bug == "no bias":
        bias = 0 * bias
    variables = {"params": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}}
    return lambda batch: layer.apply(variables, batch)


def stack():
    """Three layers of one width, the weights of [out, in]."""
    layers = [nn.Linear(13, 13), nn.ReLU(), nn.Linear(13, 13), nn.ReLU(), nn.Linear(13, 13)]
    weights = {f"{2 * n}__weight": draw(10 + n, 13, 13) for n in range(3)}
    return load(
        nn.Sequential(*layers), **weights, **{f"{2 * n}__bias": draw(n, 13) for n in range(3)}
    )


def looped_stack(bug):
    """The same in NumPy, a sample at a time, the weights of [in, out]."""
    tables = [(draw(10 + n, 13, 13).T, draw(n, 13)) for n in range(3)]
    if bug == "layers swapped":
        tables[1], tables[2] = tables[2], tables[1]
    if bug == "square kernel not transposed":
        tables[1] = tables[1][0].T, tables[1][1]

    def one(sample):
        (w0, c0), (w1, c1), (w2, c2) = tables
        first = sample @ w0 + c0
        kept = np.where(first > 0, first, 0.01 * first if bug == "leaky" else 0)
        second = kept @ w1 + c1
        clipped = np.maximum(second, 0)
        final = clipped @ w2 + c2
        return np.maximum(final, 0) if bug == "activation after the last" else final

    return lambda samples: np.stack([one(sample) for sample in samples])


class Gated(nn.Module):
    """What LLaMA computes between two attentions, each product with its own weight."""

    def __init__(self):
        super().__init__()
        self.gate, self.up = nn.Linear(7, 19, bias=False), nn.Linear(7, 19, bias=False)
        self.down = nn.Linear(19, 7, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


def gated():
    wide = {"gate__weight": draw(20, 19, 7), "up__weight": draw(21, 19, 7)}
    return load(Gated(), **wide, down__weight=draw(22, 7, 19))


class Packed(nn.Module):
    """The same with both in one product, as a refactoring does it."""

    def __init__(self, bug):
        super().__init__()
        self.both, self.back = nn.Linear(7, 38, bias=False), nn.Linear(19, 7, bias=False)
        self.bug = bug

    def forward(self, state):
        packed = self.both(state)
        if self.bug == "interleaved":
            head, tail = packed[..., ::2], packed[..., 1::2]
        else:
            head, tail = packed.chunk(2, dim=-1)
        if self.bug == "gate and value swapped":
            head, tail = tail, head
        opened = torch.sigmoid(head) if self.bug == "sigmoid for silu" else F.silu(head)
        if self.bug == "gelu for silu":
            opened = F.gelu(head)
        product = opened + tail if self.bug == "added" else opened * tail
        return self.back(product)


def packed(bug):
    both = np.concatenate([draw(20, 19, 7), draw(21, 19, 7)])
    return load(Packed(bug), both__weight=both, back__weight=draw(22, 7, 19))


PORTS = (
    *ports(
        "mlp/one line, nnx",
        one_line,
        feed_forward,
        normal((3, 11)),
        Bug("relu", ("active",)),
        Bug("gelu by tanh", ("active",)),
        Bug("kernel reshaped", ("hidden",)),
        Bug("no bias", ("hidden",)),
        Bug("last kernel of the other layer", ("down",)),
    ),
    *ports(
        "mlp/dense 768 to 512, linen",
        dense_of_torch,
        dense_of_linen,
        normal((2, 768)),
        Bug("kernel reshaped", ("apply", "Dense")),
        Bug("weights of bfloat16", ("apply", "Dense")),
        Bug("no bias", ("apply", "Dense")),
    ),
    *ports(
        "mlp/three layers, NumPy looped",
        stack,
        looped_stack,
        normal((4, 13)),
        Bug("layers swapped", ("second",)),
        Bug("square kernel not transposed", ("second",)),
        Bug("leaky", ("kept",)),
        Bug("activation after the last", ("one returns", "one(sample)", "np.stack")),
    ),
    *ports(
        "mlp/gated, packed in torch",
        gated,
        packed,
        normal((2, 5, 7)),
        Bug("interleaved", ("head", "tail")),
        Bug("gate and value swapped", ("opened",)),
        Bug("sigmoid for silu", ("opened",)),
        Bug("gelu for silu", ("opened",)),
        Bug("added", ("product",)),
    ),
)
