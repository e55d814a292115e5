"""Divergences of checkpoints: what is in them, and what is checked when they are loaded."""

import numpy as np

from compare.catalogue.divergences.records import Divergence, Raised

CHECKPOINTING = "https://flax.readthedocs.io/en/latest/guides/checkpointing.html"
MODULE = "https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html"

CHECKPOINTS = (
    Divergence(
        name="missing_parameter",
        title="load_state_dict raises an error for a missing parameter, nnx.update does not",
        what="nnx.update sets the parameters that it gets and leaves the others at their random "
        "initial values. In the example the bias is missing and the name of the weight is "
        "misspelt:",
        pytorch='model = nn.Linear(2, 2)\nmodel.load_state_dict({"wieght": torch.ones(2, 2)})',
        jax="model = nnx.Linear(2, 2, rngs=nnx.Rngs(0))\nkernel = model.kernel[...]\n"
        'nnx.update(model, {"kernle": jnp.ones((2, 2))})\n'
        "bool((model.kernel[...] == kernel).all())",
        expect=lambda r: isinstance(r.pytorch, Raised) and r.jax is True,
        size=lambda r: "an error against a model that was not loaded",
        detect="Compare the names in the file with those of `nnx.state(model)`.",
        fix="Assert that both sets of names are equal before loading.",
        sources=(MODULE, CHECKPOINTING),
        symptoms=(
            "checkpoint loads, outputs differ: right after loading",
            "an error in one framework only",
        ),
        calls=("load_state_dict", "nnx.update"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="shape_of_a_checkpoint",
        title="nnx.update accepts an array of any shape",
        what="load_state_dict raises an error. In Flax, a kernel of shape [1, 3] instead of [3, "
        "3] raises an error only when it is used. A bias with one number never does, because it "
        "is broadcast.",
        pytorch="model = nn.Linear(3, 3)\n"
        'model.load_state_dict({"weight": torch.ones(3, 3), "bias": torch.ones(1)})',
        jax="model = nnx.Linear(3, 3, rngs=nnx.Rngs(0))\n"
        'nnx.update(model, {"bias": jnp.ones(1)})\nmodel(jnp.zeros((1, 3)))',
        expect=lambda r: isinstance(r.pytorch, Raised) and r.jax.tolist() == [[1, 1, 1]],
        size=lambda r: "an error against a broadcast",
        detect="Compare `jax.tree.map(jnp.shape, nnx.state(model))` before and after loading.",
        fix="Compare the shapes before loading.",
        sources=(MODULE, CHECKPOINTING),
        symptoms=(
            "checkpoint loads, outputs differ: right after loading",
            "an error in one framework only",
        ),
        calls=("load_state_dict", "nnx.update"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="dtype_of_a_checkpoint",
        title="On loading, PyTorch keeps the model's dtype, Flax takes that of the file",
        what="load_state_dict copies into the existing parameters. nnx.update replaces them: "
        "after loading a float16 file, the model trains in float16. The dtype after loading:",
        pytorch="model = nn.Linear(1, 1)\n"
        "model.load_state_dict(nn.Linear(1, 1).half().state_dict())\nmodel.weight.dtype",
        jax="model = nnx.Linear(1, 1, rngs=nnx.Rngs(0))\n"
        'nnx.update(model, {"kernel": jnp.ones((1, 1), jnp.float16)})\nmodel.kernel.dtype',
        expect=lambda r: r.pytorch == "float32" and r.jax == "float16",
        size=lambda r: f"{r.pytorch} against {r.jax}",
        detect="Print the dtypes after loading.",
        fix="Convert with `array.astype(model.kernel.dtype)` when loading.",
        sources=(MODULE, CHECKPOINTING),
        symptoms=(
            "checkpoint loads, outputs differ: right after loading",
            "bfloat16 results differ",
        ),
        calls=("load_state_dict", "nnx.update"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="buffers_of_a_checkpoint",
        title="state_dict() contains running statistics, nnx.state(model, nnx.Param) does not",
        what="Optimisers and many examples filter the state by nnx.Param. The mean and variance "
        "of BatchNorm are then missing, and the loaded model evaluates with 0 and 1. The names in "
        "both:",
        pytorch="tuple(nn.BatchNorm1d(2).state_dict())",
        jax="norm = nnx.BatchNorm(2, rngs=nnx.Rngs(0))\ntuple(nnx.state(norm, nnx.Param))",
        expect=lambda r: "running_mean" in r.pytorch and r.jax == ("bias", "scale"),
        size=lambda r: f"{len(r.pytorch)} arrays against {len(r.jax)}",
        detect="Save, load and evaluate. The outputs must be the same.",
        fix="Use `nnx.state(model)`, or a filter that includes nnx.BatchStat.",
        sources=(
            MODULE,
            "https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/normalization.html",
        ),
        symptoms=("checkpoint loads, outputs differ: right after loading", "accuracy differs"),
        calls=("state_dict", "nnx.state", "nn.BatchNorm2d", "nnx.BatchNorm", "running_var"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="tied_weights",
        title="load_state_dict(assign=True) separates weights that two layers share",
        what="It gives each layer its own parameter, and the two differ after the next step. "
        "Without `assign`, PyTorch copies into the shared parameter, as nnx.update does. The "
        "example shows whether two layers still share their weight, in PyTorch without and with "
        "`assign`:",
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
        fix="Load without `assign`, or tie the weights again before you create the optimiser.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/188346",
            "https://github.com/TransformerLensOrg/TransformerLens/issues/1725",
        ),
        symptoms=("checkpoint loads, outputs differ: after a step",),
        calls=(
            *("nn.Embedding", "nnx.Embed", "nn.Linear", "nnx.Linear", "load_state_dict"),
            *("nnx.update", "Embedding"),
        ),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="snapshots",
        title="state_dict() and nnx.state() return references to the parameters",
        what="Neither function copies. If you keep its result as the best parameters so far, it "
        "contains the last parameters. JAX's arrays are immutable, but the variables that contain "
        "them are not.",
        pytorch="model = nn.Linear(1, 1)\nkept = model.state_dict()\n"
        'before = kept["bias"].item()\n'
        'with torch.no_grad():\n    model.bias += 1\nkept["bias"].item() - before',
        jax="model = nnx.Linear(1, 1, rngs=nnx.Rngs(0))\nkept = nnx.state(model)\n"
        'before = kept["bias"][...].item()\nmodel.bias[...] += 1\n'
        'kept["bias"][...].item() - before',
        expect=lambda r: bool(np.isclose(r.pytorch, 1) and np.isclose(r.jax, 1)),
        size=lambda r: f"the snapshot moved by {r.pytorch:g} and {r.jax:g}",
        detect="Take a snapshot, take a step, and compare.",
        fix="Use `copy.deepcopy(model.state_dict())` or `jax.tree.map(jnp.copy, "
        "nnx.state(model))`.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/34765",
            "https://github.com/google/flax/pull/4912",
        ),
        symptoms=("checkpoint loads, outputs differ: after a step", "accuracy differs"),
        calls=("state_dict", "nnx.state"),
        bugs=("snapshot_aliases_the_model", "model_aliases_its_start"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="transposed_in_a_file",
        title="safetensors 0.8.0 writes transposed NumPy arrays incorrectly",
        what="It writes the numbers in memory order with the shape of the transpose, without a "
        "warning. safetensors.torch raises an error for such a tensor, and a JAX array is written "
        "correctly. A Flax kernel that is transposed in NumPy is such an array. The example "
        "writes and reads the transpose of [[0, 1, 2], [3, 4, 5]]:",
        pytorch="from safetensors.torch import load, save\n"
        'load(save({"x": torch.arange(6).reshape(2, 3).T}))["x"]',
        jax="from safetensors.flax import load, save\n"
        'load(save({"x": jnp.arange(6).reshape(2, 3).T}))["x"]',
        numpy="from safetensors.numpy import load, save\n"
        'load(save({"x": np.arange(6).reshape(2, 3).T}))["x"]',
        expect=lambda r: (
            isinstance(r.pytorch, Raised)
            and r.jax.tolist() == [[0, 3], [1, 4], [2, 5]]
            and r.numpy.tolist() == [[0, 1], [2, 3], [4, 5]]
        ),
        size=lambda r: f"{int((r.numpy != r.jax).sum())} of {r.jax.size} numbers in another place",
        detect="Read the file back and compare.",
        fix="Call `np.ascontiguousarray` before saving.",
        sources=(
            "https://github.com/safetensors/safetensors/issues/825",
            "https://github.com/MinishLab/model2vec/pull/341",
        ),
        symptoms=(
            "checkpoint loads, outputs differ: right after loading",
            "outputs have the same numbers in another order",
        ),
        calls=("safetensors.numpy", "safetensors.torch", "safetensors.flax"),
        libraries=("safetensors", "torch", "jax"),
    ),
)
