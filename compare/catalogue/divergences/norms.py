"""Divergences of LayerNorm, BatchNorm, RMSNorm and GroupNorm: epsilon, variance, axes."""

import numpy as np

from compare.catalogue.divergences.records import FLAX_DOCS, TORCH_DOCS, Divergence

NORMS = (
    Divergence(
        name="layer_norm",
        title="LayerNorm adds 1e-5 to the variance in PyTorch, 1e-6 in Flax",
        what="The effect grows as the variance of the input shrinks. The two libraries also "
        "compute the variance by different formulas: see the entry on E[x²] - E[x]².",
        pytorch="nn.LayerNorm(2)(torch.tensor([0.0, 0.01]))",
        jax="nnx.LayerNorm(2, rngs=nnx.Rngs(0))(jnp.array([0.0, 0.01]))",
        expect=lambda r: 0.05 < r.jax[1] / r.pytorch[1] - 1 < 0.4,
        size=lambda r: f"{r.jax[1] / r.pytorch[1] - 1:.0%} at a standard deviation of 0.005",
        detect="Test with small inputs.",
        fix="Pass `epsilon=1e-5` to nnx.LayerNorm.",
        sources=(
            "https://github.com/facebookresearch/ParlAI/pull/1834",
            "https://github.com/huggingface/candle/pull/271",
        ),
        symptoms=(
            "LayerNorm or another normalisation differs slightly",
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
        what="This formula needs one pass over the data instead of two, but digits cancel if the "
        "mean is much larger than the standard deviation. The output of a layer should have "
        "standard deviation 1. The example has mean 1,000 and standard deviation 0.1, in PyTorch, "
        "in Flax, and in Flax without the fast variance:",
        pytorch="x = np.random.default_rng(0).normal(1000, 0.1, size=(1, 256)).astype('f4')\n"
        "nn.LayerNorm(256)(torch.tensor(x)).std(correction=0)",
        jax="x = np.random.default_rng(0).normal(1000, 0.1, size=(1, 256)).astype('f4')\n"
        "norm = lambda fast: nnx.LayerNorm(256, use_fast_variance=fast, rngs=nnx.Rngs(0))\n"
        "[norm(fast)(jnp.array(x)).std() for fast in (True, False)]",
        expect=lambda r: (
            abs(r.pytorch - 1) < 0.01 and abs(r.jax[0] - 1) > 0.01 and abs(r.jax[1] - 1) < 0.01
        ),
        size=lambda r: f"{r.pytorch:.3g} against {r.jax[0]:.3g}",
        detect="Test with an input whose mean is at least a hundred times its standard deviation.",
        fix="Pass `use_fast_variance=False` to nnx.LayerNorm, and also to GroupNorm and BatchNorm.",
        sources=(
            "https://github.com/google/flax/issues/1491",
            "https://github.com/jax-ml/jax/issues/30426",
        ),
        symptoms=(
            "LayerNorm or another normalisation differs slightly",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("nn.LayerNorm", "nnx.LayerNorm", "nnx.GroupNorm", "nnx.BatchNorm", "nnx.RMSNorm"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="batch_norm",
        title="BatchNorm's momentum m in PyTorch is 1 - m in Flax",
        what="With momentum=0.1, PyTorch gives the new statistics a weight of 0.1, Flax a weight "
        "of 0.9. The running variance also differs: PyTorch divides by n - 1, Flax by n.",
        pytorch="norm = nn.BatchNorm1d(1, momentum=0.1)\n"
        "norm(torch.tensor([[0.0], [2.0]]))\nnorm.running_mean, norm.running_var",
        jax="norm = nnx.BatchNorm(1, momentum=0.1, rngs=nnx.Rngs(0))\n"
        "norm(jnp.array([[0.0], [2.0]]))\nnorm.mean[...], norm.var[...]",
        expect=lambda r: bool(
            np.isclose(r.pytorch, [[0.1], [1.1]]).all() and np.isclose(r.jax, [[0.9], [1.0]]).all()
        ),
        size=lambda r: f"running mean {r.pytorch[0][0]:g} against {r.jax[0][0]:g}",
        detect="Compare the running statistics after one batch.",
        fix="Use `momentum=1 - m`, and scale the variance by n / (n - 1).",
        sources=(
            "https://github.com/pytorch/examples/issues/289",
            "https://github.com/pytorch/pytorch/issues/19902",
        ),
        symptoms=(
            "LayerNorm or another normalisation differs slightly",
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
        what="In nn.RMSNorm `eps` is None by default, which means the machine epsilon of float32, "
        "1.2e-7. Published models use 1e-5 or 1e-6. For inputs of 0.001:",
        pytorch="nn.RMSNorm(2)(torch.full((2,), 1e-3))",
        jax="nnx.RMSNorm(2, rngs=nnx.Rngs(0))(jnp.full((2,), 1e-3))",
        expect=lambda r: 0.9 < r.pytorch[0] < 0.96 and 0.7 < r.jax[0] < 0.71,
        size=lambda r: f"{r.pytorch[0]:.3g} against {r.jax[0]:.3g} for inputs of 0.001",
        detect="Test with small inputs.",
        fix="Set the epsilon explicitly in both, from the configuration of the model.",
        sources=(TORCH_DOCS + "nn.RMSNorm.html", FLAX_DOCS + "normalization.html"),
        symptoms=(
            "LayerNorm or another normalisation differs slightly",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("nn.RMSNorm", "nnx.RMSNorm"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="rms_norm_plus_one",
        title="Gemma stores the RMSNorm weight minus 1",
        what="Gemma's layers multiply by 1 + w, where w starts at 0. nn.RMSNorm and nnx.RMSNorm "
        "multiply by w. If Gemma's weights are loaded unchanged, a weight of 0 makes every output "
        "0. The PyTorch example computes it as Gemma does:",
        pytorch="x, w = torch.tensor([3.0, 4.0]), torch.zeros(2)\nF.rms_norm(x, (2,)) * (1 + w)",
        jax="layer = nnx.RMSNorm(2, rngs=nnx.Rngs(0))\n"
        "layer.scale[...] = jnp.zeros(2)\nlayer(jnp.array([3.0, 4.0]))",
        expect=lambda r: (
            bool(np.allclose(r.pytorch, [0.848, 1.131], atol=1e-3)) and not r.jax.any()
        ),
        size=lambda r: f"{r.pytorch[0]:.3g} against {r.jax[0]:g}",
        detect="Print the stored weight. If its values are near 0, they are stored minus 1.",
        fix="Add 1 in float32 when you load the weights.",
        sources=("https://github.com/huggingface/transformers/pull/29402",),
        symptoms=("checkpoint loads, outputs differ",),
        calls=("nn.RMSNorm", "F.rms_norm", "nnx.RMSNorm"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="group_norm_epsilon",
        title="GroupNorm adds 1e-5 to the variance in PyTorch, 1e-6 in Flax",
        what="This is the same difference as for LayerNorm. In addition, the number of groups is "
        "32 by default in Flax; PyTorch has no default.",
        pytorch="nn.GroupNorm(1, 2)(torch.tensor([[0.0, 0.01]]))[0]",
        jax="nnx.GroupNorm(2, num_groups=1, rngs=nnx.Rngs(0))(jnp.array([[0.0, 0.01]]))[0]",
        expect=lambda r: 0.05 < r.jax[1] / r.pytorch[1] - 1 < 0.4,
        size=lambda r: f"{r.jax[1] / r.pytorch[1] - 1:.0%} at a standard deviation of 0.005",
        detect="Test with small inputs.",
        fix="Pass `epsilon=1e-5` to nnx.GroupNorm.",
        sources=(TORCH_DOCS + "nn.GroupNorm.html", FLAX_DOCS + "normalization.html"),
        symptoms=(
            "LayerNorm or another normalisation differs slightly",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("nn.GroupNorm", "nnx.GroupNorm"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="group_norm_axis",
        title="GroupNorm groups the second axis in PyTorch, the last in Flax",
        what="An array [batch, channels, steps] with as many steps as channels raises no error in "
        "either library. The argument order also differs: PyTorch has the number of groups first, "
        "Flax the number of channels.",
        pytorch="x = torch.tensor([[[0.0, 1.0], [2.0, 5.0]]])\nnn.GroupNorm(2, 2)(x)",
        jax="x = jnp.array([[[0.0, 1.0], [2.0, 5.0]]])\n"
        "nnx.GroupNorm(2, num_groups=2, rngs=nnx.Rngs(0))(x)",
        expect=lambda r: bool(
            np.allclose(r.pytorch, [[[-1, 1], [-1, 1]]], atol=1e-3)
            and np.allclose(r.jax, [[[-1, -1], [1, 1]]], atol=1e-3)
        ),
        size=lambda r: f"{np.abs(r.pytorch - r.jax).max():.2g}",
        detect="Use a different prime number as the size of every axis.",
        fix="Move the channels to the last axis for Flax, and pass the arguments by name.",
        sources=(TORCH_DOCS + "nn.GroupNorm.html", FLAX_DOCS + "normalization.html"),
        symptoms=("outputs differ by a few percent or more",),
        calls=("nn.GroupNorm", "nnx.GroupNorm"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="layer_norm_axes",
        title="LayerNorm can normalise several axes in PyTorch, only the last by default in Flax",
        what="nn.LayerNorm((2, 2)) computes the mean over both axes. nnx.LayerNorm takes a number "
        "of features and uses the last axis, unless `reduction_axes` is set.",
        pytorch="nn.LayerNorm((2, 2))(torch.tensor([[0.0, 1.0], [2.0, 3.0]]))",
        jax="nnx.LayerNorm(2, rngs=nnx.Rngs(0))(jnp.array([[0.0, 1.0], [2.0, 3.0]]))",
        expect=lambda r: bool(
            np.allclose(r.jax, [[-1, 1], [-1, 1]], atol=1e-3) and abs(r.pytorch[0, 0]) > 1.3
        ),
        size=lambda r: f"{r.pytorch[0, 0]:.3g} against {r.jax[0, 0]:.3g}",
        detect="Compute the mean of each row of the output. It is 0 in Flax, but not in PyTorch.",
        fix="Pass `reduction_axes=(-2, -1), feature_axes=(-2, -1)` to nnx.LayerNorm.",
        sources=(TORCH_DOCS + "nn.LayerNorm.html", FLAX_DOCS + "normalization.html"),
        symptoms=("outputs differ by a few percent or more",),
        calls=("nn.LayerNorm", "nnx.LayerNorm"),
        libraries=("torch", "jax", "flax"),
    ),
)
