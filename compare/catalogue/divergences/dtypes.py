"""Divergences of dtypes and of numbers at the ends of their range."""

from compare.catalogue.divergences.records import Divergence, Raised

DTYPES = (
    Divergence(
        name="64_bits",
        title="JAX uses 32 bits by default",
        what="Without `jax_enable_x64`, JAX silently converts every array to 32 bits. A float64 "
        "comparison is then a float32 comparison, and large integers change their value.",
        pytorch="x = np.array([2**40 + 1])\ntorch.tensor(x), torch.tensor(np.array([1 / 3])).dtype",
        jax="x = np.array([2**40 + 1])\njnp.array(x), jnp.array(np.array([1 / 3])).dtype",
        expect=lambda r: (
            r.pytorch[0] == 2**40 + 1
            and r.jax[0] == 1
            and r.pytorch[1] == "float64"
            and r.jax[1] == "float32"
        ),
        size=lambda r: f"{int(r.pytorch[0][0]):,} became {int(r.jax[0][0])}",
        detect="Check the dtype of the results, not of the inputs.",
        fix='Call `jax.config.update("jax_enable_x64", True)` before you create the first array, '
        "or use `with jax.enable_x64(True):` locally.",
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
        title="NumPy promotes an integer and a float32 to float64",
        what="int32 + float32 is float64 in NumPy, because float32 cannot represent every int32. "
        "In PyTorch and JAX it is float32. A NumPy reference is then more accurate than expected, "
        "or a float32 pipeline uses twice the memory.",
        pytorch="(torch.ones(1, dtype=torch.int32) + torch.ones(1)).dtype",
        jax="(jnp.ones(1, jnp.int32) + jnp.ones(1)).dtype",
        numpy='(np.ones(1, "int32") + np.ones(1, "float32")).dtype',
        expect=lambda r: r == ("float32", "float32", "float64"),
        size=lambda r: f"{r.numpy} against {r.jax}",
        detect="Assert the dtype where arrays pass from one library to another.",
        fix="Cast integers before you combine them with floats.",
        sources=(
            "https://docs.jax.dev/en/latest/jep/9407-type-promotion.html",
            "https://numpy.org/neps/nep-0050-scalar-promotion.html",
        ),
        symptoms=("differs in the last digits", "inputs differ before they reach the model"),
        calls=("torch.add", "jnp.add", "np.add"),
        bugs=("float32_constant",),
    ),
    Divergence(
        name="bytes",
        title="uint8 pixels overflow, and their quotients have different dtypes",
        what="uint8 arithmetic silently wraps around at 256 in all three libraries. Divided by "
        "255, pixels become float32 in PyTorch and JAX, float64 in NumPy.",
        pytorch="x = torch.tensor([200], dtype=torch.uint8)\nx + 100, (x / 255).dtype",
        jax="x = jnp.array([200], jnp.uint8)\nx + 100, (x / 255).dtype",
        numpy='x = np.array([200], "uint8")\nx + 100, (x / 255).dtype',
        expect=lambda r: (
            all(found[0] == 44 for found in r)
            and [found[1] for found in r] == ["float32", "float32", "float64"]
        ),
        size=lambda r: f"200 + 100 = {int(r.pytorch[0][0])}",
        detect="Also compute the mean and standard deviation of the pixels in float64.",
        fix="Cast to a float first, or to int64 for sums.",
        sources=(
            "https://github.com/numpy/numpy/issues/22305",
            "https://github.com/huggingface/lerobot/pull/3697",
        ),
        symptoms=("inputs differ before they reach the model",),
        calls=("torch.tensor", "jnp.array", "np.array", "ToTensor"),
        bugs=("uint8_wraps",),
    ),
    Divergence(
        name="subnormal_numbers",
        title="JAX flushes subnormal numbers to zero on a CPU",
        what="Numbers below 1.2e-38 in float32 (2.2e-308 in float64) become 0 in JAX as soon as "
        "they are used in a computation.",
        pytorch="torch.tensor([1e-40]) * 1",
        jax="jnp.array([1e-40]) * 1",
        numpy='np.array([1e-40], "float32") * np.float32(1)',
        expect=lambda r: r.jax[0] == 0 and 0 < r.pytorch[0] < 1e-38 and 0 < r.numpy[0] < 1e-38,
        size=lambda r: f"{r.pytorch[0]:.3g} against {r.jax[0]:.3g}",
        detect="Scale an input by 1e-40, so that a relative comparison sees only such numbers.",
        fix="Compare with an absolute bound that allows for them, and do not rely on them.",
        sources=("https://github.com/jax-ml/jax/issues/16200",),
        symptoms=("differs in the last digits",),
        calls=("jnp.multiply", "torch.mul"),
    ),
    Divergence(
        name="integer_division_by_zero",
        title="Integer division by zero returns a number in JAX",
        what="PyTorch raises an error. JAX and NumPy return different numbers; only NumPy warns.",
        pytorch="torch.tensor([1]) // torch.tensor([0])",
        jax="jnp.array([1]) // jnp.array([0])",
        numpy="np.array([1]) // np.array([0])",
        expect=lambda r: isinstance(r.pytorch, Raised) and r.jax.shape == r.numpy.shape == (1,),
        size=lambda r: f"an error, {int(r.jax[0])} and {int(r.numpy[0])}",
        detect="Compute an average over no elements, such as a class that does not occur.",
        fix="Divide by `jnp.maximum(count, 1)`.",
        sources=("https://github.com/jax-ml/jax/issues/11990",),
        symptoms=("an error in one framework only", "accuracy differs"),
        calls=("torch.floor_divide", "jnp.floor_divide"),
        bugs=("absent_classes_count",),
    ),
    Divergence(
        name="tf32",
        title="JAX multiplies float32 in TF32 on recent NVIDIA GPUs",
        what="On NVIDIA GPUs since Ampere, JAX by default rounds the operands of a float32 "
        "product to 10 bits of mantissa. PyTorch's matmul does not. The example shows the size of "
        "the effect without a GPU: `jax.lax.reduce_precision` rounds JAX's operands.",
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
        detect="Look for errors near 5e-4 = 2^-11 instead of 6e-8, only on a GPU. Run again with "
        '"highest": if the error falls by a factor of a thousand, the cause was TF32.',
        fix='Use `with jax.default_matmul_precision("highest"):`. For the whole program, use '
        '`jax.config.update("jax_default_matmul_precision", "highest")`; for one layer, '
        '`nnx.Linear(..., precision="highest")`. If PyTorch is the less exact side, look for '
        '`torch.set_float32_matmul_precision("high")`, which enables TF32 there.',
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
        what="By default cuDNN can use TF32 on recent NVIDIA GPUs. It computes all convolutions "
        "and recurrent layers, so a check of matmul does not find this. JAX has one setting for "
        "products and convolutions. For PyTorch, the example shows whether cuDNN and whether "
        "matmul may use TF32:",
        pytorch="torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32",
        jax="jax.config.jax_default_matmul_precision",
        expect=lambda r: r.pytorch == (True, False) and r.jax is None,
        size=lambda r: "a relative rounding error of 5e-4 on a GPU, none on a CPU",
        detect="Look for errors near 5e-4 after a convolution, only on a GPU.",
        fix="Set `torch.backends.cudnn.allow_tf32 = False`. For JAX see the entry above.",
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
        what="A compiler fuses and reorders operations, which changes the rounding. Uncompiled "
        "PyTorch gives the same result each time. Exact equality is therefore not a valid test "
        "with `jit`.",
        pytorch='x = torch.tensor(np.random.default_rng(0).normal(size=1000).astype("float32"))\n'
        "f = lambda x: (x * x + 3 * x - x / 7) * x.exp()\n"
        "(f(x) != f(x)).sum()",
        jax='x = jnp.array(np.random.default_rng(0).normal(size=1000).astype("float32"))\n'
        "f = lambda x: (x * x + 3 * x - x / 7) * jnp.exp(x)\n"
        "(f(x) != jax.jit(f)(x)).sum()",
        expect=lambda r: r.pytorch == 0 and r.jax > 0,
        size=lambda r: f"{int(r.jax)} of 1,000 numbers",
        detect="Run the same function with and without `jax.jit`.",
        fix="Compare with a derived bound, not for equality.",
        sources=(
            "https://github.com/jax-ml/jax/pull/12991",
            "https://github.com/jax-ml/jax/issues/22881",
        ),
        symptoms=("differs in the last digits",),
        calls=("jax.jit", "nnx.jit"),
    ),
    Divergence(
        name="shifted_softmax",
        title="Compiled JAX can return NaN for a softmax that cannot overflow",
        what="After subtraction of the maximum, scores are at most 0, so the exponential should "
        "not overflow. But the compiler can compute the scores a second time for the maximum, "
        "with different rounding. Above about 1e9, neighbouring float32 numbers are 64 apart, and "
        "exp of such a difference is infinite. `jax.nn.softmax` has the same problem. The JAX "
        "example runs eagerly, compiled, compiled with `jax.nn.softmax`, and compiled with the "
        "difference clipped at 0:",
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
        detect="Test compiled code with scores of 1e10 in float32.",
        fix="Clip the argument of the exponential: `jnp.minimum(scores - largest, 0)`. With more "
        "than one channel you can instead scale the query before the product, which is then "
        "computed once.",
        sources=("https://github.com/jax-ml/jax/issues/26147",),
        symptoms=("NaN under jit", "NaN or infinity"),
        calls=("F.softmax", "torch.softmax", "jax.nn.softmax", "jax.jit"),
        bugs=("softmax_without_the_shift",),
    ),
    Divergence(
        name="log_of_exp",
        title="Compiled JAX simplifies log(exp(x)) to x",
        what="In float32 exp(89) is infinite, and so is its logarithm. XLA removes both "
        "operations. The JAX example runs eagerly and compiled:",
        pytorch="torch.log(torch.exp(torch.tensor(89.0)))",
        jax="f = lambda x: jnp.log(jnp.exp(x))\nf(jnp.float32(89)), jax.jit(f)(jnp.float32(89))",
        expect=lambda r: r.pytorch == r.jax[0] == float("inf") and r.jax[1] == 89,
        size=lambda r: f"{r.pytorch} against {r.jax[1]:g}",
        detect="Compare the compiled function with itself under `jax.disable_jit()`.",
        fix="Use `jax.nn.logsumexp`, which is stable with and without `jit`.",
        sources=("https://github.com/jax-ml/jax/issues/38099",),
        symptoms=("NaN under jit", "NaN or infinity"),
        calls=("torch.log", "torch.exp", "jnp.log", "jnp.exp", "jax.jit"),
    ),
)
