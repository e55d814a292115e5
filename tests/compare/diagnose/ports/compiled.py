"""JAX against JAX and against itself compiled, and what float32 alone cannot hold."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from ports import Bug, Port, draw, normal, ports


def scores_of(factor):
    """Attention of three channels; with 1e5 the scores are 1e10, and float32 is fine with them."""
    keys, queries, values = factor * draw(1250, 3, 3), factor * draw(1251, 3, 3), draw(1252, 3, 3)

    def attend(x):
        scores = (x @ queries) @ (x @ keys).mT / 3**0.5
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True) @ (x @ values)

    return attend


def compiled_scores_of(factor, bug):
    """XLA computes the scores twice, and contracts one with the subtraction: see jax 37234."""
    keys, queries = jnp.asarray(factor * draw(1250, 3, 3)), jnp.asarray(factor * draw(1251, 3, 3))
    values = jnp.asarray(draw(1252, 3, 3))

    axis = -2 if bug == "softmax over queries" else -1

    @jax.jit
    def mingle(rows):
        likeness = (rows @ queries) @ (rows @ keys).mT / 3**0.5
        powers = jnp.exp(likeness - likeness.max(axis=axis, keepdims=True))
        shares = powers / powers.sum(axis=axis, keepdims=True)
        return shares @ (rows @ values)

    return mingle


def safe_softmax():
    return lambda v: torch.softmax(v, dim=-1)


def naive_softmax():
    """Without the maximum subtracted: exp(89) is more than float32 holds."""

    def shares(points):
        powers = jnp.exp(points)
        return powers / powers.sum(-1, keepdims=True)

    return shares


def hundreds(rng):
    return (120 + 20 * rng.normal(size=(3, 7)).astype(np.float32),)


def batched():
    """A bilinear form of two samples, a layer on top."""
    middle, last = jnp.asarray(draw(1260, 5, 5, 5)), jnp.asarray(draw(1261, 5, 5))
    return lambda x, y: jnp.tanh(jnp.einsum("bi,ijk,bk->bj", x, middle, y)) @ last


def mapped(bug):
    """The same by jax.vmap over one sample, and jax.lax.map over the outputs."""
    tensor, final = jnp.asarray(draw(1260, 5, 5, 5)), jnp.asarray(draw(1261, 5, 5))
    if bug == "final transposed":
        final = final.T

    def one(a, c):
        slices = tensor.swapaxes(0, 2) if bug == "sides swapped" else tensor
        form = jax.lax.map(lambda part: a @ part @ c, slices.swapaxes(0, 1))
        bent = form if bug == "tanh forgotten" else jnp.tanh(form)
        return bent @ final

    return jax.vmap(one)


def power_series(bug):
    """A loop of the compiler's, whose inside nobody sees."""

    def exponential(square):
        def more(carry):
            n, term, total = carry
            term = term @ square / (n + (1 if bug == "one further" else 0))
            return n + 1, term, total + term

        start = jnp.broadcast_to(jnp.eye(square.shape[-1], dtype=square.dtype), square.shape)
        count = 7 if bug == "too few terms" else 40
        return jax.lax.while_loop(lambda carry: carry[0] < count, more, (1, start, start))[2]

    return exponential


def matrix_exponential():
    return lambda m: torch.matrix_exp(m)


def matrices(rng):
    return (0.3 * rng.normal(size=(2, 5, 5)).astype(np.float32),)


PORTS = (
    *ports(
        "compiled/attention under jit",
        lambda: scores_of(1.0),
        lambda bug: compiled_scores_of(1.0, bug),
        normal((2, 7, 3)),
        Bug("softmax over queries", ("likeness.max", "powers")),
    ),
    Port(
        "compiled/scores of 1e10: NaN under jit",
        lambda: scores_of(1e5),
        lambda: compiled_scores_of(1e5, None),
        normal((2, 7, 3)),
        "only compiled",
    ),
    Port(
        "compiled/softmax without a maximum",
        safe_softmax,
        naive_softmax,
        hundreds,
        "not finite",
    ),
    *ports(
        "compiled/vmap and map",
        batched,
        mapped,
        normal((3, 5), (3, 5)),
        Bug("sides swapped", ("form", "einsum")),
        Bug("tanh forgotten", ("bent", "jnp.tanh")),
        Bug("final transposed", ("one returns", "output", "mapped")),
    ),
    *ports(
        "compiled/while loop",
        matrix_exponential,
        power_series,
        matrices,
        Bug("one further", ("term", "total", "output", "while_loop")),
        Bug("too few terms", ("total", "output", "while_loop")),
    ),
)
