"""Several processes on loopback: they train as one does, and end together when one is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import import_or_skip

from compare.claims.training import TRAJECTORY_TOLERANCE
from shared.checkpoints import load_params
from shared.config import Config
from shared.data import load_data
from shared.params import initial_params
from shared.training.loop import train

ROOT = Path(__file__).resolve().parent.parent
SECONDS_TO_NOTICE = 10
CASES = [(name, n) for name in ("pytorch", "jax") for n in (1, 2, 4)]


@pytest.fixture(autouse=True)
def _on_its_own(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "XLA_FLAGS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


def torchrun(processes: int, *args: str, cwd: Path, **env: str) -> subprocess.Popen:
    """Start so many processes of `python -m ARGS`, or skip where there is no torchrun."""
    pytest.importorskip("torch", reason="torch, and so torchrun, is not installed")
    options = ("--standalone", "--nproc-per-node", str(processes), "-m")
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, *args],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def judge_together(name: str, processes: int, folder: Path, **env: str) -> list[list[dict]]:
    """Run compare.together in so many processes; return the checks of each."""
    import_or_skip(name)
    process = torchrun(
        processes, "compare.together", f"{name}_impl", str(folder / "c.json"), cwd=folder, **env
    )
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return [json.loads((folder / f"c.{n}.json").read_text()) for n in range(processes)]


def assert_all_pass(checks: list[dict], at_least: int) -> None:
    assert len(checks) >= at_least
    wrong = [check for check in checks if not check["passed"]]
    assert not wrong, wrong[:3]


@pytest.mark.parametrize(("name", "processes"), CASES)
def test_processes_train_as_one_alone_within_the_bounds(name: str, processes: int, tmp_path: Path):
    for checks in judge_together(name, processes, tmp_path):
        quantities = {check["quantity"] for check in checks}
        assert {"first moment K", "second moment V", "stepped out.weight", "losses"} <= quantities
        assert ("an uneven share is refused" in quantities) == (processes > 1)
        assert_all_pass(checks, at_least=140)


def test_four_devices_of_one_jax_process_train_as_one(tmp_path: Path):
    flags = "--xla_force_host_platform_device_count=4"
    (checks,) = judge_together("jax", 1, tmp_path, XLA_FLAGS=flags)
    assert "an uneven share is refused" in {check["quantity"] for check in checks}
    assert_all_pass(checks, at_least=140)


def test_torchrun_trains_as_one_process_does(tmp_path: Path):
    pytorch = import_or_skip("pytorch")
    options = ("--epochs", "1", "--batch-size", "50", "--dtype", "float64")
    process = torchrun(2, "pytorch_impl", *options, cwd=tmp_path)
    out, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert out.count("epoch 1/1: training") == 1, "only process 0 prints"
    (run,) = (tmp_path / "runs").glob("*-pytorch")  # and only process 0 writes
    params, _ = load_params(run / "pytorch-final.safetensors")
    config = Config(epochs=1, batch_size=50, dtype="float64")
    (epoch,) = train(pytorch, initial_params(), load_data(), config)
    for name, array in epoch.params.items():
        np.testing.assert_allclose(params[name], array, rtol=0, atol=TRAJECTORY_TOLERANCE)
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert line["val_accuracy"] == pytest.approx(epoch.validation.accuracy, abs=1e-7)
    assert line["train_accuracy"] == pytest.approx(epoch.train_accuracy, abs=1e-7)


def wait_for_first_epoch(process: subprocess.Popen) -> None:
    """Read what a training prints up to its first epoch's end."""
    assert process.stdout is not None
    assert process.stderr is not None
    while "epoch 1/" not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()


def find_process(launcher: int, rank: int) -> int:
    """Find a child of the launcher by its rank."""
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        if f"RANK={rank}\0" in "\0" + Path(f"/proc/{child}/environ").read_text():
            return int(child)
    raise AssertionError(f"there is no process {rank}")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(("name", "rank"), [("pytorch", 1), ("pytorch", 0), ("jax", 1), ("jax", 0)])
def test_a_process_that_is_killed_ends_the_run_with_a_sentence(
    name: str, rank: int, tmp_path: Path
):
    import_or_skip(name)
    process = torchrun(2, f"{name}_impl", "--epochs", "100000", cwd=tmp_path)
    try:
        wait_for_first_epoch(process)
        others = [find_process(process.pid, n) for n in (0, 1)]
        os.kill(others[rank], signal.SIGKILL)
        start = time.monotonic()
        _, errors = process.communicate(timeout=60)
        assert time.monotonic() - start < SECONDS_TO_NOTICE
        assert process.returncode != 0
        assert "Signal 9 (SIGKILL) received" in errors, "torchrun names the one that was killed"
        if (name, rank) != ("jax", 0):  # JAX itself ends at once whoever has lost process 0
            sentence = f"error: Process {1 - rank} of 2 has lost another one, which has ended"
            assert sentence in errors
        assert not any(Path(f"/proc/{other}").exists() for other in others)
        load_params(tmp_path / "runs" / "latest" / f"{name}-final.safetensors")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", ["pytorch", "jax"])
def test_a_run_that_sigterm_stopped_is_resumed_with_another_number_of_processes(
    name: str, tmp_path: Path
):
    module = import_or_skip(name)
    options = ("--batch-size", "50", "--dtype", "float64", "--epochs", "100000")
    process = torchrun(2, f"{name}_impl", *options, cwd=tmp_path)
    wait_for_first_epoch(process)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    stopped = re.search(
        rf"Stopped by SIGTERM: {name} stands after \d+ steps of epoch (\d+), and all is saved; "
        r"go on with --resume (\S+)\n",
        errors,
    )
    assert stopped, errors
    epochs = int(stopped[1])
    args = ("--epochs", str(epochs), "--resume", stopped[2])
    process = torchrun(1, f"{name}_impl", *args, cwd=tmp_path)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    config = Config(epochs=epochs, batch_size=50, dtype="float64")
    *_, epoch = train(module, initial_params(), load_data(), config)
    params, _ = load_params(tmp_path / "runs" / "latest" / f"{name}-final.safetensors")
    for key, array in epoch.params.items():
        np.testing.assert_allclose(params[key], array, rtol=0, atol=TRAJECTORY_TOLERANCE)
