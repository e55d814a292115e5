"""Helpers of the tests that stop and resume trainings."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from compare.expected.problems import make_dataset, make_problem
from shared.config import Config
from shared.errors import Stopped
from shared.params import load_params
from shared.training.records import Epoch, TrainingState, begin_next_epoch
from shared.training.resume import checkpoint_path
from shared.training.runs import RunFolder
from shared.training.states import load_state
from shared.training.stopping import Stop
from shared.training.watched import train_watched

PROBLEM = make_problem(batch=23)
DATA = make_dataset(PROBLEM)
TIMES = ("train_seconds", "samples_per_second")


def make_config(tmp_path: Path, **options) -> Config:
    """Return a config with four steps per epoch, in two parts."""
    config = Config(
        epochs=3, batch_size=5, attention="builtin", checkpoint_every=2, runs_dir=tmp_path
    )
    return replace(config, **options)


def start(module: ModuleType, name: str, config: Config, stop_after: int = -1):
    """Train, with SIGTERM after `stop_after` steps; return the folder and the epochs."""
    run, stop = RunFolder(config, name), Stop()
    taken = 0

    def on_steps(number: int, _: object) -> None:
        nonlocal taken
        taken += number
        stop.is_requested = taken == stop_after

    state = run.start_of(name, PROBLEM.params, DATA)
    return run, train_watched(module, name, state, DATA, config, run, stop, on_steps)


def interrupt(module: ModuleType, name: str, config: Config, steps: int) -> Path:
    """Train `steps` steps, stop, and release the folder."""
    run, training = start(module, name, config, stop_after=steps)
    with pytest.raises(Stopped, match=r"The state is saved; continue with --resume"):
        list(training)
    return run.path


def finish(module: ModuleType, name: str, config: Config) -> RunFolder:
    run, training = start(module, name, config)
    list(training)
    return run


def lines_without_times(run: RunFolder) -> list[dict]:
    lines = map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def assert_same_epochs(found: list[Epoch], expected: list[Epoch]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert (a.number, a.samples, a.train_loss, a.train_accuracy) == (
            b.number,
            b.samples,
            b.train_loss,
            b.train_accuracy,
        )
        assert a.validation.loss == b.validation.loss
        assert a.validation.accuracy == b.validation.accuracy
        np.testing.assert_array_equal(a.step_losses, b.step_losses)
        assert a.adam.step == b.adam.step
        # Of epochs finished by an earlier process, at most the parameters are kept.
        if a.validation.logits.size and b.validation.logits.size:
            np.testing.assert_array_equal(a.validation.logits, b.validation.logits)
            assert_same_state(begin_next_epoch(a), begin_next_epoch(b))
        elif a.params and b.params:
            assert as_bytes(a.params) == as_bytes(b.params)


def as_bytes(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in arrays.items()}


def assert_same_state(a: TrainingState, b: TrainingState) -> None:
    assert (a.epoch, a.adam.step) == (b.epoch, b.adam.step)
    assert as_bytes(a.params) == as_bytes(b.params)
    assert as_bytes(a.adam.first_moment) == as_bytes(b.adam.first_moment)
    assert as_bytes(a.adam.second_moment) == as_bytes(b.adam.second_moment)
    np.testing.assert_array_equal(a.step_losses, b.step_losses)
    np.testing.assert_array_equal(a.step_accuracies, b.step_accuracies)


def assert_same_run(found: RunFolder, expected: RunFolder, name: str) -> None:
    assert_same_epochs(found.epochs[name], expected.epochs[name])
    assert lines_without_times(found) == lines_without_times(expected)
    one, other = (load_state(checkpoint_path(run.path, name)) for run in (found, expected))
    assert_same_state(one, other)
    assert one.adam.step == 12
    for which in ("best", "final"):
        paths = [run.params_path(name, which) for run in (found, expected)]
        (a, about_a), (b, about_b) = map(load_params, paths)
        assert about_a["epoch"] == about_b["epoch"]
        assert as_bytes(a) == as_bytes(b)
