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
        symptoms=("training drifts: the first weights or random numbers", "first loss too large"),
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
        detect="The gradient of the padding token's row.",
        fix="Stop the gradient of that row, as below. Setting its output to 0 is wrong where the "
        "loaded row is not 0: load_state_dict overwrites the zeros.",
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
        what="nn.Linear and nn.Embedding both keep [tokens, features], so one parameter serves "
        "both. A Flax kernel is [features, tokens]: assigned the embedding, it raises, or where "
        "both numbers are equal multiplies by the transpose. Two tokens, two features; JAX by "
        "assignment, and by attend:",
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
        detect="A vocabulary of another size than the features.",
        fix="`embed.attend(x)`, which has no bias: add that of the output layer, if it has one.",
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
        title="sqrt(features) is rounded to bfloat16 before the product in JAX, not in PyTorch",
        what="Transformers such as Gemma multiply embeddings by sqrt(features); neither library "
        "does it by itself. A Python number times a bfloat16 array is rounded first in JAX: "
        "sqrt(3072) = 55.43 becomes 55.5. PyTorch rounds the product alone. 2.25 times the root:",
        pytorch="import math\n"
        "(torch.tensor([2.25], dtype=torch.bfloat16) * math.sqrt(3072)).float()",
        jax="import math\n(jnp.array([2.25], jnp.bfloat16) * math.sqrt(3072)).astype('float32')",
        port="import math\nx = np.linspace(-3, 3, 100, dtype='f4')\n"
        "right = torch.tensor(x).bfloat16() * math.sqrt(3072)\n"
        "product = jnp.array(x, jnp.bfloat16).astype(jnp.float32) * math.sqrt(3072)\n"
        "right.float(), product.astype(jnp.bfloat16).astype(jnp.float32)",
        expect=lambda r: r.pytorch[0] == 124.5 and r.jax[0] == 125,
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}",
        detect="Compare what goes into the first block with float64.",
        fix="Multiply in float32 and round the product. A checkpoint that was trained by JAX with "
        "the rounded root needs the rounded root in PyTorch, too.",
        sources=("https://github.com/huggingface/transformers/pull/29402",),
        symptoms=(
            "bfloat16 results differ",
            "checkpoint loads, outputs differ: right after loading",
        ),
        calls=("nn.Embedding", "nnx.Embed", "Embedding", "math.sqrt", "np.sqrt", "bfloat16"),
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
