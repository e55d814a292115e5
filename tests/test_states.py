"""The file of a training's state: what is damaged, or is none of this run, is found and named."""

import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_resume import DATA, PROBLEM

from shared.checkpoints import load_arrays, save_arrays
from shared.config import Config
from shared.errors import UserError
from shared.training.records import begin_training
from shared.training.resume import check_fits
from shared.training.runs import config_to_json
from shared.training.states import SavedTraining, load_training, save_training

CONFIG = Config(batch_size=5)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Write a good checkpoint."""
    path = tmp_path / "jax-checkpoint.safetensors"
    start = begin_training(PROBLEM.params, CONFIG)
    saved = SavedTraining("jax", config_to_json(CONFIG), start, [])
    save_training(path, saved, previous=tmp_path / "previous.safetensors")
    return path


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
        ({"first_moment.Q": zeros(3, 3) + np.inf}, "first moment: Parameter Q holds NaN"),
        ({"second_moment.Q": zeros(3, 3) - 1}, "Adam's second moment or number of steps is neg"),
        ({"second_moment.Q": zeros(3, 2)}, "second moment: Parameter Q has shape (3, 2)"),
        ({"step_losses": zeros(1, 1)}, "step_losses is float32 [1, 1]."),
        ({"step_losses": zeros(2)}, "it has not as many logits as losses."),
    ],
)
def test_a_checkpoint_of_other_contents_says_which(checkpoint: Path, change: dict, sentence: str):
    arrays, metadata = load_arrays(checkpoint)
    arrays = {n: a for n, a in (arrays | change).items() if a is not None}
    save_arrays(checkpoint, arrays, metadata)  # with the right checksum
    with pytest.raises(UserError, match=r"jax-checkpoint.* is none of a training: ") as raised:
        load_training(checkpoint)
    assert sentence in str(raised.value)


def test_weights_alone_are_no_training(tmp_path: Path):
    save_arrays(tmp_path / "weights.safetensors", PROBLEM.params)
    with pytest.raises(UserError, match=r"weights\.safetensors is none of a training"):
        load_training(tmp_path / "weights.safetensors")


def test_a_pickle_is_not_run(checkpoint: Path, tmp_path: Path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    checkpoint.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match="not a readable safetensors file"):
        load_training(checkpoint)
    assert not (tmp_path / "exploded").exists()


def test_every_cut_and_every_flipped_bit_of_a_checkpoint_is_found(checkpoint: Path):
    content, good = checkpoint.read_bytes(), load_training(checkpoint)
    data_starts = 8 + int.from_bytes(content[:8], "little")
    for position in range(0, len(content), 61):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        for damaged in (content[:position], bytes(flipped)):
            checkpoint.write_bytes(damaged)
            with pytest.raises(UserError, match="jax-checkpoint"):
                load_training(checkpoint)
    assert data_starts < len(content) - 1000
    checkpoint.write_bytes(content)
    assert load_training(checkpoint).config == good.config


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dtype": "float64"}, "The checkpoint is in float32, the run in float64"),
        ({"batch_size": 4}, "The checkpoint's logits are [0, 5, 5], not [at most 5, 4, 5]"),
    ],
)
def test_a_checkpoint_of_another_run_does_not_fit(change: dict, sentence: str):
    with pytest.raises(UserError, match=re.escape(sentence)):
        check_fits(begin_training(PROBLEM.params, CONFIG), DATA, replace(CONFIG, **change))


def test_a_checkpoint_of_other_shapes_does_not_fit():
    params = PROBLEM.params | {"K": np.ones((1, 1)), "Q": np.ones((1, 1)), "V": np.ones((1, 1))}
    with pytest.raises(UserError, match=r"for 1 channels and 21 pixels, .* has 3 and 7"):
        check_fits(begin_training(params, CONFIG), DATA, CONFIG)


def test_fewer_epochs_than_are_done_are_refused():
    state = replace(begin_training(PROBLEM.params, CONFIG), epoch=5)
    with pytest.raises(UserError, match="--epochs is 3, and 4 are done: give that or more"):
        check_fits(state, DATA, CONFIG)
