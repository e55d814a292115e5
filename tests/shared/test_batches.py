"""The order of the samples depends only on NumPy, the seed and the epoch."""

import numpy as np
import pytest

from shared.data.batches import STEPS_AT_ONCE, epoch_batches, in_parts
from shared.errors import UserError


def test_shuffled_batches_hold_every_sample_once():
    batches = epoch_batches(48, 16, seed=3, epoch=1)
    assert batches.shape == (3, 16)
    assert np.array_equal(np.sort(batches.reshape(-1)), np.arange(48))


def test_what_does_not_fill_a_batch_is_left_out_and_varies():
    first, second = (epoch_batches(50, 16, seed=3, epoch=epoch).reshape(-1) for epoch in (1, 2))
    assert len(first) == len(np.unique(first)) == 48
    assert set(first) != set(second)


def test_replacement_draws_some_twice_and_some_never():
    batches = epoch_batches(1000, 10, sampling="replacement")
    assert batches.shape == (100, 10)
    # (1 - 1/n)^n of them, about 37 %, are never drawn.
    assert 600 < len(np.unique(batches)) < 665


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_the_order_depends_on_seed_and_epoch_alone(sampling: str):
    draw = {
        key: epoch_batches(100, 10, sampling=sampling, seed=key[0], epoch=key[1])
        for key in ((0, 1), (0, 2), (1, 1))
    }
    again = epoch_batches(100, 10, sampling=sampling, seed=0, epoch=1)
    assert np.array_equal(draw[0, 1], again)
    assert not np.array_equal(draw[0, 1], draw[0, 2])
    assert not np.array_equal(draw[0, 1], draw[1, 1])


@pytest.mark.parametrize("size", [0, 11])
def test_a_batch_size_that_cannot_be_is_refused(size: int):
    with pytest.raises(UserError, match=f"batch size is {size}: choose 1 to 10"):
        epoch_batches(10, size)


@pytest.mark.parametrize("steps", [1, STEPS_AT_ONCE, STEPS_AT_ONCE + 1, 2 * STEPS_AT_ONCE + 7])
@pytest.mark.parametrize("every", [1, 2, 30, STEPS_AT_ONCE, 200, 1000])
@pytest.mark.parametrize("taken", [0, 1, 125, 200])
def test_the_parts_of_an_epoch_are_what_is_left_of_it(steps: int, every: int, taken: int):
    batches = epoch_batches(3 * steps, 3)
    parts = in_parts(batches, taken, every)
    assert all(1 <= len(part) <= min(STEPS_AT_ONCE, every) for part in parts)
    left = batches[taken:]
    np.testing.assert_array_equal(np.concatenate([left[:0], *parts]), left)


@pytest.mark.parametrize(("every", "length"), [(1, 1), (100, 100), (200, 100), (1000, 125)])
def test_a_part_ends_wherever_a_checkpoint_is_due(every: int, length: int):
    batches = epoch_batches(1234, 1)
    parts = in_parts(batches, 0, every)
    assert {len(part) for part in parts[:-1]} == {length}
    # A training resumed after a part has the same parts as one that never stopped.
    again = in_parts(batches, 3 * length, every)
    assert [part.tolist() for part in again] == [part.tolist() for part in parts[3:]]
