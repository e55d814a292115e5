"""Divergences of LayerNorm, BatchNorm, RMSNorm and GroupNorm: epsilon, variance, axes."""

import numpy as np

from compare.catalogue.divergences.records import FLAX_DOCS, TORCH_DOCS, Divergence

NORMS = (
    Divergence(
        name="layer_norm",
        title="LayerNorm adds 1e-5 to the variance in PyTorch, 1e-6 in Flax",
        what="For inputs of standard deviation 1 the outputs differ by about 4.7e-6 of the largest "
        "value. The difference grows as the variance shrinks. Use the epsilon that "
        "the model was trained with; `compare diagnose` names the epsilon of both "
        "sides. The scale is called `weight` in PyTorch and `scale` in Flax. The example has "
        "standard deviations of 1 and 0.005:",
        pytorch="norm = nn.LayerNorm(2)\n"
        "[norm(x * torch.tensor([-1.0, 1.0]))[1] for x in (1.0, 0.005)]",
        jax="norm = nnx.LayerNorm(2, rngs=nnx.Rngs(0))\n"
        "[norm(x * jnp.array([-1.0, 1.0]))[1] for x in (1.0, 0.005)]",
        port="x = np.random.default_rng(0).normal(size=(3, 4)).astype('f4') / 100\n"
        "of = lambda **given: nnx.LayerNorm(4, rngs=nnx.Rngs(0), **given)\n"
        "plain = of(epsilon=1e-5, use_scale=False, use_bias=False)\n"
        "right = [nn.LayerNorm(4, elementwise_affine=False), nn.LayerNorm(4, eps=1e-6)]\n"
        "found = [plain, of()]\n"
        "[norm(torch.tensor(x)) for norm in right], [norm(jnp.array(x)) for norm in found]",
        expect=lambda r: (
            0.05 < r.jax[1] / r.pytorch[1] - 1 < 0.4 and 4e-6 < r.jax[0] / r.pytorch[0] - 1 < 5e-6
        ),
        size=lambda r: (
            f"{r.jax[0] / r.pytorch[0] - 1:.1g} at a standard deviation of 1, "
            f"{r.jax[1] / r.pytorch[1] - 1:.0%} at 0.005"
        ),
        detect="Test with small inputs, or in float64, where the difference stays.",
        fix="Pass `epsilon=1e-5` to nnx.LayerNorm, or `eps=1e-6` to nn.LayerNorm. Replace "
        "`elementwise_affine=False` by `use_scale=False, use_bias=False`.",
        sources=(
            "https://github.com/facebookresearch/ParlAI/pull/1834",
            "https://github.com/huggingface/candle/pull/271",
        ),
        symptoms=(
            "LayerNorm or another normalisation differs slightly",
            "differs by 1e-6 to 1e-4",
            "checkpoint loads, outputs differ: right after loading",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("nn.LayerNorm", "F.layer_norm", "nnx.LayerNorm", "elementwise_affine"),
        bugs=("epsilon_in_the_scale",),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="layer_norm_variance",
        title="Flax computes the variance of LayerNorm as E[x²] - E[x]²",
        what="This formula needs one pass over the data instead of two, but digits cancel if the "
        "mean is much larger than the standard deviation. With `use_fast_variance=False`, Flax is "
        "as exact as PyTorch. The example shows the largest error against float64, where the "
        "mean is 3, 10, 30 and 100 times the standard deviation:",
        pytorch="x = np.random.default_rng(0).normal(size=(64, 256)).astype('f4')\n"
        "def error(x):\n"
        "    norm = lambda x: F.layer_norm(torch.tensor(x), (256,))\n"
        "    return (norm(x) - norm(x.astype(float))).abs().max()\n"
        "result = np.array([error(x + mean) for mean in (3, 10, 30, 100)])",
        jax="x = np.random.default_rng(0).normal(size=(64, 256)).astype('f4')\n"
        "norm = nnx.LayerNorm(256, epsilon=1e-5, rngs=nnx.Rngs(0))\n"
        "def error(x):\n"
        "    y = x.astype(float)\n"
        "    exact = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5)\n"
        "    return np.abs(norm(jnp.array(x)) - exact).max()\n"
        "result = np.array([error(x + mean) for mean in (3, 10, 30, 100)])",
        port="x = np.random.default_rng(0).normal(size=(64, 256)).astype('f4') + 30\n"
        "norm = nnx.LayerNorm(256, epsilon=1e-5, use_fast_variance=False, rngs=nnx.Rngs(0))\n"
        "F.layer_norm(torch.tensor(x), (256,)), norm(jnp.array(x))",
        expect=lambda r: bool(
            (r.pytorch < 2e-5).all()
            and (r.jax > 4 * r.pytorch).all()
            and (r.jax > [1e-6, 1e-5, 1e-4, 1e-3]).all()
            and (r.jax < [1e-5, 1e-4, 1e-3, 1e-2]).all()
        ),
        size=lambda r: (
            f"errors of {r.jax[0]:.1g} to {r.jax[3]:.1g} against {r.pytorch[0]:.1g} to "
            f"{r.pytorch[3]:.1g}"
        ),
        detect="Test with an input whose mean is at least three times its standard deviation.",
        fix="Pass `use_fast_variance=False` to nnx.LayerNorm, and also to GroupNorm and BatchNorm.",
        sources=(
            "https://github.com/google/flax/issues/1491",
            "https://github.com/jax-ml/jax/issues/30426",
        ),
        symptoms=(
            "LayerNorm or another normalisation differs slightly",
            "differs by 1e-6 to 1e-4",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("nn.LayerNorm", "nnx.LayerNorm", "nnx.GroupNorm", "nnx.BatchNorm", "nnx.RMSNorm"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="batch_norm",
        title="BatchNorm's momentum 0.1 in PyTorch is 0.9 in Flax",
        what="With momentum=0.1, PyTorch gives the new statistics a weight of 0.1, Flax a weight "
        "of 0.9. The defaults are 0.1 and 0.99, so Flax's statistics change ten times more "
        "slowly. The running variance also differs: PyTorch divides by n - 1, Flax by n. "
        "Loaded statistics are copied unchanged (`running_var` is `var`): outputs in "
        "evaluation mode agree, and only further training differs. Example with momentum=0.1:",
        pytorch="norm = nn.BatchNorm1d(1, momentum=0.1)\n"
        "norm(torch.tensor([[0.0], [2.0]]))\nnorm.running_mean, norm.running_var",
        jax="norm = nnx.BatchNorm(1, momentum=0.1, rngs=nnx.Rngs(0))\n"
        "norm(jnp.array([[0.0], [2.0]]))\nnorm.mean[...], norm.var[...]",
        port="right = nn.BatchNorm1d(3)\n"
        "right.running_var[:] = torch.tensor([1.0, 2.0, 4.0])\n"
        "found = nnx.BatchNorm(3, momentum=0.9, rngs=nnx.Rngs(0))\n"
        "found.mean[...], found.var[...] = right.running_mean.numpy(), right.running_var.numpy()\n"
        "x = np.random.default_rng(0).normal(size=(5, 3)).astype('f4')\n"
        "evaluated = right.eval()(torch.tensor(x)), found(jnp.array(x), use_running_average=True)\n"
        "right.train()(torch.tensor(x)), found(jnp.array(x), use_running_average=False)\n"
        "(evaluated[0], right.running_mean), (evaluated[1], found.mean[...])",
        expect=lambda r: bool(
            np.isclose(r.pytorch, [[0.1], [1.1]]).all() and np.isclose(r.jax, [[0.9], [1.0]]).all()
        ),
        size=lambda r: f"running mean {r.pytorch[0][0]:g} against {r.jax[0][0]:g}",
        detect="Compare the running statistics after one batch.",
        fix="Use `momentum=1 - m`. The factor n / (n - 1) of the variance matters only for small "
        "batches.",
        sources=(
            "https://github.com/pytorch/examples/issues/289",
            "https://github.com/pytorch/pytorch/issues/19902",
        ),
        symptoms=(
            "training mode differs from evaluation",
            "LayerNorm or another normalisation differs slightly",
            "accuracy differs",
            "checkpoint loads, outputs differ: after a step",
        ),
        calls=("nn.BatchNorm1d", "nn.BatchNorm2d", "nnx.BatchNorm", "running_var"),
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
        symptoms=("checkpoint loads, outputs differ: right after loading",),
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
