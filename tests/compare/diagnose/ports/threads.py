"""What was asked in public, written anew.

jax-ml/jax 11790 and 22101, google/flax 963 and 3128 (the layer of 768 to 512 is in mlp.py),
Physical-Intelligence/openpi 810 and 824, huggingface/transformers 15841.
"""

import flax.linen
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import torch
import torch.nn.functional as F
from ports import Bug, draw, load, normal, ports
from torch import nn


def jax_11790():
    return load(nn.Conv2d(3, 3, 3), weight=draw(1200, 3, 3, 3, 3), bias=draw(1200, 3))


def jax_11790_in_lax(bug):
    kernel, bias = jnp.asarray(draw(1200, 3, 3, 3, 3)), jnp.asarray(draw(1200, 3))
    if bug == "kernel of [in, out]":
        kernel = kernel.swapaxes(0, 1)

    def test_conv(random_image):
        out = jax.lax.conv_general_dilated(random_image, kernel, (1, 1), "VALID")
        if bug == "bias forgotten":
            return out
        return out + bias.reshape(3, 1, 1)

    return test_conv


def image(rng):
    return (rng.random((1, 3, 32, 32)).astype(np.float32),)


def flax_963():
    layer = load(nn.Linear(2048, 10), weight=draw(1210, 10, 2048), bias=draw(1210, 10))
    return lambda x: layer(x)


def flax_963_in_linen(bug):
    kernel = draw(1210, 10, 2048)
    kernel = kernel.reshape(2048, 10) if bug == "kernel reshaped" else kernel.T
    params = {"params": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(draw(1210, 10))}}
    return lambda y: flax.linen.Dense(10).apply(params, y)


def jax_22101():
    """The gradient of an actor's loss, by its noise made an action (SAC)."""
    w = torch.from_numpy(draw(1220, 3, 4))

    def actor_gradient(obs, eps):
        def loss(weight):
            mean, log_std = (obs @ weight)[:, :2], (obs @ weight)[:, 2:].clamp(-5, 2)
            pi = mean + log_std.exp() * eps
            logp = (-0.5 * eps**2 - log_std).sum(-1)
            logp = logp - (2 * (np.log(2) - pi - F.softplus(-2 * pi))).sum(-1)
            return (0.2 * logp - torch.tanh(pi).sum(-1)).mean()

        return torch.func.grad(loss)(w)

    return actor_gradient


def jax_22101_in_jax(bug):
    table = jnp.asarray(draw(1220, 3, 4))

    def gradient(seen, noise):
        def objective(kernel):
            middle, spread = jnp.split(seen @ kernel, 2, axis=-1)
            width = jnp.exp(jnp.clip(spread, -5, 2))
            if bug == "deviation without gradient":
                width = jax.lax.stop_gradient(width)
            raw = middle + width * noise
            if bug == "action without gradient":
                raw = jax.lax.stop_gradient(raw)
            action = jnp.tanh(raw)
            inner = 1 - action**2
            guard = 1e-6 if bug == "1e-6 within the logarithm" else 0
            density = -0.5 * noise**2 - jnp.log(width) - jnp.log(inner + guard)
            return (0.2 * density - action).sum(-1).mean()

        return jax.grad(objective)(table)

    return gradient


def openpi_810():
    """Two products, weights of float32, as the checkpoint of JAX has them."""
    first, second = torch.from_numpy(draw(1230, 9, 7)), torch.from_numpy(draw(1231, 5, 9))

    def action(state):
        h = F.silu(state @ first.T)
        return h @ second.T

    return action


def openpi_810_converted(bug):
    """The same after a conversion; 824 asks about what is computed in bfloat16."""
    wide, narrow = draw(1230, 9, 7), draw(1231, 5, 9)
    if bug == "stored in bfloat16":
        wide, narrow = (w.astype(ml_dtypes.bfloat16).astype(w.dtype) for w in (wide, narrow))
    wide, narrow = jnp.asarray(wide), jnp.asarray(narrow)

    def policy(observed):
        inner = observed @ wide.T
        active = jax.nn.silu(inner)
        if bug == "computed in bfloat16":
            active = active.astype(jnp.bfloat16).astype(observed.dtype)
        return active @ narrow.T

    return policy


def transformers_15841():
    """Words, positions and kinds, summed and normalized, as BERT begins."""
    names = ("word", "place", "kind")
    tables = [nn.Embedding(n, 8) for n in (17, 12, 2)]
    model = nn.ModuleDict(dict(zip(names, tables, strict=True)) | {"norm": nn.LayerNorm(8, 1e-12)})
    arrays = {
        f"{name}__weight": draw(1240, t.num_embeddings, 8)
        for name, t in model.items()
        if name in names
    }
    load(model, **arrays, norm__weight=1 + draw(1243, 8), norm__bias=draw(1244, 8))

    def embeddings(input_ids, token_type_ids):
        position = model["place"](torch.arange(input_ids.shape[1]))
        e = model["word"](input_ids) + position + model["kind"](token_type_ids)
        return model["norm"](e)

    return embeddings


def transformers_15841_in_flax(bug):
    norm = flax.linen.LayerNorm(1e-5 if bug == "epsilon of LayerNorm" else 1e-12)
    words, places, kinds = (jnp.asarray(draw(1240, n, 8)) for n in (17, 12, 2))
    params = {"scale": jnp.asarray(1 + draw(1243, 8)), "bias": jnp.asarray(draw(1244, 8))}

    def begin(ids, kind_ids):
        start = 2 if bug == "positions from 2" else 0
        located = places[start + jnp.arange(ids.shape[1])]
        kind = kinds[0 * kind_ids] if bug == "kinds ignored" else kinds[kind_ids]
        summed = words[ids] + located + kind
        return norm.apply({"params": params}, summed)

    return begin


def ids_and_kinds(rng):
    return rng.integers(0, 17, size=(2, 6)), rng.integers(0, 2, size=(2, 6))


def relu_gradient():
    """The gradient of the largest of a number and zero, where many are zero."""
    return lambda x: torch.func.grad(lambda v: (F.relu(v) * torch.cos(v)).sum())(x)


def relu_gradient_in_jax(bug):
    def slope(points):
        def total(v):
            kept = jnp.maximum(v, 0) if bug == "half at the tie" else jax.nn.relu(v)
            return (kept * jnp.cos(v)).sum()

        return jax.grad(total)(points)

    return slope


def with_zeros(rng):
    return (np.maximum(rng.normal(size=(5, 7)), 0).astype(np.float32),)


GRADIENT = ("output", "gradient returns", "jax.grad")
PORTS = (
    *ports(
        "threads/jax 11790, a convolution",
        jax_11790,
        jax_11790_in_lax,
        image,
        Bug("kernel of [in, out]", ("out in", "conv_general_dilated", "test_conv returns")),
        Bug("bias forgotten", ("test_conv returns", "out in")),
    ),
    *ports(
        "threads/flax 963, ones",
        flax_963,
        flax_963_in_linen,
        lambda rng: (np.ones(2048, np.float32),),
        Bug("kernel reshaped", ("apply", "Dense")),
    ),
    *ports(
        "threads/jax 22101, a gradient",
        jax_22101,
        jax_22101_in_jax,
        normal((7, 3), (7, 2)),
        Bug("deviation without gradient", GRADIENT),
        Bug("action without gradient", GRADIENT),
        Bug("1e-6 within the logarithm", (*GRADIENT, "density")),
    ),
    *ports(
        "threads/gradient at a tie",
        relu_gradient,
        relu_gradient_in_jax,
        with_zeros,
        Bug("half at the tie", ("output", "slope returns", "jax.grad")),
    ),
    *ports(
        "threads/openpi 810 and 824, bfloat16",
        openpi_810,
        openpi_810_converted,
        normal((4, 7)),
        Bug("stored in bfloat16", ("wide.T", "inner")),
        Bug("computed in bfloat16", ("active",)),
    ),
    *ports(
        "threads/transformers 15841, BERT",
        transformers_15841,
        transformers_15841_in_flax,
        ids_and_kinds,
        Bug("epsilon of LayerNorm", ("norm",)),
        Bug("positions from 2", ("located", "position in")),
        Bug("kinds ignored", ("kind in", "model['kind']", 'model["kind"]')),
    ),
)
