"""Divergences of embeddings: how they start, padding, and indices that are out of range."""

import numpy as np

from compare.catalogue.divergences.records import FLAX_DOCS, TORCH_DOCS, Divergence, Raised

EMBEDDINGS = (
    Divergence(
        name="embedding_start",
        title="An embedding starts at deviation 1 in PyTorch, 1 / sqrt(features) in Flax",
        what="Tied to the output layer, PyTorch's start makes logits sqrt(features) times as "
        "large, and the first loss with them. Deviations with 256 features:",
        pytorch="torch.manual_seed(0)\nnn.Embedding(1000, 256).weight.std()",
        jax="nnx.Embed(1000, 256, rngs=nnx.Rngs(0)).embedding[...].std()",
        expect=lambda r: 0.98 < r.pytorch < 1.02 and 0.98 < r.jax * 16 < 1.02,
        size=lambda r: f"{r.pytorch:.3g} against {r.jax:.3g}",
        detect="The deviation of fresh weights, or a first loss far above log(classes).",
        fix="Set `embedding_init`, or `nn.init.normal_(layer.weight, std=features**-0.5)`.",
        sources=(TORCH_DOCS + "nn.Embedding.html", FLAX_DOCS + "linear.html"),
        symptoms=("fresh weights differ", "training drifts"),
        calls=("nn.Embedding", "nnx.Embed", "Embedding"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="embedding_out_of_range",
        title="A token out of range is an error in PyTorch, NaN or the last row in Flax",
        what="nn.Embedding raises. nnx.Embed gives NaN for what is too large, and counts -1 from "
        "the end: a padding of -1 is the last word of the vocabulary. Three rows, tokens 5 and -1:",
        pytorch="nn.Embedding(3, 1)(torch.tensor([5, -1]))",
        jax="layer = nnx.Embed(3, 1, rngs=nnx.Rngs(0))\n"
        "layer.embedding[...] = jnp.array([[1.0], [2.0], [3.0]])\n"
        "layer(jnp.array([5, -1])).flatten()",
        expect=lambda r: (
            isinstance(r.pytorch, Raised) and bool(np.isnan(r.jax[0])) and r.jax[1] == 3
        ),
        size=lambda r: f"an error against {r.jax[0]:g} and {r.jax[1]:g}",
        detect="Compare the largest and smallest token with the number of rows.",
        fix="Check tokens in NumPy, once, when they are read.",
        sources=(
            FLAX_DOCS + "linear.html",
            "https://docs.jax.dev/en/latest/_autosummary/jax.numpy.take.html",
        ),
        symptoms=("an error in one framework only", "NaN or infinity"),
        calls=("nn.Embedding", "nnx.Embed", "Embedding", "jnp.take"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="padding_token",
        title="Only PyTorch's embedding knows a padding token",
        what="With `padding_idx` its row starts at 0 and has no gradient. nnx.Embed has a row "
        "like any other, which is trained. The gradient of row 0, looked up once:",
        pytorch="layer = nn.Embedding(3, 1, padding_idx=0)\n"
        "layer(torch.tensor([0])).sum().backward()\nlayer.weight.grad[0]",
        jax="layer = nnx.Embed(3, 1, rngs=nnx.Rngs(0))\n"
        "nnx.grad(lambda layer: layer(jnp.array([0])).sum())(layer).embedding[...][0]",
        expect=lambda r: r.pytorch[0] == 0 and r.jax[0] == 1,
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}",
        detect="The gradient of the padding token's row.",
        fix="`jnp.where(tokens[..., None] == 0, 0, embedded)`.",
        sources=(TORCH_DOCS + "nn.Embedding.html", FLAX_DOCS + "linear.html"),
        symptoms=("loss the same, gradients not", "training drifts"),
        calls=("nn.Embedding", "nnx.Embed", "Embedding"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="one_hot",
        title="A class that does not exist is an error in F.one_hot, and zeros in JAX",
        what="jax.nn.one_hot gives a row of zeros, and floats where PyTorch gives int64. Class 5 "
        "of 3, and the dtype for class 2:",
        pytorch="F.one_hot(torch.tensor([5]), 3)",
        jax="jax.nn.one_hot(jnp.array([5]), 3), jax.nn.one_hot(jnp.array([2]), 3).dtype",
        expect=lambda r: (
            isinstance(r.pytorch, Raised) and not r.jax[0].any() and r.jax[1] == "float32"
        ),
        size=lambda r: f"an error against {r.jax[0].tolist()}",
        detect="Sum every row: it must be 1.",
        fix="Check labels in NumPy; `F.one_hot(labels, n).float()`.",
        sources=(
            "https://docs.jax.dev/en/latest/_autosummary/jax.nn.one_hot.html",
            TORCH_DOCS + "nn.functional.one_hot.html",
        ),
        symptoms=("an error in one framework only", "accuracy differs"),
        calls=("F.one_hot", "jax.nn.one_hot"),
    ),
)
