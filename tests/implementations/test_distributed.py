"""Several processes on loopback: they train like one, and end together if one is killed."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import TRAINERS, import_or_skip

from compare.parity.training import TRAJECTORY_TOLERANCE
from shared.config import Config
from shared.data.load import load_data
from shared.params import initial_params, load_params
from shared.training.loop import train
from shared.training.processes import SECONDS_OF_SILENCE
from shared.training.resume import find_state

ROOT = Path(__file__).resolve().parents[2]
# torchrun waits half a minute for a stopped process to end before it kills it.
SECONDS_TO_NOTICE = {signal.SIGKILL: 10, signal.SIGSTOP: SECONDS_OF_SILENCE + 30 + 15}
SOAK = pytest.mark.soak
CASES = [
    pytest.param(name, n, marks=() if n == 2 else SOAK) for name in TRAINERS for n in (1, 2, 4)
]
# Epochs of 250 steps: the default --checkpoint-every saves nothing within one, only SIGTERM does.
EPOCHS = 3
OPTIONS = ("--epochs", str(EPOCHS), "--dtype", "float64")
TIMES = ("train_seconds", "samples_per_second")
LOST = "has lost another one, which has ended or cannot be reached"
SILENT = f"has shown no sign of life for {SECONDS_OF_SILENCE} seconds"
# JAX's coordinator runs in process 0. If that is gone, a JAX thread aborts every process, possibly
# before Python can report the error.
LOST_IN_JAX = "This most likely indicates that another task died"


def torchrun(processes: int, *args: str, cwd: Path, **env: str) -> subprocess.Popen:
    """Start `processes` processes of `python -m ARGS`, or skip the test without torchrun."""
    pytest.importorskip("torch", reason="torch, and so torchrun, is not installed")
    options = ("--standalone", "--nproc-per-node", str(processes), "-m")
    left_out = ("RANK", "WORLD_SIZE", "XLA_FLAGS", "OMP_NUM_THREADS")
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, *args],
        cwd=cwd,
        env=inherited | {"PYTHONPATH": str(ROOT)} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def judge_together(name: str, processes: int, folder: Path, **env: str) -> list[list[dict]]:
    """Run compare.parity.together in several processes; return the comparisons of each."""
    import_or_skip(name)
    process = torchrun(
        processes,
        "compare.parity.together",
        f"{name}_impl",
        str(folder / "c.json"),
        cwd=folder,
        **env,
    )
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return [json.loads((folder / f"c.{n}.json").read_text()) for n in range(processes)]


def assert_all_pass(comparisons: list[dict], at_least: int) -> None:
    assert len(comparisons) >= at_least
    wrong = [comparison for comparison in comparisons if not comparison["passed"]]
    assert not wrong, wrong[:3]


@pytest.mark.parametrize(("name", "processes"), CASES)
def test_processes_train_as_one_alone_within_the_bounds(name: str, processes: int, tmp_path: Path):
    for comparisons in judge_together(name, processes, tmp_path):
        quantities = {comparison["quantity"] for comparison in comparisons}
        assert {"first moment K", "second moment V", "stepped out.weight", "losses"} <= quantities
        assert ("an uneven share is refused" in quantities) == (processes > 1)
        assert_all_pass(comparisons, at_least=140)


def test_four_devices_of_one_jax_process_train_as_one(tmp_path: Path):
    flags = "--xla_force_host_platform_device_count=4"
    (comparisons,) = judge_together("jax", 1, tmp_path, XLA_FLAGS=flags)
    assert "an uneven share is refused" in {comparison["quantity"] for comparison in comparisons}
    assert_all_pass(comparisons, at_least=140)


def finish(process: subprocess.Popen) -> str:
    """Wait until all have succeeded; return their output."""
    out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return out


@pytest.fixture(scope="module", params=TRAINERS)
def whole(request: pytest.FixtureRequest, tmp_path_factory) -> tuple[str, Path]:
    """Train in two processes from start to end; return the name and the run folder."""
    import_or_skip(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    out = finish(torchrun(2, f"{request.param}_impl", *OPTIONS, cwd=folder))
    assert out.count(f"epoch 1/{EPOCHS}: training") == 1, "only process 0 prints"
    (run,) = (folder / "runs").glob(f"2*-{request.param}")  # and only process 0 writes
    return request.param, run


def lines_without_times(run: Path) -> list[dict]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def final_params(run: Path, name: str) -> dict[str, np.ndarray]:
    return load_params(run / f"{name}-final.safetensors")[0]


@SOAK
def test_torchrun_trains_as_one_process_does(whole: tuple[str, Path]):
    name, run = whole
    params = final_params(run, name)
    config = Config(epochs=EPOCHS, dtype="float64")
    *_, epoch = train(import_or_skip(name), initial_params(), load_data(), config)
    for key, array in epoch.params.items():
        np.testing.assert_allclose(params[key], array, rtol=0, atol=TRAJECTORY_TOLERANCE)
    line = lines_without_times(run)[EPOCHS - 1]
    assert line["val_accuracy"] == pytest.approx(epoch.validation.accuracy, abs=1e-7)
    assert line["train_accuracy"] == pytest.approx(epoch.train_accuracy, abs=1e-7)


def wait_for_first_epoch(process: subprocess.Popen) -> None:
    """Read the output of a training up to the end of its first epoch."""
    assert process.stdout is not None
    assert process.stderr is not None
    while "epoch 1/" not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()


def find_process(launcher: int, rank: int) -> int:
    """Return the launcher's child of a rank."""
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        if f"RANK={rank}\0" in "\0" + Path(f"/proc/{child}/environ").read_text():
            return int(child)
    raise AssertionError(f"there is no process {rank}")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("name", "rank", "sent", "says"),
    [
        ("pytorch", 1, signal.SIGKILL, f"Process 0 of 2 {LOST}"),
        pytest.param("pytorch", 0, signal.SIGKILL, f"Process 1 of 2 {LOST}", marks=SOAK),
        pytest.param("jax", 1, signal.SIGKILL, f"Process 0 of 2 {LOST}", marks=SOAK),
        pytest.param("jax", 0, signal.SIGKILL, f"{LOST}|{LOST_IN_JAX}", marks=SOAK),
        pytest.param("pytorch", 1, signal.SIGSTOP, f"process 1 {SILENT}", marks=SOAK),
        pytest.param("pytorch", 0, signal.SIGSTOP, f"process 0 {SILENT}", marks=SOAK),
        pytest.param("jax", 1, signal.SIGSTOP, r"stopped sending heartbeats\):\n1\n", marks=SOAK),
        pytest.param("jax", 0, signal.SIGSTOP, LOST_IN_JAX, marks=SOAK),
    ],
)
def test_a_process_that_is_killed_or_stopped_ends_the_run_with_a_sentence(
    name: str, rank: int, sent: signal.Signals, says: str, tmp_path: Path
):
    import_or_skip(name)
    process = torchrun(2, f"{name}_impl", "--epochs", "100000", cwd=tmp_path)
    try:
        wait_for_first_epoch(process)
        others = [find_process(process.pid, n) for n in (0, 1)]
        os.kill(others[rank], sent)
        start = time.monotonic()
        _, errors = process.communicate(timeout=200)
        assert time.monotonic() - start < SECONDS_TO_NOTICE[sent]
        assert process.returncode != 0
        assert re.search(says, errors), errors
        assert not any(Path(f"/proc/{other}").exists() for other in others)
        load_params(tmp_path / "runs" / f"latest-{name}" / f"{name}-final.safetensors")
    finally:
        process.kill()
        process.communicate()


def listen_somewhere() -> socket.socket:
    """Listen on a port whose double is also a port, as another program might."""
    for port in range(20_000, 30_000):
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError:
            continue
    raise AssertionError("no port is free")


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize(
    ("batch_size", "says"),
    [
        (15, "The batch size is 15, which 2 devices cannot share evenly"),
        (16, "Process 0 of 2 could not connect to the others at 127.0.0.1, port "),
    ],
    ids=["uneven share", "port in use"],
)
def test_what_hinders_a_run_is_said_before_any_other_process_is_there(
    name: str, batch_size: int, says: str, tmp_path: Path
):
    import_or_skip(name)
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    with listen_somewhere() as server:
        port = server.getsockname()[1] * (1 if name == "pytorch" else 2)
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "PYTHONPATH": str(ROOT)}
        process = subprocess.run(
            [sys.executable, "-m", f"{name}_impl", "--batch-size", str(batch_size)],
            cwd=tmp_path,
            env=os.environ | ranks | place,
            capture_output=True,
            text=True,
            timeout=60,
        )
    (error,) = re.findall("^error: .*", process.stderr, re.MULTILINE)
    assert error.startswith(f"error: {says}")
    assert process.returncode == 2
    assert "Traceback" not in process.stderr
    assert not list(tmp_path.iterdir()), "nothing is written"


@SOAK
def test_sigterm_to_torchrun_saves_what_any_number_of_processes_can_resume(
    whole: tuple[str, Path], tmp_path: Path
):
    name, run = whole
    process = torchrun(2, f"{name}_impl", *OPTIONS, cwd=tmp_path)
    wait_for_first_epoch(process)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    stopped = re.search(
        rf"Stopped by SIGTERM after (\d+) steps of epoch ([23]) of {name}\. The state is saved; "
        r"continue with --resume (\S+)\n",
        errors,
    )
    assert stopped, errors
    by_two = tmp_path / stopped[3]
    state, _ = find_state(by_two, name)
    assert (len(state.step_losses), state.epoch) == (int(stopped[1]), int(stopped[2]))
    by_one = shutil.copytree(by_two, tmp_path / "by_one")

    finish(torchrun(2, f"{name}_impl", "--resume", str(by_two), cwd=tmp_path))
    assert lines_without_times(by_two) == lines_without_times(run), "bit for bit"
    for key, array in final_params(run, name).items():
        np.testing.assert_array_equal(final_params(by_two, name)[key], array)

    finish(torchrun(1, f"{name}_impl", "--resume", str(by_one), cwd=tmp_path))
    for key, array in final_params(run, name).items():
        found = final_params(by_one, name)[key]
        np.testing.assert_allclose(found, array, rtol=0, atol=TRAJECTORY_TOLERANCE)
