"""Run folders: `runs/<time>-<name>/` with the config, the metrics and the weights of a run."""

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from filelock import FileLock, Timeout

from shared.checkpoints import save_params
from shared.config import Config
from shared.data import Dataset
from shared.errors import UserError
from shared.files import remove_leftovers, to_json, write_json, write_text
from shared.training.records import Epoch, TrainingState, begin_training, tested_epoch
from shared.training.resume import (
    check_fits,
    checkpoint_path,
    find_folder,
    find_training,
    previous_path,
    saved_names,
)
from shared.training.states import SavedTraining, save_training

NOT_OF_THE_RUN = ("resume", "resume_from")  # options that say how to go on with it


def config_to_json(config: Config) -> dict[str, Any]:
    """Turn a config into what JSON can hold: its paths become text."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(config).items()
        if name not in NOT_OF_THE_RUN
    }


class RunFolder:
    """The folder of one run: every file in it is whole at any moment, and one process writes."""

    def __init__(self, config: Config, name: str) -> None:
        """Create `<runs_dir>/<time>-<name>/`, or open the folder of the run that is resumed."""
        self.config = config
        self.epochs: dict[str, list[Epoch]] = {}
        self._lines: list[dict[str, Any]] = []
        if config.resume is None:
            self.path = _create(config.runs_dir, name)
        else:
            self.path = find_folder(config.resume)
        self._lock = _lock(self.path)  # let go of with this object, or with the process
        if config.resume is not None:
            remove_leftovers(self.path)
            self._lines = _read_lines(self.path / "metrics.jsonl")
        write_json(self.path / "config.json", config_to_json(config))

    def start_of(self, name: str, params: Mapping[str, np.ndarray], data: Dataset) -> TrainingState:
        """Give the state that an implementation's training starts from.

        That of its checkpoint where the run is resumed, else the beginning, with `params`. Raises
        UserError if the checkpoint is damaged or is not one of this run and its data.
        """
        source = self.config.resume_from or name
        self._lines = [line for line in self._lines if line.get("implementation") != name]
        if self.config.resume is None or source not in saved_names(self.path):
            start = begin_training(params, self.config)
        else:
            start = self._restore(name, source, data)
        self.save_state(name, start)
        return start

    def _restore(self, name: str, source: str, data: Dataset) -> TrainingState:
        """Bring all that the folder holds of an implementation to where its checkpoint stands."""
        saved, problem = find_training(self.path, source)
        check_fits(saved.state, data, self.config)
        if problem is not None:
            print(problem, file=sys.stderr)
            newest = checkpoint_path(self.path, source)
            if newest.exists():  # or it would be kept as the one before the next
                os.replace(newest, newest.with_name(f"{newest.stem}-damaged.safetensors"))
        if not saved.epochs:
            return saved.state
        self.epochs[name] = saved.epochs
        self._save(name, "final", saved.epochs[-1])
        self._save(name, "best", tested_epoch(saved.epochs, "best"))
        if source == name:
            self._lines += [{"implementation": name, **epoch_to_json(e)} for e in saved.epochs]
            self._lines.sort(key=lambda line: line.get("epoch", inf))  # as they came, by turns
        self._write_lines()
        return saved.state

    def record_epoch(self, name: str, epoch: Epoch) -> None:
        """Keep a finished epoch: a line of metrics, the final weights and the best so far.

        Of all epochs but the best and the last the numbers alone are kept in memory.
        """
        epochs = [*self.epochs.get(name, []), epoch]
        best = tested_epoch(epochs, "best")
        self.epochs[name] = [e if e is best or e is epoch else e.without_arrays() for e in epochs]
        self.record_metrics(implementation=name, **epoch_to_json(epoch))
        self._save(name, "final", epoch)
        if best is epoch:
            self._save(name, "best", best)

    def record_metrics(self, **metrics: Any) -> None:
        """Add one line to metrics.jsonl."""
        self._lines.append(metrics)
        self._write_lines()

    def _write_lines(self) -> None:
        lines = (to_json(line) + "\n" for line in self._lines)
        write_text(self.path / "metrics.jsonl", "".join(lines))

    def save_state(self, name: str, state: TrainingState) -> None:
        """Write a checkpoint, with the epochs finished so far, and keep the one before it."""
        path = checkpoint_path(self.path, name)
        config = config_to_json(self.config)
        saved = SavedTraining(name, config, state, self.epochs.get(name, []))
        save_training(path, saved, previous=previous_path(path))

    def weights_path(self, name: str, which: str) -> Path:
        """Say where the "final" or the "best" weights of an implementation are kept."""
        return self.path / f"{name}-{which}.safetensors"

    def _save(self, name: str, which: str, epoch: Epoch) -> None:
        metadata: Mapping[str, str] = {
            "implementation": name,
            "epoch": str(epoch.number),
            "config": to_json(config_to_json(self.config)),
        }
        save_params(self.weights_path(name, which), epoch.params, metadata)


def epoch_to_json(epoch: Epoch) -> dict[str, Any]:
    """Give the numbers of an epoch: losses in nats, accuracies 0 to 1, times in seconds."""
    return {
        "epoch": epoch.number,
        "train_loss": epoch.train_loss,
        "train_accuracy": epoch.train_accuracy,
        "val_loss": epoch.validation.loss,
        "val_accuracy": epoch.validation.accuracy,
        "train_seconds": epoch.train_seconds,
        "samples_per_second": epoch.samples_per_second,
    }


def _create(runs_dir: Path, name: str) -> Path:
    """Create a run folder and point `latest` at it."""
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        path = _create_new_folder(runs_dir, stem)
        _point_latest(runs_dir, path.name)
    except OSError as error:
        raise UserError(
            f"Could not create a run folder in {runs_dir}: {error.strerror}; "
            "choose another with --runs-dir."
        ) from error
    return path


def _lock(folder: Path) -> FileLock:
    """Lock a run folder; UserError if another process has it."""
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"Another process is running in {folder}: wait for it, or stop it first."
        ) from None
    except OSError as error:
        raise UserError(
            f"Could not write in the run folder {folder}: {error.strerror}; make it writable."
        ) from error
    return lock


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Read what can be read of a metrics.jsonl; what cannot, checkpoints give again."""
    lines = []
    for text in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            line = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            continue
        if isinstance(line.get("epoch", 1), int):
            lines.append(line)
    return lines


def _create_new_folder(runs_dir: Path, stem: str) -> Path:
    """Create a folder no other run has, also when several start within one second."""
    for attempt in range(1000):
        path = runs_dir / (stem if attempt == 0 else f"{stem}-{attempt + 1}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise UserError(f"{runs_dir} holds a thousand runs named {stem}: remove some.")


def _point_latest(runs_dir: Path, target: str) -> None:
    """Make the symbolic link `latest` point at `target`, without a moment in which it is gone."""
    temporary = runs_dir / f".latest-{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, runs_dir / "latest")
