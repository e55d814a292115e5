"""Bugs in the scale of the scores, 1 / sqrt(channels)."""

from compare.catalogue.records import Bug

JAX_ATTENTION = "https://docs.jax.dev/en/latest/_autosummary/jax.nn.dot_product_attention.html"

SCALE = (
    Bug(
        name="scale_missing",
        title="The scores are not divided by sqrt(channels)",
        package="pytorch_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="scores = query @ key.mT",
        why="The code runs without the scale, and training adapts to larger scores. The scale is "
        "often missing in a second code path, such as a fallback or another backend.",
        sources=(
            "https://github.com/mlc-ai/mlc-llm/pull/3426",
            "https://github.com/delzac/cntkx/issues/10",
        ),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel the scale is sqrt(1) = 1.",
    ),
    Bug(
        name="scale_twice",
        title="The scores are divided by sqrt(channels) twice",
        package="jax_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="scores = query @ key.mT / K.shape[-1]",
        why="The square root is missing, or the query was already scaled. Both 1 / d and 1 / "
        "sqrt(d) are in use; muP uses the former.",
        sources=(
            "https://github.com/microsoft/mup/issues/18",
            "https://github.com/charliezchen/scaling-matrix-preconditioning/issues/2",
        ),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel sqrt(1) = 1, so a second division changes nothing.",
    ),
    Bug(
        name="scale_the_wrong_way_up",
        title="The scores are multiplied by sqrt(channels) instead of divided",
        package="jax_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="scores = query @ key.mT * sqrt(K.shape[-1])",
        why="Some code stores the scale as d ** -0.5 and multiplies, other code stores sqrt(d) "
        "and divides. Both call it `scale`.",
        sources=("https://github.com/esceptico/perceiver-io/issues/9",),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel the scale and its inverse are 1.",
    ),
    Bug(
        name="scale_of_the_steps",
        title="The scale is computed from the number of steps",
        package="numpy_reference",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="scores = query @ key.mT / sqrt(x.shape[-2])",
        why="The d in sqrt(d) is the size of a head's keys, not of the embedding or the sequence. "
        "The formula does not say so.",
        sources=(
            "https://github.com/Graylab/DL4Proteins-notebooks/issues/12",
            "https://github.com/FrancescoSaverioZuppichini/ViT/issues/1",
        ),
        check="intermediates",
        intermediate="scores",
    ),
    Bug(
        name="scale_behind_the_softmax",
        title="The weights are divided by sqrt(channels), not the scores",
        package="pytorch_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])  # [..., steps, steps]\n"
        "    weights = softmax(scores, -1)",
        wrong="scores = query @ key.mT  # [..., steps, steps]\n"
        "    weights = softmax(scores, -1) / sqrt(K.shape[-1])",
        why="In a single expression, the scale is easily written outside the parentheses of the "
        "softmax.",
        sources=("https://github.com/FrancescoSaverioZuppichini/ViT/issues/2",),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel the scale is 1, and its place does not matter.",
    ),
    Bug(
        name="builtin_scaled_twice",
        title="The query is scaled before a call that also scales it",
        package="jax_impl",
        file="forms.py",
        right="dot_product_attention_weights(query, key)",
        wrong="dot_product_attention_weights(query / sqrt(K.shape[-1]), key)",
        why="Hand-written code is replaced by the built-in call, but the scaling of the query "
        "remains. The call has a default scale of 1 / sqrt(channels).",
        sources=(JAX_ATTENTION,),
        check="intermediates",
        intermediate="weights",
        form="builtin",
        equivalent="With one channel a second division by sqrt(1) changes nothing.",
    ),
)
