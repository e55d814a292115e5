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
        why="torch.std divides by n - 1, numpy.std and jax.numpy.std divide by n.",
        sources=("https://github.com/pytorch/pytorch/issues/50010",),
        check="data",
    ),
    Bug(
        name="biased_variance_of_the_original",
        title="The original's normalisation divides by n instead of n - 1",
        package="shared",
        file="data/normalization.py",
        right="ddof=1, keepdims=True",
        wrong="keepdims=True",
        why="This is the same difference in the other direction: NumPy's std replaces torch's.",
        sources=("https://github.com/pytorch/pytorch/issues/50010",),
        check="data",
    ),
    Bug(
        name="statistics_of_all_splits",
        title="Mean and standard deviation are computed on all splits",
        package="shared",
        file="data/load.py",
        right='fit_normalization(digits["train"].pixels, normalization)',
        wrong="fit_normalization(np.concat([split.pixels for split in digits.values()]), "
        "normalization)",
        why="The data is normalised before it is split, so the test images influence the training "
        "data.",
        sources=(
            "https://github.com/cornellius-gp/gpytorch/pull/2761",
            "https://github.com/d2l-ai/d2l-en/pull/1595",
        ),
        check="data",
    ),
    Bug(
        name="uint8_wraps",
        title="Squares of pixels are computed in uint8 and overflow",
        package="shared",
        file="data/normalization.py",
        right="squares += (rows**2).sum(axis=0)",
        wrong="squares += (pixels[start : start + ROWS_AT_ONCE] ** 2).sum(axis=0, dtype=np.int64)",
        why="Pixels are uint8, and in uint8 16 ** 2 is silently 0 in NumPy, PyTorch and JAX.",
        sources=(
            "https://github.com/huggingface/lerobot/pull/3697",
            "https://github.com/numpy/numpy/issues/22305",
        ),
        check="data",
    ),
    Bug(
        name="dead_pixels_divided_by_epsilon",
        title="A constant pixel is divided by an epsilon",
        package="shared",
        file="data/normalization.py",
        right="np.where(variances > 0, np.sqrt(variances), 255.0)",
        wrong="np.sqrt(variances) + 1e-7",
        why="The epsilon avoids 0 / 0 on the training images. If such a pixel is bright in "
        "another image, its normalised value is several hundred million.",
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
        why="Files in column-major order (MATLAB, EMNIST) are read in row-major order. A "
        "classifier trains equally well on such images.",
        sources=(
            "https://github.com/tensorflow/datasets/issues/812",
            "https://github.com/pytorch/vision/issues/8783",
        ),
        check="data",
    ),
    Bug(
        name="one_seed_for_every_draw",
        title="All parameters are drawn from the same random numbers, so K, Q and V are equal",
        package="shared",
        file="params.py",
        right="drawn = rng.uniform(",
        wrong="drawn = np.random.default_rng(seed).uniform(",
        why="A JAX key gives the same numbers each time and must be split explicitly. With K = Q "
        "the scores are symmetric, and the attention is less expressive.",
        sources=(
            "https://github.com/jax-ml/jax/issues/2009",
            "https://github.com/jax-ml/jax/issues/192",
        ),
        check="data",
    ),
    Bug(
        name="last_image_never_drawn",
        title="When drawing with replacement, the last image of a split is never drawn",
        package="shared",
        file="data/batches.py",
        right="return rng.integers(num_samples, size=shape)",
        wrong="return rng.integers(num_samples - 1, size=shape)",
        why="Some generators exclude the end of a range. Others, such as Python's randint, "
        "include it.",
        sources=("https://docs.python.org/3/library/random.html#random.randint",),
        check="data",
    ),
    Bug(
        name="shuffled_within_a_buffer",
        title="Images are shuffled only within a buffer of a hundred",
        package="shared",
        file="data/batches.py",
        right="return rng.permutation(num_samples)[: shape[0] * shape[1]]",
        wrong="blocks = [rng.permutation(np.arange(i, min(i + 100, num_samples)))"
        " for i in range(0, num_samples, 100)]\n"
        "    return np.concat(blocks)[: shape[0] * shape[1]]",
        why="tf.data shuffles within a buffer. If the buffer is smaller than the data, the order "
        "stays nearly that of the file.",
        sources=("https://www.tensorflow.org/api_docs/python/tf/data/Dataset#shuffle",),
        check="data",
    ),
    Bug(
        name="indices_in_16_bits",
        title="The indices of the samples are stored in 16 bits",
        package="shared",
        file="data/batches.py",
        right="return rng.permutation(num_samples)[: shape[0] * shape[1]].reshape(shape)",
        wrong="rows = rng.permutation(num_samples)[: shape[0] * shape[1]].reshape(shape)\n"
        '    return rows.astype("u2").astype(np.int64)',
        why="A smaller dtype is faster, and the data of tests is small. Indices above 65,535 wrap "
        "around.",
        sources=("https://numpy.org/doc/stable/user/basics.types.html#overflow-errors",),
        check="data",
    ),
    Bug(
        name="seed_plus_epoch",
        title="The seed of an epoch is the sum of seed and epoch",
        package="shared",
        file="data/batches.py",
        right="rng = np.random.default_rng([seed, epoch])",
        wrong="rng = np.random.default_rng(seed + epoch)",
        why="The second epoch of one seed has the same batches as the first epoch of the next "
        "seed. Runs that should be independent share batches.",
        sources=("https://numpy.org/doc/stable/reference/random/parallel.html",),
        check="data",
    ),
    Bug(
        name="each_split_by_its_own_statistics",
        title="Every split is normalised by its own mean and standard deviation",
        package="shared",
        file="data/load.py",
        right="_prepare(split, fitted, num_channels)",
        wrong="_prepare(split, fit_normalization(split.pixels, normalization), num_channels)",
        why="The code that prepares the training split, including the fit, is reused for the "
        "other splits. The input for one digit then depends on the other digits of its split.",
        sources=(
            "https://github.com/khuyentran1401/production-ready-data-science-code/pull/5",
            "https://github.com/campusx-official/100-days-of-machine-learning/issues/75",
        ),
        check="data",
    ),
    Bug(
        name="mnist_labels_not_permuted",
        title="For full MNIST, images are permuted but labels are not",
        package="shared",
        file="data/mnist.py",
        right='"train": Digits(pixels[order[:NUM_TRAIN]], labels[order[:NUM_TRAIN]]),',
        wrong='"train": Digits(pixels[order[:NUM_TRAIN]], labels[:NUM_TRAIN]),',
        why="Images and labels are two arrays, and each has its own line for the permutation.",
        sources=(
            "https://github.com/xudonmao/VMT/issues/1",
            "https://github.com/udacity/sdc-issue-reports/issues/1326",
        ),
        check="data",
    ),
    Bug(
        name="mnist_validation_not_permuted",
        title="For full MNIST, the training split is permuted but the validation split is not",
        package="shared",
        file="data/mnist.py",
        right='"validation": Digits(pixels[order[NUM_TRAIN:]], labels[order[NUM_TRAIN:]]),',
        wrong='"validation": Digits(pixels[NUM_TRAIN:], labels[NUM_TRAIN:]),',
        why="Each split is right on its own. Together, most validation images are also training "
        "images.",
        sources=(
            "https://github.com/marin-community/marin/pull/2700",
            "https://github.com/sarpaykent/GotenNet/issues/10",
        ),
        check="data",
    ),
    Bug(
        name="counts_of_levels_in_a_byte",
        title="The counts of grey levels are stored in a byte and overflow at 256",
        package="shared",
        file="data/levels.py",
        right="np.empty((len(indices), len(levels)), dtype=np.float32)",
        wrong="np.empty((len(indices), len(levels)), dtype=np.uint8)",
        why="The levels are bytes, so the counts become bytes too. But an image has 784 pixels, "
        "most of them black.",
        sources=(
            "https://github.com/HerrZatacke/2bit-pxlr-studio/issues/53",
            "https://github.com/HdrHistogram/HdrHistogram_rust/pull/3",
        ),
        check="data",
    ),
    Bug(
        name="levels_up_to_255",
        title="The number of grey levels is 255 instead of 256",
        package="shared",
        file="data/levels.py",
        right="MAX_LEVELS = 256",
        wrong="MAX_LEVELS = 255",
        why="The brightest level is 255, but 0 is a level too.",
        sources=("https://github.com/manuelaguadomtz/pythreshold/issues/5",),
        check="data",
    ),
    Bug(
        name="short_batch_left_out_by_all",
        title="The shared evaluation batches omit a short last batch",
        package="shared",
        file="data/batches.py",
        right="starts = range(0, num_samples, batch_size)",
        wrong="starts = range(0, num_samples - batch_size + 1, batch_size)",
        why="Training uses only full batches. All frameworks evaluate the same wrong samples, so "
        "comparing them does not show the bug.",
        sources=(
            "https://github.com/thuml/Autoformer/issues/104",
            "https://github.com/NVIDIA-NeMo/RL/issues/958",
        ),
        check="data",
    ),
    Bug(
        name="resumed_epoch_begins_anew",
        title="A run resumed within an epoch starts with the first batches of this epoch",
        package="shared",
        file="data/batches.py",
        right="parts = np.split(batches[taken:], [cut - taken for cut in cuts])",
        wrong="parts = np.split(batches, cuts)",
        why="The state contains the number of steps, but the code that draws the batches does not "
        "use it.",
        sources=(
            "https://github.com/huggingface/transformers/pull/8878",
            "https://github.com/vllm-project/speculators/pull/603",
        ),
        check="data",
    ),
)
