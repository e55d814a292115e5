"""Attention: packed against separate, heads looped against batched, fused against written out."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F
from ports import Bug, draw, load, normal, ports
from torch import nn

WIDTH, HEADS, SIZE = 15, 3, 5


class CausalSelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in "qkv")
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (f(x).view(b, t, HEADS, SIZE).transpose(1, 2) for f in (self.q, self.k, self.v))
        att = (q @ k.transpose(-2, -1)) / SIZE**0.5
        att = att.masked_fill(torch.ones(t, t).tril() == 0, float("-inf"))
        att = F.softmax(att, dim=-1)
        y = (att @ v).transpose(1, 2).reshape(b, t, c)
        return self.proj(y)


def causal_self_attention():
    weights = {f"{name}__weight": draw(n, WIDTH, WIDTH) for n, name in enumerate("qkv")}
    weights |= {f"{name}__bias": draw(n, WIDTH) for n, name in enumerate("qkv")}
    last = {"proj__weight": draw(70, WIDTH, WIDTH), "proj__bias": draw(70, WIDTH)}
    return load(CausalSelfAttention(), **weights, **last)


def packed_attention(bug):
    """One product for all three, in JAX; the query is scaled, not the scores."""
    w_in = np.concatenate([draw(n, WIDTH, WIDTH).T for n in range(3)], axis=1)
    b_in = np.concatenate([draw(n, WIDTH) for n in range(3)])
    for name, start in (("bias of q forgotten", 0), ("bias of k forgotten", WIDTH)):
        if bug == name:
            b_in[start : start + WIDTH] = 0
    order = (1, 0, 2) if bug == "K and Q swapped" else (0, 1, 2)
    w_in, b_in, w_out = jnp.asarray(w_in), jnp.asarray(b_in), jnp.asarray(draw(70, WIDTH, WIDTH).T)
    b_out, scale = jnp.asarray(draw(70, WIDTH)), 1 if bug == "scale missing" else SIZE**-0.5
    if bug == "scale of the width":
        scale = WIDTH**-0.5

    def split(flat):
        if bug == "heads by reshape":
            return flat.reshape(len(flat), HEADS, -1, SIZE)
        return flat.reshape(*flat.shape[:2], HEADS, SIZE).swapaxes(1, 2)

    def mixer(states):
        merged = states @ w_in + b_in
        thirds = jnp.split(merged, 3, axis=-1)
        query, keys, values = (split(thirds[n]) for n in order)
        query = query * scale
        similarity = jnp.einsum("bhqd,bhkd->bhqk", query, keys)
        rows = jnp.arange(states.shape[1])
        offset = 1 if bug == "causal off by one" else 0
        visible = rows[:, None] + offset >= rows[None, :]
        if bug == "mask of the other side":
            visible = visible.T
        masked = jnp.where(visible, similarity, -jnp.inf)
        portions = jax.nn.softmax(masked, axis=-2 if bug == "softmax over queries" else -1)
        gathered = jnp.einsum("bhqk,bhkd->bqhd", portions, values)
        if bug == "heads merged without transpose":
            gathered = gathered.swapaxes(1, 2)
        together = gathered.reshape(states.shape)
        return together @ w_out + b_out

    return mixer


def multihead_module():
    """PyTorch's own module, whose inside Python does not see."""
    module = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    packed = {"in_proj_weight": draw(80, 3 * WIDTH, WIDTH), "in_proj_bias": draw(80, 3 * WIDTH)}
    last = {"out_proj__weight": draw(81, WIDTH, WIDTH), "out_proj__bias": draw(81, WIDTH)}
    load(module, **packed, **last)
    return lambda x, memory: module(x, memory, memory, need_weights=False)[0]


def looped_heads(bug):
    """Each sample and each head on its own, in NumPy."""
    w, b, w_last = draw(80, 3 * WIDTH, WIDTH), draw(80, 3 * WIDTH), draw(81, WIDTH, WIDTH)
    last = draw(81, WIDTH)

    def head(asking, offering, n):
        places = [
            slice(part * WIDTH + n * SIZE, part * WIDTH + (n + 1) * SIZE) for part in range(3)
        ]
        if bug == "packed head by head":
            places = [slice((3 * n + part) * SIZE, (3 * n + part + 1) * SIZE) for part in range(3)]
        sought = asking @ w[places[0]].T + b[places[0]]
        found = offering @ w[places[1]].T + b[places[1]]
        carried = offering @ w[places[2]].T + b[places[2]]
        likeness = sought @ found.T / (SIZE if bug == "divided twice" else SIZE**0.5)
        powers = np.exp(likeness - likeness.max(axis=-1, keepdims=True))
        if bug == "one more in the sum":
            return powers / (1 + powers.sum(axis=-1, keepdims=True)) @ carried
        return powers / powers.sum(axis=-1, keepdims=True) @ carried

    def attend(queries, context):
        rows = []
        for asking, offering in zip(queries, context, strict=True):
            source = asking if bug == "self for cross" else offering
            heads = [head(asking, source, n) for n in range(HEADS)]
            rows.append(np.concatenate(heads, axis=-1))
        joined = np.stack(rows)
        return joined @ (w_last if bug == "last kernel not transposed" else w_last.T) + last

    return attend


def grouped_queries():
    """Four heads of queries to two of keys, through PyTorch's fused call."""
    return lambda q, k, v, keep: F.scaled_dot_product_attention(
        q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), attn_mask=keep
    )


def grouped_einsum(bug):
    def attend(asked, offered, carried, allowed):
        if bug == "groups tiled":
            many_k, many_v = (jnp.tile(a, (1, 2, 1, 1)) for a in (offered, carried))
        else:
            many_k, many_v = (jnp.repeat(a, 2, axis=1) for a in (offered, carried))
        likeness = jnp.einsum("bhqd,bhkd->bhqk", asked, many_k) / jnp.sqrt(asked.shape[-1])
        if bug == "mask added":
            biased = likeness + allowed
        else:
            closed = allowed if bug == "mask of the other polarity" else ~allowed
            biased = likeness - 1e30 * closed
        share = jax.nn.softmax(biased)
        if bug == "mask after the softmax":
            share = jax.nn.softmax(likeness) * allowed
        return jnp.einsum("bhqk,bhkd->bhqd", share, many_v)

    return attend


def grouped_inputs(rng):
    q, k, v = normal((2, 4, 5, 3), (2, 2, 7, 3), (2, 2, 7, 3))(rng)
    keep = rng.random((2, 1, 5, 7)) < 0.6
    keep[..., 0] = True  # a row without a key has no attention
    return q, k, v, keep


MODULE = ("MultiheadAttention output", "module(x")  # all that there is to see of it
PORTS = (
    *ports(
        "attention/causal, packed in JAX",
        causal_self_attention,
        packed_attention,
        normal((2, 7, WIDTH)),
        Bug("scale missing", ("similarity",)),
        Bug("scale of the width", ("similarity",)),
        Bug("softmax over queries", ("portions",)),
        Bug("heads by reshape", ("keys", "query", "split"), "other order"),
        Bug("heads merged without transpose", ("together", "gathered"), "other order"),
        Bug("K and Q swapped", ("similarity", "query", "thirds")),
        Bug("causal off by one", ("masked", "visible")),
        Bug("mask of the other side", ("masked", "visible")),
        Bug("bias of q forgotten", ("merged", "thirds", "flat")),
        Bug("bias of k forgotten", (), "same function"),  # a softmax does not see it
    ),
    *ports(
        "attention/MultiheadAttention, NumPy loops",
        multihead_module,
        looped_heads,
        normal((2, 5, WIDTH), (2, 7, WIDTH)),
        Bug("packed head by head", MODULE),
        Bug("divided twice", MODULE),
        Bug("one more in the sum", MODULE),
        Bug("self for cross", MODULE),
        Bug("last kernel not transposed", MODULE),
    ),
    *ports(
        "attention/grouped queries, einsum",
        grouped_queries,
        grouped_einsum,
        grouped_inputs,
        Bug("groups tiled", ("many_k", "many_v", "repeat_interleave", "jnp.tile"), "other order"),
        Bug("mask added", ("likeness", "biased", "share", "scaled_dot_product")),
        Bug("mask of the other polarity", ("biased", "share", "scaled_dot_product")),
        Bug("mask after the softmax", ("share", "scaled_dot_product")),
    ),
)
