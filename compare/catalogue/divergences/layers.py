"""Divergences of layers: how they keep parameters, how they start, epsilon and variance."""

import numpy as np

from compare.catalogue.divergences.records import Divergence

LAYERS = (
    Divergence(
        name="linear_weight",
        title="A Linear weight is [out, in], a Flax kernel [in, out]",
        what="With as many inputs as outputs both fit, and the layer multiplies by the transpose.",
        pytorch="layer = nn.Linear(2, 2, bias=False)\n"
        "layer.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])\n"
        "layer(torch.tensor([1.0, 0.0]))",
        jax="layer = nnx.Linear(2, 2, use_bias=False, rngs=nnx.Rngs(0))\n"
        "layer.kernel[...] = jnp.array([[1.0, 2.0], [3.0, 4.0]])\n"
        "layer(jnp.array([1.0, 0.0]))",
        expect=lambda r: list(r.pytorch) == [1, 3] and list(r.jax) == [1, 2],
        size=lambda r: f"{r.pytorch[1]:g} against {r.jax[1]:g}",
        detect="A square layer with a weight that is not symmetric.",
        fix="Transpose, never reshape, in one place.",
        sources=("https://flax.readthedocs.io/en/stable/migrating/convert_pytorch_to_flax.html",),
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
        title="A linear layer starts with 1.7 times larger weights in Flax, and a bias of 0",
        what="PyTorch: uniform in ±1 / sqrt(inputs), the bias too. Flax: a truncated normal of "
        "deviation 1 / sqrt(inputs), and a bias of 0.",
        pytorch="torch.manual_seed(0)\nlayer = nn.Linear(1000, 1000)\n"
        "layer.weight.std(), layer.bias.abs().max()",
        jax="layer = nnx.Linear(1000, 1000, rngs=nnx.Rngs(0))\n"
        "layer.kernel[...].std(), jnp.abs(layer.bias[...]).max()",
        expect=lambda r: (
            1.7 < r.jax[0] / r.pytorch[0] < 1.76 and r.jax[1] == 0 and r.pytorch[1] > 0.03
        ),
        size=lambda r: f"{r.jax[0] / r.pytorch[0]:.3f} times, sqrt(3) in theory",
        detect="The deviation of fresh weights.",
        fix="Set `kernel_init` and `bias_init`, or start both from the same arrays.",
        sources=(
            "https://github.com/jax-ml/jax/issues/4862",
            "https://github.com/google/flax/issues/3125",
        ),
        bugs=("bias_missing",),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="packed_projection",
        title="nn.MultiheadAttention's projections start 1.4 times narrower than Flax's",
        what="PyTorch draws the query, key and value projections as one matrix, and Xavier's rule "
        "then counts three times as many outputs as each has. Flax draws three matrices. PyTorch: "
        "the deviation of the packed matrix, and of one drawn by itself:",
        pytorch="torch.manual_seed(0)\n"
        "packed = nn.MultiheadAttention(64, num_heads=4).in_proj_weight\n"
        "packed.std(), nn.init.xavier_uniform_(torch.empty(64, 64)).std()",
        jax="layer = nnx.MultiHeadAttention(num_heads=4, in_features=64, rngs=nnx.Rngs(0))\n"
        "layer.query.kernel[...].std()",
        expect=lambda r: 1.35 < r.jax / r.pytorch[0] < 1.5 and 0.95 < r.jax / r.pytorch[1] < 1.05,
        size=lambda r: f"{r.jax / r.pytorch[0]:.3f} times, sqrt(2) in theory",
        detect="The deviation of fresh weights.",
        fix="`nn.init.xavier_uniform_(layer.in_proj_weight, gain=2**0.5)`, or start both from the "
        "same arrays.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/166378",
            "https://github.com/pytorch/pytorch/pull/171361",
        ),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="tied_weights",
        title="load_state_dict(assign=True) unties weights that two layers share",
        what="It gives each layer a new parameter, and the two differ after the next step. Without "
        "`assign`, PyTorch copies into the shared parameter, as nnx.update does. Whether two "
        "layers still share their weight, in PyTorch without and with `assign`:",
        pytorch="model = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(2)))\n"
        "model[1].weight = model[0].weight\n"
        "kept, shared = model.state_dict(), []\n"
        "for assign in (False, True):\n"
        "    model.load_state_dict(kept, assign=assign)\n"
        "    shared.append(model[0].weight is model[1].weight); result = shared",
        jax="layers = [nnx.Linear(2, 2, use_bias=False, rngs=nnx.Rngs(0)) for _ in range(2)]\n"
        "layers[1].kernel = layers[0].kernel\n"
        "model = nnx.List(layers)\n"
        "nnx.update(model, jax.tree.map(jnp.copy, nnx.state(model)))\n"
        "model[0].kernel is model[1].kernel",
        expect=lambda r: r.pytorch == (True, False) and r.jax is True,
        size=lambda r: "one parameter became two",
        detect="Count `model.parameters()` before and after loading.",
        fix="Load without `assign`, or tie the weights again before the optimiser is made.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/188346",
            "https://github.com/TransformerLensOrg/TransformerLens/issues/1725",
        ),
        libraries=("torch", "jax", "flax"),
    ),
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
        bugs=("epsilon_in_the_scale",),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="gelu",
        title="GELU is exact in PyTorch and an approximation in JAX",
        what="jax.nn.gelu takes the tanh formula unless told otherwise.",
        pytorch="F.gelu(torch.tensor([-1.0, 1.0]))",
        jax="jax.nn.gelu(jnp.array([-1.0, 1.0]))",
        expect=lambda r: 1e-5 < np.abs(r.pytorch - r.jax).max() < 1e-3,
        size=lambda r: f"{np.abs(r.pytorch - r.jax).max():.1g}",
        detect="One value.",
        fix='`jax.nn.gelu(x, approximate=False)`, or `F.gelu(x, approximate="tanh")`.',
        sources=(
            "https://github.com/jax-ml/jax/issues/4428",
            "https://github.com/goodfire-ai/spd/issues/624",
        ),
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
        bugs=("unbiased_variance",),
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
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="stored_or_computed",
        title="dtype is what PyTorch stores in, and what Flax computes in",
        what="A bfloat16 parameter of PyTorch does not move by updates that are small beside it: "
        "1 - 0.001 is rounded to 1. Flax keeps `param_dtype`, float32, whatever `dtype` is. After "
        "100 steps of Adam at rate 0.001, from 1:",
        pytorch="w = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))\n"
        "adam = torch.optim.Adam([w], lr=1e-3)\nfor _ in range(100):\n"
        "    w.grad = torch.ones_like(w)\n    adam.step()\nw.dtype, w.item()",
        jax="layer = nnx.Linear(1, 1, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))\n"
        "w, adam = jnp.ones_like(layer.kernel[...]), optax.adam(1e-3)\nstate = adam.init(w)\n"
        "for _ in range(100):\n"
        "    step, state = adam.update(jnp.ones_like(w), state); w += step\n"
        "result = w.dtype, w.item()",
        expect=lambda r: (
            r.pytorch == ("bfloat16", 1.0) and r.jax[0] == "float32" and abs(r.jax[1] - 0.9) < 0.01
        ),
        size=lambda r: f"{r.pytorch[1]:g} against {r.jax[1]:.3g}",
        detect="Print a parameter's dtype, and whether a step changed it.",
        fix="Keep float32 parameters in PyTorch and compute under `torch.autocast`.",
        sources=("https://github.com/Physical-Intelligence/openpi/issues/989",),
        libraries=("torch", "jax", "flax", "optax"),
    ),
)
