"""Divergences of data pipelines: resizing, splitting, and the last batch."""

import numpy as np

from compare.catalogue.divergences.records import TORCH_DOCS, Divergence

RESIZE = "https://docs.jax.dev/en/latest/_autosummary/jax.image.resize.html"

DATA = (
    Divergence(
        name="resize",
        title="jax.image.resize smooths when it shrinks an image, F.interpolate does not",
        what="Both methods are named linear. Four numbers reduced to two, in JAX with and without "
        "smoothing:",
        pytorch="x = torch.tensor([0.0, 0.0, 0.0, 8.0])[None, None]\n"
        'F.interpolate(x, size=2, mode="linear")[0, 0]',
        jax="x = jnp.array([0.0, 0.0, 0.0, 8.0])\n"
        '[jax.image.resize(x, (2,), "linear", antialias=smooth) for smooth in (True, False)]',
        expect=lambda r: (
            np.abs(r.pytorch - r.jax[0]).max() > 0.1 and np.abs(r.pytorch - r.jax[1]).max() < 1e-6
        ),
        size=lambda r: f"{r.pytorch[1]:g} against {r.jax[0][1]:.3g}",
        detect="Shrink an image with a single bright pixel.",
        fix="Use `jax.image.resize(..., antialias=False)` or `F.interpolate(..., antialias=True)`.",
        sources=("https://github.com/sayakpaul/cmmd-pytorch/issues/4",),
        symptoms=(
            "inputs differ before they reach the model",
            "outputs differ by a few percent or more",
        ),
        calls=("F.interpolate", "nn.Upsample", "jax.image.resize"),
    ),
    Divergence(
        name="short_last_batch",
        title="PyTorch keeps a short last batch, JAX compiles a second program for it",
        what="DataLoader keeps the short batch (drop_last is False). `jit` compiles again for its "
        "shape, so most JAX pipelines drop it. They then see fewer samples, and a mean over "
        "batches has other weights. The example shows the batch sizes for 10 samples, and the "
        "shapes for which JAX traced the function:",
        pytorch="from torch.utils.data import DataLoader\n"
        "[len(batch) for batch in DataLoader(range(10), batch_size=4)]",
        jax="traced = []\n"
        "step = jax.jit(lambda batch: traced.append(batch.shape[0]) or batch.sum())\n"
        "for first in range(0, 10, 4):\n    step(jnp.arange(10)[first : first + 4])\n"
        "result = traced",
        expect=lambda r: r.pytorch == (4, 4, 2) and r.jax == (4, 2),
        size=lambda r: f"{len(r.pytorch)} batches, {len(r.jax)} compiled programs",
        detect="Count the samples of an epoch.",
        fix="Pad the last batch and mask the padding, or drop it in both (`drop_last=True`).",
        sources=(
            "https://docs.pytorch.org/docs/stable/data.html",
            "https://docs.jax.dev/en/latest/jit-compilation.html",
        ),
        symptoms=(
            "accuracy differs",
            "training drifts: the data, dropout or dtype",
            "inputs differ before they reach the model",
        ),
        calls=("DataLoader", "jax.jit", "nnx.jit"),
    ),
    Divergence(
        name="size_or_number_of_parts",
        title="The number in torch.split is a size, in jnp.split a number of parts",
        what="`x.split(2)` returns parts of length two, `jnp.split(x, 2)` returns two parts. With "
        "n * n elements both give the same result by chance. The lengths of six elements split by "
        "2:",
        pytorch="[len(part) for part in torch.arange(6).split(2)]",
        jax="[len(part) for part in jnp.split(jnp.arange(6), 2)]",
        numpy="[len(part) for part in np.split(np.arange(6), 2)]",
        expect=lambda r: r.pytorch == (2, 2, 2) and r.jax == r.numpy == (3, 3),
        size=lambda r: f"{len(r.pytorch)} parts against {len(r.jax)}",
        detect="Split six elements by 2.",
        fix="Use `torch.tensor_split(x, 2)` for JAX's result, `x.reshape(-1, 2)` for PyTorch's.",
        sources=(
            TORCH_DOCS + "split.html",
            "https://docs.jax.dev/en/latest/_autosummary/jax.numpy.split.html",
        ),
        symptoms=("shapes differ", "inputs differ before they reach the model"),
        calls=("torch.split", "jnp.split", "np.split"),
    ),
    Divergence(
        name="uneven_chunks",
        title="torch.chunk makes the last part shorter, array_split distributes the remainder",
        what="Ten samples for four processes are split into 3, 3, 3, 1 in PyTorch, and into 3, 3, "
        "2, 2 in NumPy and JAX. torch.chunk can also return fewer parts than requested.",
        pytorch="[len(part) for part in torch.arange(10).chunk(4)]",
        jax="[len(part) for part in jnp.array_split(jnp.arange(10), 4)]",
        numpy="[len(part) for part in np.array_split(np.arange(10), 4)]",
        expect=lambda r: r.pytorch == (3, 3, 3, 1) and r.jax == r.numpy == (3, 3, 2, 2),
        size=lambda r: f"{r.pytorch} against {r.jax}",
        detect="Test with a number of samples that is not divisible by the number of processes.",
        fix="Use `torch.tensor_split`.",
        sources=(
            TORCH_DOCS + "chunk.html",
            "https://docs.jax.dev/en/latest/_autosummary/jax.numpy.array_split.html",
        ),
        symptoms=("inputs differ before they reach the model", "accuracy differs"),
        calls=("torch.chunk", "jnp.array_split", "np.array_split"),
    ),
    Divergence(
        name="resize_to_the_nearest",
        title="F.interpolate and jax.image.resize choose different nearest pixels",
        what="In PyTorch, 'nearest' rounds down from the corner of a pixel. In JAX it takes the "
        "pixel at the centre, as PyTorch's 'nearest-exact' does. Five pixels reduced to three, in "
        "PyTorch in both modes:",
        pytorch="x = torch.arange(5.0)[None, None]\n"
        '[F.interpolate(x, size=3, mode=mode)[0, 0] for mode in ("nearest", "nearest-exact")]',
        jax='jax.image.resize(jnp.arange(5.0), (3,), "nearest")',
        expect=lambda r: (
            list(r.pytorch[0]) == [0, 1, 3] and list(r.pytorch[1]) == list(r.jax) == [0, 2, 4]
        ),
        size=lambda r: f"{int((r.pytorch[0] != r.jax).sum())} of 3 pixels",
        detect="Resize 0, 1, 2, 3, 4.",
        fix='Use `F.interpolate(x, size, mode="nearest-exact")`.',
        sources=(
            "https://github.com/pytorch/pytorch/issues/34808",
            TORCH_DOCS + "nn.functional.interpolate.html",
            RESIZE,
        ),
        symptoms=(
            "inputs differ before they reach the model",
            "outputs differ by a few percent or more",
        ),
        calls=("F.interpolate", "nn.Upsample", "jax.image.resize"),
    ),
    Divergence(
        name="cubic_resize",
        title="The bicubic coefficient is -0.75 in PyTorch, -0.5 in JAX",
        what="OpenCV uses PyTorch's coefficient; Pillow and TensorFlow use JAX's. Example with "
        "one bright pixel of four, enlarged to twice the width:",
        pytorch="x = torch.tensor([0.0, 0.0, 8.0, 0.0]).expand(1, 1, 4, 4)\n"
        'F.interpolate(x, size=(4, 8), mode="bicubic")[0, 0, 0]',
        jax='jax.image.resize(jnp.array([0.0, 0.0, 8.0, 0.0]), (8,), "cubic")',
        expect=lambda r: 0.1 < np.abs(r.pytorch - r.jax).max() < 1.5,
        size=lambda r: f"up to {np.abs(r.pytorch - r.jax).max() / 8:.1%} of the bright pixel",
        detect="Enlarge an image with a single bright pixel.",
        fix="Resize the data once, with the same library for both frameworks.",
        sources=("https://github.com/jax-ml/jax/issues/15768", RESIZE),
        symptoms=(
            "inputs differ before they reach the model",
            "outputs differ by a few percent or more",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("F.interpolate", "nn.Upsample", "jax.image.resize"),
    ),
)
