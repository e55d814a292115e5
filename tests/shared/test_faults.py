"""Faults: each ends in one clear sentence, and nothing is lost or half written."""

import os
import re
import resource
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import TRAINERS, import_or_skip
from resuming import DATA, PROBLEM, finish, interrupt, make_config

from shared.cli import run_main
from shared.config import Config
from shared.data import mnist
from shared.data.digits import Digits
from shared.errors import UserError
from shared.training import runs
from shared.training.loop import train
from shared.training.resume import (
    check_has_checkpoint,
    checkpoint_path,
    find_folder,
    resumed_config,
)
from shared.training.runs import RunFolder
from shared.training.states import load_state
from shared.training.watched import explaining_out_of_memory

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Config(batch_size=5)


def run_python(code: str, cwd: Path, **options) -> subprocess.CompletedProcess:
    """Run code of this project, without a framework, in a new process."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        **options,
    )


SAVE = """
from pathlib import Path
from shared.cli import run_main
from shared.config import Config
from shared.params import initial_params
from shared.training.records import begin_training
from shared.training.runs import RunFolder

def main(args):
    config = Config(resume=Path({resume!r}) if {resume!r} else None)
    run = RunFolder(config, "jax")
    run.save_state("jax", begin_training(initial_params({steps}), config.dtype))
    return 0

{before}
run_main(main)
"""


def save_in_process(
    cwd: Path, *, steps: int = 784, resume: str = "", before: str = "", **options
) -> subprocess.CompletedProcess:
    """Write a checkpoint into a new run folder, or into an existing one."""
    return run_python(SAVE.format(steps=steps, resume=resume, before=before), cwd, **options)


def said(process: subprocess.CompletedProcess) -> str:
    """Return the sentence that a process ended with."""
    assert process.returncode == 2, process.stderr
    assert process.stderr.startswith("error: ")
    assert process.stderr.count("\n") == 1
    return process.stderr


def test_a_full_disk_is_a_sentence_and_the_checkpoint_before_is_whole(tmp_path: Path):
    assert save_in_process(tmp_path, steps=7).returncode == 0
    (run,) = tmp_path.glob("runs/*-jax")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    limit = (50_000, 50_000)  # the largest file in bytes; the checkpoint has 94,000

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    process = save_in_process(tmp_path, resume="runs/latest", preexec_fn=fill)
    assert "Could not write runs/" in said(process)
    assert "jax-checkpoint.safetensors: File too large" in process.stderr
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    load_state(checkpoint_path(run, "jax"))


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path):
    assert save_in_process(tmp_path, steps=7).returncode == 0
    (run,) = tmp_path.glob("runs/*-jax")
    for path in (tmp_path, run.parent, run):
        path.chmod(0o555)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    # Root may write anywhere, so the process first becomes nobody.
    drop = "import os\nif os.getuid() == 0: os.setuid(65534)\n"
    process = save_in_process(tmp_path, steps=7, resume="runs/latest", before=drop)
    assert re.search(r"Could not write in the run folder .*Permission denied", said(process))
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    for path in (tmp_path, run.parent, run):
        path.chmod(0o755)


def test_two_processes_do_not_run_in_one_folder(tmp_path: Path):
    run = RunFolder(replace(CONFIG, runs_dir=tmp_path / "runs"), "jax")
    process = save_in_process(tmp_path, steps=7, resume="runs/latest")
    assert "Another process is running in runs/" in said(process)
    path = run.path
    del run
    assert save_in_process(tmp_path, steps=7, resume=str(path)).returncode == 0


def test_the_cache_prepared_twice_at_once_is_prepared_once(tmp_path: Path, monkeypatch):
    prepared = []

    def prepare(_: object) -> dict[str, Digits]:
        time.sleep(0.2)
        prepared.append(1)
        digits = Digits(np.ones((3, 784), np.uint8), np.arange(3))
        return {"train": digits, "test": digits}

    monkeypatch.setattr(mnist, "check_reachable", lambda: None)
    monkeypatch.setattr(mnist, "read_through_tfds", prepare)
    monkeypatch.delenv("MNIST_DIR", raising=False)
    path = tmp_path / "cache" / "mnist.npz"
    threads = [threading.Thread(target=mnist.prepare_cache, args=(path,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert prepared == [1]
    assert mnist.read_cache(path)["train"].labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("name", "every"), [("pytorch", 1000), ("jax", 3)])
def test_a_loss_that_becomes_nan_stops_training_and_says_where(
    name: str, every: int, tmp_path: Path
):
    """Found at the epoch's end, or at a checkpoint within it."""
    trainer = import_or_skip(name)
    config = make_config(tmp_path, learning_rate=1e30, checkpoint_every=every)
    epoch = next(train(trainer, PROBLEM.params, DATA, config))
    first = int(np.flatnonzero(~np.isfinite(epoch.step_losses))[0]) + 1
    with pytest.raises(UserError) as raised:
        finish(trainer, name, config)
    assert f"is NaN or infinite from step {first} of epoch 1 on" in str(raised.value)
    assert re.search(r"the first such parameter, after step \d, is \w", str(raised.value))
    assert "try a lower --learning-rate" in str(raised.value)
    (run,) = tmp_path.glob("2*")
    state = load_state(checkpoint_path(run, name))
    assert all(np.isfinite(array).all() for array in state.params.values())


def test_the_parameter_that_becomes_nan_first_is_named(tmp_path: Path):
    """A training whose V is NaN after its second step, and all else after its third."""

    class Training:
        def __init__(self, params, adam, data, config):
            self.params, self.adam, self.taken = params, adam, 0

        def take_steps(self, batches):
            losses = np.array([1, 1, np.nan, np.nan])[self.taken :][: len(batches)]
            self.taken += len(batches)
            return losses, np.ones(len(batches))

        def state(self):
            broken = {2: ["V"], 3: list(self.params), 4: list(self.params)}.get(self.taken, [])
            held = {n: a * np.nan if n in broken else a for n, a in self.params.items()}
            return held, self.adam

    with pytest.raises(UserError) as raised:
        finish(SimpleNamespace(Training=Training), "it", make_config(tmp_path, checkpoint_every=4))
    assert "the loss is NaN or infinite from step 3 of epoch 1 on" in str(raised.value)
    assert "the first such parameter, after step 2, is V." in str(raised.value)


def out_of_memory(name: str) -> Exception:
    """Return the error that a framework raises when a GPU is out of memory."""
    import_or_skip(name)
    if name == "pytorch":
        import torch

        return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.16 GiB.\nMore.")
    import jax

    return jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")


@pytest.mark.parametrize("name", TRAINERS)
def test_out_of_memory_suggests_a_smaller_batch(name: str):
    error = out_of_memory(name)
    with (
        pytest.raises(
            UserError, match=r"Out of memory on cpu \(.*\): give a smaller --batch-size t"
        ),
        explaining_out_of_memory(CONFIG),
    ):
        raise error


def test_another_error_of_a_framework_is_not_called_out_of_memory():
    with pytest.raises(RuntimeError, match="a bug"), explaining_out_of_memory(CONFIG):
        raise RuntimeError("a bug")


def test_a_clock_that_goes_backwards_makes_no_run_another(tmp_path: Path, monkeypatch):
    times = [datetime(2030, 1, 1, 12), datetime(2029, 1, 1, 12), datetime(2030, 1, 1, 12)]
    monkeypatch.setattr(runs, "datetime", SimpleNamespace(now=lambda: times.pop(0)))
    config = replace(CONFIG, runs_dir=tmp_path)
    folders = []
    for _ in range(3):
        folders.append(RunFolder(config, "jax").path)
        assert find_folder(tmp_path / "latest") == folders[-1]
    names = ["20300101-120000-jax", "20290101-120000-jax", "20300101-120000-jax-2"]
    assert [folder.name for folder in folders] == names


def test_a_run_of_one_kind_leaves_the_latest_of_another(tmp_path: Path):
    compared = RunFolder(replace(CONFIG, runs_dir=tmp_path), "compare")
    alone = RunFolder(replace(CONFIG, runs_dir=tmp_path), "jax", latest="latest-jax")
    assert find_folder(tmp_path / "latest") == compared.path
    assert find_folder(tmp_path / "latest-jax") == alone.path


def test_a_latest_that_points_to_nothing_is_named_and_replaced(tmp_path: Path):
    (tmp_path / "latest").symlink_to("gone")
    with pytest.raises(UserError, match=r"latest points to .*gone, which does not exist: give"):
        find_folder(tmp_path / "latest")
    run = RunFolder(replace(CONFIG, runs_dir=tmp_path), "jax")
    assert find_folder(tmp_path / "latest") == run.path


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_a_latest_that_is_no_link_is_left_alone(make, tmp_path: Path):
    make(tmp_path / "latest")
    with pytest.raises(UserError, match=r"latest should be a link to .*, but is not: rename it"):
        RunFolder(replace(CONFIG, runs_dir=tmp_path), "jax")
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]


def test_a_run_that_is_not_there_or_holds_nothing_is_a_sentence(tmp_path: Path):
    with pytest.raises(UserError, match="There is no run folder"):
        resumed_config(Config, tmp_path / "gone", None)
    with pytest.raises(UserError, match="holds no checkpoint to continue from"):
        resumed_config(Config, tmp_path, None)


def test_a_run_folder_that_may_not_be_looked_into_is_a_sentence(
    tmp_path: Path, monkeypatch, capsys
):
    def refuse(folder: Path) -> None:  # as the system does, but for root
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "listdir", refuse)
    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(SystemExit, match="2"):
        run_main(lambda args: resumed_config(Config, tmp_path, None).epochs)
    assert capsys.readouterr().err == f"error: Could not use {tmp_path}: Permission denied.\n"


def test_only_another_implementations_checkpoint_is_there(tmp_path: Path):
    path = interrupt(import_or_skip("pytorch"), "it", make_config(tmp_path), steps=2)
    with pytest.raises(UserError, match=r"holds no checkpoint of other: .* give --resume-from it"):
        check_has_checkpoint(Config(resume=path), "other")
