"""The three normalizations, each against a plain implementation of its formula."""

import numpy as np
import pytest

from shared.data.digits import Digits
from shared.data.load import load_data, prepare
from shared.data.normalization import fit_normalization, normalize
from shared.errors import UserError


@pytest.fixture
def pixels() -> np.ndarray:
    """Return 2,100 images, more than are processed at once, in which pixel 3 never varies."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(256, size=(2100, 784), dtype=np.uint8)
    pixels[:, 3] = 17
    pixels[:, 5:] = pixels[:, 5:] * rng.uniform(0.1, 1, 779)
    return pixels


def test_global_takes_off_one_mean_and_divides_by_one_deviation(pixels):
    found = normalize(pixels, fit_normalization(pixels, "global"))
    x = pixels / 255
    np.testing.assert_allclose(found, (x - x.mean()) / x.std(), rtol=2e-7, atol=1e-7)
    assert found.dtype == np.float32


def test_per_pixel_uses_each_pixels_own_and_keeps_constant_ones_finite(pixels):
    found = normalize(pixels, fit_normalization(pixels, "per-pixel"))
    x = pixels.astype(np.float64)
    deviation = x.std(axis=0)
    deviation[3] = 255
    np.testing.assert_allclose(found, (x - x.mean(axis=0)) / deviation, rtol=2e-7, atol=1e-7)
    assert np.all(found[:, 3] == 0)


def test_a_pixel_constant_in_training_stays_small_elsewhere(pixels):
    other = pixels.copy()
    other[:, 3] = 255
    found = normalize(other, fit_normalization(pixels, "per-pixel"))
    assert np.abs(found[:, 3]).max() <= 1


def test_seed_divides_by_the_deviation_of_the_variances_as_torch_computes_it(pixels):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.tensor(pixels, dtype=torch.float64)
    one_number = torch.std(torch.var(x, dim=0) + 1e-8)
    expected = (x - x.mean(dim=0)) / one_number
    found = normalize(pixels, fit_normalization(pixels, "original"))
    np.testing.assert_allclose(found, expected.numpy(), rtol=2e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["global", "per-pixel", "original"])
def test_statistics_come_from_the_training_split_alone(kind: str, pixels):
    rng = np.random.default_rng(1)
    labels = rng.integers(10, size=len(pixels))
    train = Digits(pixels, labels)
    few = Digits(pixels[:5], labels[:5])
    other = Digits(255 - pixels[:5], labels[:5])
    a = prepare({"train": train, "validation": few, "test": few}, normalization=kind)
    b = prepare({"train": train, "validation": few, "test": other}, normalization=kind)
    assert np.array_equal(a.train.images, b.train.images)
    assert np.array_equal(a.validation.images, b.validation.images)
    assert not np.array_equal(a.test.images, b.test.images)


def test_global_makes_mean_0_and_deviation_1_of_the_sample():
    images = load_data("sample").train.images.astype(np.float64)
    assert abs(images.mean()) < 1e-7
    assert images.std() == pytest.approx(1, abs=1e-6)


def test_seed_makes_inputs_a_few_hundredths_in_size():
    images = load_data("sample", normalization="original").train.images
    assert 0.02 < np.abs(images).max() < 0.1


@pytest.mark.parametrize(
    ("kind", "sentence"), [("global", "scale is 0"), ("original", "scale is 0")]
)
def test_pixels_that_give_no_scale_are_refused(kind: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        fit_normalization(np.full((5, 784), 9, np.uint8), kind)
