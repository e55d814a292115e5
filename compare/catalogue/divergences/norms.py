"""Divergences of LayerNorm, BatchNorm, RMSNorm and GroupNorm: epsilon, variance, axes."""

import numpy as np

from compare.catalogue.divergences.records import FLAX_DOCS, TORCH_DOCS, Divergence

NORMS = (
    Divergence(
        name="layer_norm",
        title="LayerNorm adds 1e-5 to the variance in PyTorch, 1e-6 in Flax",
        what="The smaller the variance of the input, the more it matters. The variance itself is "
        "computed in another way too: see the entry on E[x²] - E[x]².",
        pytorch="nn.LayerNorm(2)(torch.tensor([0.0, 0.01]))",
        jax="nnx.LayerNorm(2, rngs=nnx.Rngs(0))(jnp.array([0.0, 0.01]))",
        expect=lambda r: 0.05 < r.jax[1] / r.pytorch[1] - 1 < 0.4,
        size=lambda r: f"{r.jax[1] / r.pytorch[1] - 1:.0%} at a deviation of 0.005",
        detect="Small inputs.",
        fix="`nnx.LayerNorm(..., epsilon=1e-5)`.",
        sources=(
            "https://github.com/facebookresearch/ParlAI/pull/1834",
            "https://github.com/huggingface/candle/pull/271",
        ),
        symptoms=(
            "LayerNorm or another normalisation slightly off",
            "checkpoint loads, outputs differ",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("nn.LayerNorm", "F.layer_norm", "nnx.LayerNorm"),
        bugs=("epsilon_in_the_scale",),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="layer_norm_variance",
        title="Flax computes the variance of LayerNorm as E[x²] - E[x]²",
        what="That is one pass instead of two, and where the mean is large beside the deviation "
        "its digits cancel. A layer's output should have deviation 1; at mean 1,000 and deviation "
        "0.1 it has, in PyTorch, in Flax, and in Flax without the fast variance:",
        pytorch="x = np.random.default_rng(0).normal(1000, 0.1, size=(1, 256)).astype('f4')\n"
        "nn.LayerNorm(256)(torch.tensor(x)).std(correction=0)",
        jax="x = np.random.default_rng(0).normal(1000, 0.1, size=(1, 256)).astype('f4')\n"
        "norm = lambda fast: nnx.LayerNorm(256, use_fast_variance=fast, rngs=nnx.Rngs(0))\n"
        "[norm(fast)(jnp.array(x)).std() for fast in (True, False)]",
        expect=lambda r: (
            abs(r.pytorch - 1) < 0.01 and abs(r.jax[0] - 1) > 0.01 and abs(r.jax[1] - 1) < 0.01
        ),
        size=lambda r: f"{r.pytorch:.3g} against {r.jax[0]:.3g}",
        detect="An input whose mean is a hundred times its deviation or more.",
        fix="`nnx.LayerNorm(..., use_fast_variance=False)`; likewise GroupNorm and BatchNorm.",
        sources=(
            "https://github.com/google/flax/issues/1491",
            "https://github.com/jax-ml/jax/issues/30426",
        ),
        symptoms=(
            "LayerNorm or another normalisation slightly off",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("nn.LayerNorm", "nnx.LayerNorm", "nnx.GroupNorm", "nnx.BatchNorm", "nnx.RMSNorm"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="batch_norm",
        title="BatchNorm's momentum m is 1 - m elsewhere, and its variance another",
        what="momentum=0.1 takes a tenth of the new statistics in PyTorch, nine tenths in Flax. "
        "PyTorch keeps the variance with n - 1, Flax with n.",
        pytorch="norm = nn.BatchNorm1d(1, momentum=0.1)\n"
        "norm(torch.tensor([[0.0], [2.0]]))\nnorm.running_mean, norm.running_var",
        jax="norm = nnx.BatchNorm(1, momentum=0.1, rngs=nnx.Rngs(0))\n"
        "norm(jnp.array([[0.0], [2.0]]))\nnorm.mean[...], norm.var[...]",
        expect=lambda r: bool(
            np.isclose(r.pytorch, [[0.1], [1.1]]).all() and np.isclose(r.jax, [[0.9], [1.0]]).all()
        ),
        size=lambda r: f"running mean {r.pytorch[0][0]:g} against {r.jax[0][0]:g}",
        detect="The statistics after one batch.",
        fix="`momentum=1 - m`; scale the variance by n / (n - 1).",
        sources=(
            "https://github.com/pytorch/examples/issues/289",
            "https://github.com/pytorch/pytorch/issues/19902",
        ),
        symptoms=(
            "LayerNorm or another normalisation slightly off",
            "accuracy differs",
            "checkpoint loads, outputs differ",
        ),
        calls=("nn.BatchNorm1d", "nn.BatchNorm2d", "nnx.BatchNorm"),
        bugs=("unbiased_variance",),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="rms_norm_epsilon",
        title="RMSNorm adds 1.2e-7 in PyTorch, 1e-6 in Flax",
        what="nn.RMSNorm's `eps` is None, which stands for the resolution of float32, 1.2e-7. "
        "Published models have 1e-5 or 1e-6. For inputs of 0.001:",
        pytorch="nn.RMSNorm(2)(torch.full((2,), 1e-3))",
        jax="nnx.RMSNorm(2, rngs=nnx.Rngs(0))(jnp.full((2,), 1e-3))",
        expect=lambda r: 0.9 < r.pytorch[0] < 0.96 and 0.7 < r.jax[0] < 0.71,
        size=lambda r: f"{r.pytorch[0]:.3g} against {r.jax[0]:.3g} for inputs of 0.001",
        detect="Small inputs.",
        fix="Write the epsilon down in both, as the model's configuration has it.",
        sources=(TORCH_DOCS + "nn.RMSNorm.html", FLAX_DOCS + "normalization.html"),
        symptoms=(
            "LayerNorm or another normalisation slightly off",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("nn.RMSNorm", "nnx.RMSNorm"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="rms_norm_plus_one",
        title="Gemma stores the weight of RMSNorm less 1",
        what="Its layers multiply by 1 + w, with w starting at 0; nn.RMSNorm and nnx.RMSNorm by w. "
        "Loaded as it is, a weight of 0 makes every output 0. PyTorch: as Gemma does it:",
        pytorch="x, w = torch.tensor([3.0, 4.0]), torch.zeros(2)\nF.rms_norm(x, (2,)) * (1 + w)",
        jax="layer = nnx.RMSNorm(2, rngs=nnx.Rngs(0))\n"
        "layer.scale[...] = jnp.zeros(2)\nlayer(jnp.array([3.0, 4.0]))",
        expect=lambda r: (
            bool(np.allclose(r.pytorch, [0.848, 1.131], atol=1e-3)) and not r.jax.any()
        ),
        size=lambda r: f"{r.pytorch[0]:.3g} against {r.jax[0]:g}",
        detect="Print the stored weight: near 0 it is stored less 1.",
        fix="Add 1 when loading, in float32.",
        sources=("https://github.com/huggingface/transformers/pull/29402",),
        symptoms=("checkpoint loads, outputs differ",),
        calls=("nn.RMSNorm", "F.rms_norm", "nnx.RMSNorm"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="group_norm_epsilon",
        title="GroupNorm adds 1e-5 to the variance in PyTorch, 1e-6 in Flax",
        what="As in LayerNorm, and the number of groups is 32 in Flax unless it is given; "
        "PyTorch has no default.",
        pytorch="nn.GroupNorm(1, 2)(torch.tensor([[0.0, 0.01]]))[0]",
        jax="nnx.GroupNorm(2, num_groups=1, rngs=nnx.Rngs(0))(jnp.array([[0.0, 0.01]]))[0]",
        expect=lambda r: 0.05 < r.jax[1] / r.pytorch[1] - 1 < 0.4,
        size=lambda r: f"{r.jax[1] / r.pytorch[1] - 1:.0%} at a deviation of 0.005",
        detect="Small inputs.",
        fix="`nnx.GroupNorm(..., epsilon=1e-5)`.",
        sources=(TORCH_DOCS + "nn.GroupNorm.html", FLAX_DOCS + "normalization.html"),
        symptoms=(
            "LayerNorm or another normalisation slightly off",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("nn.GroupNorm", "nnx.GroupNorm"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="group_norm_axis",
        title="GroupNorm groups the second axis in PyTorch and the last in Flax",
        what="An array [batch, channels, steps] with as many steps as channels passes both. The "
        "arguments are in another order as well: groups first in PyTorch, channels first in Flax.",
        pytorch="x = torch.tensor([[[0.0, 1.0], [2.0, 5.0]]])\nnn.GroupNorm(2, 2)(x)",
        jax="x = jnp.array([[[0.0, 1.0], [2.0, 5.0]]])\n"
        "nnx.GroupNorm(2, num_groups=2, rngs=nnx.Rngs(0))(x)",
        expect=lambda r: bool(
            np.allclose(r.pytorch, [[[-1, 1], [-1, 1]]], atol=1e-3)
            and np.allclose(r.jax, [[[-1, -1], [1, 1]]], atol=1e-3)
        ),
        size=lambda r: f"{np.abs(r.pytorch - r.jax).max():.2g}",
        detect="Another prime number for every axis.",
        fix="Move the channels to the end for Flax, and name the arguments.",
        sources=(TORCH_DOCS + "nn.GroupNorm.html", FLAX_DOCS + "normalization.html"),
        symptoms=("outputs differ by a few percent or more",),
        calls=("nn.GroupNorm", "nnx.GroupNorm"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="layer_norm_axes",
        title="LayerNorm of a shape takes several axes in PyTorch, the last alone in Flax",
        what="nn.LayerNorm((2, 2)) takes the mean over both axes. nnx.LayerNorm takes a number of "
        "features, and the last axis unless `reduction_axes` says otherwise.",
        pytorch="nn.LayerNorm((2, 2))(torch.tensor([[0.0, 1.0], [2.0, 3.0]]))",
        jax="nnx.LayerNorm(2, rngs=nnx.Rngs(0))(jnp.array([[0.0, 1.0], [2.0, 3.0]]))",
        expect=lambda r: bool(
            np.allclose(r.jax, [[-1, 1], [-1, 1]], atol=1e-3) and abs(r.pytorch[0, 0]) > 1.3
        ),
        size=lambda r: f"{r.pytorch[0, 0]:.3g} against {r.jax[0, 0]:.3g}",
        detect="The mean of each row of the output: 0 in one, not in the other.",
        fix="`nnx.LayerNorm(..., reduction_axes=(-2, -1), feature_axes=(-2, -1))`.",
        sources=(TORCH_DOCS + "nn.LayerNorm.html", FLAX_DOCS + "normalization.html"),
        symptoms=("outputs differ by a few percent or more",),
        calls=("nn.LayerNorm", "nnx.LayerNorm"),
        libraries=("torch", "jax", "flax"),
    ),
)
