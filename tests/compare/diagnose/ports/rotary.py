"""Positions that turn or bend the scores: rotary halves, pairs and complex numbers, ALiBi, T5."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import torch
from ports import Bug, draw, normal, ports

STEPS, SIZE = 7, 6


def rotate_half(x):
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat((-x2, x1), dim=-1)


def llama():
    """Rotary positions of halves, [batch, heads, steps, channels], in the words of transformers."""

    def scores(q, k):
        inv_freq = 1.0 / (10000.0 ** (torch.arange(0, SIZE, 2, dtype=q.dtype) / SIZE))
        freqs = torch.outer(torch.arange(STEPS, dtype=q.dtype), inv_freq)
        emb = torch.cat((freqs, freqs), dim=-1)
        cos, sin = emb.cos(), emb.sin()
        q_embed = q * cos + rotate_half(q) * sin
        k_embed = k * cos + rotate_half(k) * sin
        return q_embed @ k_embed.mT

    return scores


def complex_rotary(bug):
    """The same, [batch, steps, heads, channels], by products of complex numbers."""

    def turn(vectors):
        exponents = np.arange(SIZE // 2) / (
            SIZE if bug == "frequencies of half the size" else SIZE / 2
        )
        base = 5e5 if bug == "base of Llama 3" else 1e4
        steps = np.arange(STEPS) + (1 if bug == "from 1" else 0)
        sign = -1j if bug == "sign of the sine" else 1j
        phase = np.exp(sign * np.outer(steps, base**-exponents))[:, None]
        if bug == "pairs for halves":
            whole = (vectors[..., ::2] + 1j * vectors[..., 1::2]) * phase
            return np.stack([whole.real, whole.imag], axis=-1).reshape(vectors.shape)
        whole = (vectors[..., : SIZE // 2] + 1j * vectors[..., SIZE // 2 :]) * phase
        return np.concatenate([whole.real, whole.imag], axis=-1)

    def similarity(queries, keys):
        asked, offered = (v.swapaxes(1, 2) for v in (queries, keys))
        spun = turn(asked)
        turned = offered if bug == "keys not turned" else turn(offered)
        return np.einsum("bqhd,bkhd->bhqk", spun, turned)

    return similarity


def gptj():
    """Rotary positions of pairs on a part of the channels, then a projection."""
    weight = torch.from_numpy(draw(900, 5, SIZE + 4))

    def keys(x):
        theta = torch.arange(STEPS, dtype=x.dtype)[:, None] * 10000.0 ** (
            -torch.arange(0, SIZE, 2, dtype=x.dtype) / SIZE
        )
        sin, cos = theta.sin().repeat_interleave(2, -1), theta.cos().repeat_interleave(2, -1)
        head, rest = x[..., :SIZE], x[..., SIZE:]
        swapped = torch.stack((-head[..., 1::2], head[..., ::2]), dim=-1).flatten(-2)
        return torch.cat((head * cos + swapped * sin, rest), dim=-1) @ weight.T

    return keys


def matrices(bug):
    """A matrix of rotation for each step."""
    table = jnp.asarray(draw(900, 5, SIZE + 4).T)

    def rotation(step, width):
        count = jnp.arange(SIZE // 2).astype(table.dtype)
        angle = step * 1e4 ** (-2 * count / (width if bug == "size of the whole head" else SIZE))
        c, s = jnp.cos(angle), jnp.sin(angle)
        c, s = (s, c) if bug == "sine and cosine swapped" else (c, s)
        blocks = jnp.stack([jnp.stack([c, -s], -1), jnp.stack([s, c], -1)], -2)
        if bug == "transposed":
            blocks = blocks.swapaxes(-1, -2)
        return jax.scipy.linalg.block_diag(*blocks, jnp.eye(width - SIZE))

    def project(vectors):
        width = vectors.shape[-1]
        turns = jnp.stack([rotation(step, width) for step in range(STEPS)])
        turned = jnp.einsum("tij,btj->bti", turns, vectors)
        if bug == "the last channels turned":
            turned = jnp.einsum("tij,btj->bti", turns, vectors[..., ::-1])[..., ::-1]
        return turned @ table

    return project


def alibi():
    def bias(scores):
        heads, steps = scores.shape[1], scores.shape[-1]
        slopes = torch.tensor([2.0 ** (-8.0 * (n + 1) / heads) for n in range(heads)]).to(scores)
        distance = torch.arange(steps)[None, :] - torch.arange(steps)[:, None]
        out = scores + slopes[:, None, None] * distance
        return out.masked_fill(distance > 0, -torch.inf).softmax(-1)

    return bias


def alibi_in_numpy(bug):
    def share(likeness):
        result = np.zeros_like(likeness)
        heads = likeness.shape[1] - (1 if bug == "heads from 0" else 0)
        for n in range(likeness.shape[1]):
            slope = 2 ** (-8 / heads * (n + (0 if bug == "heads from 0" else 1)))
            for row in range(likeness.shape[2]):
                far = row - np.arange(row + 1)
                penalty = slope * (np.abs(far) ** 2 if bug == "squared" else far)
                if bug == "sign":
                    penalty = -penalty
                line = likeness[:, n, row, : row + 1] - penalty
                powers = np.exp(line - line.max(-1, keepdims=True))
                result[:, n, row, : row + 1] = powers / powers.sum(-1, keepdims=True)
        return result

    return share


def buckets():
    """T5's distances, of which the far ones share a bucket; both directions."""
    table = torch.from_numpy(draw(910, 8, 3))

    def relative_bias(scores):
        steps = scores.shape[-1]
        n = torch.arange(steps)[None, :] - torch.arange(steps)[:, None]
        ret, n = (n > 0).long() * 4, n.abs()
        large = 2 + (torch.log(n.float().clamp(min=1) / 2) / math.log(16 / 2) * 2).long()
        index = ret + torch.where(n < 2, n, large.clamp(max=3))
        return scores + table[index].permute(2, 0, 1)

    return relative_bias


def buckets_in_jax(bug):
    table = jnp.asarray(draw(910, 8, 3))

    def bend(likeness):
        rows = jnp.arange(likeness.shape[-1])
        apart = (
            rows[:, None] - rows[None, :] if bug == "from key to query" else rows - rows[:, None]
        )
        far = jnp.abs(apart)
        edges = jnp.array([1, 2, 6 if bug == "another edge" else 6 - 1 / 3])  # 2 * 8 ** 0.5 = 5.66
        bucket = jnp.searchsorted(edges, far, side="right") + 4 * (apart > 0)
        if bug == "one direction":
            bucket = jnp.searchsorted(edges, far, side="right")
        return likeness + jnp.moveaxis(table[bucket], -1, 0)

    return bend


ANGLES = ("phase", "whole", "spun", "q_embed", "inv_freq")
PORTS = (
    *ports(
        "rotary/halves, complex NumPy",
        llama,
        complex_rotary,
        normal((2, 3, STEPS, SIZE), (2, 3, STEPS, SIZE)),
        Bug("frequencies of half the size", ANGLES),
        Bug("base of Llama 3", ANGLES),
        Bug("from 1", (), "same function"),  # scores depend on the distance alone
        Bug("sign of the sine", ANGLES),
        Bug("pairs for halves", ANGLES),
        Bug("keys not turned", ("k_embed", "similarity returns", "np.einsum")),
    ),
    *ports(
        "rotary/pairs on a part, matrices",
        gptj,
        matrices,
        normal((2, STEPS, SIZE + 4)),
        Bug("size of the whole head", ("angle in", "turns in", "turned in")),
        Bug("sine and cosine swapped", ("turned", "turns", "blocks", "c in", "rotation")),
        Bug("transposed", ("turned", "turns", "blocks", "rotation")),
        Bug("the last channels turned", ("turned", "project returns", "torch.cat")),
    ),
    *ports(
        "rotary/ALiBi, NumPy loops",
        alibi,
        alibi_in_numpy,
        normal((2, 3, 5, 5)),
        Bug("heads from 0", ("slope", "penalty", "line", "out in")),
        Bug("squared", ("penalty", "line", "out in", "result")),
        Bug("sign", ("penalty", "line", "out in", "result")),
    ),
    *ports(
        "rotary/T5's buckets, searchsorted",
        buckets,
        buckets_in_jax,
        normal((2, 3, 9, 9)),
        Bug("from key to query", ("table[bucket]", "table[index]"), "other order"),
        Bug("one direction", ("table[bucket]", "table[index]", "bend returns", "moveaxis")),
    ),
)
