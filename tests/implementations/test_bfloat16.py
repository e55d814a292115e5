"""bfloat16, which NumPy lacks: it is returned as float32, which holds its numbers exactly."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TRAINERS, import_or_skip

from compare.expected.problems import make_problem
from compare.parity.intermediates import round_to_bfloat16
from shared.errors import UserError
from shared.params import PARAM_NAMES, check_params, load_params, save_params

PROBLEM = make_problem()
ROUNDED = {name: round_to_bfloat16(array) for name, array in PROBLEM.params.items()}


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert tuple(found) == PARAM_NAMES
    for name, array in expected.items():
        assert type(found[name]) is np.ndarray
        assert found[name].dtype == array.dtype == np.float32
        np.testing.assert_array_equal(found[name], array)


def write_bfloat16(path: Path) -> None:
    """Write parameters as other programs do, with two bytes per number."""
    upper = {name: array.view(np.uint32) >> 16 for name, array in ROUNDED.items()}
    write_file(path, "BF16", {name: bits.astype(np.uint16) for name, bits in upper.items()})


def write_file(path: Path, dtype: str, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays in the format of safetensors, their bytes called numbers of a dtype."""
    header, end = {}, 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    content = b"".join(array.tobytes() for array in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


@pytest.mark.parametrize("name", TRAINERS)
def test_the_parameters_of_a_model_in_bfloat16_come_out_in_float32(name: str, tmp_path: Path):
    module = import_or_skip(name)
    found = module.to_params(module.from_params(PROBLEM.params, dtype="bfloat16"))
    assert_same(found, ROUNDED)
    assert check_params(found) == (7, 3, 5)
    save_params(tmp_path / "params.safetensors", found)
    assert_same(load_params(tmp_path / "params.safetensors")[0], ROUNDED)


@pytest.mark.parametrize("form", ["looped", "vectorized", "blocked", "builtin", "histogram"])
@pytest.mark.parametrize("name", TRAINERS)
def test_what_is_computed_in_bfloat16_comes_out_in_float32(name: str, form: str):
    module = import_or_skip(name)
    model = module.from_params(PROBLEM.params, form, "bfloat16")
    result = module.evaluate(model, PROBLEM.images, PROBLEM.labels)
    loss, gradients = module.loss_and_gradients(model, PROBLEM.images, PROBLEM.labels)
    for array in (result.logits, *gradients.values()):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, round_to_bfloat16(array))
    for number in (result.loss, result.accuracy, loss):
        assert type(number) is float


LOAD = """
import sys
{first}
from pathlib import Path
from shared.params import load_params
params, _ = load_params(Path(sys.argv[1]))
assert ("ml_dtypes" in sys.modules) == {known}
print({{name: (array.dtype.name, array.tobytes().hex()) for name, array in params.items()}})
"""


@pytest.mark.parametrize("first", ["", "import ml_dtypes"])
def test_a_file_in_bfloat16_is_read_whether_or_not_numpy_was_taught_it(first: str, tmp_path: Path):
    if first:
        pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with JAX")
    write_bfloat16(tmp_path / "params.safetensors")
    code = LOAD.format(first=first, known=bool(first))
    command = [sys.executable, "-c", code, str(tmp_path / "params.safetensors")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    expected = {name: ("float32", ROUNDED[name].tobytes().hex()) for name in PARAM_NAMES}
    assert said.strip() == str(expected)


def test_a_file_in_a_dtype_that_is_not_read_is_refused(tmp_path: Path):
    path = tmp_path / "params.safetensors"
    write_file(path, "F8_E4M3", {"K": np.zeros((3, 3), np.uint8)})
    with pytest.raises(UserError, match=r"K has dtype F8_E4M3, which cannot be read"):
        load_params(path)


KINDS: dict[str, Any] = {"big-endian": ">f8", "longdouble": np.longdouble, "bfloat16": "bfloat16"}


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_of_any_kind_are_read_back_from_the_file(kind: str, tmp_path: Path):
    if kind == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with JAX")
    path = tmp_path / "params.safetensors"
    save_params(path, {name: array.astype(KINDS[kind]) for name, array in ROUNDED.items()})
    for name, array in load_params(path)[0].items():
        np.testing.assert_array_equal(array, ROUNDED[name])
