"""Bugs in what every framework is fed: pixels, statistics, first weights."""

from compare.catalogue.records import Bug

DATA = (
    Bug(
        name="unbiased_variance",
        title="The variance of the pixels is divided by n - 1",
        package="shared",
        file="data/normalization.py",
        right="variance = (count * total_squares - total**2) / count**2",
        wrong="variance = (count * total_squares - total**2) / (count * (count - 1))",
        why="torch.std divides by n - 1, numpy.std and jax.numpy.std by n.",
        sources=("https://github.com/pytorch/pytorch/issues/50010",),
        check="data",
    ),
    Bug(
        name="biased_variance_of_the_original",
        title="The original's normalisation is divided by n where it divided by n - 1",
        package="shared",
        file="data/normalization.py",
        right="ddof=1, keepdims=True",
        wrong="keepdims=True",
        why="The same default, the other way round: NumPy's std stands in for torch's.",
        sources=("https://github.com/pytorch/pytorch/issues/50010",),
        check="data",
    ),
    Bug(
        name="statistics_of_all_splits",
        title="Mean and deviation are measured on all splits",
        package="shared",
        file="data/load.py",
        right='fit_normalization(digits["train"].pixels, normalization)',
        wrong="fit_normalization(np.concat([split.pixels for split in digits.values()]), "
        "normalization)",
        why="Normalising comes first and splitting later, so the test images have their say in "
        "what the training sees.",
        sources=(
            "https://github.com/cornellius-gp/gpytorch/pull/2761",
            "https://github.com/d2l-ai/d2l-en/pull/1595",
        ),
        check="data",
    ),
    Bug(
        name="uint8_wraps",
        title="Squares of pixels are taken in uint8, and wrap at 256",
        package="shared",
        file="data/normalization.py",
        right="squares += (rows**2).sum(axis=0)",
        wrong="squares += (pixels[start : start + ROWS_AT_ONCE] ** 2).sum(axis=0, dtype=np.int64)",
        why="Pixels come as uint8, and 16 ** 2 is 0 there, in NumPy, PyTorch and JAX alike, "
        "without a word.",
        sources=(
            "https://github.com/huggingface/lerobot/pull/3697",
            "https://github.com/numpy/numpy/issues/22305",
        ),
        check="data",
    ),
    Bug(
        name="dead_pixels_divided_by_epsilon",
        title="A pixel that never varies is divided by an epsilon",
        package="shared",
        file="data/normalization.py",
        right="np.where(variances > 0, np.sqrt(variances), 255.0)",
        wrong="np.sqrt(variances) + 1e-7",
        why="An epsilon avoids 0 / 0 on the training images. On the first other image with ink in "
        "such a pixel it makes some hundred millions.",
        sources=(
            "https://github.com/keras-team/keras/issues/20011",
            "https://github.com/sbi-dev/sbi/issues/126",
        ),
        check="data",
    ),
    Bug(
        name="pixels_transposed",
        title="Images are read column by column",
        package="shared",
        file="data/sample.py",
        right='digits = Digits(file["pixels"], file["labels"].astype(np.int64))',
        wrong='turned = file["pixels"].reshape(-1, 28, 28).mT.reshape(-1, 784)\n'
        '        digits = Digits(turned, file["labels"].astype(np.int64))',
        why="Files written by columns (MATLAB, EMNIST) are read by rows. A classifier learns from "
        "such images as well as from others.",
        sources=(
            "https://github.com/tensorflow/datasets/issues/812",
            "https://github.com/pytorch/vision/issues/8783",
        ),
        check="data",
    ),
    Bug(
        name="one_seed_for_every_draw",
        title="Every parameter is drawn from the same random numbers: K, Q and V are equal",
        package="shared",
        file="params.py",
        right="drawn = rng.uniform(",
        wrong="drawn = np.random.default_rng(seed).uniform(",
        why="In JAX a key gives the same numbers each time it is used, and has to be split by "
        "hand. With K = Q the scores are symmetric, and half of what attention can do is gone.",
        sources=(
            "https://github.com/jax-ml/jax/issues/2009",
            "https://github.com/jax-ml/jax/issues/192",
        ),
        check="data",
    ),
)
