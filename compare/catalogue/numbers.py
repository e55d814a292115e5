"""Bugs of precision and of extreme numbers: dtypes, shifts, epsilons, NaN."""

from compare.catalogue.records import Bug

ORDINARY = "With moderate scores it rounds like the right code; "

NUMBERS = (
    Bug(
        name="float32_inside",
        title="The scores of a float64 run pass through float32",
        package="pytorch_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="scores = (query @ key.mT).float().to(query.dtype) / sqrt(K.shape[-1])",
        why="A cast to save memory, or for an operation that needs it, was written when "
        "everything was float32; the dtype of the result is still float64.",
        sources=("https://github.com/jax-ml/jax/pull/21371",),
        check="intermediates",
        intermediate="scores",
    ),
    Bug(
        name="float32_softmax",
        title="The built-in call computes its softmax in float32, also for float64",
        package="jax_impl",
        file="forms.py",
        right="if x.dtype == jnp.float64:",
        wrong="if False:",
        why="jax.nn.dot_product_attention was made for half precision and casts its scores to "
        "float32, whatever their dtype: upwards from bfloat16, but downwards from float64.",
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
        why="A NumPy scalar has its own dtype, and float64 / float32 is float64: the dtype is "
        "right, but the digits after the eighth are not.",
        sources=("https://numpy.org/neps/nep-0050-scalar-promotion.html",),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel the constant is sqrt(1) = 1, which float32 holds exactly.",
    ),
    Bug(
        name="float32_parameters",
        title="JAX converts float64 parameters to float32",
        package="jax_impl",
        file="convert.py",
        right="arrays = {name: jnp.array(array, **to) for name, array in params.items()}",
        wrong='arrays = {name: jnp.array(array, **to | {"dtype": "float32"}) for name, array in '
        "params.items()}",
        why="Without jax_enable_x64 JAX does this to every float64 array, without an error. "
        "Here it is written out, since that switch affects the whole process.",
        sources=(
            "https://github.com/jax-ml/jax/issues/652",
            "https://github.com/jax-ml/jax/issues/1333",
        ),
        check="parameters",
        intermediate="query",
    ),
    Bug(
        name="dtype_not_passed_on",
        title="Training runs in the default dtype, not in the requested one",
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
        title="The weighted mean is computed in bfloat16, as autocast does",
        package="pytorch_impl",
        file="model.py",
        right="attended = weights @ value  # [..., steps, channels]",
        wrong="attended = (weights.bfloat16() @ value.bfloat16()).to(value.dtype)",
        why="Autocast rounds the operands of every matrix product to 8 significant bits; a "
        "training script turns it on far away from the model.",
        sources=("https://github.com/meta-pytorch/attention-gym/issues/131",),
        check="intermediates",
        intermediate="attended",
    ),
    Bug(
        name="tf32_product",
        title="The operands of the scores are rounded to TF32's 10 bits",
        package="jax_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="rounded = [jax.lax.reduce_precision(x, 11, 10) for x in (query, key)]\n"
        "    scores = rounded[0] @ rounded[1].mT / sqrt(K.shape[-1])",
        why="JAX multiplies float32 in TF32 on NVIDIA GPUs since Ampere unless told "
        "otherwise; here its mantissa is emulated, so that a CPU shows the effect too.",
        sources=(
            "https://github.com/jax-ml/jax/issues/12008",
            "https://github.com/typoverflow/flow-rl/pull/12",
        ),
        check="intermediates",
        intermediate="scores",
    ),
    Bug(
        name="epsilon_in_the_scale",
        title="The scale has an epsilon in its denominator",
        package="pytorch_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="scores = query @ key.mT / (sqrt(K.shape[-1]) + 1e-8)",
        why="An epsilon against division by zero is a habit, even if the divisor is a "
        "constant. In float32 it rounds away.",
        sources=("https://github.com/keplr-io/quiver/pull/56",),
        check="intermediates",
        intermediate="scores",
    ),
    Bug(
        name="epsilon_in_the_softmax",
        title="The softmax has an epsilon in its denominator",
        package="numpy_reference",
        file="model.py",
        right="return exponentials / exponentials.sum(axis, keepdims=True)",
        wrong="return exponentials / (exponentials.sum(axis, keepdims=True) + 1e-6)",
        why="It should protect a row whose weights are all zero from 0 / 0. There is no such "
        "row: the largest exponential of a row is 1.",
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
        why="log(0) has to be avoided, and log-sum-exp is less well known than an epsilon. It "
        "changes the loss of every sample, and limits that of a bad one.",
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
        why="Mixed precision casts the logits to float32 before the loss: upwards there, but "
        "downwards here.",
        sources=(
            "https://github.com/huggingface/transformers/pull/34147",
            "https://github.com/Modalities/modalities/pull/464",
        ),
        check="loss",
        intermediate="loss",
    ),
    Bug(
        name="softmax_without_the_shift",
        title="Exponentials are taken of unshifted scores",
        package="pytorch_impl",
        file="model.py",
        right="weights = softmax(scores, -1)",
        wrong="weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)",
        why="It is the formula as written. From scores of 89 in float32 and 710 in float64, "
        "the exponential is infinite, and infinity / infinity is NaN.",
        sources=(
            "https://github.com/dwavesystems/dwave-optimization/issues/555",
            "https://github.com/jhcross/span-parser/issues/2",
        ),
        check="inputs",
        intermediate="weights",
        small=ORDINARY + "`inputs` has scores in the thousands.",
    ),
    Bug(
        name="shift_by_the_largest_of_all",
        title="The largest score of the whole table is subtracted, not that of the row",
        package="jax_impl",
        file="blocks.py",
        right="largest = scores.max(axis=-1, keepdims=True)",
        wrong="largest = scores.max(keepdims=True)",
        why="max() without an axis runs, and nothing overflows. But in a row far below the "
        "maximum, every exponential is 0, and 0 / 0 is NaN.",
        sources=("https://github.com/cleanlab/cleanlab/pull/667",),
        check="inputs",
        intermediate="attended",
        form="blocked",
        small=ORDINARY + "`inputs` has scores in the thousands.",
    ),
    Bug(
        name="shift_along_the_wrong_axis",
        title="The largest score of the column is subtracted, not that of the row",
        package="numpy_reference",
        file="model.py",
        right="np.exp(scores - scores.max(axis, keepdims=True))",
        wrong="np.exp(scores - scores.max(axis=-2, keepdims=True))",
        why="The table is square, and the shift seems to affect only rounding. One number per "
        "row cancels; one per column does not.",
        sources=("https://github.com/FluxML/NNlib.jl/pull/43",),
        check="intermediates",
        intermediate="weights",
    ),
    Bug(
        name="one_in_the_logarithm_of_counts",
        title="log(count + 1) is used, so that an absent level does not give -inf",
        package="jax_impl",
        file="forms.py",
        right="log_counts = jnp.log(counts)[:, None]",
        wrong="log_counts = jnp.log(counts + 1)[:, None]",
        why="An infinity looks like a mistake to be fixed. Here it gives a level that does "
        "not occur the weight 0.",
        sources=(
            "https://docs.scipy.org/doc/scipy/reference/generated/scipy.special.logsumexp.html",
        ),
        check="inputs",
        intermediate="attended",
        form="histogram",
        small="The line runs only if scores are too large for one table; `inputs` has such scores.",
    ),
    Bug(
        name="nan_made_zero",
        title="NaN in the attended values is replaced by 0",
        package="pytorch_impl",
        file="model.py",
        right="features = attended.reshape(len(x), -1)",
        wrong="features = attended.nan_to_num().reshape(len(x), -1)",
        why="A completely masked row gives NaN, and nan_to_num turns it into 0. It does the "
        "same to a NaN that should have been noticed.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/103963",
            "https://github.com/robertknight/rten/pull/1321",
        ),
        check="inputs",
        small="Without a NaN nothing changes; `inputs` puts one into an image.",
    ),
    Bug(
        name="nan_left_out_of_the_mean",
        title="A step with a NaN loss is left out of the mean loss",
        package="shared",
        file="training/loop.py",
        right="epoch.losses.mean(dtype=np.float64)",
        wrong="np.nanmean(epoch.losses, dtype=np.float64)",
        why="TorchMetrics' MeanMetric ignores NaN by default, with a warning that is often "
        "turned off. A failed training then looks healthy.",
        sources=("https://github.com/Lightning-AI/torchmetrics/issues/1897",),
        check="epochs",
        form="looped",
        small="Without a NaN loss nothing changes; `epochs` trains on an image of NaN.",
    ),
)
