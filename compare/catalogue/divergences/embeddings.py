"""Divergences of embeddings: how they start, padding, and indices that are out of range."""

import numpy as np

from compare.catalogue.divergences.records import FLAX_DOCS, TORCH_DOCS, Divergence, Raised

EMBEDDINGS = (
    Divergence(
        name="embedding_start",
        title="An embedding starts with standard deviation 1 in PyTorch, 1 / sqrt(features) in "
        "Flax",
        what="If the embedding is tied to the output layer, PyTorch's initialisation makes the "
        "logits sqrt(features) times larger, and with them the first loss. Standard deviations "
        "with 256 features:",
        pytorch="torch.manual_seed(0)\nnn.Embedding(1000, 256).weight.std()",
        jax="nnx.Embed(1000, 256, rngs=nnx.Rngs(0)).embedding[...].std()",
        expect=lambda r: 0.98 < r.pytorch < 1.02 and 0.98 < r.jax * 16 < 1.02,
        size=lambda r: f"{r.pytorch:.3g} against {r.jax:.3g}",
        detect="Compare the standard deviations of the initial weights, or look for a first loss "
        "far above log(classes).",
        fix="Set `embedding_init`, or call `nn.init.normal_(layer.weight, std=features**-0.5)`.",
        sources=(TORCH_DOCS + "nn.Embedding.html", FLAX_DOCS + "linear.html"),
        symptoms=("initial weights differ", "training drifts"),
        calls=("nn.Embedding", "nnx.Embed", "Embedding"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="embedding_out_of_range",
        title="An index out of range is an error in nn.Embedding, NaN or the last row in Flax",
        what="nn.Embedding raises an error. nnx.Embed returns NaN for an index that is too large. "
        "An index of -1 counts from the end, so padding of -1 becomes the last word of the "
        "vocabulary. Example with three rows and the indices 5 and -1:",
        pytorch="nn.Embedding(3, 1)(torch.tensor([5, -1]))",
        jax="layer = nnx.Embed(3, 1, rngs=nnx.Rngs(0))\n"
        "layer.embedding[...] = jnp.array([[1.0], [2.0], [3.0]])\n"
        "layer(jnp.array([5, -1])).flatten()",
        expect=lambda r: (
            isinstance(r.pytorch, Raised) and bool(np.isnan(r.jax[0])) and r.jax[1] == 3
        ),
        size=lambda r: f"an error against {r.jax[0]:g} and {r.jax[1]:g}",
        detect="Compare the smallest and the largest index with the number of rows.",
        fix="Check the indices once in NumPy, when you read the data.",
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
        title="Only PyTorch's embedding supports a padding index",
        what="With `padding_idx`, the row of this index starts at 0 and has no gradient. In "
        "nnx.Embed the row is trained like any other. The example shows the gradient of row 0 "
        "after one look-up:",
        pytorch="layer = nn.Embedding(3, 1, padding_idx=0)\n"
        "layer(torch.tensor([0])).sum().backward()\nlayer.weight.grad[0]",
        jax="layer = nnx.Embed(3, 1, rngs=nnx.Rngs(0))\n"
        "nnx.grad(lambda layer: layer(jnp.array([0])).sum())(layer).embedding[...][0]",
        expect=lambda r: r.pytorch[0] == 0 and r.jax[0] == 1,
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}",
        detect="Look at the gradient of the padding row.",
        fix="Mask the output: `jnp.where(tokens[..., None] == 0, 0, embedded)`.",
        sources=(TORCH_DOCS + "nn.Embedding.html", FLAX_DOCS + "linear.html"),
        symptoms=("loss the same, gradients not", "training drifts"),
        calls=("nn.Embedding", "nnx.Embed", "Embedding"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="one_hot",
        title="A class out of range is an error in F.one_hot, a row of zeros in JAX",
        what="jax.nn.one_hot returns a row of zeros. It also returns floats, while PyTorch "
        "returns int64. Example with class 5 of 3, and the dtype for class 2:",
        pytorch="F.one_hot(torch.tensor([5]), 3)",
        jax="jax.nn.one_hot(jnp.array([5]), 3), jax.nn.one_hot(jnp.array([2]), 3).dtype",
        expect=lambda r: (
            isinstance(r.pytorch, Raised) and not r.jax[0].any() and r.jax[1] == "float32"
        ),
        size=lambda r: f"an error against {r.jax[0].tolist()}",
        detect="Sum every row. The sum must be 1.",
        fix="Check labels in NumPy, and convert with `F.one_hot(labels, n).float()`.",
        sources=(
            "https://docs.jax.dev/en/latest/_autosummary/jax.nn.one_hot.html",
            TORCH_DOCS + "nn.functional.one_hot.html",
        ),
        symptoms=("an error in one framework only", "accuracy differs"),
        calls=("F.one_hot", "jax.nn.one_hot"),
    ),
)
