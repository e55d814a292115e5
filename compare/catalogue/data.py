"""Bugs in the shared inputs: pixels, statistics, initial parameters."""

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
        title="The original's normalization divides by n instead of n - 1",
        package="shared",
        file="data/normalization.py",
        right="ddof=1, keepdims=True",
        wrong="keepdims=True",
        why="The same defaults, the other way round: NumPy's std replaces torch's.",
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
        why="The images are normalised first and split later, so the test images affect the "
        "training.",
        sources=(
            "https://github.com/cornellius-gp/gpytorch/pull/2761",
            "https://github.com/d2l-ai/d2l-en/pull/1595",
        ),
        check="data",
    ),
    Bug(
        name="uint8_wraps",
        title="Squares of pixels are computed in uint8, and wrap at 256",
        package="shared",
        file="data/normalization.py",
        right="squares += (rows**2).sum(axis=0)",
        wrong="squares += (pixels[start : start + ROWS_AT_ONCE] ** 2).sum(axis=0, dtype=np.int64)",
        why="Pixels are stored as uint8, where 16 ** 2 is 0, in NumPy, PyTorch and JAX alike, "
        "without a warning.",
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
        why="An epsilon avoids 0 / 0 on the training images. In another image with ink in "
        "such a pixel, the result is several hundred million.",
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
        why="Files written by columns (MATLAB, EMNIST) are read by rows. A classifier learns "
        "from such images equally well.",
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
        "hand. With K = Q the scores are symmetric, which halves what attention can express.",
        sources=(
            "https://github.com/jax-ml/jax/issues/2009",
            "https://github.com/jax-ml/jax/issues/192",
        ),
        check="data",
    ),
    Bug(
        name="last_image_never_drawn",
        title="With replacement, the last image of a split is never drawn",
        package="shared",
        file="data/batches.py",
        right="return rng.integers(num_samples, size=shape)",
        wrong="return rng.integers(num_samples - 1, size=shape)",
        why="Some generators exclude the end of a range, and others, such as Python's "
        "randint, include it.",
        sources=("https://docs.python.org/3/library/random.html#random.randint",),
        check="data",
    ),
    Bug(
        name="shuffled_within_a_buffer",
        title="Images are shuffled within a buffer of a hundred",
        package="shared",
        file="data/batches.py",
        right="return rng.permutation(num_samples)[: shape[0] * shape[1]]",
        wrong="blocks = [rng.permutation(np.arange(i, min(i + 100, num_samples)))"
        " for i in range(0, num_samples, 100)]\n"
        "    return np.concat(blocks)[: shape[0] * shape[1]]",
        why="tf.data shuffles within a buffer. If it is smaller than the data, samples stay "
        "close to their place in the file.",
        sources=("https://www.tensorflow.org/api_docs/python/tf/data/Dataset#shuffle",),
        check="data",
    ),
    Bug(
        name="indices_in_16_bits",
        title="The indices of the samples are kept in 16 bits",
        package="shared",
        file="data/batches.py",
        right="return rng.permutation(num_samples)[: shape[0] * shape[1]].reshape(shape)",
        wrong="rows = rng.permutation(num_samples)[: shape[0] * shape[1]].reshape(shape)\n"
        '    return rows.astype("u2").astype(np.int64)',
        why="Fewer bits are faster, and the sample in a test is small; above 65,535 an index "
        "wraps to 0.",
        sources=("https://numpy.org/doc/stable/user/basics.types.html#overflow-errors",),
        check="data",
    ),
    Bug(
        name="seed_plus_epoch",
        title="An epoch's seed is the sum of seed and epoch",
        package="shared",
        file="data/batches.py",
        right="rng = np.random.default_rng([seed, epoch])",
        wrong="rng = np.random.default_rng(seed + epoch)",
        why="The second epoch with one seed is then the first with the next seed: runs that "
        "should be independent share batches.",
        sources=("https://numpy.org/doc/stable/reference/random/parallel.html",),
        check="data",
    ),
    Bug(
        name="each_split_by_its_own_statistics",
        title="Every split is normalised by its own mean and deviation",
        package="shared",
        file="data/load.py",
        right="_prepare(split, fitted, num_channels)",
        wrong="_prepare(split, fit_normalization(split.pixels, normalization), num_channels)",
        why="The lines that prepare the training split are called again for the others, "
        "including the fit. The model's input for a digit then depends on the other digits of "
        "the split.",
        sources=(
            "https://github.com/khuyentran1401/production-ready-data-science-code/pull/5",
            "https://github.com/campusx-official/100-days-of-machine-learning/issues/75",
        ),
        check="data",
    ),
    Bug(
        name="mnist_labels_not_permuted",
        title="Full MNIST's images are permuted, but the labels are not",
        package="shared",
        file="data/mnist.py",
        right='"train": Digits(pixels[order[:NUM_TRAIN]], labels[order[:NUM_TRAIN]]),',
        wrong='"train": Digits(pixels[order[:NUM_TRAIN]], labels[:NUM_TRAIN]),',
        why="Images and labels are two arrays, permuted in separate lines.",
        sources=(
            "https://github.com/xudonmao/VMT/issues/1",
            "https://github.com/udacity/sdc-issue-reports/issues/1326",
        ),
        check="data",
    ),
    Bug(
        name="mnist_validation_not_permuted",
        title="Full MNIST is permuted for the training split, but not for the validation split",
        package="shared",
        file="data/mnist.py",
        right='"validation": Digits(pixels[order[NUM_TRAIN:]], labels[order[NUM_TRAIN:]]),',
        wrong='"validation": Digits(pixels[NUM_TRAIN:], labels[NUM_TRAIN:]),',
        why="Each split is correct by itself. Together, most images of the validation split "
        "are also trained on.",
        sources=(
            "https://github.com/marin-community/marin/pull/2700",
            "https://github.com/sarpaykent/GotenNet/issues/10",
        ),
        check="data",
    ),
    Bug(
        name="counts_of_levels_in_a_byte",
        title="The number of pixels of a level is stored in a byte, and wraps at 256",
        package="shared",
        file="data/levels.py",
        right="np.empty((len(indices), len(levels)), dtype=np.float32)",
        wrong="np.empty((len(indices), len(levels)), dtype=np.uint8)",
        why="The levels are bytes, so their counts become bytes too; but an image has 784 "
        "pixels, most of them black.",
        sources=(
            "https://github.com/HerrZatacke/2bit-pxlr-studio/issues/53",
            "https://github.com/HdrHistogram/HdrHistogram_rust/pull/3",
        ),
        check="data",
    ),
    Bug(
        name="levels_up_to_255",
        title="The number of grey levels is 255",
        package="shared",
        file="data/levels.py",
        right="MAX_LEVELS = 256",
        wrong="MAX_LEVELS = 255",
        why="The brightest level is 255, and with 0 there are 256.",
        sources=("https://github.com/manuelaguadomtz/pythreshold/issues/5",),
        check="data",
    ),
    Bug(
        name="short_batch_left_out_by_all",
        title="The shared batches of an evaluation omit a short last batch",
        package="shared",
        file="data/batches.py",
        right="starts = range(0, num_samples, batch_size)",
        wrong="starts = range(0, num_samples - batch_size + 1, batch_size)",
        why="Training uses only whole batches. Here every framework evaluates the same "
        "incomplete set, so comparing two frameworks does not show it.",
        sources=(
            "https://github.com/thuml/Autoformer/issues/104",
            "https://github.com/NVIDIA-NeMo/RL/issues/958",
        ),
        check="data",
    ),
    Bug(
        name="resumed_epoch_begins_anew",
        title="A training resumed within an epoch repeats that epoch's first batches",
        package="shared",
        file="data/batches.py",
        right="parts = np.split(batches[taken:], [cut - taken for cut in cuts])",
        wrong="parts = np.split(batches, cuts)",
        why="The state holds the number of steps taken, but the code that draws the batches "
        "ignores it.",
        sources=(
            "https://github.com/huggingface/transformers/pull/8878",
            "https://github.com/vllm-project/speculators/pull/603",
        ),
        check="data",
    ),
)
