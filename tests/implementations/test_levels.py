"""Images by their grey levels: the inputs of the histogram form, and refused ones."""

import numpy as np
import pytest
from conftest import import_or_skip

from compare.expected.problems import make_problem
from shared.config import Config
from shared.data import levels
from shared.data.levels import LevelImages, find_levels, in_form, level_images
from shared.data.load import load_data
from shared.errors import UserError


def grey_images(n: int = 5, steps: int = 11, channels: int = 3, k: int = 7) -> np.ndarray:
    """Draw images [n, steps, channels] whose pixels have k distinct values."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(k, channels)).astype(np.float32)[rng.integers(k, size=(n, steps))]


@pytest.mark.parametrize("channels", [1, 3])
def test_found_levels_stand_for_the_very_same_images(channels: int):
    images = grey_images(channels=channels)
    found = find_levels(images)
    assert found.shape == images.shape
    assert len(found) == len(images)
    assert found.indices.dtype == np.uint8
    assert found.counts.dtype == found.levels.dtype == np.float32
    np.testing.assert_array_equal(in_form(found, "looped"), images)
    for image, counts in zip(images, found.counts, strict=True):
        for level, count in zip(found.levels, counts, strict=True):
            assert count == (image == level).all(axis=-1).sum()


def test_more_rows_than_are_counted_at_once_are_all_counted(monkeypatch):
    monkeypatch.setattr(levels, "ROWS_AT_ONCE", 3)
    indices = np.random.default_rng(0).integers(7, size=(8, 11), dtype=np.uint8)
    counts = level_images(indices, np.zeros((7, 1), np.float32)).counts
    expected = [np.bincount(row, minlength=7) for row in indices]
    np.testing.assert_array_equal(counts, expected)


def test_rows_are_taken_and_the_levels_kept():
    found = find_levels(grey_images())
    rows = np.array([4, 0, 4])
    np.testing.assert_array_equal(in_form(found[rows], "looped"), grey_images()[rows])
    assert found[rows].levels is found.levels


@pytest.mark.parametrize("channels", [1, 3])
def test_the_samples_levels_are_its_pixels(channels: int):
    split = load_data("sample", num_channels=channels).test
    found = split.in_form("histogram")
    assert isinstance(found, LevelImages)
    assert found.levels.shape == (256, channels)
    np.testing.assert_array_equal(found.levels[found.indices], split.images)
    np.testing.assert_array_equal(found.counts.sum(axis=1), 784)
    assert split.in_form("blocked") is split.images


@pytest.mark.parametrize("normalization", ["per-pixel", "original"])
def test_pixels_normalised_each_in_its_own_way_are_refused(normalization: str):
    split = load_data("sample", normalization=normalization).test
    assert split.levels is None
    with pytest.raises(UserError, match=r"same normalization: .* [\d,]+ different values"):
        split.in_form("histogram")
    with pytest.raises(UserError, match=f"does not support --normalization {normalization}"):
        Config(attention="histogram", normalization=normalization)  # type: ignore[arg-type]


def test_256_levels_are_taken_and_257_refused():
    images = np.arange(257, dtype=np.float32)[:, None, None]
    assert find_levels(images[:256]).levels.shape == (256, 1)
    with pytest.raises(UserError, match="these images have 257 different values, more than 256"):
        find_levels(images)


def test_a_model_takes_levels_and_images_alike(implementation):
    problem = make_problem()
    found = find_levels(problem.images)
    for attention in implementation.ATTENTION:
        model = implementation.from_params(problem.params, attention=attention, dtype="float64")
        a, b = (
            implementation.evaluate(model, images, problem.labels).logits
            for images in (problem.images, found)
        )
        np.testing.assert_array_equal(a, b)


def test_jit_takes_levels_as_it_takes_an_array():
    jax_impl = import_or_skip("jax")
    from flax import nnx

    problem = make_problem()
    model = jax_impl.from_params(problem.params, attention="histogram")
    predict = nnx.jit(lambda model, images: model(images))
    assert predict(model, find_levels(problem.images)).shape == (2, 5)
