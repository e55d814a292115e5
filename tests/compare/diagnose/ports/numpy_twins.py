"""Plain functions against NumPy twins, and precision that is lost on the way."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F
from ports import Bug, draw, load, normal, ports
from torch import nn

CHANNELS, STATES = 5, 3


def state_space():
    """Mamba's recurrence, written for one that reads it."""
    a, d = torch.from_numpy(draw(1100, CHANNELS, STATES)), torch.from_numpy(draw(1101, CHANNELS))

    def selective_scan(u, delta, b, c):
        delta = F.softplus(delta)
        da = torch.exp(delta.unsqueeze(-1) * -torch.exp(a))
        db_u = (delta * u).unsqueeze(-1) * b.unsqueeze(2)
        x, ys = torch.zeros_like(db_u[:, 0]), []
        for i in range(u.shape[1]):
            x = da[:, i] * x + db_u[:, i]
            ys.append((x * c[:, i].unsqueeze(1)).sum(-1))
        return torch.stack(ys, dim=1) + u * d

    return selective_scan


def state_space_in_numpy(bug):
    """The sum over all earlier steps at once."""
    logarithms, through = draw(1100, CHANNELS, STATES), draw(1101, CHANNELS)
    made_before = np.exp(logarithms)

    def respond(signal, raw, entry, exit_):
        pace = raw if bug == "softplus forgotten" else np.logaddexp(raw, 0)
        if bug == "pace of the step before":
            past = np.cumsum(pace, axis=1) - pace
        else:
            past = np.cumsum(pace, axis=1)
        rates = -(made_before if bug == "rates made in float32" else np.exp(logarithms))
        exponent = past[..., None] * rates
        gap = exponent[:, :, None] - exponent[:, None]
        steps = np.arange(signal.shape[1])
        later = steps[:, None] < steps[None, :]
        if bug != "acausal":
            gap = np.where(later[..., None, None], -np.inf, gap)
        driven = (signal if bug == "input not paced" else pace * signal)[..., None] * entry[
            :, :, None
        ]
        kept = np.einsum("btscn,bscn->btcn", np.exp(gap), driven)
        told = np.einsum("btcn,btn->btc", kept, exit_)
        return told if bug == "nothing passed through" else told + through * signal

    return respond


def ssm_inputs(rng):
    shapes = ((2, 7, CHANNELS), (2, 7, CHANNELS), (2, 7, STATES), (2, 7, STATES))
    return normal(*shapes)(rng)


def experts():
    """Two of four experts for each word, a loop over the experts."""
    gate, wide = torch.from_numpy(draw(1110, 4, 6)), torch.from_numpy(draw(1111, 4, 6, 6))

    def moe(x):
        weights, chosen = torch.topk(F.softmax(x @ gate.T, dim=-1), 2)
        weights = weights / weights.sum(-1, keepdim=True)
        out = torch.zeros_like(x)
        for e in range(4):
            rows, slot = torch.where(chosen == e)
            out[rows] += weights[rows, slot, None] * torch.tanh(x[rows] @ wide[e].T)
        return out

    return moe


def experts_in_jax(bug):
    """All experts for each word, and zero for those that were not chosen."""
    gate, wide = jnp.asarray(draw(1110, 4, 6)), jnp.asarray(draw(1111, 4, 6, 6))

    def mixture(words):
        likes = words @ gate.T
        best, which = jax.lax.top_k(likes, 1 if bug == "one expert" else 2)
        share = jax.nn.softmax(best)
        if bug == "not normalized":
            share = jnp.take_along_axis(jax.nn.softmax(likes), which, axis=-1)
        routed = jnp.zeros_like(likes).at[jnp.arange(len(words))[:, None], which].set(share)
        all_said = jnp.tanh(jnp.einsum("wc,eoc->weo", words, wide))
        if bug == "expert's kernel not transposed":
            all_said = jnp.tanh(jnp.einsum("wc,eco->weo", words, wide))
        return jnp.einsum("we,weo->wo", routed, all_said)

    return mixture


def patches():
    """ViT's first layer, and what undoes it."""
    embed, back = nn.Conv2d(3, 13, 4, stride=4), nn.Conv2d(13, 12, 1)
    load(embed, weight=draw(1120, 13, 3, 4, 4), bias=draw(1120, 13))
    load(back, weight=draw(1121, 12, 13, 1, 1), bias=draw(1121, 12))
    return nn.Sequential(embed, nn.Tanh(), back, nn.PixelShuffle(2)).eval()


def patches_in_numpy(bug):
    kernel, bias = draw(1120, 13, 3, 4, 4).reshape(13, -1), draw(1120, 13)
    last, last_bias = draw(1121, 12, 13, 1, 1)[:, :, 0, 0], draw(1121, 12)

    def through(image):
        n, c, high, wide = image.shape
        tiles = image.reshape(n, c, high // 4, 4, wide // 4, 4)
        order = (0, 2, 4, 3, 5, 1) if bug == "channels last in the patch" else (0, 2, 4, 1, 3, 5)
        flat = tiles.transpose(order).reshape(n, high // 4, wide // 4, -1)
        grid = np.tanh(flat @ kernel.T + bias)
        blocks = (grid @ last.T + last_bias).reshape(n, high // 4, wide // 4, 3, 2, 2)
        if bug == "block transposed":
            blocks = blocks.swapaxes(4, 5)
        if bug == "depth to space of TensorFlow":
            blocks = blocks.reshape(n, high // 4, wide // 4, 2, 2, 3).transpose(0, 1, 2, 5, 3, 4)
        return blocks.transpose(0, 3, 1, 4, 2, 5).reshape(n, 3, high // 2, wide // 2)

    return through


def logits():
    weight = torch.from_numpy(draw(1130, 9, 6))
    return lambda x: F.log_softmax(F.normalize(x, dim=-1) @ weight.T, dim=-1)


def logits_in_numpy(bug):
    """Where a port is cast to float32, float64 does not show the same function."""
    weight = draw(1130, 9, 6)

    def predict(features):
        length = np.sqrt((features**2).sum(-1, keepdims=True))
        unit = features / length
        if bug == "float32 unit vectors":
            unit = unit.astype(np.float32)
        marks = unit @ (weight.astype(np.float32) if bug == "float32 unit vectors" else weight).T
        if bug == "float32 scores":
            marks = marks.astype(np.float32)
        top = marks.max(-1, keepdims=True)
        powers = np.exp(marks - top)
        whole = np.log(powers.sum(-1, keepdims=True))
        chance = marks - top - whole
        return chance.astype(np.float32) if bug == "float32 result" else chance

    return predict


def logits_in_jax(bug):
    weight = jnp.asarray(draw(1130, 9, 6))

    def predict(features):
        square = jnp.sum(features**2, axis=-1, keepdims=True)
        if bug == "float32 square":
            square = square.astype(jnp.float32).astype(features.dtype)
        unit = features * jax.lax.rsqrt(square)
        marks = jnp.dot(unit, weight.T)
        if bug == "softmax in float32":
            chance = jax.nn.log_softmax(marks.astype(jnp.float32)).astype(features.dtype)
        else:
            chance = jax.nn.log_softmax(marks)
        return chance

    return predict


SLIP = "float32 within float64"
PORTS = (
    *ports(
        "twins/state space, NumPy",
        state_space,
        state_space_in_numpy,
        ssm_inputs,
        Bug("softplus forgotten", ("pace", "F.softplus", "delta")),
        Bug("pace of the step before", ("past", "exponent", "gap", "kept", "told", "ys", "x in")),
        Bug("acausal", ("kept", "told", "ys", "x in")),
        Bug("input not paced", ("driven", "db_u")),
        Bug("rates made in float32", ("rates", "exponent", "gap", "np.exp", "da in"), SLIP),
        Bug("nothing passed through", ("selective_scan returns", "respond returns", "u * d")),
    ),
    *ports(
        "twins/experts, JAX",
        experts,
        experts_in_jax,
        normal((9, 6)),
        Bug("one expert", ("best", "which", "chosen", "share", "routed", "weights")),
        Bug("not normalized", ("share", "routed", "weights")),
        Bug("expert's kernel not transposed", ("all_said", "out in", "torch.tanh")),
    ),
    *ports(
        "twins/patches, NumPy",
        patches,
        patches_in_numpy,
        normal((2, 3, 8, 12)),
        Bug("channels last in the patch", ("grid", "flat", "0 (Conv2d)", "1 (Tanh)")),
        Bug("block transposed", ("blocks", "through returns", "PixelShuffle"), "other order"),
        Bug(
            "depth to space of TensorFlow",
            ("blocks", "through returns", "PixelShuffle"),
            "other order",
        ),
    ),
    *ports(
        "twins/logits, NumPy",
        logits,
        logits_in_numpy,
        normal((4, 6)),
        Bug("float32 unit vectors", ("unit",), SLIP),
        Bug("float32 scores", ("marks",), SLIP),
        Bug("float32 result", ("predict returns", "output"), SLIP),
    ),
    *ports(
        "twins/logits, JAX",
        logits,
        logits_in_jax,
        normal((4, 6)),
        Bug("float32 square", ("square", "unit"), SLIP),
        Bug("softmax in float32", ("chance", "marks.astype"), SLIP),
    ),
)
