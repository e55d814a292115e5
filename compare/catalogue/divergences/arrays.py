"""Divergences of plain array functions: statistics, indexing, randomness, copies."""

import numpy as np

from compare.catalogue.divergences.records import Divergence, Raised

ARRAYS = (
    Divergence(
        name="deviation",
        title="torch.std divides by n - 1, NumPy and JAX divide by n",
        what="The default estimators differ. If you normalise in one framework and evaluate in "
        "the other, every input is scaled slightly.",
        pytorch="torch.tensor([1.0, 2.0, 4.0]).std()",
        jax="jnp.array([1.0, 2.0, 4.0]).std()",
        numpy="np.array([1.0, 2.0, 4.0]).std()",
        expect=lambda r: bool(
            np.isclose(r.jax, r.numpy) and np.isclose(r.pytorch, r.jax * np.sqrt(3 / 2))
        ),
        size=lambda r: f"{r.pytorch / r.jax - 1:.0%} with three numbers, about 1 / (2 n) with n",
        detect="Compare the result for one short vector.",
        fix="Use `torch.std(x, correction=0)`.",
        sources=("https://github.com/pytorch/pytorch/issues/50010",),
        symptoms=(
            "inputs differ before they reach the model",
            "LayerNorm or another normalisation differs slightly",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=("torch.std", "torch.var", "jnp.std", "jnp.var", "np.std"),
        bugs=("unbiased_variance", "biased_variance_of_the_original"),
    ),
    Divergence(
        name="deviation_of_one",
        title="The standard deviation of a single number is NaN in PyTorch, 0 in JAX",
        what="PyTorch divides by n - 1 = 0. A batch of one sample gives NaN in PyTorch and 0 in "
        "JAX.",
        pytorch="torch.tensor([1.0]).std()",
        jax="jnp.array([1.0]).std()",
        expect=lambda r: bool(np.isnan(r.pytorch) and r.jax == 0),
        size=lambda r: f"{r.pytorch:g} against {r.jax:g}",
        detect="Test with a batch of one.",
        fix="Use `torch.std(x, correction=0)`.",
        sources=("https://github.com/pytorch/pytorch/issues/50010",),
        symptoms=("NaN or infinity",),
        calls=("torch.std", "jnp.std"),
        bugs=("unbiased_variance",),
    ),
    Divergence(
        name="median",
        title="torch.median returns the lower of the two middle values",
        what="NumPy and JAX return the mean of the two.",
        pytorch="torch.tensor([1.0, 2.0, 3.0, 4.0]).median()",
        jax="jnp.median(jnp.array([1.0, 2.0, 3.0, 4.0]))",
        expect=lambda r: r.pytorch == 2 and r.jax == 2.5,
        size=lambda r: f"{r.pytorch:g} against {r.jax:g}",
        detect="Test with an even number of elements.",
        fix="Use `torch.quantile(x, 0.5)`.",
        sources=("https://github.com/pytorch/pytorch/issues/39520",),
        symptoms=(
            "outputs differ by a few percent or more",
            "inputs differ before they reach the model",
        ),
        calls=("torch.median", "jnp.median"),
    ),
    Divergence(
        name="top_k_of_ties",
        title="torch.topk does not define which of several equal elements it returns",
        what="argmax returns the first of several equal elements in all three libraries, and so "
        "does jax.lax.top_k. torch.topk can return any of them. Top-k accuracy then differs if "
        "logits are equal, which is frequent in bfloat16.",
        pytorch="torch.zeros(50).argmax(), torch.zeros(50).topk(1).indices",
        jax="jnp.zeros(50).argmax(), jax.lax.top_k(jnp.zeros(50), 1)[1]",
        expect=lambda r: r.pytorch[0] == r.jax[0] == r.jax[1] == 0 and r.pytorch[1] != 0,
        size=lambda r: f"index {int(r.pytorch[1][0])} against {int(r.jax[1][0])}",
        detect="Test with equal logits.",
        fix="Use `torch.sort(x, descending=True, stable=True)`, or argmax for the first element.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/88227",
            "https://github.com/pytorch/pytorch/issues/133542",
        ),
        symptoms=("accuracy differs",),
        calls=("torch.topk", "jax.lax.top_k", "torch.argmax", "jnp.argmax"),
        bugs=("ties_to_the_last",),
    ),
    Divergence(
        name="index_out_of_range",
        title="JAX does not raise an error for an index out of range",
        what="PyTorch and NumPy raise an error. In JAX an index past the end returns the last "
        "element, `take` returns NaN, and `.at[].set` has no effect.",
        pytorch="torch.tensor([1.0, 2.0, 3.0])[5]",
        jax="x = jnp.array([1.0, 2.0, 3.0])\nx[5], jnp.take(x, 5), x.at[5].set(9)",
        numpy="np.array([1.0, 2.0, 3.0])[5]",
        expect=lambda r: (
            isinstance(r.pytorch, Raised)
            and isinstance(r.numpy, Raised)
            and r.jax[0] == 3
            and bool(np.isnan(r.jax[1]))
            and list(r.jax[2]) == [1, 2, 3]
        ),
        size=lambda r: f"an error against {r.jax[0]:g}",
        detect="Use index 5 of 3 elements.",
        fix='Use `x.at[i].get(mode="fill", fill_value=jnp.nan)`, or check the indices in NumPy '
        "first.",
        sources=("https://docs.jax.dev/en/latest/_autosummary/jax.Array.at.html",),
        symptoms=("an error in one framework only", "NaN or infinity"),
        calls=("jnp.take", "jax.Array.at", "torch.Tensor.__getitem__"),
    ),
    Divergence(
        name="same_seed",
        title="The same seed gives different random numbers in each library",
        what="Every library has its own generator. A port with the same seed starts from "
        "different weights and sees different batches.",
        pytorch="torch.manual_seed(0)\ntorch.rand(2)",
        jax="jax.random.uniform(jax.random.key(0), (2,))",
        numpy="np.random.default_rng(0).random(2)",
        expect=lambda r: (
            not (
                np.allclose(r.pytorch, r.jax)
                or np.allclose(r.jax, r.numpy)
                or np.allclose(r.pytorch, r.numpy)
            )
        ),
        size=lambda r: f"first numbers {r.pytorch[0]:.3f}, {r.jax[0]:.3f} and {r.numpy[0]:.3f}",
        detect="Draw two numbers.",
        fix="Draw weights and batches once in NumPy, and pass them to both frameworks.",
        sources=("https://docs.jax.dev/en/latest/random-numbers.html",),
        symptoms=(
            "training drifts: the initial weights or random numbers",
            "inputs differ before they reach the model",
        ),
        calls=("torch.manual_seed", "jax.random.key", "np.random.default_rng"),
        bugs=("epochs_off_by_one", "batches_with_replacement"),
    ),
    Divergence(
        name="key_used_twice",
        title="A JAX key gives the same numbers each time",
        what="PyTorch's generator advances with every draw. A JAX key does not change. If a key "
        "is used twice, two parameters start with the same numbers, or every step has the same "
        "dropout mask.",
        pytorch="torch.manual_seed(0)\ntorch.rand(1), torch.rand(1)",
        jax="key = jax.random.key(0)\njax.random.uniform(key, 1), jax.random.uniform(key, 1)",
        expect=lambda r: r.jax[0] == r.jax[1] and r.pytorch[0] != r.pytorch[1],
        size=lambda r: f"the second draw {r.jax[1][0]:.3f} again, {r.pytorch[1][0]:.3f} in PyTorch",
        detect="Set `jax.debug_key_reuse(True)`, which raises an error.",
        fix="Use `jax.random.split`, or `nnx.Rngs`, which counts the draws.",
        sources=(
            "https://github.com/jax-ml/jax/issues/2009",
            "https://github.com/jax-ml/jax/issues/192",
        ),
        symptoms=("training drifts: the initial weights or random numbers",),
        calls=("torch.manual_seed", "jax.random.key", "nnx.Rngs"),
        bugs=("one_seed_for_every_draw",),
    ),
    Divergence(
        name="key_of_another_version",
        title="The same JAX key gives different numbers in different versions",
        what="JAX 0.5.0 enabled `jax_threefry_partitionable`, which changes every number drawn "
        "from a key. Under `shard_map` each device draws the same numbers from one key, so an "
        "array drawn in parts depends on the number of devices. For GPUs and TPUs there are "
        "reports that `jit` with shardings has the same problem; on a CPU it was not observed. "
        "The PyTorch example shows two generators with the same seed. The JAX example shows one "
        "key with the option on and off:",
        pytorch="generators = (torch.Generator().manual_seed(0) for _ in range(2))\n"
        "[torch.rand(2, generator=generator) for generator in generators]",
        jax="def draw(partitionable):\n"
        "    with jax.threefry_partitionable(partitionable):\n"
        "        return jax.random.uniform(jax.random.key(0), (2,))\n"
        "jax.config.jax_threefry_partitionable, draw(True), draw(False)",
        expect=lambda r: bool(
            np.array_equal(r.pytorch[0], r.pytorch[1])
            and r.jax[0] is True
            and np.abs(r.jax[1] - r.jax[2]).max() > 0.1
        ),
        size=lambda r: f"first numbers {r.jax[1][0]:.3f} and {r.jax[2][0]:.3f}",
        detect="Draw two numbers in both versions.",
        fix="Store the arrays, not the key. `JAX_THREEFRY_PARTITIONABLE=0` restores the old "
        "numbers.",
        sources=(
            "https://github.com/jax-ml/jax/discussions/18480",
            "https://github.com/jax-ml/jax/issues/21232",
            "https://github.com/jax-ml/jax/issues/40232",
        ),
        symptoms=("training drifts: the initial weights or random numbers",),
        calls=("torch.Generator", "jax.random.key"),
    ),
    Divergence(
        name="compiled_constants",
        title="A compiled function keeps the values of captured variables",
        what="`jit` reads a variable from an outer scope once, when it traces the function. It "
        "does not see later assignments, for example of new weights.",
        pytorch="w = torch.tensor(1.0)\nf = lambda x: w * x\nbefore = f(2.0)\n"
        "w = torch.tensor(10.0)\nbefore, f(2.0)",
        jax="w = jnp.array(1.0)\nf = jax.jit(lambda x: w * x)\nbefore = f(2.0)\n"
        "w = jnp.array(10.0)\nbefore, f(2.0)",
        expect=lambda r: r.pytorch == (2, 20) and r.jax == (2, 2),
        size=lambda r: f"{r.jax[1]:g} where {r.pytorch[1]:g} is right",
        detect="Evaluate, change the weights, and evaluate again.",
        fix="Pass weights as arguments. `nnx.jit` accepts the whole model.",
        sources=(
            "https://github.com/jax-ml/jax/issues/1426",
            "https://github.com/reservoirpy/reservoirpy/issues/235",
        ),
        symptoms=("accuracy differs", "the result changes from call to call"),
        calls=("jax.jit", "nnx.jit"),
        bugs=("validation_of_the_start",),
    ),
)
