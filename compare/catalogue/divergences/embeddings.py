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
        symptoms=("training drifts: the initial weights or random numbers", "first loss too large"),
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
        port="tokens, weight = np.array([0, 2, 0, 1]), np.array([[1.0], [2.0], [3.0]], 'f4')\n"
        "right, found = nn.Embedding(3, 1, padding_idx=0), nnx.Embed(3, 1, rngs=nnx.Rngs(0))\n"
        "right.load_state_dict({'weight': torch.tensor(weight)})\n"
        "found.embedding[...] = jnp.array(weight)\n"
        "right(torch.tensor(tokens)).square().sum().backward()\n"
        "def loss(layer):\n"
        "    e = layer(tokens)\n"
        "    e = jnp.where(tokens[:, None] == 0, jax.lax.stop_gradient(e), e)\n"
        "    return jnp.square(e).sum()\n"
        "value, gradient = nnx.value_and_grad(loss)(found)\n"
        "right.weight.grad, gradient.embedding[...]",
        expect=lambda r: r.pytorch[0] == 0 and r.jax[0] == 1,
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}",
        detect="Look at the gradient of the padding row.",
        fix="Stop the gradient of that row, as in the code. Do not set its output to 0: a loaded "
        "row is not always 0, because load_state_dict overwrites the zeros.",
        sources=(TORCH_DOCS + "nn.Embedding.html", FLAX_DOCS + "linear.html"),
        symptoms=(
            "differs only with padding",
            "loss the same, gradients not",
            "training drifts: the loss or its gradient",
        ),
        calls=("nn.Embedding", "nnx.Embed", "Embedding", "padding_idx"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="tied_output",
        title="A tied output layer is an assignment in PyTorch and Embed.attend in Flax",
        what="nn.Linear and nn.Embedding both store [tokens, features], so they can share one "
        "parameter. A Flax kernel is [features, tokens]: with the embedding as its kernel, "
        "the layer raises an error, or multiplies by the transpose if both numbers are equal. "
        "The example has two tokens and two features. JAX: by assignment, and by attend:",
        pytorch="embed, out = nn.Embedding(2, 2), nn.Linear(2, 2, bias=False)\n"
        "embed.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])\n"
        "out.weight = embed.weight\nout(torch.tensor([1.0, 0.0]))",
        jax="embed = nnx.Embed(2, 2, rngs=nnx.Rngs(0))\n"
        "embed.embedding[...] = jnp.array([[1.0, 2.0], [3.0, 4.0]])\n"
        "out = nnx.Linear(2, 2, use_bias=False, rngs=nnx.Rngs(0))\n"
        "out.kernel = embed.embedding\n"
        "x = jnp.array([1.0, 0.0])\nout(x), embed.attend(x)",
        expect=lambda r: list(r.pytorch) == list(r.jax[1]) == [1, 3] and list(r.jax[0]) == [1, 2],
        size=lambda r: f"{r.pytorch[1]:g} against {r.jax[0][1]:g}",
        detect="Use a vocabulary whose size differs from the number of features.",
        fix="Use `embed.attend(x)`. It has no bias: add the bias of the output layer, if there is "
        "one.",
        sources=(FLAX_DOCS + "linear.html", TORCH_DOCS + "nn.Embedding.html"),
        symptoms=(
            "outputs differ by a few percent or more",
            "checkpoint loads, outputs differ: right after loading",
        ),
        calls=("nn.Embedding", "nnx.Embed", "Embedding", "nn.Linear", "nnx.Linear", "tied weights"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="embedding_times_root",
        title="JAX rounds sqrt(features) to bfloat16 before it multiplies, PyTorch does not",
        what="Transformers such as Gemma multiply embeddings by sqrt(features); no library does so "
        "by itself. JAX rounds a Python number to the dtype of the array first: sqrt(3072) = "
        "55.43 becomes 55.5. PyTorch rounds only the product. The example multiplies 2.25:",
        pytorch="import math\n"
        "(torch.tensor([2.25], dtype=torch.bfloat16) * math.sqrt(3072)).float()",
        jax="import math\n(jnp.array([2.25], jnp.bfloat16) * math.sqrt(3072)).astype('float32')",
        port="import math\nx = np.linspace(-3, 3, 100, dtype='f4')\n"
        "right = torch.tensor(x).bfloat16() * math.sqrt(3072)\n"
        "product = jnp.array(x, jnp.bfloat16).astype(jnp.float32) * math.sqrt(3072)\n"
        "right.float(), product.astype(jnp.bfloat16).astype(jnp.float32)",
        expect=lambda r: r.pytorch[0] == 124.5 and r.jax[0] == 125,
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}",
        detect="Compare the input of the first block with float64.",
        fix="Multiply in float32 and round the product. If a checkpoint was trained in JAX with "
        "the rounded root, use the rounded root in PyTorch too.",
        sources=("https://github.com/huggingface/transformers/pull/29402",),
        symptoms=(
            "bfloat16 results differ",
            "checkpoint loads, outputs differ: right after loading",
        ),
        calls=("nn.Embedding", "nnx.Embed", "Embedding", "math.sqrt", "np.sqrt", "bfloat16"),
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
