"""Bugs of precision and of extreme numbers: dtypes, shifts, epsilons, NaN."""

from compare.catalogue.records import Bug

ORDINARY = "While scores are moderate it rounds as the right code does; "

NUMBERS = (
    Bug(
        name="float32_inside",
        title="The scores of a float64 run pass through float32",
        package="pytorch_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="scores = (query @ key.mT).float().to(query.dtype) / sqrt(K.shape[-1])",
        why="A cast to save memory, or to please one operation, was written while everything was "
        "float32; the dtype that comes out says float64.",
        sources=("https://github.com/jax-ml/jax/pull/21371",),
        check="intermediates",
        intermediate="scores",
    ),
    Bug(
        name="float32_softmax",
        title="The built-in call takes its softmax in float32, float64 given",
        package="jax_impl",
        file="forms.py",
        right="if x.dtype == jnp.float64:",
        wrong="if False:",
        why="jax.nn.dot_product_attention was made for half precision and casts its scores to "
        "float32, whatever they are: upwards for bfloat16, downwards for float64.",
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
        title="A constant is rounded to float32 before it meets float64",
        package="numpy_reference",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong='scores = query @ key.mT / np.sqrt(np.array(K.shape[-1], "float32"))',
        why="A NumPy scalar has a dtype of its own, and float64 / float32 is float64: the dtype is "
        "right, and the digits behind the eighth are not.",
        sources=("https://numpy.org/neps/nep-0050-scalar-promotion.html",),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel the constant is sqrt(1) = 1, which float32 holds exactly.",
    ),
    Bug(
        name="float32_parameters",
        title="JAX makes float32 of float64 parameters",
        package="jax_impl",
        file="convert.py",
        right="arrays = {name: jnp.array(array, **to) for name, array in params.items()}",
        wrong='arrays = {name: jnp.array(array, **to | {"dtype": "float32"}) for name, array in '
        "params.items()}",
        why="Without jax_enable_x64 that is what JAX does with every float64 array it is given, in "
        "silence; here it is written out, since that switch is the whole process's.",
        sources=(
            "https://github.com/jax-ml/jax/issues/652",
            "https://github.com/jax-ml/jax/issues/1333",
        ),
        check="parameters",
        intermediate="query",
    ),
    Bug(
        name="dtype_not_passed_on",
        title="Training runs in the default dtype, not in the one asked for",
        package="pytorch_impl",
        file="train.py",
        right="from_params(params, config.attention, config.dtype, config.device)",
        wrong="from_params(params, config.attention, device=config.device)",
        why="An option goes through several hands, and one of them has a default.",
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
        why="Autocast rounds the operands of every matrix product to 8 bits of mantissa; a "
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
        why="JAX multiplies float32 in TF32 on NVIDIA GPUs since Ampere unless told otherwise; "
        "here its mantissa is emulated, so that a CPU shows it too.",
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
        why="An epsilon against division by zero is a habit, also where the divisor is a constant. "
        "In float32 it rounds away.",
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
        why="It was put there against a row without any weight, where 0 / 0 would be NaN. Such a "
        "row cannot be: its largest exponential is 1.",
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
        why="log(0) is to be avoided, and the log of a sum of exponentials is less known than an "
        "epsilon. It bends the loss of every sample, and bounds that of a bad one.",
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
        why="Mixed precision casts the logits to float32 before the loss: upwards there, downwards "
        "here.",
        sources=(
            "https://github.com/huggingface/transformers/pull/34147",
            "https://github.com/Modalities/modalities/pull/464",
        ),
        check="loss",
        intermediate="loss",
    ),
    Bug(
        name="softmax_without_the_shift",
        title="Exponentials are taken of scores as they are",
        package="pytorch_impl",
        file="model.py",
        right="weights = softmax(scores, -1)",
        wrong="weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)",
        why="It is the formula as it stands. From scores of 89 in float32 and 710 in float64 on "
        "the exponential is infinite, and infinity / infinity NaN.",
        sources=(
            "https://github.com/dwavesystems/dwave-optimization/issues/555",
            "https://github.com/jhcross/span-parser/issues/2",
        ),
        check="inputs",
        intermediate="weights",
        small=ORDINARY + "`inputs` shows it by scores of thousands.",
    ),
    Bug(
        name="shift_by_the_largest_of_all",
        title="The largest score of the whole table is taken off, not that of the row",
        package="jax_impl",
        file="blocks.py",
        right="largest = scores.max(axis=-1, keepdims=True)",
        wrong="largest = scores.max(keepdims=True)",
        why="max() without an axis runs, and nothing overflows. But in a row far below the largest "
        "of all, every exponential becomes 0, and 0 / 0 NaN.",
        sources=("https://github.com/cleanlab/cleanlab/pull/667",),
        check="inputs",
        intermediate="attended",
        form="blocked",
        small=ORDINARY + "`inputs` shows it by scores of thousands.",
    ),
    Bug(
        name="shift_along_the_wrong_axis",
        title="The largest score of the column is taken off, not that of the row",
        package="numpy_reference",
        file="model.py",
        right="np.exp(scores - scores.max(axis, keepdims=True))",
        wrong="np.exp(scores - scores.max(axis=-2, keepdims=True))",
        why="The table is square, and the shift looks like a matter of rounding. One number per "
        "row would cancel; one per column does not.",
        sources=("https://github.com/FluxML/NNlib.jl/pull/43",),
        check="intermediates",
        intermediate="weights",
    ),
    Bug(
        name="one_in_the_logarithm_of_counts",
        title="log(count + 1) keeps a level that does not occur from being -inf",
        package="jax_impl",
        file="forms.py",
        right="log_counts = jnp.log(counts)[:, None]",
        wrong="log_counts = jnp.log(counts + 1)[:, None]",
        why="An infinity looks like a mistake to be mended. Here it is what gives a level that "
        "does not occur the weight 0.",
        sources=(
            "https://docs.scipy.org/doc/scipy/reference/generated/scipy.special.logsumexp.html",
        ),
        check="inputs",
        intermediate="attended",
        form="histogram",
        small="The line is run only where scores are too large for one table; `inputs` has such.",
    ),
    Bug(
        name="nan_made_zero",
        title="NaN in what the attention gives is replaced by 0",
        package="pytorch_impl",
        file="model.py",
        right="features = attended.reshape(len(x), -1)",
        wrong="features = attended.nan_to_num().reshape(len(x), -1)",
        why="A row that is masked altogether gives NaN, and nan_to_num makes it 0. It does the "
        "same to a NaN that should have been seen.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/103963",
            "https://github.com/robertknight/rten/pull/1321",
        ),
        check="inputs",
        small="Where there is no NaN it changes nothing at all; `inputs` puts one into an image.",
    ),
    Bug(
        name="nan_left_out_of_the_mean",
        title="A step whose loss is NaN is left out of the mean loss",
        package="shared",
        file="training/loop.py",
        right="epoch.losses.mean(dtype=np.float64)",
        wrong="np.nanmean(epoch.losses, dtype=np.float64)",
        why="TorchMetrics' MeanMetric leaves NaN out unless told otherwise (and warns; the warning "
        "is what one turns off). A training gone wrong goes on looking well.",
        sources=("https://github.com/Lightning-AI/torchmetrics/issues/1897",),
        check="epochs",
        form="looped",
        small="Where no loss is NaN it changes nothing; `epochs` trains on an image that is NaN.",
    ),
)
