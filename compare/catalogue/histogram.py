"""Bugs in the histogram form, the default form of a run."""

from compare.catalogue.records import Bug

SOFTMAX = "https://docs.pytorch.org/docs/stable/generated/torch.logsumexp.html"
KERAS = "https://keras.io/api/layers/attention_layers/multi_head_attention/"

HISTOGRAM = (
    Bug(
        name="histogram_swaps_key_and_query",
        title="K is used for the queries of the levels, and Q for the keys",
        package="pytorch_impl",
        file="forms.py",
        right="    query = x.levels @ Q  # [levels, channels]\n    key = x.levels @ K  #",
        wrong="    query = x.levels @ K  # [levels, channels]\n    key = x.levels @ Q  #",
        why="A newly written form has its own order of lines. With one channel, the default "
        "of a run, the bug has no effect.",
        sources=(KERAS,),
        check="intermediates",
        intermediate="query",
        form="histogram",
        equivalent="With one channel K and Q are numbers, and only their product matters.",
    ),
    Bug(
        name="histogram_turns_k",
        title="The keys of the levels are computed with K transposed",
        package="pytorch_impl",
        file="forms.py",
        right="key = x.levels @ K  # [levels, channels]",
        wrong="key = x.levels @ K.mT  # [levels, channels]",
        why="A Linear layer stores its matrix as [out, in], a custom parameter as [in, out].",
        sources=("https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html",),
        check="intermediates",
        intermediate="key",
        form="histogram",
        equivalent="With one channel K is a number.",
    ),
    Bug(
        name="histogram_without_its_scale",
        title="The scores of the levels are not divided by sqrt(channels)",
        package="numpy_reference",
        file="forms.py",
        right="scaled = query / sqrt(K.shape[-1])  # [levels, channels]",
        wrong="scaled = query  # [levels, channels]",
        why="The scale is in another place than in the other forms, and is overlooked.",
        sources=("https://arxiv.org/abs/1706.03762",),
        check="intermediates",
        intermediate="scores",
        form="histogram",
        equivalent="With one channel the scale is 1.",
    ),
    Bug(
        name="one_table_for_enormous_scores",
        title="One table of exponentials is used for scores so low that they are all 0",
        package="pytorch_impl",
        file="forms.py",
        right="is_moderate = largest <= MODERATE_SCORE  # []",
        wrong="is_moderate = largest <= 1e4  # []",
        why="A threshold is raised until a test is fast. Nothing overflows at first, but if "
        "all scores of an image are far below 0, its sum of exponentials is 0.",
        sources=(SOFTMAX,),
        check="gradients",
        form="histogram",
    ),
    Bug(
        name="largest_score_without_its_sign",
        title="The bound of the scores ignores that two negative factors give a large score",
        package="pytorch_impl",
        file="forms.py",
        right="largest = scaled.detach().abs().amax(dim=0) @ key.detach().abs().amax(dim=0)  # []",
        wrong="largest = scaled.detach().amax(dim=0) @ key.detach().amax(dim=0)  # []",
        why="The largest value of each factor, without absolute values, does not bound the "
        "product.",
        sources=(SOFTMAX,),
        check="gradients",
        form="histogram",
    ),
)
