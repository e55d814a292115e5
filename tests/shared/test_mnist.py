"""Full MNIST: prepared with TensorFlow Datasets, cached, and refused if damaged."""

import gzip
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import mnist_dir_or_skip

from shared.data import mnist
from shared.data.digits import Digits
from shared.data.idx import ORIGINALS, check_mnist_dir, read_idx
from shared.data.mnist import LARGEST_CACHE, check_reachable, load_mnist, read_cache, write_cache
from shared.errors import UserError

LOAD = """
import sys, time
import numpy as np
from shared.data.load import load_data
start = time.perf_counter()
data = load_data("mnist")
print(time.perf_counter() - start)
print(*(len(s.labels) for s in (data.train, data.validation, data.test)))
print(sorted(m for m in ("tensorflow", "tensorflow_datasets") if m in sys.modules))
print(int(data.train.pixels.sum(dtype=np.int64)), int((data.train.labels ** 2).sum()))
"""


def start_loading(cache: Path, folder: Path) -> subprocess.Popen:
    env = {"XDG_CACHE_HOME": str(cache), "MNIST_DIR": str(folder), "PATH": "", "HOME": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", LOAD],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> tuple[Path, list[list[str]]]:
    """Let two processes prepare MNIST at once; return the cache folder and their outputs."""
    folder = mnist_dir_or_skip()
    pytest.importorskip("tensorflow_datasets", reason="tensorflow_datasets is not installed")
    cache = tmp_path_factory.mktemp("cache")
    outputs = []
    for process in [start_loading(cache, folder) for _ in range(2)]:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        outputs.append(out.splitlines())
    return cache, outputs


@pytest.mark.soak
def test_two_processes_preparing_at_once_read_the_same(prepared):
    _, outputs = prepared
    assert outputs[0][1] == outputs[1][1] == "50000 10000 10000"
    assert outputs[0][3] == outputs[1][3]
    prepared_by = [line[2] for line in outputs]
    assert "['tensorflow', 'tensorflow_datasets']" in prepared_by, "nobody used TFDS"


@pytest.mark.soak
def test_a_later_load_is_quick_and_imports_no_tensorflow(prepared):
    cache, outputs = prepared
    process = start_loading(cache, Path("/nowhere"))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    seconds, sizes, modules, sums = out.splitlines()
    assert float(seconds) < 5  # about 0.5 where nothing else runs; preparing takes over 20
    assert modules == "[]"
    assert [sizes, sums] == [outputs[0][1], outputs[0][3]]


@pytest.mark.soak
@pytest.mark.parametrize(("split", "file"), [("train", "train"), ("test", "t10k")])
def test_the_cache_holds_the_digits_of_the_original_files(prepared, split: str, file: str):
    cache, _ = prepared
    folder = mnist_dir_or_skip()
    found = read_cache(next(cache.rglob("mnist.npz")))[split]
    images = read_idx(folder / f"{file}-images-idx3-ubyte.gz").reshape(-1, 784)
    labels = read_idx(folder / f"{file}-labels-idx1-ubyte.gz")
    # TFDS has its own order, so the two are compared as sets of labelled images.
    assert sorted_rows(found.pixels, found.labels) == sorted_rows(images, labels)


@pytest.mark.soak
def test_the_two_splits_share_no_digit_of_the_original_and_leave_none_out(prepared, monkeypatch):
    cache, _ = prepared
    monkeypatch.setattr(mnist, "cache_path", lambda: next(cache.rglob("mnist.npz")))
    splits, folder = mnist.load_mnist(), mnist_dir_or_skip()
    parts = [sorted_rows(*splits[name]) for name in ("train", "validation")]
    images = read_idx(folder / "train-images-idx3-ubyte.gz").reshape(-1, 784)
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz")
    assert [len(part) for part in parts] == [50_000, 10_000]
    assert sorted(parts[0] + parts[1]) == sorted_rows(images, labels)
    for name in ("train", "validation"):  # and every class is in both, as in a random half
        counts = np.bincount(splits[name].labels, minlength=10)
        assert counts.min() > 0.07 * counts.sum()


def sorted_rows(pixels: np.ndarray, labels: np.ndarray) -> list[bytes]:
    return sorted(bytes([label]) + row.tobytes() for row, label in zip(pixels, labels, strict=True))


@pytest.fixture
def small_cache(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "mnist.npz"
    digits = Digits(rng.integers(256, size=(20, 784), dtype=np.uint8), rng.integers(10, size=20))
    write_cache(path, {"train": digits, "test": digits})
    return path


def test_a_cache_reads_back_as_it_was_written(small_cache: Path):
    cached = read_cache(small_cache)
    assert cached["train"].pixels.shape == (20, 784)
    assert np.array_equal(cached["train"].labels, cached["test"].labels)


@pytest.mark.parametrize("size", [0, 1, 100, 5000, -1])
def test_a_truncated_cache_is_named(small_cache: Path, size: int):
    small_cache.write_bytes(small_cache.read_bytes()[:size])
    with pytest.raises(UserError, match=r"MNIST cache .*mnist\.npz .*: delete it"):
        read_cache(small_cache)


def test_a_flipped_bit_anywhere_in_the_cache_is_found_or_harmless(small_cache: Path):
    content = small_cache.read_bytes()
    good = read_cache(small_cache)
    refused = 0
    for position in range(0, len(content), 199):
        damaged = bytearray(content)
        damaged[position] ^= 1
        small_cache.write_bytes(damaged)
        try:
            found = read_cache(small_cache)
        except UserError:
            refused += 1
        else:  # a date in the archive's directory, say
            assert np.array_equal(found["train"].pixels, good["train"].pixels)
            assert np.array_equal(found["test"].labels, good["test"].labels)
    assert refused > 100


def test_a_cache_that_is_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "mnist.npz")
    with pytest.raises(UserError, match=r"cannot be read \(it is not a regular file\): delete it"):
        read_cache(tmp_path / "mnist.npz")


def test_a_cache_that_unpacks_without_end_is_refused(tmp_path: Path):
    zeros = np.zeros(2 * LARGEST_CACHE, np.uint8)  # 200 MB, in a file of 0.2 MB
    np.savez_compressed(tmp_path / "mnist.npz", sha256=np.array("0"), train_pixels=zeros)
    with pytest.raises(UserError, match=r"cannot be read \(it holds more than MNIST has\)"):
        read_cache(tmp_path / "mnist.npz")


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"There is no folder .*nowhere"):
        check_mnist_dir(tmp_path / "nowhere")


def test_missing_files_are_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"lacks train-images-idx3-ubyte\.gz, train-labels"):
        check_mnist_dir(tmp_path)


def test_every_wrong_file_is_named(tmp_path: Path):
    folder = mnist_dir_or_skip()
    for name in ORIGINALS:
        shutil.copy(folder / name, tmp_path / name)
    check_mnist_dir(tmp_path)
    name = "t10k-labels-idx1-ubyte.gz"
    content = gzip.decompress((folder / name).read_bytes())
    other = content[:8] + bytes([content[8] ^ 1]) + content[9:]
    for damaged, sentence in (
        ((folder / name).read_bytes()[:-9], "is truncated or not a gzip file"),
        (gzip.compress(b"\0\0\x0d\x01" + content[4:]), "has the magic number 0x00000d01"),
        (gzip.compress(content[:-1]), "holds 9999 bytes of data"),
        (gzip.compress(content[:2]), "ends within its magic number"),
        (gzip.compress(content[:7] + b"\x0f" + content[8:-1]), r"holds an array \[9999\]"),
        (gzip.compress(other), "has the SHA-256"),
    ):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(UserError, match=f"{name} {sentence}"):
            check_mnist_dir(tmp_path)


def test_without_tensorflow_datasets_the_sentence_says_what_to_install(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match=r"needs tensorflow, which is not installed: run `pip"):
        mnist.read_through_tfds(None)


def test_preparing_leaves_nothing_half_written(tmp_path: Path, monkeypatch):
    def fail(_: object) -> None:
        raise UserError("no network")

    monkeypatch.setattr(mnist, "check_reachable", lambda: None)
    monkeypatch.setattr(mnist, "read_through_tfds", fail)
    with pytest.raises(UserError, match="no network"):
        mnist.prepare_cache(tmp_path / "mnist.npz")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".npz"] == []


@pytest.fixture
def silent_port():
    """Listen on a port without ever answering."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("kind", ["refused", "silent", "no such name"])
def test_without_a_network_one_sentence_comes_soon(kind: str, silent_port: int):
    host = {"refused": "127.0.0.1:1", "silent": f"127.0.0.1:{silent_port}"}.get(
        kind, "mnist.invalid"
    )
    began = time.monotonic()
    with pytest.raises(UserError, match=r"cannot be downloaded from http.*--mnist-dir\.$"):
        check_reachable(f"http://{host}/", seconds=0.5)
    assert time.monotonic() - began < 5


def test_the_network_is_asked_before_any_library_is(tmp_path: Path, monkeypatch, capsys):
    def refuse() -> None:
        raise UserError("no network")

    monkeypatch.setattr(mnist, "cache_path", lambda: tmp_path / "mnist.npz")
    monkeypatch.setattr(mnist, "check_reachable", refuse)
    monkeypatch.setattr(mnist, "read_through_tfds", lambda _: pytest.fail("TFDS was called"))
    monkeypatch.delenv("MNIST_DIR", raising=False)
    with pytest.raises(UserError, match="no network"):
        load_mnist()
    assert capsys.readouterr().err == ""
