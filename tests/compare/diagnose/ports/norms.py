"""Normalisations: over what, with which variance, which epsilon, and what is multiplied."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from ports import Bug, draw, load, normal, ports
from torch import nn

WIDTH = 10


class GemmaNorm(nn.Module):
    """In the words of transformers: the weight is kept as its distance from 1."""

    def __init__(self):
        super().__init__()
        self.weight, self.head = nn.Parameter(torch.zeros(WIDTH)), nn.Linear(WIDTH, 5, bias=False)

    def _norm(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)

    def forward(self, x):
        return self.head(self._norm(x) * (1.0 + self.weight))


def gemma():
    return load(GemmaNorm(), weight=draw(1000, WIDTH), head__weight=draw(1001, 5, WIDTH))


def root_mean_square(bug):
    gain, kernel = jnp.asarray(draw(1000, WIDTH)), jnp.asarray(draw(1001, 5, WIDTH).T)

    def scale(rows):
        size = jnp.sqrt((rows**2).mean(-1, keepdims=True) + 1e-6)
        if bug == "epsilon outside of the root":
            size = jnp.sqrt((rows**2).mean(-1, keepdims=True)) + 1e-6
        if bug == "sum for mean":
            size = jnp.sqrt((rows**2).sum(-1, keepdims=True) + 1e-6)
        if bug == "centred":
            rows = rows - rows.mean(-1, keepdims=True)
        unit = rows / size
        tuned = unit * (gain if bug == "1 + w forgotten" else 1 + gain)
        return tuned @ kernel

    return scale


def small(rng):
    """Rows of 1e-2, where an epsilon of 1e-6 matters."""
    return (0.01 * rng.normal(size=(3, 5, WIDTH)).astype(np.float32),)


def layer_norm():
    return load(nn.LayerNorm(WIDTH), weight=1 + draw(1010, WIDTH), bias=draw(1011, WIDTH))


def layer_norm_in_numpy(bug):
    gain, shift = 1 + draw(1010, WIDTH), draw(1011, WIDTH)
    epsilon = 1e-6 if bug == "epsilon of Flax" else 1e-5

    def standardize(rows):
        middle = rows.mean(-1, keepdims=True)
        ddof = 1 if bug == "unbiased variance" else 0
        spread = rows.var(-1, ddof=ddof, keepdims=True)
        if bug == "epsilon outside of the root":
            unit = (rows - middle) / (np.sqrt(spread) + epsilon)
        elif bug == "variance over all":
            unit = (rows - middle) / np.sqrt(rows.var(ddof=ddof) + epsilon)
        else:
            unit = (rows - middle) / np.sqrt(spread + epsilon)
        if bug == "shift before gain":
            return (unit + shift) * gain
        return unit * gain + shift

    return standardize


def group_norm():
    conv, norm = nn.Conv2d(3, 12, 1), nn.GroupNorm(4, 12)
    load(conv, weight=draw(1020, 12, 3, 1, 1), bias=draw(1020, 12))
    load(norm, weight=1 + draw(1021, 12), bias=draw(1022, 12))
    return nn.Sequential(conv, norm, nn.SiLU())


class Groups(nnx.Module):
    """Channels last, the groups by hand."""

    def __init__(self, bug):
        self.mix = nnx.Conv(3, 12, (1, 1), rngs=nnx.Rngs(0))
        self.gain, self.shift = nnx.Param(jnp.ones(12)), nnx.Param(jnp.zeros(12))
        self.bug = bug

    def __call__(self, image):
        maps = self.mix(image.transpose(0, 2, 3, 1))
        groups = 3 if self.bug == "channels per group" else 4
        split = maps.reshape(*maps.shape[:3], groups, -1)
        axes = {"over the space alone": (1, 2), "over the channels alone": (4,)}
        if self.bug == "groups interleaved":
            split = maps.reshape(*maps.shape[:3], -1, groups).swapaxes(3, 4)
        axis = axes.get(self.bug, (1, 2, 4))
        centred = split - split.mean(axis, keepdims=True)
        scaled = centred / jnp.sqrt((centred**2).mean(axis, keepdims=True) + 1e-5)
        if self.bug == "groups interleaved":
            scaled = scaled.swapaxes(3, 4)
        normed = scaled.reshape(maps.shape) * self.gain + self.shift
        return jax.nn.silu(normed).transpose(0, 3, 1, 2)


def groups_by_hand(bug):
    model = Groups(bug)
    kernel, bias = draw(1020, 12, 3, 1, 1)[:, :, 0, 0].T[None, None], draw(1020, 12)
    parts = {"mix": {"kernel": kernel, "bias": bias}}
    parts |= {"gain": 1 + draw(1021, 12), "shift": draw(1022, 12)}
    nnx.update(model, jax.tree.map(jnp.asarray, parts))
    return model


def weight_norm():
    """A layer whose weight is its direction and its length, from torch.nn.utils."""
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(7, 5))
    names = ("parametrizations__weight__original0", "parametrizations__weight__original1")
    arrays = (np.abs(draw(1030, 5, 1)) + 0.5, draw(1031, 5, 7))
    return load(layer, **dict(zip(names, arrays, strict=True)), bias=draw(1032, 5))


def weight_norm_in_jax(bug):
    length, direction = (jnp.asarray(a) for a in (np.abs(draw(1030, 5, 1)) + 0.5, draw(1031, 5, 7)))
    bias = jnp.asarray(draw(1032, 5))

    def apply(samples):
        axis = 0 if bug == "norm of the columns" else 1
        kernel = length * direction / jnp.linalg.norm(direction, axis=axis, keepdims=True)
        if bug == "length forgotten":
            kernel = direction / jnp.linalg.norm(direction, axis=1, keepdims=True)
        return samples @ kernel.T + bias

    return apply


PORTS = (
    *ports(
        "norms/RMSNorm of 1 + w, JAX",
        gemma,
        root_mean_square,
        small,
        Bug("1 + w forgotten", ("tuned",)),
        Bug("epsilon outside of the root", ("unit", "size", "self._norm")),
        Bug("sum for mean", ("unit", "size", "self._norm")),
        Bug("centred", ("unit", "rows", "self._norm")),
    ),
    *ports(
        "norms/LayerNorm, NumPy",
        layer_norm,
        layer_norm_in_numpy,
        normal((3, 5, WIDTH)),
        Bug("epsilon of Flax", ("unit", "standardize returns", "LayerNorm")),
        Bug("unbiased variance", ("unit", "spread", "standardize returns", "LayerNorm")),
        Bug("epsilon outside of the root", ("unit", "standardize returns", "LayerNorm")),
        Bug("variance over all", ("unit", "standardize returns", "LayerNorm")),
        Bug("shift before gain", ("standardize returns", "LayerNorm")),
    ),
    *ports(
        "norms/GroupNorm, nnx",
        group_norm,
        groups_by_hand,
        normal((2, 3, 5, 7)),
        Bug("channels per group", ("split", "centred", "normed", "scaled")),
        Bug("over the space alone", ("centred", "normed", "scaled")),
        Bug("over the channels alone", ("centred", "normed", "scaled")),
        Bug("groups interleaved", ("split", "centred", "normed", "scaled")),
    ),
    *ports(
        "norms/weight norm, JAX",
        weight_norm,
        weight_norm_in_jax,
        normal((4, 7)),
        Bug("norm of the columns", ("kernel", "linalg.norm", "apply returns")),
        Bug("length forgotten", ("kernel", "apply returns")),
    ),
)
