"""Inputs from users: every implementation gives the same result, or the same refusal."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from kinds import FLOATS, INTEGERS, NO_NUMBERS, REALS

from compare.expected.problems import make_dataset, make_problem
from shared.config import Config
from shared.data.levels import find_levels
from shared.errors import UserError
from shared.training.records import begin_training

# Integers that the smallest dtype holds, so that every kind has the same numbers.
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(5, size=(3, 7, 3)).astype(np.float32)
LABELS = np.array([4, 0, 2])
PARAMS = {name: np.round(array) for name, array in make_problem(3, 7, 3, 5).params.items()}
PROBLEM = make_problem(3, 7, 3, 5)._replace(params=PARAMS, images=IMAGES, labels=LABELS)
ROWS = np.array([[0, 1], [2, 0]])


def use(module: Any, images: Any, labels: Any, form: str = "vectorized") -> dict[str, bytes]:
    """Pass a batch to every function that takes one; return the bytes of all results."""
    model = module.from_params(PARAMS, form, "float32")
    result = module.evaluate(model, images, labels, batch_size=2)
    found = {"logits": result.logits, "loss": result.loss, "accuracy": result.accuracy}
    if hasattr(module, "Training"):
        loss, gradients = module.loss_and_gradients(model, images, labels)
        found |= {"batch loss": loss, **gradients}
        found |= {f"trained {name}": array for name, array in train(module, images, labels, form)}
    return {name: np.asarray(value).tobytes() for name, value in found.items()}


def train(module: Any, images: Any, labels: Any, form: str, rows: Any = ROWS) -> Any:
    data = replace(make_dataset(PROBLEM).train, images=images, labels=labels, levels=None)
    start = begin_training(PARAMS, "float32")
    training = module.Training(start.params, start.adam, data, Config(attention=form))
    losses, _ = training.take_steps(rows)
    return [("losses", losses), *training.state()[0].items()]


def refusals(module: Any, images: Any, labels: Any, form: str) -> list[str]:
    """Return the error of each function that takes a batch."""
    model = module.from_params(PARAMS, form, "float32")
    calls = [lambda: module.evaluate(model, images, labels)]
    if hasattr(module, "Training"):
        calls.append(lambda: module.loss_and_gradients(model, images, labels))
        calls.append(lambda: train(module, images, labels, form))
    said = []
    for call in calls:
        with pytest.raises(UserError) as raised:
            call()
        said.append(str(raised.value))
    return said


@cache
def expected_of(module: Any, form: str = "vectorized") -> dict[str, bytes]:
    return use(module, IMAGES, LABELS, form)


@pytest.mark.parametrize("form", ["vectorized", "histogram"])
@pytest.mark.parametrize("kind", REALS)
def test_real_numbers_of_any_kind_are_images(implementation, kind: str, form: str):
    found = use(implementation, REALS[kind](IMAGES), LABELS, form)
    assert found == expected_of(implementation, form)


def test_flags_are_images(implementation):
    is_ink = IMAGES > 2
    assert use(implementation, is_ink, LABELS) == use(implementation, is_ink * 1.0, LABELS)


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble, np.int32])
def test_numbers_that_float32_would_round_reach_a_float64_model_whole(implementation, dtype: type):
    number = dtype(2**24 + 1)
    params = {name: np.zeros_like(array) for name, array in PARAMS.items()}
    params |= {"V": np.eye(3), "out.weight": np.eye(5, 21)}
    model = implementation.from_params(params, "vectorized", "float64")
    logits = implementation.evaluate(model, np.full((3, 7, 3), number), LABELS).logits
    np.testing.assert_allclose(logits, float(number), rtol=1e-12)
    if dtype is not np.int32:
        params = {name: np.full(array.shape, number) for name, array in PARAMS.items()}
        found = implementation.to_params(implementation.from_params(params, dtype="float64"))
        assert all((array == number).all() for array in found.values())


WRONG_IMAGES: dict[str, tuple[Callable[[np.ndarray], Any], str]] = {
    **NO_NUMBERS,
    "None": (lambda _: None, "have dtype object: give real numbers"),
    "flat": (lambda x: x.reshape(3, 21), r"have shape \(3, 21\): give \[batch, 7, 3\]"),
    "turned": (lambda x: x.mT, r"have shape \(3, 3, 7\): give \[batch, 7, 3\]"),
    "one channel": (lambda x: x[..., :1], r"have shape \(3, 7, 1\): give \[batch, 7, 3\]"),
    "none": (lambda x: x[:0], "There are no images: give at least one"),
}


@pytest.mark.parametrize("form", ["vectorized", "histogram"])
@pytest.mark.parametrize("kind", WRONG_IMAGES)
def test_what_is_no_batch_of_images_is_refused_alike(implementation, kind: str, form: str):
    convert, sentence = WRONG_IMAGES[kind]
    if form == "vectorized" or kind in NO_NUMBERS:
        for said in refusals(implementation, convert(IMAGES), LABELS, form):
            assert re.match(f"(The images )?{sentence}", said), said


@pytest.mark.parametrize("kind", INTEGERS)
def test_whole_numbers_of_any_kind_are_labels(implementation, kind: str):
    found = use(implementation, IMAGES, INTEGERS[kind](LABELS))
    assert found == expected_of(implementation)


WRONG_LABELS: dict[str, tuple[Callable[[np.ndarray], Any], str]] = {
    **NO_NUMBERS,
    "column": (lambda y: y[:, None], r"have shape \(3, 1\): give \[3\], one per image"),
    "list of columns": (lambda y: y[:, None].tolist(), r"have shape \(3, 1\): give \[3\], one"),
    "one-hot": (lambda y: np.eye(5)[y], r"have shape \(3, 5\): give \[3\], one per image"),
    "one": (lambda _: 3, r"have shape \(\): give \[3\], one per image"),
    "too few": (lambda y: y[:2], r"have shape \(2,\): give \[3\], one per image"),
    "float32": (np.float32, "have dtype float32: give whole numbers"),
    "bool": (np.bool, "have dtype bool: give whole numbers"),
    "too large": (lambda y: y + 1, "5: give labels from 0 to 4"),
    "ignored": (lambda y: np.where(y, y, -100), "-100: give labels from 0 to 4"),
    "huge": (lambda y: y.astype(np.uint64) + 2**63, "922.*: give labels from 0 to 4"),
}


@pytest.mark.parametrize("kind", WRONG_LABELS)
def test_what_is_no_label_of_each_image_is_refused_alike(implementation, kind: str):
    convert, sentence = WRONG_LABELS[kind]
    for said in refusals(implementation, IMAGES, convert(LABELS), "vectorized"):
        assert re.match(f"(The labels|A label is) {sentence}", said), said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        *(
            ({"batch_size": size}, f"The batch size is {size}: give a whole number, 1 or more")
            for size in (0, -1, 2.0, None)
        ),
        ({"accuracy": "weighted"}, "accuracy 'weighted' is unknown: choose micro or macro"),
    ],
)
def test_an_evaluation_that_there_is_none_of_is_refused(
    implementation, options: dict, sentence: str
):
    model = implementation.from_params(PARAMS)
    with pytest.raises(UserError, match=sentence):
        implementation.evaluate(model, IMAGES, LABELS, **options)


@pytest.mark.parametrize("kind", INTEGERS)
def test_whole_numbers_of_any_kind_are_indices_of_samples(trainer, kind: str):
    for (name, found), (_, expected) in zip(
        train(trainer, IMAGES, LABELS, "vectorized", INTEGERS[kind](ROWS)),
        train(trainer, IMAGES, LABELS, "vectorized"),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected, err_msg=name)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (np.array([[0, 3]]), "A batch holds sample 3: give 0 to 2"),
        (np.array([[0, -1]]), "A batch holds sample -1: give 0 to 2"),
        (np.array([0, 1]), r"have shape \(2,\) and dtype int64: give whole numbers, .steps, batch"),
        (np.zeros((0, 2), int), r"have shape \(0, 2\) and dtype int64: give whole numbers"),
        (np.ones((1, 3), bool), "and dtype bool: give whole numbers"),
        (np.zeros((1, 2)), "and dtype float64: give whole numbers"),
    ],
)
def test_what_is_no_batch_of_indices_is_refused_alike(trainer, rows: Any, sentence: str):
    with pytest.raises(UserError, match=sentence):
        train(trainer, IMAGES, LABELS, "vectorized", rows)


@pytest.mark.parametrize("name", ["dtype", "accuracy", "attention", "sampling", "device"])
def test_an_option_that_there_is_none_of_is_refused_in_python_too(name: str):
    with pytest.raises(UserError, match=f"--{name} is half: give .* or "):
        Config(**{name: "half"})  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["vectorized", "histogram"])
@pytest.mark.parametrize("kind", ["float32", "float64", "tensor", "levels"])
def test_a_batch_on_the_device_is_a_copy_of_what_was_given(implementation, kind: str, form: str):
    """The caller's memory is overwritten: a view or a late read would show it."""
    to_batch = import_module(f"{implementation.__name__}.convert").to_batch
    images, labels = (
        (find_levels if kind == "levels" else FLOATS[kind])(IMAGES.copy()),
        LABELS.copy(),
    )
    memory = [labels, *vars(images).values()] if kind == "levels" else [labels, np.asarray(images)]
    model = implementation.from_params(PARAMS, form, "float64" if kind == "float64" else "float32")
    batch = to_batch(model, images, labels)
    for array in memory:
        array[...] = 0
    expected = to_batch(model, find_levels(IMAGES) if kind == "levels" else IMAGES, LABELS)
    for found, wanted in zip(flat(batch), flat(expected), strict=True):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


def flat(batch: tuple[Any, Any]) -> list[Any]:
    images, labels = batch
    return [labels, *(vars(images).values() if hasattr(images, "levels") else [images])]
