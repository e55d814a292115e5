"""Divergences of bfloat16: what is stored, what is computed in, and what meets float32."""

from compare.catalogue.divergences.records import TORCH_DOCS, Divergence, Raised

BFLOAT16 = (
    Divergence(
        name="stored_or_computed",
        title="dtype is the storage type in PyTorch, the computation type in Flax",
        what="In PyTorch a bfloat16 parameter does not change if the updates are small: 1 - 0.001 "
        "rounds to 1. Flax stores parameters in `param_dtype`, float32 by default, independently "
        "of `dtype`. After 100 steps of Adam with learning rate 0.001, from 1:",
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
        detect="Print the dtype of a parameter, and whether a step changed it.",
        fix="In PyTorch, keep float32 parameters and compute under `torch.autocast`.",
        sources=("https://github.com/Physical-Intelligence/openpi/issues/989",),
        symptoms=("bfloat16 results differ", "training drifts: the data, dropout or dtype"),
        calls=(
            *("nn.Parameter", "nnx.Linear", "nnx.Param", "torch.optim.Adam", "optax.adam"),
            *("torch.autocast", "bfloat16"),
        ),
        libraries=("torch", "jax", "flax", "optax"),
    ),
    Divergence(
        name="sum_in_bfloat16",
        title="NumPy sums bfloat16 in bfloat16",
        what="PyTorch and JAX sum in float32 and round the result. NumPy with ml_dtypes stops at "
        "256, because 256 + 1 rounds to 256. The sum of 1,000 ones:",
        pytorch="torch.ones(1000, dtype=torch.bfloat16).sum().float()",
        jax='jnp.ones(1000, dtype=jnp.bfloat16).sum().astype("float32")',
        numpy='import ml_dtypes\nnp.ones(1000, dtype=ml_dtypes.bfloat16).sum().astype("float32")',
        expect=lambda r: r.pytorch == r.jax == 1000 and r.numpy == 256,
        size=lambda r: f"{r.pytorch:g} against {r.numpy:g}",
        detect="Sum more than 256 ones.",
        fix="Use `array.astype(np.float32).sum()`.",
        sources=("https://github.com/jax-ml/ml_dtypes/issues/63",),
        symptoms=("bfloat16 results differ",),
        calls=("torch.sum", "jnp.sum", "np.sum", "bfloat16"),
    ),
    Divergence(
        name="bfloat16_meets_float32",
        title="A product of bfloat16 and float32 is an error in PyTorch, float32 in JAX",
        what="If a bfloat16 JAX model gets float32 inputs or has one float32 constant, it "
        "silently continues in float32. It is then slower, and more accurate than the deployed "
        "model.",
        pytorch="torch.ones(2, 2, dtype=torch.bfloat16) @ torch.ones(2, 2)",
        jax="(jnp.ones((2, 2), jnp.bfloat16) @ jnp.ones((2, 2))).dtype",
        expect=lambda r: isinstance(r.pytorch, Raised) and r.jax == "float32",
        size=lambda r: f"an error against {r.jax}",
        detect="Print the dtype after every layer.",
        fix="Pass `dtype=jnp.bfloat16` to layers, which converts inputs and parameters.",
        sources=(
            "https://docs.jax.dev/en/latest/jep/9407-type-promotion.html",
            TORCH_DOCS + "matmul.html",
        ),
        symptoms=("bfloat16 results differ", "an error in one framework only"),
        calls=("torch.matmul", "jnp.matmul", "nn.Linear", "nnx.Linear", "bfloat16"),
    ),
    Divergence(
        name="bfloat16_times_a_numpy_number",
        title="A NumPy scalar promotes a bfloat16 array to float32 in JAX, not in PyTorch",
        what="np.sqrt(64) is an np.float64, which JAX treats as a typed array. Python numbers, "
        "and all numbers in PyTorch, take the dtype of the array.",
        pytorch="(torch.ones(1, dtype=torch.bfloat16) * np.sqrt(64)).dtype",
        jax="x = jnp.ones(1, jnp.bfloat16)\n(x * np.sqrt(64)).dtype, (x * 8.0).dtype",
        expect=lambda r: r.pytorch == "bfloat16" and r.jax == ("float32", "bfloat16"),
        size=lambda r: f"{r.pytorch} against {r.jax[0]}",
        detect="Print the dtype after every step.",
        fix="Use `math.sqrt` or `float(np.sqrt(64))`.",
        sources=("https://docs.jax.dev/en/latest/jep/9407-type-promotion.html",),
        symptoms=("bfloat16 results differ",),
        calls=("np.sqrt", "bfloat16"),
    ),
    Divergence(
        name="loss_in_bfloat16",
        title="Under autocast the loss is float32, in JAX it has the dtype of the logits",
        what="torch.autocast always computes cross_entropy in float32. optax computes in the "
        "dtype of the logits, and a bfloat16 loss has about three digits. The JAX example shows "
        "the loss for bfloat16 logits and for the same logits in float32:",
        pytorch="logits = torch.tensor([[1.0, 2.0, 5.0]], dtype=torch.bfloat16)\n"
        'with torch.autocast("cpu", dtype=torch.bfloat16):\n'
        "    loss = F.cross_entropy(logits, torch.tensor([0]))\nloss.dtype, loss.item()",
        jax="logits = jnp.array([[1.0, 2.0, 5.0]], dtype=jnp.bfloat16)\n"
        "of = optax.softmax_cross_entropy_with_integer_labels\n"
        "low, high = (of(x, jnp.array([0]))[0] for x in (logits, logits.astype(jnp.float32)))\n"
        "low.dtype, low.item(), high.item()",
        expect=lambda r: (
            r.pytorch[0] == "float32"
            and r.jax[0] == "bfloat16"
            and abs(r.pytorch[1] - r.jax[2]) < 1e-5 < 1e-3 < abs(r.jax[1] - r.jax[2])
        ),
        size=lambda r: f"{r.pytorch[1]:.5g} against {r.jax[1]:.5g}",
        detect="Check the dtype of the loss.",
        fix="Call `logits.astype(jnp.float32)` before the loss.",
        sources=("https://docs.pytorch.org/docs/stable/amp.html",),
        symptoms=(
            "bfloat16 results differ",
            "training drifts: the loss or its gradient",
            "differs by 1e-4 to 1e-2, on a CPU too",
        ),
        calls=(
            *("F.cross_entropy", "nn.CrossEntropyLoss", "torch.autocast", "bfloat16"),
            "optax.softmax_cross_entropy_with_integer_labels",
        ),
        libraries=("torch", "jax", "optax"),
    ),
)
