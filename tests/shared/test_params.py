"""Parameters on disk: written atomically, checked when read, never unpickled."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from compare.expected.problems import make_problem
from shared.errors import UserError
from shared.files import replacing, to_json
from shared.params import load_params, save_params


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.safetensors"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_and_metadata_read_back_bit_for_bit(path: Path, dtype: str):
    params = {name: array.astype(dtype) for name, array in make_problem().params.items()}
    save_params(path, params, {"epoch": "3"})
    found, metadata = load_params(path)
    assert metadata == {"epoch": "3"}
    assert {n: a.tobytes() for n, a in found.items()} == {n: a.tobytes() for n, a in params.items()}


def test_a_transposed_view_is_saved_as_it_reads(path: Path):
    params = make_problem().params
    turned = params | {"K": np.asfortranarray(params["K"])}
    save_params(path, turned)
    np.testing.assert_array_equal(load_params(path)[0]["K"], params["K"])


def test_a_missing_checkpoint_is_named(path: Path):
    with pytest.raises(UserError, match=r"There is no checkpoint .*weights"):
        load_params(path)


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_truncated_checkpoint_is_named(path: Path, size: int):
    save_params(path, make_problem().params)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match=r"weights\.safetensors is not a readable safetensors file"):
        load_params(path)


def test_a_pickle_by_another_name_is_not_run(path: Path, tmp_path: Path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match="not a readable safetensors file"):
        load_params(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"W": np.zeros(2)}, "unknown: W"),
        ({"K": np.zeros((2, 2))}, "its second axis must be steps * 2"),
        ({"V": np.full((3, 3), np.inf)}, "V holds NaN or infinity"),
    ],
)
def test_a_checkpoint_that_does_not_fit_says_why(path: Path, change: dict, sentence: str):
    save_file(make_problem().params | change, path)
    pattern = rf"checkpoint .*weights.* does not fit: .*{re.escape(sentence)}"
    with pytest.raises(UserError, match=pattern):
        load_params(path)


def test_unusable_weights_are_not_saved(path: Path):
    params = make_problem().params | {"V": np.full((3, 3), np.nan)}
    with pytest.raises(UserError, match="V holds NaN"):
        save_params(path, params)
    assert not path.exists()


def test_a_write_that_fails_leaves_the_old_file(path: Path):
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path):
    with pytest.raises(UserError, match=r"Could not write .*weights.*: there is no folder .*gone"):
        save_params(tmp_path / "gone" / "weights.safetensors", make_problem().params)


def test_nan_becomes_null_in_json():
    assert to_json({"a": [float("nan"), 1.5], "b": float("inf")}) == '{"a": [null, 1.5], "b": null}'
