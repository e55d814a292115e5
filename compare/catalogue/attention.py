"""Bugs in the attention itself: axes, masks, and which matrix meets which."""

from compare.catalogue.records import Bug

SDPA = "https://docs.pytorch.org/docs/2.15/generated/torch.nn.functional.scaled_dot_product_attention.html"
JAX_ATTENTION = "https://docs.jax.dev/en/latest/_autosummary/jax.nn.dot_product_attention.html"
NUMBERS = "With one channel K, Q and V are numbers"

ATTENTION = (
    Bug(
        name="softmax_over_the_queries",
        title="The softmax is taken over the axis of the queries",
        package="pytorch_impl",
        file="model.py",
        right="weights = softmax(scores, -1)",
        wrong="weights = softmax(scores, -2)",
        why="The axis is a number, and the table is square: nothing but the numbers tells. A model "
        "with this bug trained as well as the right one.",
        sources=(
            "https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
            "https://github.com/nerminnuraydogan/vision-transformer/issues/1",
        ),
        check="intermediates",
        intermediate="weights",
    ),
    Bug(
        name="softmax_over_the_batch",
        title="The softmax is taken over the first axis, that of the batch",
        package="pytorch_impl",
        file="model.py",
        right="weights = softmax(scores, -1)",
        wrong="weights = softmax(scores, 0)",
        why="Without an axis torch.nn.functional.softmax chooses axis 0 on three axes, and "
        "nn.Softmax(0) was written for two of them. JAX's default is the last axis. With a batch "
        "of one every weight is 1.",
        sources=("https://github.com/PetrochukM/PyTorch-NLP/issues/2",),
        check="intermediates",
        intermediate="weights",
    ),
    Bug(
        name="key_and_query_swapped",
        title="K and Q are handed over in the wrong order",
        package="jax_impl",
        file="model.py",
        right="def attend(x: Array, K: Array, Q: Array, V: Array)",
        wrong="def attend(x: Array, Q: Array, K: Array, V: Array)",
        why="Every library has its own order of arguments: query, key, value in PyTorch; query, "
        "value, key in Keras.",
        sources=("https://keras.io/api/layers/attention_layers/multi_head_attention/",),
        check="intermediates",
        intermediate="query",
        equivalent=NUMBERS + ", and Q x K x' = K x Q x': the scores are the same.",
    ),
    Bug(
        name="scores_turned",
        title="The scores are key times query: rows and columns change places",
        package="numpy_reference",
        file="model.py",
        right="scores = query @ key.mT /",
        wrong="scores = key @ query.mT /",
        why="Libraries that store matrices by columns compute the transposed product, and the "
        "table is square either way.",
        sources=("https://github.com/karpathy/llm.c/pull/531",),
        check="intermediates",
        intermediate="scores",
        equivalent=NUMBERS + ": the score Q x K x' of a pair is that of the pair turned round.",
    ),
    Bug(
        name="query_by_a_linear_layer",
        title="Q is used as a Linear layer's weight, and so transposed",
        package="pytorch_impl",
        file="model.py",
        right="query = x @ Q  # [..., steps, channels]",
        wrong="query = nn.functional.linear(x, Q)  # [..., steps, channels]",
        why="nn.Linear keeps its weight as [out, in] and multiplies by the transposed one; a "
        "square matrix fits both ways.",
        sources=("https://flax.readthedocs.io/en/stable/migrating/convert_pytorch_to_flax.html",),
        check="intermediates",
        intermediate="query",
        equivalent=NUMBERS + ", and a number is its own transpose.",
    ),
    Bug(
        name="value_transposed",
        title="V is transposed",
        package="jax_impl",
        file="model.py",
        right="value = x @ V  # [..., steps, channels]",
        wrong="value = x @ V.T  # [..., steps, channels]",
        why="Weights came from a PyTorch Linear layer, [out, in], and were turned once too often "
        "or not at all; a square matrix fits both ways.",
        sources=("https://flax.readthedocs.io/en/stable/migrating/convert_pytorch_to_flax.html",),
        check="intermediates",
        intermediate="value",
        equivalent=NUMBERS + ", and a number is its own transpose.",
    ),
    Bug(
        name="key_reshaped_instead_of_transposed",
        title="The keys are given the transposed shape by a reshape",
        package="numpy_reference",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="turned = key.reshape(*key.shape[:-2], key.shape[-1], key.shape[-2])\n"
        "    scores = query @ turned / sqrt(K.shape[-1])",
        why="A reshape to the shape that is wanted runs without an error, and puts numbers of "
        "different steps side by side.",
        sources=(
            "https://github.com/reczoo/FuxiCTR/issues/30",
            "https://github.com/jsbaan/transformer-from-scratch/pull/6",
        ),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel the keys are a column, and a column reshaped into a row is "
        "that column transposed.",
    ),
    Bug(
        name="values_are_keys",
        title="The weights average the keys instead of the values",
        package="jax_impl",
        file="model.py",
        right="attended = weights @ value  # [..., steps, channels]",
        wrong="attended = weights @ key  # [..., steps, channels]",
        why="Three lines that look alike are made by copying, and one of them keeps the name of "
        "another.",
        sources=("https://github.com/Khaliladib11/Transformer-from-scratch/issues/1",),
        check="intermediates",
        intermediate="attended",
    ),
    Bug(
        name="weights_turned",
        title="The weights are applied transposed: the sum runs over the queries",
        package="jax_impl",
        file="model.py",
        right="attended = weights @ value  # [..., steps, channels]",
        wrong='attended = jax.numpy.einsum("...qk,...qc->...kc", weights, value)',
        why="An einsum names its axes by letters, and a sum over i where j is meant runs as well: "
        "the table is square.",
        sources=(
            "https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
        ),
        check="intermediates",
        intermediate="attended",
    ),
    Bug(
        name="causal_mask_left_on",
        title="A causal mask is left on: a pixel sees only those before it",
        package="pytorch_impl",
        file="forms.py",
        right="scaled_dot_product_attention(query, key, value)[:, 0]",
        wrong="scaled_dot_product_attention(query, key, value, is_causal=True)[:, 0]",
        why="The call was copied from a language model, where the mask belongs.",
        sources=(SDPA,),
        check="intermediates",
        intermediate="attended",
        form="builtin",
    ),
    Bug(
        name="dropout_left_on",
        title="Dropout on the weights is left on when evaluating",
        package="pytorch_impl",
        file="forms.py",
        right="scaled_dot_product_attention(query, key, value)[:, 0]",
        wrong="scaled_dot_product_attention(query, key, value, dropout_p=0.1)[:, 0]",
        why="scaled_dot_product_attention is a function and knows nothing of model.eval(): it "
        "drops whatever dropout_p says.",
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
        title="The axes of heads and steps are where JAX has them, in PyTorch's call",
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
        why="PyTorch wants [batch, heads, steps, channels], JAX [batch, steps, heads, channels]; "
        "the shape that comes out is the same. Here every step attends to itself alone.",
        sources=(SDPA, JAX_ATTENTION),
        check="intermediates",
        intermediate="attended",
        form="builtin",
    ),
    Bug(
        name="histogram_totals_not_counted",
        title="The sum of exponentials counts every level once, however often it occurs",
        package="jax_impl",
        file="forms.py",
        right="totals = counts @ exponentials.mT",
        wrong="totals = jnp.ones_like(counts) @ exponentials.mT",
        why="Weights enter a weighted mean twice, above and below the line; below is where they "
        "are forgotten.",
        sources=("https://numpy.org/doc/stable/reference/generated/numpy.average.html",),
        check="intermediates",
        intermediate="attended",
        form="histogram",
    ),
    Bug(
        name="histogram_counts_as_flags",
        title="A level counts as present or absent, not as often as it occurs",
        package="numpy_reference",
        file="convert.py",
        right="counts = copy(x.counts)",
        wrong="counts = copy(x.counts > 0)",
        why="Levels that occur are found by a comparison, and their numbers are then left out of "
        "the sum, as with numpy.unique without return_counts. It shows only where an image has "
        "two pixels alike.",
        sources=("https://numpy.org/doc/stable/reference/generated/numpy.unique.html",),
        check="inputs",
        intermediate="attended",
        form="histogram",
        small="Where all pixels of an image differ every count is 0 or 1; `inputs` has images of "
        "one level.",
    ),
)
