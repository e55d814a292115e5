"""Bugs in the attention itself: axes, masks, and which matrix meets which."""

from compare.catalogue.records import Bug

SDPA = "https://docs.pytorch.org/docs/2.15/generated/torch.nn.functional.scaled_dot_product_attention.html"
JAX_ATTENTION = "https://docs.jax.dev/en/latest/_autosummary/jax.nn.dot_product_attention.html"

ATTENTION = (
    Bug(
        name="softmax_over_the_queries",
        title="The softmax is computed over the axis of the queries",
        package="pytorch_impl",
        file="model.py",
        right="weights = softmax(scores, -1)",
        wrong="weights = softmax(scores, -2)",
        why="The array of scores is square, so only its values show the wrong axis. A model with "
        "this bug trained as well as the correct one.",
        sources=(
            "https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
            "https://github.com/nerminnuraydogan/vision-transformer/issues/1",
        ),
        check="intermediates",
        intermediate="weights",
    ),
    Bug(
        name="softmax_over_the_batch",
        title="The softmax is computed over the batch axis",
        package="pytorch_impl",
        file="model.py",
        right="weights = softmax(scores, -1)",
        wrong="weights = softmax(scores, 0)",
        why="Without an axis, torch.nn.functional.softmax uses axis 0 of three axes, and "
        "nn.Softmax(0) was written for two axes. JAX uses the last axis. With a batch of one, "
        "every weight is 1.",
        sources=("https://github.com/PetrochukM/PyTorch-NLP/issues/2",),
        check="intermediates",
        intermediate="weights",
    ),
    Bug(
        name="key_and_query_swapped",
        title="K and Q are passed in the wrong order",
        package="jax_impl",
        file="model.py",
        right="def attend(x: Array, K: Array, Q: Array, V: Array)",
        wrong="def attend(x: Array, Q: Array, K: Array, V: Array)",
        why="The order of arguments differs between libraries: query, key, value in PyTorch; "
        "query, value, key in Keras.",
        sources=("https://keras.io/api/layers/attention_layers/multi_head_attention/",),
        check="intermediates",
        intermediate="query",
        equivalent="With one channel K and Q are numbers, and Q x K x' = K x Q x'. The scores are "
        "the same.",
    ),
    Bug(
        name="scores_turned",
        title="The scores are key times query, so rows and columns are swapped",
        package="numpy_reference",
        file="model.py",
        right="scores = query @ key.mT /",
        wrong="scores = key @ query.mT /",
        why="Libraries with column-major matrices compute the transposed product, and the array "
        "is square in both cases.",
        sources=("https://github.com/karpathy/llm.c/pull/531",),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel K and Q are numbers, so the score Q x K x' does not change "
        "if x and x' are swapped.",
    ),
    Bug(
        name="query_by_a_linear_layer",
        title="Q is used as the weight of a Linear layer and therefore transposed",
        package="pytorch_impl",
        file="model.py",
        right="query = x @ Q  # [..., steps, channels]",
        wrong="query = nn.functional.linear(x, Q)  # [..., steps, channels]",
        why="nn.Linear stores its weight as [out, in] and multiplies by the transpose. A square "
        "matrix fits in both orders.",
        sources=("https://flax.readthedocs.io/en/stable/migrating/convert_pytorch_to_flax.html",),
        check="intermediates",
        intermediate="query",
        equivalent="With one channel Q is a number, which is its own transpose.",
    ),
    Bug(
        name="value_transposed",
        title="V is transposed",
        package="jax_impl",
        file="model.py",
        right="value = x @ V  # [..., steps, channels]",
        wrong="value = x @ V.T  # [..., steps, channels]",
        why="The weights came from a PyTorch Linear layer, [out, in], and were transposed twice "
        "or not at all. A square matrix fits in both orders.",
        sources=("https://flax.readthedocs.io/en/stable/migrating/convert_pytorch_to_flax.html",),
        check="intermediates",
        intermediate="value",
        equivalent="With one channel V is a number, which is its own transpose.",
    ),
    Bug(
        name="key_reshaped_instead_of_transposed",
        title="The keys are reshaped to the transposed shape instead of transposed",
        package="numpy_reference",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="turned = key.reshape(*key.shape[:-2], key.shape[-1], key.shape[-2])\n"
        "    scores = query @ turned / sqrt(K.shape[-1])",
        why="A reshape to the required shape raises no error, but combines numbers of different "
        "steps.",
        sources=(
            "https://github.com/reczoo/FuxiCTR/issues/30",
            "https://github.com/jsbaan/transformer-from-scratch/pull/6",
        ),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel the keys are a column. Reshaping a column into a row is the "
        "same as transposing it.",
    ),
    Bug(
        name="values_are_keys",
        title="The weights average the keys instead of the values",
        package="jax_impl",
        file="model.py",
        right="attended = weights @ value  # [..., steps, channels]",
        wrong="attended = weights @ key  # [..., steps, channels]",
        why="Three similar lines were copied, and one kept the name of another.",
        sources=("https://github.com/Khaliladib11/Transformer-from-scratch/issues/1",),
        check="intermediates",
        intermediate="attended",
    ),
    Bug(
        name="weights_turned",
        title="The weights are applied transposed, so the sum is over the queries",
        package="jax_impl",
        file="model.py",
        right="attended = weights @ value  # [..., steps, channels]",
        wrong='attended = jax.numpy.einsum("...qk,...qc->...kc", weights, value)',
        why="In an einsum, a sum over i instead of j raises no error, because the array is square.",
        sources=(
            "https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
        ),
        check="intermediates",
        intermediate="attended",
    ),
    Bug(
        name="causal_mask_left_on",
        title="A causal mask is applied, so a pixel attends only to earlier pixels",
        package="pytorch_impl",
        file="forms.py",
        right="scaled_dot_product_attention(query, key, value)[:, 0]",
        wrong="scaled_dot_product_attention(query, key, value, is_causal=True)[:, 0]",
        why="The call was copied from a language model, which needs the mask.",
        sources=(SDPA,),
        check="intermediates",
        intermediate="attended",
        form="builtin",
    ),
    Bug(
        name="dropout_left_on",
        title="Dropout of the weights is active during evaluation",
        package="pytorch_impl",
        file="forms.py",
        right="scaled_dot_product_attention(query, key, value)[:, 0]",
        wrong="scaled_dot_product_attention(query, key, value, dropout_p=0.1)[:, 0]",
        why="scaled_dot_product_attention is a function and does not depend on model.eval(). It "
        "always uses its argument dropout_p.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/124464",
            "https://github.com/huggingface/pytorch-image-models/pull/1978",
        ),
        check="intermediates",
        intermediate="attended",
        form="builtin",
    ),
    Bug(
        name="heads_and_steps_swapped",
        title="PyTorch's call gets heads and steps in the axis order of JAX",
        package="pytorch_impl",
        file="forms.py",
        right="query = (x @ Q)[:, None]  # [batch, heads, steps, channels]\n"
        "    key = (x @ K)[:, None]  # [batch, heads, steps, channels]\n"
        "    value = (x @ V)[:, None]  # [batch, heads, steps, channels]\n"
        "    attended = scaled_dot_product_attention(query, key, value)[:, 0]",
        wrong="query = (x @ Q)[:, :, None]  # [batch, steps, heads, channels]\n"
        "    key = (x @ K)[:, :, None]  # [batch, steps, heads, channels]\n"
        "    value = (x @ V)[:, :, None]  # [batch, steps, heads, channels]\n"
        "    attended = scaled_dot_product_attention(query, key, value)[:, :, 0]",
        why="PyTorch expects [batch, heads, steps, channels], JAX [batch, steps, heads, "
        "channels]. The output shape is the same. Here every step attends only to itself.",
        sources=(SDPA, JAX_ATTENTION),
        check="intermediates",
        intermediate="attended",
        form="builtin",
    ),
    Bug(
        name="histogram_totals_not_counted",
        title="The sum of exponentials counts every grey level once, regardless of its frequency",
        package="jax_impl",
        file="forms.py",
        right="totals = counts @ exponentials.mT",
        wrong="totals = jnp.ones_like(counts) @ exponentials.mT",
        why="A weighted mean needs the counts in the numerator and in the denominator. In the "
        "denominator they are easily forgotten.",
        sources=("https://numpy.org/doc/stable/reference/generated/numpy.average.html",),
        check="intermediates",
        intermediate="attended",
        form="histogram",
    ),
    Bug(
        name="histogram_counts_as_flags",
        title="A grey level counts as present or absent, regardless of its frequency",
        package="numpy_reference",
        file="convert.py",
        right="counts = copy(x.counts)",
        wrong="counts = copy(x.counts > 0)",
        why="A comparison finds the levels that occur, and their counts are then not used, as "
        "with numpy.unique without return_counts. The bug has an effect only if an image has two "
        "equal pixels.",
        sources=("https://numpy.org/doc/stable/reference/generated/numpy.unique.html",),
        check="inputs",
        intermediate="attended",
        form="histogram",
        small="If all pixels of an image differ, every count is 0 or 1; `inputs` has images of "
        "one grey level.",
    ),
)
