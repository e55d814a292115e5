"""Divergences of dtypes and of numbers at the ends of their range."""

from compare.catalogue.divergences.records import Divergence, Raised

DTYPES = (
    Divergence(
        name="64_bits",
        title="JAX has no 64 bits unless told so",
        what="Without `jax_enable_x64` JAX makes 32 bits of every array it is given, in silence: "
        "a float64 comparison is then one of float32, and a large integer another number.",
        pytorch="x = np.array([2**40 + 1])\ntorch.tensor(x), torch.tensor(np.array([1 / 3])).dtype",
        jax="x = np.array([2**40 + 1])\njnp.array(x), jnp.array(np.array([1 / 3])).dtype",
        expect=lambda r: (
            r.pytorch[0] == 2**40 + 1
            and r.jax[0] == 1
            and r.pytorch[1] == "float64"
            and r.jax[1] == "float32"
        ),
        size=lambda r: f"{int(r.pytorch[0][0]):,} became {int(r.jax[0][0])}",
        detect="Look at the dtype of what comes out, not of what went in.",
        fix='`jax.config.update("jax_enable_x64", True)` before the first array, or '
        "`with jax.enable_x64(True):` around a part.",
        sources=(
            "https://github.com/jax-ml/jax/issues/652",
            "https://github.com/jax-ml/jax/issues/1333",
        ),
        symptoms=("differs by 1e-7 in float64",),
        calls=("torch.tensor", "jnp.array", "jax_enable_x64"),
        bugs=("float32_parameters", "dtype_not_passed_on"),
    ),
    Divergence(
        name="integer_plus_float",
        title="NumPy makes float64 of an integer and a float32",
        what="int32 + float32 is float64 in NumPy, since float32 cannot hold every int32, and "
        "float32 in PyTorch and JAX. A reference in NumPy is then more exact than one thinks, or "
        "a float32 pipeline twice as large.",
        pytorch="(torch.ones(1, dtype=torch.int32) + torch.ones(1)).dtype",
        jax="(jnp.ones(1, jnp.int32) + jnp.ones(1)).dtype",
        numpy='(np.ones(1, "int32") + np.ones(1, "float32")).dtype',
        expect=lambda r: r == ("float32", "float32", "float64"),
        size=lambda r: f"{r.numpy} against {r.jax}",
        detect="Assert the dtype at every border between two libraries.",
        fix="Cast integers before they meet floats.",
        sources=(
            "https://docs.jax.dev/en/latest/jep/9407-type-promotion.html",
            "https://numpy.org/neps/nep-0050-scalar-promotion.html",
        ),
        symptoms=("differs in the last digits", "inputs differ before the model"),
        calls=("torch.add", "jnp.add", "np.add"),
        bugs=("float32_constant",),
    ),
    Divergence(
        name="bytes",
        title="Pixels are bytes: they wrap, and divided they differ",
        what="uint8 arithmetic wraps at 256 in all three, without a word. Divided by 255, pixels "
        "become float32 in PyTorch and JAX and float64 in NumPy.",
        pytorch="x = torch.tensor([200], dtype=torch.uint8)\nx + 100, (x / 255).dtype",
        jax="x = jnp.array([200], jnp.uint8)\nx + 100, (x / 255).dtype",
        numpy='x = np.array([200], "uint8")\nx + 100, (x / 255).dtype',
        expect=lambda r: (
            all(found[0] == 44 for found in r)
            and [found[1] for found in r] == ["float32", "float32", "float64"]
        ),
        size=lambda r: f"200 + 100 = {int(r.pytorch[0][0])}",
        detect="Compute mean and deviation of the pixels in float64 beside it.",
        fix="Cast to a float, or for sums to int64, first.",
        sources=(
            "https://github.com/numpy/numpy/issues/22305",
            "https://github.com/huggingface/lerobot/pull/3697",
        ),
        symptoms=("inputs differ before the model",),
        calls=("torch.tensor", "jnp.array", "np.array", "ToTensor"),
        bugs=("uint8_wraps",),
    ),
    Divergence(
        name="subnormal_numbers",
        title="JAX flushes subnormal numbers to zero on a CPU",
        what="A number below 1.2e-38 in float32 (2.2e-308 in float64) survives in JAX only until "
        "something is computed with it.",
        pytorch="torch.tensor([1e-40]) * 1",
        jax="jnp.array([1e-40]) * 1",
        numpy='np.array([1e-40], "float32") * np.float32(1)',
        expect=lambda r: r.jax[0] == 0 and 0 < r.pytorch[0] < 1e-38 and 0 < r.numpy[0] < 1e-38,
        size=lambda r: f"{r.pytorch[0]:.3g} against {r.jax[0]:.3g}",
        detect="Scale an input by 1e-40; all of a relative comparison is in such numbers.",
        fix="Compare with an absolute bound that knows of them; do not rely on them.",
        sources=("https://github.com/jax-ml/jax/issues/16200",),
        symptoms=("differs in the last digits",),
        calls=("jnp.multiply", "torch.mul"),
    ),
    Divergence(
        name="integer_division_by_zero",
        title="An integer divided by zero is a number in JAX",
        what="PyTorch raises. JAX and NumPy give a number, and not the same one; only NumPy says "
        "so, by a warning.",
        pytorch="torch.tensor([1]) // torch.tensor([0])",
        jax="jnp.array([1]) // jnp.array([0])",
        numpy="np.array([1]) // np.array([0])",
        expect=lambda r: isinstance(r.pytorch, Raised) and r.jax.shape == r.numpy.shape == (1,),
        size=lambda r: f"an error, {int(r.jax[0])} and {int(r.numpy[0])}",
        detect="Ask for an average over nothing, such as a class that does not occur.",
        fix="Divide by `jnp.maximum(count, 1)`.",
        sources=("https://github.com/jax-ml/jax/issues/11990",),
        symptoms=("an error in one framework only", "accuracy differs"),
        calls=("torch.floor_divide", "jnp.floor_divide"),
        bugs=("absent_classes_count",),
    ),
    Divergence(
        name="tf32",
        title="JAX multiplies float32 in TF32 on recent NVIDIA GPUs",
        what="Since Ampere JAX rounds the operands of a float32 product to 10 bits of mantissa "
        "unless told otherwise; PyTorch's matmul does not. No GPU is needed to see the size: here "
        "JAX's operands are rounded by `jax.lax.reduce_precision`.",
        pytorch="rng = np.random.default_rng(0)\n"
        'a, b = (rng.normal(size=(256, 256)).astype("float32") for _ in range(2))\n'
        "exact = a.astype(float) @ b.astype(float)\n"
        "product = (torch.tensor(a) @ torch.tensor(b)).numpy()\n"
        "np.abs(product - exact).max() / np.abs(exact).max()",
        jax="rng = np.random.default_rng(0)\n"
        'a, b = (rng.normal(size=(256, 256)).astype("float32") for _ in range(2))\n'
        "exact = a.astype(float) @ b.astype(float)\n"
        "rounded = [jax.lax.reduce_precision(x, 8, 10) for x in (a, b)]\n"
        "product = np.array(rounded[0] @ rounded[1])\n"
        "np.abs(product - exact).max() / np.abs(exact).max()",
        expect=lambda r: r.pytorch < 1e-5 and 1e-4 < r.jax < 1e-2,
        size=lambda r: f"{r.jax:.1g} against {r.pytorch:.1g} of the largest element",
        detect="An error near 5e-4 = 2^-11 where one near 6e-8 is due, on a GPU only. Run again "
        'with "highest": if the error falls a thousandfold, it was TF32.',
        fix='`with jax.default_matmul_precision("highest"):`, or for the whole program '
        '`jax.config.update("jax_default_matmul_precision", "highest")`, or for one layer '
        '`nnx.Linear(..., precision="highest")`. The other way round, '
        '`torch.set_float32_matmul_precision("high")` turns TF32 on in PyTorch: leave it out.',
        sources=(
            "https://github.com/jax-ml/jax/issues/12008",
            "https://github.com/typoverflow/flow-rl/pull/12",
        ),
        symptoms=("differs by 1e-3 on a GPU",),
        calls=(
            "torch.set_float32_matmul_precision",
            *("torch.matmul", "jnp.matmul", "jnp.einsum", "nn.Linear", "nnx.Linear", "Dense"),
            *("F.scaled_dot_product_attention", "jax.nn.dot_product_attention"),
        ),
        bugs=("tf32_product", "bfloat16_product"),
    ),
    Divergence(
        name="tf32_convolutions",
        title="PyTorch allows TF32 in convolutions, but not in matmul",
        what="By default cuDNN, and so every convolution and recurrent layer, may use TF32 on "
        "recent NVIDIA GPUs. A check of matmul alone does not see it. JAX has one setting for "
        "products and convolutions. PyTorch: whether cuDNN and whether matmul may use TF32:",
        pytorch="torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32",
        jax="jax.config.jax_default_matmul_precision",
        expect=lambda r: r.pytorch == (True, False) and r.jax is None,
        size=lambda r: "5e-4 of the operands on a GPU, nothing on a CPU",
        detect="An error near 5e-4 behind a convolution, on a GPU only.",
        fix="`torch.backends.cudnn.allow_tf32 = False`; in JAX as above.",
        sources=(
            "https://docs.pytorch.org/docs/stable/notes/cuda.html",
            "https://github.com/pytorch/pytorch/issues/107514",
        ),
        symptoms=("differs by 1e-3 on a GPU",),
        calls=("nn.Conv2d", "nnx.Conv", "nn.LSTM", "nn.GRU", "nn.RNN"),
    ),
    Divergence(
        name="jit_rounds_otherwise",
        title="Compiled and uncompiled JAX differ in the last bit",
        what="A compiler fuses and reorders, and so rounds otherwise. PyTorch without compiling "
        "repeats itself exactly. Equal to the last bit is no test across `jit`.",
        pytorch='x = torch.tensor(np.random.default_rng(0).normal(size=1000).astype("float32"))\n'
        "f = lambda x: (x * x + 3 * x - x / 7) * x.exp()\n"
        "(f(x) != f(x)).sum()",
        jax='x = jnp.array(np.random.default_rng(0).normal(size=1000).astype("float32"))\n'
        "f = lambda x: (x * x + 3 * x - x / 7) * jnp.exp(x)\n"
        "(f(x) != jax.jit(f)(x)).sum()",
        expect=lambda r: r.pytorch == 0 and r.jax > 0,
        size=lambda r: f"{int(r.jax)} of 1,000 numbers",
        detect="Run the same function with and without `jax.jit`.",
        fix="Compare with a bound that is derived, not with equality.",
        sources=(
            "https://github.com/jax-ml/jax/pull/12991",
            "https://github.com/jax-ml/jax/issues/22881",
        ),
        symptoms=("differs in the last digits",),
        calls=("jax.jit", "nnx.jit"),
    ),
    Divergence(
        name="shifted_softmax",
        title="Compiled JAX can make NaN of a softmax that cannot overflow",
        what="Less their largest, scores are at most 0, and no exponential overflows. But a "
        "compiler may compute the scores a second time beside their maximum and round them "
        "otherwise; from about 1e9 on, float32's numbers are 64 apart, and exp of such a "
        "difference is infinite. `jax.nn.softmax` does the same. JAX: run eagerly, compiled, "
        "compiled with `jax.nn.softmax`, and compiled with the difference clipped at 0:",
        pytorch='x = 1e5 * torch.tensor(np.random.default_rng(0).normal(size=50).astype("f4"))\n'
        "def f(x):\n"
        "    scores = x[:, None] * x / 1.7\n"
        "    return torch.exp(scores - scores.amax(dim=1, keepdim=True))\n"
        "(~torch.isfinite(f(x))).sum()",
        jax='x = 1e5 * jnp.array(np.random.default_rng(0).normal(size=50).astype("f4"))\n'
        "less = lambda s: s - s.max(axis=1, keepdims=True)\n"
        "f, g = lambda s: jnp.exp(less(s)), lambda s: jnp.exp(jnp.minimum(less(s), 0))\n"
        "of = lambda softmax: jax.jit(lambda x: softmax(x[:, None] * x / 1.7))(x)\n"
        "found = [f(x[:, None] * x / 1.7), of(f), of(jax.nn.softmax), of(g)]\n"
        "[(~jnp.isfinite(weights)).sum().item() for weights in found]",
        expect=lambda r: (
            r.pytorch == 0 and r.jax[0] == r.jax[3] == 0 and r.jax[1] > 0 and r.jax[2] > 0
        ),
        size=lambda r: f"{int(r.jax[1])} of 2,500 weights infinite",
        detect="Try scores of 1e10 in float32, compiled.",
        fix="Clip what goes into the exponential, `jnp.minimum(scores - largest, 0)`; or scale "
        "the query before the product, which with more than one channel is then computed once.",
        sources=("https://github.com/jax-ml/jax/issues/26147",),
        symptoms=("NaN under jit", "NaN or infinity"),
        calls=("F.softmax", "torch.softmax", "jax.nn.softmax", "jax.jit"),
        bugs=("softmax_without_the_shift",),
    ),
    Divergence(
        name="log_of_exp",
        title="Compiled JAX takes the logarithm of an exponential for what stands within",
        what="exp(89) is infinite in float32, and so is its logarithm; XLA cancels the two. JAX: "
        "run eagerly, and compiled:",
        pytorch="torch.log(torch.exp(torch.tensor(89.0)))",
        jax="f = lambda x: jnp.log(jnp.exp(x))\nf(jnp.float32(89)), jax.jit(f)(jnp.float32(89))",
        expect=lambda r: r.pytorch == r.jax[0] == float("inf") and r.jax[1] == 89,
        size=lambda r: f"{r.pytorch} against {r.jax[1]:g}",
        detect="Compare the compiled function with itself under `jax.disable_jit()`.",
        fix="Write what is meant: `jax.nn.logsumexp` in both cases.",
        sources=("https://github.com/jax-ml/jax/issues/38099",),
        symptoms=("NaN under jit", "NaN or infinity"),
        calls=("torch.log", "torch.exp", "jnp.log", "jnp.exp", "jax.jit"),
    ),
)
