"""Bugs of the histogram form, which is what a run trains by default."""

from compare.catalogue.records import Bug

SOFTMAX = "https://docs.pytorch.org/docs/stable/generated/torch.logsumexp.html"
KERAS = "https://keras.io/api/layers/attention_layers/multi_head_attention/"

HISTOGRAM = (
    Bug(
        name="histogram_swaps_key_and_query",
        title="The queries of the grey levels are computed with K, the keys with Q",
        package="pytorch_impl",
        file="forms.py",
        right="    query = x.levels @ Q  # [levels, channels]\n    key = x.levels @ K  #",
        wrong="    query = x.levels @ K  # [levels, channels]\n    key = x.levels @ Q  #",
        why="A rewritten form has its own order of lines. With one channel, the default of a run, "
        "the results are the same.",
        sources=(KERAS,),
        check="intermediates",
        intermediate="query",
        form="histogram",
        equivalent="With one channel K and Q are numbers, and only their product matters.",
    ),
    Bug(
        name="histogram_turns_k",
        title="The keys of the grey levels are computed with K transposed",
        package="pytorch_impl",
        file="forms.py",
        right="key = x.levels @ K  # [levels, channels]",
        wrong="key = x.levels @ K.mT  # [levels, channels]",
        why="A Linear layer stores its matrix as [out, in], a parameter of your own is usually "
        "[in, out].",
        sources=("https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html",),
        check="intermediates",
        intermediate="key",
        form="histogram",
        equivalent="With one channel K is a number.",
    ),
    Bug(
        name="histogram_without_its_scale",
        title="The scores of the grey levels are not divided by sqrt(channels)",
        package="numpy_reference",
        file="forms.py",
        right="scaled = query / sqrt(K.shape[-1])  # [levels, channels]",
        wrong="scaled = query  # [levels, channels]",
        why="This form has the scale in another place than the other forms, where it is easily "
        "forgotten.",
        sources=("https://arxiv.org/abs/1706.03762",),
        check="intermediates",
        intermediate="scores",
        form="histogram",
        equivalent="With one channel the scale is 1.",
    ),
    Bug(
        name="one_table_for_enormous_scores",
        title="One table of exponentials is used for scores at which they underflow to 0",
        package="pytorch_impl",
        file="forms.py",
        right="is_moderate = largest <= MODERATE_SCORE  # []",
        wrong="is_moderate = largest <= 1e4  # []",
        why="A threshold was raised to make a test faster. Nothing overflows, but if all scores "
        "of an image are far below 0, its sum of exponentials is 0.",
        sources=(SOFTMAX,),
        check="gradients",
        form="histogram",
    ),
    Bug(
        name="largest_score_without_its_sign",
        title="The bound for the scores ignores that two negative factors give a large product",
        package="pytorch_impl",
        file="forms.py",
        right="largest = scaled.detach().abs().amax(dim=0) @ key.detach().abs().amax(dim=0)  # []",
        wrong="largest = scaled.detach().amax(dim=0) @ key.detach().amax(dim=0)  # []",
        why="The largest value of each factor bounds the product only if absolute values are used.",
        sources=(SOFTMAX,),
        check="gradients",
        form="histogram",
    ),
)
