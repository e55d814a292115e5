"""Divergences of linear layers and activations: how they keep parameters, how they start."""

import numpy as np

from compare.catalogue.divergences.records import Divergence

LAYERS = (
    Divergence(
        name="linear_weight",
        title="A PyTorch Linear weight is [out, in], a Flax kernel [in, out]",
        what="If a layer has as many inputs as outputs, both orders fit. The layer then "
        "multiplies by the transposed matrix without an error.",
        pytorch="layer = nn.Linear(2, 2, bias=False)\n"
        "layer.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])\n"
        "layer(torch.tensor([1.0, 0.0]))",
        jax="layer = nnx.Linear(2, 2, use_bias=False, rngs=nnx.Rngs(0))\n"
        "layer.kernel[...] = jnp.array([[1.0, 2.0], [3.0, 4.0]])\n"
        "layer(jnp.array([1.0, 0.0]))",
        expect=lambda r: list(r.pytorch) == [1, 3] and list(r.jax) == [1, 2],
        size=lambda r: f"{r.pytorch[1]:g} against {r.jax[1]:g}",
        detect="Test a square layer with a weight that is not symmetric.",
        fix="Transpose the weight (do not reshape it), in a single place in the code.",
        sources=("https://flax.readthedocs.io/en/stable/migrating/convert_pytorch_to_flax.html",),
        symptoms=(
            "checkpoint loads, outputs differ: right after loading",
            "outputs differ by a few percent or more",
        ),
        calls=("nn.Linear", "nnx.Linear", "Dense"),
        bugs=(
            "kernel_reshaped",
            "kernel_reshaped_on_the_way_out",
            "query_by_a_linear_layer",
            "value_transposed",
        ),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="linear_start",
        title="A Flax linear or convolution layer starts with 1.7 times larger weights and a bias "
        "of 0",
        what="PyTorch draws weights and bias uniformly between -1 / sqrt(inputs) and "
        "1 / sqrt(inputs). Flax draws weights from a truncated normal distribution with standard "
        "deviation 1 / sqrt(inputs), and sets the bias to 0. The inputs of a convolution "
        "are its channels times the size of the kernel. Example with a linear layer:",
        pytorch="torch.manual_seed(0)\nlayer = nn.Linear(1000, 1000)\n"
        "layer.weight.std(), layer.bias.abs().max()",
        jax="layer = nnx.Linear(1000, 1000, rngs=nnx.Rngs(0))\n"
        "layer.kernel[...].std(), jnp.abs(layer.bias[...]).max()",
        port="inputs = 64 * 3 * 3\n"
        "like_torch = nnx.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')\n"
        "def bias(key, shape, dtype, **others):\n"
        "    return jax.random.uniform(key, shape, dtype, -1, 1) / inputs**0.5\n\n"
        "inits = {'kernel_init': like_torch, 'bias_init': bias}\n"
        "conv = nnx.Conv(64, 999, (3, 3), rngs=nnx.Rngs(0), **inits)\n"
        "torch.manual_seed(0)\n"
        "like = nn.Conv2d(64, 999, 3)\n"
        "def of(w, b):\n"
        "    return [round(x.item() * 24, 2) for x in (w.std(), abs(w).max(), abs(b).max())]\n\n"
        "of(like.weight, like.bias), of(conv.kernel[...], conv.bias[...])",
        expect=lambda r: (
            1.7 < r.jax[0] / r.pytorch[0] < 1.76 and r.jax[1] == 0 and r.pytorch[1] > 0.03
        ),
        size=lambda r: f"{r.jax[0] / r.pytorch[0]:.3f} times, sqrt(3) in theory",
        detect="Compare the standard deviations of the initial weights.",
        fix="Set `kernel_init` and `bias_init` as in the code, or start both frameworks from the "
        "same arrays. The code compares the standard deviation and the largest values, in "
        "units of 1 / sqrt(inputs).",
        sources=(
            "https://github.com/jax-ml/jax/issues/4862",
            "https://github.com/google/flax/issues/3125",
        ),
        symptoms=("training drifts: the initial weights or random numbers", "first loss too large"),
        calls=("nn.Linear", "nnx.Linear", "Dense", "nn.Conv2d", "nnx.Conv"),
        bugs=("bias_missing",),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="packed_projection",
        title="nn.MultiheadAttention starts with 1.4 times smaller projections than Flax",
        what="PyTorch draws the query, key and value projections as one matrix, so Xavier "
        "initialisation uses three times the number of outputs. Flax draws three separate "
        "matrices. For PyTorch, the example shows the standard deviation of the packed matrix and "
        "of a single one:",
        pytorch="torch.manual_seed(0)\n"
        "packed = nn.MultiheadAttention(64, num_heads=4).in_proj_weight\n"
        "packed.std(), nn.init.xavier_uniform_(torch.empty(64, 64)).std()",
        jax="layer = nnx.MultiHeadAttention(num_heads=4, in_features=64, rngs=nnx.Rngs(0))\n"
        "layer.query.kernel[...].std()",
        expect=lambda r: 1.35 < r.jax / r.pytorch[0] < 1.5 and 0.95 < r.jax / r.pytorch[1] < 1.05,
        size=lambda r: f"{r.jax / r.pytorch[0]:.3f} times, sqrt(2) in theory",
        detect="Compare the standard deviations of the initial weights.",
        fix="Use `nn.init.xavier_uniform_(layer.in_proj_weight, gain=2**0.5)`, or start both "
        "frameworks from the same arrays.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/166378",
            "https://github.com/pytorch/pytorch/pull/171361",
        ),
        symptoms=("training drifts: the initial weights or random numbers",),
        calls=("nn.MultiheadAttention", "nnx.MultiHeadAttention"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="gelu",
        title="GELU is exact in PyTorch and an approximation in JAX",
        what="By default, jax.nn.gelu uses the tanh approximation.",
        pytorch="F.gelu(torch.tensor([-1.0, 1.0]))",
        jax="jax.nn.gelu(jnp.array([-1.0, 1.0]))",
        expect=lambda r: 1e-5 < np.abs(r.pytorch - r.jax).max() < 1e-3,
        size=lambda r: f"{np.abs(r.pytorch - r.jax).max():.1g}",
        detect="Compare the output at x = 1.",
        fix='Pass `approximate=False` to jax.nn.gelu, or `approximate="tanh"` to F.gelu.',
        sources=(
            "https://github.com/jax-ml/jax/issues/4428",
            "https://github.com/goodfire-ai/spd/issues/624",
        ),
        symptoms=(
            "differs by 1e-4 to 1e-2, on a CPU too",
            "checkpoint loads, outputs differ: right after loading",
        ),
        calls=("F.gelu", "nn.GELU", "jax.nn.gelu", "nnx.gelu"),
    ),
)
