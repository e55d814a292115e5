"""The file of a training's state: a damaged one, or one of another run, is refused by name."""

import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from resuming import DATA, PROBLEM
from safetensors.numpy import save

from shared.config import Config
from shared.errors import UserError
from shared.files import load_arrays, save_arrays
from shared.params import load_params
from shared.training.records import begin_training
from shared.training.resume import check_epochs, check_fits
from shared.training.states import KEY, load_state, save_state

CONFIG = Config(batch_size=5)  # four steps an epoch
BEGUN = begin_training(PROBLEM.params, CONFIG.dtype)
SECOND = replace(BEGUN, epoch=2, adam=BEGUN.adam._replace(step=4))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Write a good checkpoint."""
    path = tmp_path / "jax-checkpoint.safetensors"
    start = begin_training(PROBLEM.params, CONFIG.dtype)
    save_state(path, start, previous=tmp_path / "previous.safetensors")
    return path


HEADER = '{"format": %s, "epoch": %s, "adam_step": %s, "seconds": %s}'


def zeros(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"params.K": None}, "it lacks params.K and has nothing that does not belong there."),
        ({"extra": zeros(2)}, "it lacks nothing and has extra that does not belong there."),
        ({"params.K": zeros(2, 2)}, "its second axis must be steps * 2."),
        ({"params.K": zeros(3, 3, dtype="int32")}, "Parameter K has dtype int32"),
        ({"params.V": zeros(3, 3) + np.nan}, "Parameter V holds NaN or infinity"),
        ({"params.V": zeros(3, 3, dtype="float64")}, "of several dtypes, float32, float64."),
        ({"first_moment.Q": zeros(3, 3) + np.inf}, "Parameter Q holds NaN"),
        ({"second_moment.Q": zeros(3, 3) - 1}, "Adam's second moment is negative"),
        ({"second_moment.Q": zeros(3, 2)}, "Parameter Q has shape (3, 2)"),
        ({"step_losses": zeros(1, 1)}, "are [1, 1] and [0], not [steps]."),
        ({"step_losses": zeros(2)}, "step_losses and step_accuracies are [2] and [0], not"),
        ({"step_accuracies": np.zeros(0, "int64")}, "of several dtypes"),
        ({"step_losses": zeros(1), "step_accuracies": zeros(1) + 2}, "an accuracy not from 0 to 1"),
        ({"step_losses": zeros(1) + np.nan, "step_accuracies": zeros(1)}, "a loss is NaN or"),
        ({"step_losses": zeros(1), "step_accuracies": zeros(1)}, "epoch 1, step 0 and 0.0 seconds"),
        ({"\x1b[31m" + "n" * 9999: zeros(2)}, r"and has \x1b[31mnnn"),
    ],
)
def test_a_checkpoint_of_other_contents_says_which(checkpoint: Path, change: dict, sentence: str):
    arrays, metadata = load_arrays(checkpoint)
    arrays = {n: a for n, a in (arrays | change).items() if a is not None}
    save_arrays(checkpoint, arrays, metadata)  # with the right checksum
    with pytest.raises(
        UserError, match=r"jax-checkpoint.* is not a training checkpoint: "
    ) as raised:
        load_state(checkpoint)
    assert sentence in str(raised.value)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ('{"format": 2, "more": ' + "[" * 100_000, "recursion depth"),
        (HEADER % ("3", "1", "0", "0"), "its format is 3, not 2"),
        (HEADER % ("2", "0", "0", "0"), ">= 1 - at `$.epoch`"),
        (HEADER % ("2", "1" * 309, "0", "0"), "<= 9007199254740992 - at `$.epoch`"),
        (HEADER % ("2", "1", "1" * 5000, "0"), "out of range - at `$.adam_step`"),
        (HEADER % ("2", "1", "-1", "0"), ">= 0 - at `$.adam_step`"),
        (HEADER % ("2", "1", "0", "1e999"), "out of range - at `$.seconds`"),
        (HEADER % ("2", "1", "0", "-1"), ">= 0.0 - at `$.seconds`"),
        (HEADER % ("2", "1", "0", '"\x1b[31m"'), "JSON is malformed"),
    ],
)
def test_a_checkpoint_of_another_header_says_what_is_wrong(checkpoint: Path, header: str, why: str):
    arrays, _ = load_arrays(checkpoint)
    save_arrays(checkpoint, arrays, {KEY: header})
    with pytest.raises(
        UserError, match=r"jax-checkpoint.* is not a training checkpoint: "
    ) as raised:
        load_state(checkpoint)
    assert why in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [
        ("F8_E5M2", [1], 1),
        ("F8_E4M3", [1], 1),
        ("F4", [2], 1),
        ("F32", [1] * 65, 4),
        ("F32", [0, 2**62, 8], 0),
    ],
)
@pytest.mark.parametrize("read", [load_state, load_params])
def test_arrays_that_numpy_cannot_hold_are_one_sentence(
    read, dtype: str, shape: list[int], size: int, tmp_path: Path
):
    about = {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({"\x1b[31m": about}).encode()
    path = tmp_path / "crafted.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    with pytest.raises(UserError, match="is not a readable safetensors file"):
        read(path)


def test_a_checkpoint_without_a_checksum_is_damaged(checkpoint: Path):
    arrays, metadata = load_arrays(checkpoint)
    checkpoint.write_bytes(save(arrays, metadata))
    with pytest.raises(UserError, match=r"jax-checkpoint.* is damaged: its checksum is not"):
        load_state(checkpoint)


def test_weights_alone_are_no_training(tmp_path: Path):
    save_arrays(tmp_path / "weights.safetensors", PROBLEM.params)
    with pytest.raises(UserError, match=r"weights\.safetensors is not a training checkpoint"):
        load_state(tmp_path / "weights.safetensors")


def test_a_pickle_is_not_run(checkpoint: Path, tmp_path: Path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    checkpoint.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match="not a readable safetensors file"):
        load_state(checkpoint)
    assert not (tmp_path / "exploded").exists()


def test_every_cut_and_every_flipped_bit_of_a_checkpoint_is_found(checkpoint: Path):
    content, good = checkpoint.read_bytes(), load_state(checkpoint)
    data_starts = 8 + int.from_bytes(content[:8], "little")
    for position in range(0, len(content), 61):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        for damaged in (content[:position], bytes(flipped)):
            checkpoint.write_bytes(damaged)
            with pytest.raises(UserError, match=r"jax-checkpoint"):
                load_state(checkpoint)
    assert data_starts < len(content) - 1000
    checkpoint.write_bytes(content)
    found = load_state(checkpoint)
    assert (found.epoch, found.adam.step) == (good.epoch, good.adam.step)


@pytest.mark.parametrize("step", [0, 3, 5, 10**9])
def test_a_number_of_adams_steps_that_is_not_the_epochs_does_not_fit(step: int):
    state = replace(SECOND, adam=SECOND.adam._replace(step=step))
    with pytest.raises(UserError, match=f"saved after {step} steps, 0 of them in epoch 2"):
        check_fits(state, DATA, CONFIG)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dtype": "float64"}, "it is in float32, the run in float64"),
        ({"batch_size": 4}, "was saved after 4 steps, 0 of them in epoch 2; an epoch has 5"),
    ],
)
def test_a_checkpoint_of_another_run_does_not_fit(change: dict, sentence: str):
    with pytest.raises(UserError, match=re.escape(sentence)):
        check_fits(SECOND, DATA, replace(CONFIG, **change))


def test_a_checkpoint_of_other_shapes_does_not_fit():
    params = PROBLEM.params | {"K": np.ones((1, 1)), "Q": np.ones((1, 1)), "V": np.ones((1, 1))}
    with pytest.raises(UserError, match=r"for 1 channels and 21 pixels, .* has 3 and 7"):
        check_fits(begin_training(params, CONFIG.dtype), DATA, CONFIG)


def test_fewer_epochs_than_are_done_are_refused():
    state = replace(BEGUN, epoch=5, adam=BEGUN.adam._replace(step=16))
    check_fits(state, DATA, CONFIG)
    with pytest.raises(
        UserError, match="--epochs is 3, and 4 epochs are finished: give at least 4"
    ):
        check_epochs(state, CONFIG)
