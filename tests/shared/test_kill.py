"""Killed at any moment, a training loses at most the steps since its last checkpoint."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import TRAINERS, import_or_skip

from shared.params import load_params
from shared.training.metrics import STEP_LOSSES, read_step_losses
from shared.training.records import TrainingState
from shared.training.resume import checkpoint_path, find_state
from shared.training.states import load_state

ROOT = Path(__file__).resolve().parents[2]
ENV = os.environ | {"PYTHONPATH": str(ROOT)}
KILLS = 3  # of each framework, which takes seconds to start
OPTIONS = ("--epochs", "4", "--batch-size", "100", "--checkpoint-every", "1")  # of 40 an epoch
TIMES = ("train_seconds", "samples_per_second")


def begin(command: str, *args: str, cwd: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", *command.split(), *args],
        cwd=cwd,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(command: str, *args: str, cwd: Path) -> str:
    process = begin(command, *args, cwd=cwd)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return out


def wait_for(is_so, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 100
    while not is_so() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def steps_taken(state: TrainingState, per_epoch: int = 40) -> int:
    return (state.epoch - 1) * per_epoch + len(state.step_losses)


def newest_change(run: Path, name: str) -> int:
    try:
        return checkpoint_path(run, name).stat().st_mtime_ns
    except FileNotFoundError:  # none yet, or between two renames
        return 0


def lines_without_times(run: Path) -> list[dict]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


@pytest.fixture(scope="module", params=TRAINERS)
def whole(request: pytest.FixtureRequest, tmp_path_factory) -> tuple[str, Path]:
    """Train once from start to end; return the implementation's name and the run folder."""
    import_or_skip(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    finish(f"{request.param}_impl", *OPTIONS, cwd=folder)
    return request.param, folder / "runs" / f"latest-{request.param}"


def interrupt(name: str, args: tuple[str, ...], kind: signal.Signals, cwd: Path, wait: float):
    """Send a signal `wait` seconds after a training's first checkpoint."""
    process = begin(f"{name}_impl", *args, cwd=cwd)
    run = cwd / "runs" / f"latest-{name}"
    before = newest_change(run, name)
    wait_for(lambda: newest_change(run, name) > before, process)
    time.sleep(wait)
    process.send_signal(kind)
    return process, *process.communicate(timeout=100)


@pytest.mark.soak
def test_stopped_and_killed_at_random_moments_it_ends_the_same(whole, tmp_path: Path):
    name, expected = whole
    rng, run = random.Random(name), tmp_path / "runs" / f"latest-{name}"
    losses = read_step_losses(expected)[name]
    process, _, err = interrupt(name, OPTIONS, signal.SIGTERM, tmp_path, wait=0.05)
    assert process.returncode == 143, err
    assert err.startswith("Stopped by SIGTERM after ")
    assert err.count("\n") == 1
    args = tuple(err.partition("continue with ")[2].split())
    assert args[0] == "--resume"
    taken = [steps_taken(load_state(checkpoint_path(run, name)))]
    for _ in range(KILLS):
        interrupt(name, args, signal.SIGKILL, tmp_path, wait=rng.uniform(0, 0.2))
        saved, _ = find_state(run, name)
        for path in set(run.glob("[!.]*.safetensors")) - {run / STEP_LOSSES}:
            (load_state if "checkpoint" in path.name else load_params)(path)
        taken.append(steps_taken(saved))
        finished = read_step_losses(run).get(name, np.empty(0))[: 40 * (saved.epoch - 1)]
        found = np.concatenate([finished, saved.step_losses])
        np.testing.assert_array_equal(found, losses[: taken[-1]])
    assert taken == sorted(taken), "what was saved before is lost"
    assert taken[0] < len(losses), "nothing was left to kill"
    finish(f"{name}_impl", *args, cwd=tmp_path)
    assert lines_without_times(run) == lines_without_times(expected)
    for which in ("best", "final"):
        (a, _), (b, _) = (load_params(r / f"{name}-{which}.safetensors") for r in (run, expected))
        assert {n: v.tobytes() for n, v in a.items()} == {n: v.tobytes() for n, v in b.items()}


@pytest.mark.soak
def test_a_comparison_that_was_stopped_is_resumed(tmp_path: Path):
    for name in TRAINERS:
        import_or_skip(name)
    options = ("--epochs", "20", "--batch-size", "100", "--checkpoint-every", "20")
    process = begin("compare run", *options, cwd=tmp_path)
    run = tmp_path / "runs" / "latest"
    wait_for(lambda: (run / "jax-best.safetensors").exists(), process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 143, err
    out = finish("compare run", "--resume", "runs/latest", cwd=tmp_path)
    assert "Parity holds" in out
    lines = [json.loads(text) for text in (run / "metrics.jsonl").read_text().splitlines()]
    trained = [(line["epoch"], line["implementation"]) for line in lines if "epoch" in line]
    assert trained == [(number, name) for number in range(1, 21) for name in TRAINERS]
    result = json.loads((run / "result.json").read_text())
    assert [len(result["implementations"][name]["epochs"]) for name in TRAINERS] == [20, 20]


WRITE = """
from pathlib import Path
import numpy as np
from shared.config import Config
from shared.params import initial_params
from shared.training.records import begin_training
from shared.training.states import save_state
from dataclasses import replace

state = begin_training(initial_params(), "float32")
print("begun", flush=True)
for number in range(100_000):
    params = {name: np.full_like(array, number) for name, array in state.params.items()}
    saved = replace(state, params=params, seconds=float(number))
    previous = Path("jax-checkpoint-previous.safetensors")
    save_state(Path("jax-checkpoint.safetensors"), saved, previous=previous)
"""


def test_killed_while_it_writes_a_whole_checkpoint_is_there(tmp_path: Path):
    """The process only writes, so that it is most likely killed while writing."""
    rng = random.Random(0)
    cut_short = 0
    for _ in range(15):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE], cwd=tmp_path, env=ENV, stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"begun\n"
        time.sleep(rng.uniform(0.02, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        if not any(tmp_path.glob("jax*")):
            continue
        cut_short += bool(list(tmp_path.glob(".*")))
        for path in tmp_path.glob("[!.]*"):
            load_state(path)
        saved, _ = find_state(tmp_path, "jax")
        assert (saved.params["K"] == saved.seconds).all()
        for path in tmp_path.iterdir():
            path.unlink()
    assert cut_short, "no kill fell within a write"
