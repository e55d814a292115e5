"""Transformer layers: PyTorch's own against functions and modules of other names."""

from collections import namedtuple

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import torch
from ports import Bug, draw, load, normal, ports
from torch import nn

WIDTH, HEADS, INNER = 10, 2, 21
Layer = namedtuple("Layer", "w_in b_in w_out b_out w_up b_up w_down b_down g1 c1 g2 c2")


def numbers(seed):
    """Return the weights of a layer, of [out, in]."""
    shapes = ((3 * WIDTH, WIDTH), (3 * WIDTH,), (WIDTH, WIDTH), (WIDTH,), (INNER, WIDTH), (INNER,))
    arrays = [draw(seed + n, *shape) for n, shape in enumerate((*shapes, (WIDTH, INNER), (WIDTH,)))]
    norms = [draw(seed + 10 + n, WIDTH) + (n % 2 == 0) for n in range(4)]
    return Layer(*arrays, *(norm.astype(arrays[0].dtype) for norm in norms))


def torch_layer(seed, **options):
    layer = nn.TransformerEncoderLayer(
        WIDTH, HEADS, INNER, batch_first=True, activation="gelu", **options
    )
    names = "self_attn.in_proj_weight self_attn.in_proj_bias self_attn.out_proj.weight "
    names += "self_attn.out_proj.bias linear1.weight linear1.bias linear2.weight linear2.bias "
    names += "norm1.weight norm1.bias norm2.weight norm2.bias"
    return load(layer, **dict(zip(names.split(), numbers(seed), strict=True)))


def heads_of(flat):
    return flat.reshape(*flat.shape[:-1], HEADS, -1)


def mix(asking, offering, carried):
    """What jax.nn.dot_product_attention computes, without the float32 within it."""
    likeness = jnp.einsum("bqhd,bkhd->bhqk", asking, offering) * asking.shape[-1] ** -0.5
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(likeness), carried)


def jax_layer(weights, bug):
    """Return the layer as a function; the weights stay of [out, in]."""
    eps = 1e-6 if bug == "epsilon" else 1e-5

    def standardize(v, gain, shift):
        centred = v - v.mean(-1, keepdims=True)
        spread = jnp.square(centred).mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt(spread + eps) * gain + shift

    def mingle(v):
        pieces = jnp.split(v @ weights.w_in.T + weights.b_in, 3, axis=-1)
        if bug == "keys for values":
            pieces[2] = pieces[1]
        attend = jax.nn.dot_product_attention if bug == "attention of jax.nn" else mix
        gathered = attend(*(heads_of(piece) for piece in pieces))
        return gathered.reshape(v.shape) @ weights.w_out.T + weights.b_out

    def widen(v):
        inner = jax.nn.gelu(v @ weights.w_up.T + weights.b_up, approximate=bug == "gelu by tanh")
        return inner @ weights.w_down.T + weights.b_down

    def layer(stream):
        if bug == "pre-norm":
            stream = stream + mingle(standardize(stream, weights.g1, weights.c1))
            return stream + widen(standardize(stream, weights.g2, weights.c2))
        first, second = (weights.g1, weights.c1), (weights.g2, weights.c2)
        if bug == "norms swapped":
            first, second = second, first
        mingled = mingle(stream)
        settled = standardize(stream + mingled, *first)
        kept = stream if bug == "residual of the input" else settled
        summed = kept + widen(settled)
        return standardize(summed, *second)

    return layer


def post_norm():
    return torch_layer(100)


def post_norm_in_jax(bug):
    return jax_layer(Layer(*map(jnp.asarray, numbers(100))), bug)


def in_training(bug):
    """A refactoring of the same framework; the bug is that nobody called eval()."""
    model = torch_layer(100, dropout=0.2)
    return model.train() if bug == "dropout in training" else model


def scanned(bug):
    """Three layers as one scan over their stacked weights."""
    seeds = (100, 300, 200) if bug == "layers in another order" else (100, 200, 300)
    if bug == "one layer twice":
        seeds = (100, 200, 200)
    stacked = Layer(*(jnp.asarray(np.stack(a)) for a in zip(*map(numbers, seeds), strict=True)))
    if bug == "a layer too few":
        stacked = Layer(*(array[:2] for array in stacked))

    def tower(stream):
        def step(carried, weights):
            moved = jax_layer(weights, bug)(carried)
            return moved, moved

        return jax.lax.scan(step, stream, stacked)[0]

    return tower


def tower_of_torch():
    return nn.Sequential(*(torch_layer(seed) for seed in (100, 200, 300)))


class PreNorm(nn.Module):
    """A layer of ViT in the words of timm."""

    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH, eps=1e-6), nn.LayerNorm(WIDTH, eps=1e-6)
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, INNER), nn.GELU(), nn.Linear(INNER, WIDTH))
        self.cls = nn.Parameter(torch.from_numpy(draw(400, 1, 1, WIDTH)))

    def forward(self, x):
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        x = x + self.mlp(self.ln_2(x))
        return x[:, 0]


def pre_norm():
    names = "attn.in_proj_weight attn.in_proj_bias attn.out_proj.weight attn.out_proj.bias "
    names += "mlp.0.weight mlp.0.bias mlp.2.weight mlp.2.bias ln_1.weight ln_1.bias ln_2.weight "
    arrays = dict(zip([*names.split(), "ln_2.bias"], numbers(500), strict=True))
    return load(PreNorm(), **arrays, cls=draw(400, 1, 1, WIDTH))


class Linen(flax.linen.Module):
    bug: str | None

    @flax.linen.compact
    def __call__(self, patches):
        token = self.param("token", lambda key: jnp.zeros((1, 1, WIDTH)))
        front = jnp.broadcast_to(token, (len(patches), 1, WIDTH))
        parts = [patches, front] if self.bug == "token at the end" else [front, patches]
        stream = jnp.concatenate(parts, axis=1)
        for name in ("first", "second"):
            epsilon = 1e-5 if self.bug == "epsilon of PyTorch" and name == "second" else 1e-6
            calm = flax.linen.LayerNorm(epsilon, use_fast_variance=False, name=f"{name}_norm")(
                stream
            )
            change = self.mingle(calm) if name == "first" else self.widen(calm)
            base = calm if self.bug == "residual of the normalized" else stream
            stream = base + change
        return stream.mean(1) if self.bug == "mean for the token" else stream[:, 0]

    def mingle(self, calm):
        sides = [flax.linen.DenseGeneral((HEADS, WIDTH // HEADS), name=n)(calm) for n in "abc"]
        mixed = mix(*sides)
        return flax.linen.DenseGeneral(WIDTH, axis=(-2, -1), name="joined")(mixed)

    def widen(self, calm):
        inner = flax.linen.gelu(flax.linen.Dense(INNER, name="wide")(calm), approximate=False)
        return flax.linen.Dense(WIDTH, name="narrow")(inner)


def pre_norm_in_linen(bug):
    w = numbers(500)
    kernels, biases = np.split(w.w_in, 3), np.split(w.b_in, 3)
    params = {
        name: {"kernel": heads_of(kernel.T), "bias": heads_of(bias)}
        for name, kernel, bias in zip("abc", kernels, biases, strict=True)
    }
    params["joined"] = {"kernel": w.w_out.T.reshape(HEADS, -1, WIDTH), "bias": w.b_out}
    params |= {"wide": {"kernel": w.w_up.T, "bias": w.b_up}, "token": draw(400, 1, 1, WIDTH)}
    params["narrow"] = {"kernel": w.w_down.T, "bias": w.b_down}
    params |= {
        "first_norm": {"scale": w.g1, "bias": w.c1},
        "second_norm": {"scale": w.g2, "bias": w.c2},
    }
    model, variables = Linen(bug), {"params": jax.tree.map(jnp.asarray, params)}
    return lambda patches: model.apply(variables, patches)


PORTS = (
    *ports(
        "encoder/TransformerEncoderLayer, JAX",
        post_norm,
        post_norm_in_jax,
        normal((2, 5, WIDTH)),
        Bug("epsilon", ("settled", "norm1", "standardize")),
        Bug("gelu by tanh", ("inner", "linear2 input", "jax.nn.gelu(")),
        Bug("keys for values", ("gathered", "mingle returns", "self_attn[0]")),
        Bug("pre-norm", ("standardize", "norm1", "self_attn[0]", "mingle returns")),
        Bug(
            "attention of jax.nn",
            ("gathered", "self_attn[0]", "mingle returns"),
            "float32 within float64",
        ),
        Bug("norms swapped", ("settled", "norm1", "standardize")),
        Bug("residual of the input", ("summed", "norm2")),
    ),
    *ports(
        "encoder/TransformerEncoderLayer, torch",
        post_norm,
        in_training,
        normal((2, 5, WIDTH)),
        Bug("dropout in training", (), "cannot tell"),
    ),
    *ports(
        "encoder/three layers, scan",
        tower_of_torch,
        scanned,
        normal((2, 5, WIDTH)),
        Bug("layers in another order", ("1.self_attn[0]", "mingled", "pieces", "heads_of")),
        Bug("one layer twice", ("2.self_attn[0]", "mingled", "pieces", "heads_of")),
        Bug("a layer too few", ("2.", "output", "tower returns")),
        Bug("residual of the input", ("summed", "norm2")),
    ),
    *ports(
        "encoder/pre-norm, linen",
        pre_norm,
        pre_norm_in_linen,
        normal((2, 4, WIDTH)),
        Bug("token at the end", ("stream", "torch.cat"), "other order"),
        Bug("epsilon of PyTorch", ("second_norm", "calm", "ln_2")),
        Bug("residual of the normalized", ("stream", "base", "x in")),
        Bug("mean for the token", ("returns", "mean", "output")),
    ),
)
