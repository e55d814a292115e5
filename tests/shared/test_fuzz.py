"""Any file or command line is either read or refused in one sentence."""

import gzip
import io
import json
import pickle
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from numpy_reference.__main__ import trained_settings
from shared.cli import parse_config
from shared.config import Config
from shared.data.digits import Digits
from shared.data.idx import read_idx
from shared.data.mnist import read_cache, write_cache
from shared.data.sample import load_sample
from shared.errors import UserError
from shared.files import SHA256, checksum, save_arrays
from shared.params import initial_params, load_params, save_params
from shared.training.metrics import read_metrics
from shared.training.records import begin_training
from shared.training.resume import read_config
from shared.training.runs import config_to_json
from shared.training.states import KEY, load_state, save_state

FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PARAMS = initial_params(num_steps=7, num_channels=3, num_outputs=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


def read_or_refuse(read, *args):
    """Call a reader, and accept a UserError of one line, but no other exception."""
    said = "nothing"
    try:
        return read(*args)
    except UserError as error:
        said = str(error)
    assert said
    assert "\n" not in said
    return None


def damage(data: st.DataObject, content: bytes) -> bytes:
    """Flip, remove or insert a few bytes of a good file, or truncate it."""
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "truncate"]))
        if kind == "flip" and at < len(damaged):
            damaged[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del damaged[at : at + data.draw(st.integers(1, 64))]
        elif kind == "insert":
            damaged[at:at] = data.draw(st.binary(min_size=1, max_size=64))
        else:
            del damaged[at:]
    return bytes(damaged)


@FUZZ
@given(content=st.binary(max_size=300) | st.binary(max_size=300).map(gzip.compress))
def test_any_bytes_as_an_idx_file(content: bytes, tmp_path: Path):
    (tmp_path / "file.gz").write_bytes(content)
    read_or_refuse(read_idx, tmp_path / "file.gz")


@FUZZ
@given(
    axes=st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 3), max_size=255),
    kind=st.sampled_from([8, 13]),
    body=st.binary(max_size=30),
)
def test_any_axes_in_an_idx_file(axes: list[int], kind: int, body: bytes, tmp_path: Path):
    head = struct.pack(f">HBB{len(axes)}I", 0, kind, len(axes), *axes)
    (tmp_path / "file.gz").write_bytes(gzip.compress(head + body))
    read_or_refuse(read_idx, tmp_path / "file.gz")


def test_a_file_that_unpacks_without_end_is_refused_soon(tmp_path: Path):
    bomb = gzip.compress(bytes(2**28), compresslevel=1)
    (tmp_path / "file.gz").write_bytes(bomb)
    with pytest.raises(UserError, match="holds more than"):
        read_idx(tmp_path / "file.gz")


@pytest.fixture(scope="module")
def cache_content(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("cache") / "mnist.npz"
    digits = Digits(np.ones((3, 784), np.uint8), np.arange(3))
    write_cache(path, {"train": digits, "test": digits})
    return path.read_bytes()


@FUZZ
@given(data=st.data())
def test_a_damaged_cache(data: st.DataObject, cache_content: bytes, tmp_path: Path):
    (tmp_path / "mnist.npz").write_bytes(damage(data, cache_content))
    read_or_refuse(read_cache, tmp_path / "mnist.npz")


@FUZZ
@given(content=st.binary(max_size=300))
def test_any_bytes_as_the_cache_and_as_the_sample(content: bytes, tmp_path: Path):
    (tmp_path / "any.npz").write_bytes(content)
    for read in (read_cache, load_sample, load_params, load_state):
        with pytest.raises(UserError):
            read(tmp_path / "any.npz")


@pytest.mark.parametrize("name", ["array.npy", "pickle.npy", "pickled.npz"])
def test_numpy_files_that_are_no_cache(name: str, tmp_path: Path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    buffer = io.BytesIO()
    if name == "array.npy":
        np.save(buffer, np.arange(3))
    elif name == "pickle.npy":
        buffer.write(pickle.dumps(Bomb()))
    else:
        np.savez(buffer, sha256=np.array(Bomb(), dtype=object))
    (tmp_path / name).write_bytes(buffer.getvalue())
    with pytest.raises(UserError, match="MNIST cache"):
        read_cache(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def training_content(tmp_path: Path) -> bytes:
    path = tmp_path / "good.safetensors"
    previous = tmp_path / "previous.safetensors"
    save_state(path, begin_training(PARAMS, "float32"), previous=previous)
    return path.read_bytes()


@pytest.mark.parametrize("read", [load_params, load_state])
@FUZZ
@given(data=st.data())
def test_a_damaged_checkpoint_is_never_read_as_another(read, data: st.DataObject, tmp_path: Path):
    path = tmp_path / "file.safetensors"
    if read is load_params:
        save_params(path, PARAMS)
        content = path.read_bytes()
    else:
        content = training_content(tmp_path)
    path.write_bytes(content)
    good = read(path)
    path.write_bytes(damage(data, content))
    found = read_or_refuse(read, path)
    if found is None:
        return
    params = (found[0], good[0]) if read is load_params else (found.params, good.params)
    for name, array in params[0].items():
        np.testing.assert_array_equal(array, params[1][name])


@FUZZ
@given(header=JSON | st.dictionaries(st.sampled_from(["format", "epoch", "epochs"]), JSON))
def test_any_header_of_a_checkpoint(header: object, tmp_path: Path):
    path = tmp_path / "file.safetensors"
    save_arrays(path, PARAMS, {KEY: json.dumps(header)})
    with pytest.raises(UserError, match="is not a training checkpoint"):
        load_state(path)


@FUZZ
@given(
    arrays=st.dictionaries(
        st.sampled_from(["K", "Q", "V", "out.weight", "out.bias", "step_losses"]),
        st.tuples(
            st.sampled_from([np.float32, np.float64, np.int64, np.bool_]),
            st.lists(st.integers(0, 4), max_size=4),
        ).map(lambda made: np.ones(made[1], made[0])),
    )
)
def test_any_arrays_as_weights(arrays: dict[str, np.ndarray], tmp_path: Path):
    path = tmp_path / "file.safetensors"
    path.write_bytes(save(arrays, {SHA256: checksum(arrays)}))
    read_or_refuse(load_params, path)


@FUZZ
@given(changes=st.dictionaries(st.sampled_from([*config_to_json(Config()), "other"]), JSON))
def test_any_config(changes: dict[str, object], tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps(config_to_json(Config()) | changes))
    read_or_refuse(read_config, Config, tmp_path)


@pytest.mark.parametrize(
    ("config", "attention"),
    [
        ('{"attention": "looped", "new": 1}', "looped"),
        ('{"attention": "builtin"}', "blocked"),  # NumPy has none
        ('{"attention": "constructor"}', None),
        ('{"attention": "histogram", "normalization": "original"}', None),  # as no run can be
        ('{"mnist_dir": 1' + "0" * 309 + "}", None),
        ('{"data": "\\ud800"}', None),
        ('{"new": ' + "[" * 100_000, None),
        ("", None),
    ],
)
def test_any_config_in_weights_is_the_default_of_numpys_options_or_none(config, attention):
    assert trained_settings({"config": config}).get("attention") == attention


@FUZZ
@given(content=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_metrics(content: bytes, tmp_path: Path):
    (tmp_path / "metrics.jsonl").write_bytes(content)
    read_or_refuse(read_metrics, tmp_path / "metrics.jsonl")


@settings(FUZZ, max_examples=40)  # a parser is built for each
@given(
    args=st.lists(
        st.sampled_from([f"--{name.replace('_', '-')}" for name in config_to_json(Config())])
        | st.sampled_from(["--resume", "--resume-from", "0", "nan", "-1", "1e999", "float64"])
        | st.text(max_size=6),
        max_size=6,
    ).filter(lambda args: not {"-h", "--help"} & set(args))
)
def test_any_command_line(args: list[str], capsys):
    code = 2
    try:
        read_or_refuse(partial(parse_config, Config, args, prog="x", description=""))
    except SystemExit as stopped:  # tyro has printed the error
        code = stopped.code
    assert code == 2
    assert "Traceback" not in capsys.readouterr().err
