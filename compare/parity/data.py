"""The checks of the shared inputs: pixels, statistics, batches, initial parameters."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np

from compare.expected.bounds import ARITHMETIC, Bounded, gamma
from compare.parity.common import Comparisons
from compare.parity.comparison import hold_against, must
from shared.data.digits import Digits

MODULES = (
    *("data.batches", "data.levels", "data.load", "data.mnist", "data.normalization"),
    *("data.sample", "params"),
)
NUM_IMAGES, NUM_PIXELS = 53, 784
MNIST_SIZES = {"train": 50_000, "validation": 10_000, "test": 10_000}


def check_data(changed: Mapping[str, ModuleType], seed: int = 0) -> Comparisons:
    """Compare `shared` with its definitions; `changed` modules replace the real ones."""
    shared = {name: import_module(f"shared.{name}") for name in MODULES} | dict(changed)
    yield from _check_normalization(shared["data.normalization"], seed)
    yield from _check_splits(shared["data.load"], seed)
    yield from _check_sample(shared["data.sample"])
    yield from _check_mnist(shared["data.mnist"])
    yield from _check_levels(shared["data.levels"], seed)
    yield from _check_batches(shared["data.batches"], seed)
    yield from _check_parts(shared["data.batches"])
    yield from _check_first_params(shared["params"], seed)


def draw_pixels(seed: int, brightest: int = 256) -> np.ndarray:
    """Draw grey levels uint8 [n, 784], in which every seventh pixel is constant."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(brightest, size=(NUM_IMAGES, NUM_PIXELS)).astype(np.uint8)
    pixels[:, ::7] = brightest // 2
    return pixels


def expect_statistics(pixels: np.ndarray, kind: str) -> tuple[Bounded, Bounded]:
    """Return shift and scale by definition: deviations over n, or n - 1 for the original."""
    levels = pixels.astype(np.float64)
    if kind == "global":
        shift, scale = levels.mean(keepdims=True).reshape(1), levels.std(keepdims=True).reshape(1)
    elif kind == "per-pixel":
        deviation = levels.std(axis=0)
        shift, scale = levels.mean(axis=0), np.where(deviation > 0, deviation, 255.0)
    else:
        variances = levels.var(axis=0, ddof=1)
        shift, scale = levels.mean(axis=0), np.std(variances + 1e-8, ddof=1, keepdims=True)
    # Sums of n or n * 784 terms; squared numbers are at most 255, and deviations are above 1.
    relative = gamma(levels.size, ARITHMETIC["float64"].stored)
    size = np.full_like(scale, 255.0**2)
    return Bounded(shift, relative * 255 * np.ones_like(shift), shift), Bounded(
        scale, relative * size, size
    )


def expect_normalized(pixels: np.ndarray, fitted_on: np.ndarray, kind: str) -> Bounded:
    """Normalise by definition, and round to float32 at the end."""
    shift, scale = expect_statistics(fitted_on, kind)
    value = (pixels.astype(np.float64) - shift.value) / scale.value
    carried = (shift.bound + scale.bound * np.abs(value)) / scale.value
    bound = ARITHMETIC["float32"].stored * np.abs(value) + 2 * carried
    return Bounded(value, bound, np.abs(value))


def _check_normalization(normalization: ModuleType, seed: int) -> Comparisons:
    pixels = draw_pixels(seed)
    others = draw_pixels(seed + 1)[:, ::-1]  # also for a pixel that never varied
    for kind in ("global", "per-pixel", "original"):
        fitted = normalization.fit_normalization(pixels, kind)
        for quantity, expected in zip(
            ("shift", "scale"), expect_statistics(pixels, kind), strict=True
        ):
            yield hold_against(quantity, kind, getattr(fitted, quantity), expected)
        found = normalization.normalize(others, fitted)
        yield must("dtype of images", kind, found.dtype == np.float32)
        yield hold_against("images", kind, found, expect_normalized(others, pixels, kind))


def _check_splits(data: ModuleType, seed: int) -> Comparisons:
    """Check that statistics come only from the training split."""
    labels = np.arange(NUM_IMAGES) % 10
    pixels = {
        "train": draw_pixels(seed, 200),
        "validation": draw_pixels(seed, 90),
        "test": draw_pixels(seed),
    }
    digits = {name: Digits(array, labels) for name, array in pixels.items()}
    for kind in ("global", "per-pixel", "original"):
        prepared = data.prepare(digits, normalization=kind, num_channels=2)
        for name, array in pixels.items():
            split = getattr(prepared, name)
            expected = expect_normalized(array, pixels["train"], kind)
            for channel in range(2):
                found = split.images[..., channel]
                yield hold_against(f"{name} images", kind, found, expected)
            yield must(f"{name} labels", kind, np.array_equal(split.labels, labels))


def _check_sample(sample: ModuleType) -> Comparisons:
    """Check that ones are taller than wide, so rows and columns are not swapped."""
    train = sample.load_sample()["train"]
    ones = train.pixels[train.labels == 1].reshape(-1, 28, 28).sum(axis=0, dtype=np.float64)
    places = np.arange(28)
    spread = [
        np.average((places - np.average(places, weights=along)) ** 2, weights=along)
        for along in (ones.sum(axis=1), ones.sum(axis=0))
    ]
    yield must("ones are upright", "the sample", bool(spread[0] > 1.5 * spread[1]))
    balanced = np.array_equal(np.bincount(train.labels), np.full(10, len(train.labels) // 10))
    yield must("classes are balanced", "the sample", balanced)


def _check_batches(batches: ModuleType, seed: int) -> Comparisons:
    drawn = {
        (sampling, epoch): batches.epoch_batches(23, 5, sampling=sampling, seed=seed, epoch=epoch)
        for sampling in ("shuffle", "replacement")
        for epoch in (1, 2)
    }
    for (sampling, epoch), rows in drawn.items():
        where = f"{sampling}, epoch {epoch}"
        yield must("batches", where, rows.shape == (4, 5) and 0 <= rows.min() <= rows.max() < 23)
        again = batches.epoch_batches(23, 5, sampling=sampling, seed=seed, epoch=epoch)
        yield must("batches can be drawn again", where, np.array_equal(rows, again))
        once = len(np.unique(rows)) == rows.size
        yield must("each sample once per epoch", where, once or sampling == "replacement")
    for sampling in ("shuffle", "replacement"):
        same = np.array_equal(drawn[sampling, 1], drawn[sampling, 2])
        yield must("every epoch has its own order", sampling, not same)
        yield from _check_draws(batches, sampling, seed)


def _check_mnist(mnist: ModuleType) -> Comparisons:
    """Check that 60,000 images are split into two parts without common images, labels attached.

    Here every image encodes its own index, and every label follows from it.
    """

    def number(count: int, offset: int) -> Digits:
        numbers = np.arange(offset, offset + count)
        pixels = numbers[:, None] // (1, 256, 65_536) % 256
        return Digits(pixels.astype(np.uint8), label(numbers))

    def label(numbers: np.ndarray) -> np.ndarray:
        return numbers * 7 // 3 % 10

    cached = {"train": number(60_000, 0), "test": number(10_000, 60_000)}
    with (
        patch.object(mnist, "cache_path", lambda: Path(__file__)),  # which exists
        patch.object(mnist, "read_cache", lambda _: cached),
    ):
        splits = mnist.load_mnist()
    numbers = {name: split.pixels @ np.array([1, 256, 65_536]) for name, split in splits.items()}
    for name, size in MNIST_SIZES.items():
        yield must(f"size of {name}", "MNIST", len(numbers[name]) == size)
        same = np.array_equal(splits[name].labels, label(numbers[name]))
        yield must(f"{name} images have their own labels", "MNIST", same)
    seen = np.sort(np.concat([numbers["train"], numbers["validation"]]))
    yield must("no image is in two splits", "MNIST", np.array_equal(seen, np.arange(60_000)))
    same = np.array_equal(numbers["test"], np.arange(60_000, 70_000))
    yield must("the test split is the original one", "MNIST", same)


def _check_levels(levels: ModuleType, seed: int) -> Comparisons:
    """Check that 256 levels are told apart, no more, and counted, up to all 784 pixels."""
    indices = np.concat([draw_pixels(seed), np.full((1, NUM_PIXELS), 255, np.uint8)])
    table = np.random.default_rng(seed).normal(size=(256, 2)).astype(np.float32)
    counts = levels.level_images(indices, table).counts
    expected = [np.count_nonzero(indices == level, axis=1) for level in range(256)]
    yield must("counts of levels", "draws", np.array_equal(counts, np.stack(expected, axis=1)))
    every = np.arange(256, dtype=np.float32).reshape(1, 256, 1)
    found = levels.find_levels(every)
    yield must("256 levels", "find_levels", np.array_equal(levels.to_pixels(found), every))


def _check_parts(batches: ModuleType) -> Comparisons:
    """Check that a short last batch is evaluated, and that a stopped epoch is continued."""
    rows = [np.arange(23)[batch] for batch in batches.batches_in_order(23, 5)]
    yield must(
        "each sample is evaluated once", "23 of 5", np.array_equal(np.concat(rows), np.arange(23))
    )
    epoch = np.arange(26).reshape(13, 2)
    for taken in (0, 3, 5, 13):
        left = np.concat([epoch[:0], *batches.in_parts(epoch, taken, 5)])
        same = np.array_equal(left, epoch[taken:])
        yield must("an epoch continues where it stopped", f"after {taken} of 13 steps", same)


def _check_draws(batches: ModuleType, sampling: str, seed: int) -> Comparisons:
    """Check that every sample is drawn, from all of the data, and differently for each seed."""

    def draw(num_samples: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
        found: np.ndarray = batches.epoch_batches(
            num_samples, batch_size, sampling=sampling, seed=seed, epoch=epoch
        )
        return found

    reached = np.unique([draw(23, 5, seed, epoch) for epoch in range(1, 41)])
    yield must("every sample is drawn in forty epochs", sampling, len(reached) == 23)
    first = draw(1000, 50, seed, 1)[0]
    yield must("the first batch draws from all samples", sampling, int(np.ptp(first)) > 500)
    many = draw(70_000, 1000, seed, 1)  # more than 16 bits hold; full MNIST has 60,000
    yield must("70,000 samples are told apart", sampling, int(many.max()) > 2**16)
    same = np.array_equal(draw(23, 5, seed, 2), draw(23, 5, seed + 1, 1))
    yield must("neighbouring seeds share no epoch", sampling, not same)


def _check_first_params(params: ModuleType, seed: int) -> Comparisons:
    """Check that parameters are uniform within 1 / sqrt(inputs), each from its own draw."""
    drawn = params.initial_params(num_steps=97, num_channels=7, num_outputs=53, seed=seed)
    for name, array in drawn.items():
        inputs = 97 * 7 if name.startswith("out.") else 7
        within = np.abs(array).max() <= (1 + 1e-6) / inputs**0.5
        spread = 0.5 < array.std() * (3 * inputs) ** 0.5 < 1.5
        yield must("initial parameters are uniform", name, bool(within and spread))
    starts = [(array.reshape(-1) / np.abs(array).max())[:5] for array in drawn.values()]
    correlated = [np.corrcoef(a, b)[0, 1] for i, a in enumerate(starts) for b in starts[:i]]
    yield must("no draw is used twice", f"seed {seed}", bool(np.max(correlated) < 1 - 1e-9))
