"""Look-ups in tables: words, positions, tied heads, buckets of distances."""

import math

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import torch
from ports import Bug, draw, load, ports
from torch import nn

WORDS, WIDTH, LONGEST = 17, 6, 11


def token_ids(rng):
    return (rng.integers(0, WORDS, size=(3, 7)),)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(WORDS, WIDTH), nn.Embedding(LONGEST, WIDTH)
        self.lm_head = nn.Linear(WIDTH, WORDS, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx):
        x = self.wte(idx) * math.sqrt(WIDTH) + self.wpe(torch.arange(idx.shape[1]))
        return self.lm_head(torch.tanh(x))


def tied():
    table = draw(700, WORDS, WIDTH)
    return load(
        Tied(), wte__weight=table, lm_head__weight=table, wpe__weight=draw(701, LONGEST, WIDTH)
    )


class LinenTied(flax.linen.Module):
    bug: str | None

    @flax.linen.compact
    def __call__(self, tokens):
        table = flax.linen.Embed(WORDS, WIDTH, name="vocabulary")
        where = self.param("where", lambda key: jnp.zeros((LONGEST, WIDTH)))
        length = tokens.shape[1]
        start = 1 if self.bug == "positions off by one" else 0
        chosen = table(tokens)
        large = chosen if self.bug == "scale missing" else chosen * WIDTH**0.5
        if self.bug == "positions scaled too":
            large = (chosen + where[:length]) * WIDTH**0.5
        placed = large + where[start : start + length]
        bounded = jnp.tanh(placed)
        if self.bug == "head of its own":
            own = flax.linen.Dense(WORDS, use_bias=False, name="own")
            return own(bounded)
        return table.attend(bounded)


def tied_in_linen(bug):
    model, table = LinenTied(bug), draw(700, WORDS, WIDTH)
    params = {"vocabulary": {"embedding": table}, "where": draw(701, LONGEST, WIDTH)}
    params["own"] = {"kernel": draw(702, WIDTH, WORDS)}
    params = jax.tree.map(jnp.asarray, params)
    return lambda tokens: model.apply({"params": params}, tokens)


class Padded(nn.Module):
    """Positions counted from the first word, as RoBERTa does, and the mean of the words."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH, padding_idx=1)
        self.places = nn.Embedding(LONGEST, WIDTH, padding_idx=1)

    def forward(self, ids):
        real = ids.ne(1)
        places = torch.cumsum(real, dim=1) * real + 1
        total = self.words(ids) + self.places(places)
        return (total * real.unsqueeze(-1)).sum(1) / real.sum(1, keepdim=True)


def padded():
    return load(
        Padded(), words__weight=draw(710, WORDS, WIDTH), places__weight=draw(711, LONGEST, WIDTH)
    )


def padded_in_numpy(bug):
    words, offsets = draw(710, WORDS, WIDTH), draw(711, LONGEST, WIDTH)

    def pool(sentences):
        means = []
        for sentence in sentences:
            kept = sentence[sentence != (0 if bug == "padding is 0" else 1)]
            first = {"positions from 0": 0, "positions from 1": 1}.get(bug, 2)
            both = words[kept] + offsets[first + np.arange(len(kept))]
            count = len(sentence) if bug == "mean over the padding" else len(kept)
            means.append(both.sum(0) / count)
        return np.stack(means)

    return pool


def sentences(rng):
    ids = rng.integers(2, WORDS, size=(4, 6))
    for row, length in zip(ids, (6, 4, 3, 5), strict=True):
        row[length:] = 1
    ids[:, 0] = 0  # the word at the beginning
    return (ids,)


def sinusoids():
    """The positions of Vaswani et al., added to words."""
    table = torch.from_numpy(draw(720, WORDS, WIDTH))

    def embed(ids):
        pos = torch.arange(ids.shape[1], dtype=table.dtype)[:, None]
        div = torch.exp(torch.arange(0, WIDTH, 2, dtype=table.dtype) * (-math.log(10000.0) / WIDTH))
        pe = torch.zeros(ids.shape[1], WIDTH, dtype=table.dtype)
        pe[:, 0::2], pe[:, 1::2] = torch.sin(pos * div), torch.cos(pos * div)
        return table[ids] + pe

    return embed


def sinusoids_in_jax(bug):
    table = jnp.asarray(draw(720, WORDS, WIDTH))

    def embed(tokens):
        steps = jnp.arange(tokens.shape[1]) + (1 if bug == "counted from 1" else 0)
        pairs = jnp.arange(WIDTH // 2)
        last = WIDTH // 2 - 1 if bug == "one frequency less" else WIDTH / 2
        period = 1e4 ** (pairs.astype(table.dtype) / last)
        angles = steps[:, None] / period
        waves = [jnp.sin(angles), jnp.cos(angles)]
        if bug == "halves for pairs":
            wave = jnp.concatenate(waves, axis=-1)
        else:
            wave = jnp.stack(waves, axis=-1).reshape(len(steps), WIDTH)
        picked = jax.nn.one_hot(tokens, WORDS, dtype=table.dtype) @ table
        return picked + wave

    return embed


PORTS = (
    *ports(
        "embedding/tied head, linen",
        tied,
        tied_in_linen,
        token_ids,
        Bug("positions off by one", ("where[start", "placed")),
        Bug("scale missing", ("placed", "large")),
        Bug("positions scaled too", ("placed", "large")),
        Bug("head of its own", ("own", "lm_head")),
    ),
    *ports(
        "embedding/padded, NumPy loops",
        padded,
        padded_in_numpy,
        sentences,
        Bug("padding is 0", ("kept", "both", "total", "self.places")),
        Bug("positions from 0", ("both", "offsets", "total", "self.places")),
        Bug("positions from 1", ("both", "offsets", "total", "self.places")),
        Bug("mean over the padding", ("means", "pool returns", "np.stack")),
    ),
    *ports(
        "embedding/sinusoids, one-hot",
        sinusoids,
        sinusoids_in_jax,
        token_ids,
        Bug("counted from 1", ("angles", "steps", "wave")),
        Bug("one frequency less", ("/ last", "period", "angles", "wave")),
        Bug("halves for pairs", ("wave",), "other order"),
    ),
)
