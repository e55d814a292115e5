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
        why="The scale is one factor in a line that also runs without it, and training adapts "
        "to larger scores. It is often forgotten in a second code path, such as a fallback or "
        "another backend.",
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
        why="The root is forgotten, or the scores are scaled although the query already was. "
        "Both 1 / d and 1 / sqrt(d) are in use: the former is muP's.",
        sources=(
            "https://github.com/microsoft/mup/issues/18",
            "https://github.com/charliezchen/scaling-matrix-preconditioning/issues/2",
        ),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel sqrt(1) = 1: dividing again changes nothing.",
    ),
    Bug(
        name="scale_the_wrong_way_up",
        title="The scores are multiplied by sqrt(channels) instead of divided",
        package="jax_impl",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="scores = query @ key.mT * sqrt(K.shape[-1])",
        why="Some code stores the scale as d ** -0.5 and multiplies, other code stores "
        "sqrt(d) and divides; both call it `scale`.",
        sources=("https://github.com/esceptico/perceiver-io/issues/9",),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel the scale is 1 in both cases.",
    ),
    Bug(
        name="scale_of_the_steps",
        title="The scale is taken from the axis of the steps",
        package="numpy_reference",
        file="model.py",
        right="scores = query @ key.mT / sqrt(K.shape[-1])",
        wrong="scores = query @ key.mT / sqrt(x.shape[-2])",
        why="The d in sqrt(d) has to be looked up: it is the size of one head's keys, not of "
        "the embedding or the sequence.",
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
        why="In a single expression, the scale is placed outside the softmax's parentheses.",
        sources=("https://github.com/FrancescoSaverioZuppichini/ViT/issues/2",),
        check="intermediates",
        intermediate="scores",
        equivalent="With one channel the scale is 1, wherever it is applied.",
    ),
    Bug(
        name="builtin_scaled_twice",
        title="The query is scaled before a call that already scales",
        package="jax_impl",
        file="forms.py",
        right="dot_product_attention_weights(query, key)",
        wrong="dot_product_attention_weights(query / sqrt(K.shape[-1]), key)",
        why="Handwritten code is replaced by the built-in call, but its scaling of the query "
        "stays. The call's own scale, 1 / sqrt(channels), is a default that is not visible.",
        sources=(JAX_ATTENTION,),
        check="intermediates",
        intermediate="weights",
        form="builtin",
        equivalent="With one channel dividing by sqrt(1) again changes nothing.",
    ),
)
