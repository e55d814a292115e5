"""Bugs of precision and of extreme numbers: dtypes, shifts, epsilons, NaN."""

from compare.catalogue.records import Bug

ORDINARY = (
    "For moderate scores the rounding is the same as that of the correct code; `inputs` uses "
    "scores in the thousands."
)

NUMBERS = (
    Bug(
        name="float32_inside",
        title="The scores of a float64 run are cast to float32",
        package="pytorch_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="scores = (query @ key.mT).float().to(query.dtype) / sqrt(K.shape[-1])",
        why="The cast was written to save memory, or for an operation that needs it, when all "
        "code used float32. The output dtype is still float64.",
        sources=("https://github.com/jax-ml/jax/pull/21371",),
        check="intermediates",
        intermediate="scores",
    ),
    Bug(
        name="float32_softmax",
        title="The built-in call computes its softmax in float32 for float64 inputs",
        package="jax_impl",
        file="forms.py",
        right="if x.dtype == jnp.float64:",
        wrong="if False:",
        why="jax.nn.dot_product_attention was designed for half precision and always casts its "
        "scores to float32. This raises the precision for bfloat16 and lowers it for float64.",
        sources=(
            "https://github.com/jax-ml/jax/pull/21371",
            "https://github.com/jax-ml/jax/issues/37422",
        ),
        check="intermediates",
        intermediate="attended",
        form="builtin",
    ),
    Bug(
        name="float32_constant",
        title="A constant is rounded to float32 before it is combined with float64",
        package="numpy_reference",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong='scores = query @ key.mT / np.sqrt(np.array(K.shape[-1], "float32"))',
        why="A NumPy scalar has its own dtype, and float64 / float32 is float64. The dtype is "
        "right, but only about eight digits are.",
        sources=("https://numpy.org/neps/nep-0050-scalar-promotion.html",),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel the constant is sqrt(1) = 1, which float32 represents "
        "exactly.",
    ),
    Bug(
        name="float32_parameters",
        title="JAX converts float64 parameters to float32",
        package="jax_impl",
        file="convert.py",
        right="arrays = {name: jnp.array(array, **to) for name, array in params.items()}",
        wrong='arrays = {name: jnp.array(array, **to | {"dtype": "float32"}) for name, array in '
        "params.items()}",
        why="Without jax_enable_x64, JAX silently does this with every float64 array. The patch "
        "converts explicitly, because the option is global to the process.",
        sources=(
            "https://github.com/jax-ml/jax/issues/652",
            "https://github.com/jax-ml/jax/issues/1333",
        ),
        check="parameters",
        intermediate="query",
    ),
    Bug(
        name="dtype_not_passed_on",
        title="Training uses the default dtype instead of the requested one",
        package="pytorch_impl",
        file="train.py",
        right="from_params(params, config.attention, config.dtype, config.device)",
        wrong="from_params(params, config.attention, device=config.device)",
        why="An option passes through several functions, and one of them has a default.",
        sources=("https://github.com/jax-ml/jax/issues/470",),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="bfloat16_product",
        title="The weighted mean is computed in bfloat16, as under autocast",
        package="pytorch_impl",
        file="model.py",
        right="attended = weights @ value  # [..., steps, channels]",
        wrong="attended = (weights.bfloat16() @ value.bfloat16()).to(value.dtype)",
        why="Autocast rounds the operands of every matrix product to 8 bits of mantissa. A "
        "training script enables it far from the code of the model.",
        sources=("https://github.com/meta-pytorch/attention-gym/issues/131",),
        check="intermediates",
        intermediate="attended",
    ),
    Bug(
        name="tf32_product",
        title="The operands of the scores are rounded to the 10 mantissa bits of TF32",
        package="jax_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="rounded = [jax.lax.reduce_precision(x, 11, 10) for x in (query, key)]\n"
        "    scores = rounded[0] @ rounded[1].mT / sqrt(K.shape[-1])",
        why="By default, JAX uses TF32 for float32 products on NVIDIA GPUs since Ampere. The "
        "patch emulates the rounding, so that it also has an effect on a CPU.",
        sources=(
            "https://github.com/jax-ml/jax/issues/12008",
            "https://github.com/typoverflow/flow-rl/pull/12",
        ),
        check="intermediates",
        intermediate="scores",
    ),
    Bug(
        name="epsilon_in_the_scale",
        title="The denominator of the scale contains an epsilon",
        package="pytorch_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="scores = query @ key.mT / (sqrt(K.shape[-1]) + 1e-8)",
        why="An epsilon against division by zero is a habit, even if the divisor is a constant. "
        "In float32 it has no effect after rounding.",
        sources=("https://github.com/keplr-io/quiver/pull/56",),
        check="intermediates",
        intermediate="scores",
    ),
    Bug(
        name="epsilon_in_the_softmax",
        title="The denominator of the softmax contains an epsilon",
        package="numpy_reference",
        file="model.py",
        right="return exponentials / exponentials.sum(axis, keepdims=True)",
        wrong="return exponentials / (exponentials.sum(axis, keepdims=True) + 1e-6)",
        why="It should prevent NaN from 0 / 0 in a row without weights. Such a row does not "
        "exist, because the largest exponential in each row is 1.",
        sources=(
            "https://github.com/tracel-ai/burn/pull/4697",
            "https://github.com/open-edge-platform/geti/pull/1507",
        ),
        check="intermediates",
        intermediate="weights",
    ),
    Bug(
        name="epsilon_in_the_logarithm",
        title="The loss is -log(probability + 1e-8)",
        package="numpy_reference",
        file="metrics.py",
        right="return log_sum - shifted[np.arange(len(labels)), labels]",
        wrong="probabilities = np.exp(shifted - log_sum[:, None])\n"
        "    return -np.log(probabilities[np.arange(len(labels)), labels] + 1e-8)",
        why="The epsilon avoids log(0). The correct way, the logarithm of a sum of exponentials, "
        "is less known. The epsilon changes the loss of every sample and limits that of bad "
        "predictions.",
        sources=(
            "https://github.com/chainer/chainer/issues/584",
            "https://github.com/MarvinTeichmann/tensorflow-fcn/issues/18",
        ),
        check="loss",
        intermediate="loss",
    ),
    Bug(
        name="loss_in_float32",
        title="The loss of a float64 run is computed in float32",
        package="jax_impl",
        file="train.py",
        right="loss=cross_entropy(logits, targets).mean().item(),",
        wrong='loss=cross_entropy(logits.astype("float32"), targets).mean().item(),',
        why="Mixed-precision code casts the logits to float32 before the loss. For bfloat16 this "
        "raises the precision; for float64 it lowers it.",
        sources=(
            "https://github.com/huggingface/transformers/pull/34147",
            "https://github.com/Modalities/modalities/pull/464",
        ),
        check="loss",
        intermediate="loss",
    ),
    Bug(
        name="softmax_without_the_shift",
        title="Exponentials are computed without subtracting the maximum",
        package="pytorch_impl",
        file="model.py",
        right="weights = softmax(scores, -1)",
        wrong="weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)",
        why="This is the formula in its literal form. For scores above 89 in float32 and 710 in "
        "float64, the exponential is infinite, and infinity / infinity is NaN.",
        sources=(
            "https://github.com/dwavesystems/dwave-optimization/issues/555",
            "https://github.com/jhcross/span-parser/issues/2",
        ),
        check="inputs",
        intermediate="weights",
        small=ORDINARY,
    ),
    Bug(
        name="shift_by_the_largest_of_all",
        title="The maximum of all scores is subtracted instead of the maximum of the row",
        package="jax_impl",
        file="blocks.py",
        right="largest = scores.max(axis=-1, keepdims=True)",
        wrong="largest = scores.max(keepdims=True)",
        why="max() without an axis raises no error, and nothing overflows. But in a row far below "
        "the maximum, all exponentials are 0, and 0 / 0 is NaN.",
        sources=("https://github.com/cleanlab/cleanlab/pull/667",),
        check="inputs",
        intermediate="attended",
        form="blocked",
        small=ORDINARY,
    ),
    Bug(
        name="shift_along_the_wrong_axis",
        title="The maximum of the column is subtracted instead of the maximum of the row",
        package="numpy_reference",
        file="model.py",
        right="np.exp(scores - scores.max(axis, keepdims=True))",
        wrong="np.exp(scores - scores.max(axis=-2, keepdims=True))",
        why="The array is square, and the shift seems to affect only rounding. One number per row "
        "cancels in the softmax, one number per column does not.",
        sources=("https://github.com/FluxML/NNlib.jl/pull/43",),
        check="intermediates",
        intermediate="weights",
    ),
    Bug(
        name="one_in_the_logarithm_of_counts",
        title="log(count + 1) replaces -inf for a grey level that does not occur",
        package="jax_impl",
        file="forms.py",
        right="log_counts = jnp.log(counts)[:, None]",
        wrong="log_counts = jnp.log(counts + 1)[:, None]",
        why="An infinity looks like a bug. Here it is correct: it gives a level that does not "
        "occur the weight 0.",
        sources=(
            "https://docs.scipy.org/doc/scipy/reference/generated/scipy.special.logsumexp.html",
        ),
        check="inputs",
        intermediate="attended",
        form="histogram",
        small="The line runs only if scores are too large for one table of exponentials; `inputs` "
        "has such scores.",
    ),
    Bug(
        name="nan_made_zero",
        title="NaN in the result of the attention is replaced by 0",
        package="pytorch_impl",
        file="model.py",
        right="features = attended.reshape(len(x), -1)",
        wrong="features = attended.nan_to_num().reshape(len(x), -1)",
        why="A fully masked row gives NaN, and nan_to_num replaces it by 0. This also hides other "
        "NaN.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/103963",
            "https://github.com/robertknight/rten/pull/1321",
        ),
        check="inputs",
        small="Without NaN it changes nothing; `inputs` puts a NaN into an image.",
    ),
    Bug(
        name="nan_left_out_of_the_mean",
        title="The mean loss ignores steps whose loss is NaN",
        package="shared",
        file="training/loop.py",
        right="epoch.losses.mean(dtype=np.float64)",
        wrong="np.nanmean(epoch.losses, dtype=np.float64)",
        why="TorchMetrics' MeanMetric ignores NaN by default and warns, but warnings are often "
        "disabled. A failed training run still looks good.",
        sources=("https://github.com/Lightning-AI/torchmetrics/issues/1897",),
        check="epochs",
        form="looped",
        small="If no loss is NaN it changes nothing; `epochs` trains on an image with NaN.",
    ),
)
