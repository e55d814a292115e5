"""Divergences of data pipelines: resizing, splitting, and the last batch."""

import numpy as np

from compare.catalogue.divergences.records import TORCH_DOCS, Divergence

RESIZE = "https://docs.jax.dev/en/latest/_autosummary/jax.image.resize.html"

DATA = (
    Divergence(
        name="resize",
        title="jax.image.resize smooths when it shrinks, F.interpolate does not",
        what="Both are called linear. Four numbers shrunk to two:",
        pytorch="x = torch.tensor([0.0, 0.0, 0.0, 8.0])[None, None]\n"
        'F.interpolate(x, size=2, mode="linear")[0, 0]',
        jax="x = jnp.array([0.0, 0.0, 0.0, 8.0])\n"
        '[jax.image.resize(x, (2,), "linear", antialias=smooth) for smooth in (True, False)]',
        expect=lambda r: (
            np.abs(r.pytorch - r.jax[0]).max() > 0.1 and np.abs(r.pytorch - r.jax[1]).max() < 1e-6
        ),
        size=lambda r: f"{r.pytorch[1]:g} against {r.jax[0][1]:.3g}",
        detect="Shrink a single bright pixel.",
        fix="`jax.image.resize(..., antialias=False)`, or `F.interpolate(..., antialias=True)`.",
        sources=("https://github.com/sayakpaul/cmmd-pytorch/issues/4",),
        symptoms=("inputs differ before the model", "outputs differ by a few percent or more"),
        calls=("F.interpolate", "nn.Upsample", "jax.image.resize"),
    ),
    Divergence(
        name="short_last_batch",
        title="A short last batch is one more batch in PyTorch, one more program in JAX",
        what="DataLoader keeps it (drop_last is False). `jit` compiles anew for its shape, so "
        "most JAX pipelines drop it: they see fewer samples, and a mean over batches weighs "
        "others. Sizes of the batches of 10 samples, and how often JAX traced:",
        pytorch="from torch.utils.data import DataLoader\n"
        "[len(batch) for batch in DataLoader(range(10), batch_size=4)]",
        jax="traced = []\n"
        "step = jax.jit(lambda batch: traced.append(batch.shape[0]) or batch.sum())\n"
        "for first in range(0, 10, 4):\n    step(jnp.arange(10)[first : first + 4])\n"
        "result = traced",
        expect=lambda r: r.pytorch == (4, 4, 2) and r.jax == (4, 2),
        size=lambda r: f"{len(r.pytorch)} batches, {len(r.jax)} compiled programs",
        detect="Count the samples of an epoch.",
        fix="Pad the last batch and mask what was added, or `drop_last=True` in both.",
        sources=(
            "https://docs.pytorch.org/docs/stable/data.html",
            "https://docs.jax.dev/en/latest/jit-compilation.html",
        ),
        symptoms=(
            "accuracy differs",
            "training drifts: the data, dropout or dtype",
            "inputs differ before the model",
        ),
        calls=("DataLoader", "jax.jit", "nnx.jit"),
    ),
    Divergence(
        name="size_or_number_of_parts",
        title="The number in torch's split is a size, in JAX's a number of parts",
        what="`x.split(2)` makes parts of two, `jnp.split(x, 2)` two parts. With n * n elements "
        "both are right by chance. The lengths of six elements split by 2:",
        pytorch="[len(part) for part in torch.arange(6).split(2)]",
        jax="[len(part) for part in jnp.split(jnp.arange(6), 2)]",
        numpy="[len(part) for part in np.split(np.arange(6), 2)]",
        expect=lambda r: r.pytorch == (2, 2, 2) and r.jax == r.numpy == (3, 3),
        size=lambda r: f"{len(r.pytorch)} parts against {len(r.jax)}",
        detect="Six elements, split by 2.",
        fix="`torch.tensor_split(x, 2)` is JAX's; `x.reshape(-1, 2)` is torch's.",
        sources=(
            TORCH_DOCS + "split.html",
            "https://docs.jax.dev/en/latest/_autosummary/jax.numpy.split.html",
        ),
        symptoms=("shapes differ", "inputs differ before the model"),
        calls=("torch.split", "jnp.split", "np.split"),
    ),
    Divergence(
        name="uneven_chunks",
        title="torch.chunk leaves the last part short, array_split shares the rest out",
        what="Ten samples over four processes: 3, 3, 3, 1 in PyTorch, 3, 3, 2, 2 in NumPy and JAX; "
        "and torch.chunk may return fewer parts than it was asked for.",
        pytorch="[len(part) for part in torch.arange(10).chunk(4)]",
        jax="[len(part) for part in jnp.array_split(jnp.arange(10), 4)]",
        numpy="[len(part) for part in np.array_split(np.arange(10), 4)]",
        expect=lambda r: r.pytorch == (3, 3, 3, 1) and r.jax == r.numpy == (3, 3, 2, 2),
        size=lambda r: f"{r.pytorch} against {r.jax}",
        detect="A number of samples that no number of processes divides.",
        fix="`torch.tensor_split`.",
        sources=(
            TORCH_DOCS + "chunk.html",
            "https://docs.jax.dev/en/latest/_autosummary/jax.numpy.array_split.html",
        ),
        symptoms=("inputs differ before the model", "accuracy differs"),
        calls=("torch.chunk", "jnp.array_split", "np.array_split"),
    ),
    Divergence(
        name="resize_to_the_nearest",
        title="The nearest pixel is another one in F.interpolate and jax.image.resize",
        what="'nearest' rounds down from a pixel's corner in PyTorch and takes the pixel under "
        "its centre in JAX, as 'nearest-exact' does. Five pixels shrunk to three, in PyTorch in "
        "both modes:",
        pytorch="x = torch.arange(5.0)[None, None]\n"
        '[F.interpolate(x, size=3, mode=mode)[0, 0] for mode in ("nearest", "nearest-exact")]',
        jax='jax.image.resize(jnp.arange(5.0), (3,), "nearest")',
        expect=lambda r: (
            list(r.pytorch[0]) == [0, 1, 3] and list(r.pytorch[1]) == list(r.jax) == [0, 2, 4]
        ),
        size=lambda r: f"{int((r.pytorch[0] != r.jax).sum())} of 3 pixels",
        detect="Resize 0, 1, 2, 3, 4.",
        fix='`F.interpolate(x, size, mode="nearest-exact")`.',
        sources=(
            "https://github.com/pytorch/pytorch/issues/34808",
            TORCH_DOCS + "nn.functional.interpolate.html",
            RESIZE,
        ),
        symptoms=("inputs differ before the model", "outputs differ by a few percent or more"),
        calls=("F.interpolate", "nn.Upsample", "jax.image.resize"),
    ),
    Divergence(
        name="cubic_resize",
        title="Bicubic has another coefficient in PyTorch, -0.75, than in JAX, -0.5",
        what="OpenCV has PyTorch's, Pillow and TensorFlow JAX's. One bright pixel of four, twice "
        "as wide:",
        pytorch="x = torch.tensor([0.0, 0.0, 8.0, 0.0]).expand(1, 1, 4, 4)\n"
        'F.interpolate(x, size=(4, 8), mode="bicubic")[0, 0, 0]',
        jax='jax.image.resize(jnp.array([0.0, 0.0, 8.0, 0.0]), (8,), "cubic")',
        expect=lambda r: 0.1 < np.abs(r.pytorch - r.jax).max() < 1.5,
        size=lambda r: f"up to {np.abs(r.pytorch - r.jax).max() / 8:.1%} of the bright pixel",
        detect="Enlarge a single bright pixel.",
        fix="Resize with the same library in both, once, when the data is prepared.",
        sources=("https://github.com/jax-ml/jax/issues/15768", RESIZE),
        symptoms=(
            "inputs differ before the model",
            "outputs differ by a few percent or more",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("F.interpolate", "nn.Upsample", "jax.image.resize"),
    ),
)
