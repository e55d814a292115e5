"""Run folders: `runs/<time>-<name>/` with the config, the metrics and the parameters of a run."""

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from shared.config import Config, bad_option
from shared.data.batches import count_batches
from shared.data.load import Dataset
from shared.errors import UserError
from shared.files import remove_leftovers, to_json, write_json
from shared.params import load_params, save_params
from shared.training.metrics import (
    EpochLine,
    TestLine,
    epoch_numbers,
    read_metrics,
    read_step_losses,
    save_step_losses,
    write_metrics,
)
from shared.training.records import (
    AdamState,
    Epoch,
    Evaluation,
    TrainingState,
    begin_next_epoch,
    begin_training,
    tested_epoch,
)
from shared.training.resume import (
    check_epochs,
    check_fits,
    checkpoint_path,
    find_folder,
    find_state,
    previous_path,
    saved_names,
)
from shared.training.states import save_state

NOT_OF_THE_RUN = ("resume", "resume_from")  # options that are not part of the run
WHICH = ("best", "last")  # the epochs whose parameters are kept


def config_to_json(config: Config) -> dict[str, Any]:
    """Return a config as JSON-compatible values; paths become text."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(config).items()
        if name not in NOT_OF_THE_RUN
    }


class RunFolder:
    """The folder of a run: its files are written atomically, and by one process."""

    def __init__(self, config: Config, name: str, latest: str = "latest") -> None:
        """Create `<runs_dir>/<time>-<name>/`, with a link `latest`, or open the one to resume."""
        self.config = config
        self.epochs: dict[str, list[Epoch]] = {}
        self._lines: list[EpochLine | TestLine] = []
        self._step_losses: dict[str, np.ndarray] = {}
        if config.resume is None:
            self.path = _create(config.runs_dir, name, latest)
        else:
            self.path = find_folder(config.resume)
        self._lock = _lock(self.path)  # released with this object or the process
        if config.resume is not None:
            remove_leftovers(self.path)
            lines = read_metrics(self.metrics_path)
            self._lines = [line for line in lines if isinstance(line, EpochLine)]
            self._step_losses = read_step_losses(self.path)
        write_json(self.path / "config.json", config_to_json(config))

    @property
    def metrics_path(self) -> Path:
        """The path of the metrics."""
        return self.path / "metrics.jsonl"

    def params_path(self, name: str, which: str) -> Path:
        """Return the path of the "final" or the "best" parameters of an implementation."""
        return self.path / f"{name}-{which}.safetensors"

    def start_of(self, name: str, params: Mapping[str, np.ndarray], data: Dataset) -> TrainingState:
        """Return the state that an implementation's training starts from.

        If the run is resumed, that of its checkpoint, or else the initial state with `params`.
        Raises UserError if the checkpoint is damaged or does not fit the run and its data.
        """
        source = self.config.resume_from or name
        start, epochs = begin_training(params, self.config.dtype), []
        if self.config.resume is not None and source in saved_names(self.path):
            fits = partial(check_fits, data=data, config=self.config)
            start, problem = find_state(self.path, source, fits)
            check_epochs(start, self.config)
            epochs = self._read_epochs(source, start, data)
            if problem is not None:
                self._set_aside(checkpoint_path(self.path, source), problem)
        self.epochs[name] = epochs
        self._lines = [line for line in self._lines if line.implementation != name]
        self._lines += [EpochLine(implementation=name, **epoch_numbers(epoch)) for epoch in epochs]
        self._lines.sort(key=_epoch_of)  # in turn, as they were trained
        self._write_numbers()
        self.save_state(name, start)
        if epochs:
            self._save_params(name, "final", epochs[-1])
            self._save_params(name, "best", tested_epoch(epochs, "best"))
        return start

    def record_epoch(self, name: str, epoch: Epoch) -> None:
        """Write a finished epoch: its numbers, the state after it, its parameters and the best.

        Only the best and the last epoch keep their arrays in memory.
        """
        epochs = [*self.epochs[name], epoch]
        best = tested_epoch(epochs, "best")
        self.epochs[name] = [e if e is best or e is epoch else e.without_arrays() for e in epochs]
        self._lines.append(EpochLine(implementation=name, **epoch_numbers(epoch)))
        self._write_numbers()
        # In this order: if the process is killed in between, the state still holds all.
        self.save_state(name, begin_next_epoch(epoch))
        self._save_params(name, "final", epoch)
        if best is epoch:
            self._save_params(name, "best", epoch)

    def record_test(self, line: TestLine) -> None:
        """Write a result on the test split."""
        self._lines.append(line)
        self._write_numbers()

    def save_state(self, name: str, state: TrainingState) -> None:
        """Write a checkpoint, and keep the one before it."""
        path = checkpoint_path(self.path, name)
        save_state(path, state, previous=previous_path(path))

    def tested_epoch(self, name: str) -> Epoch:
        """Return the epoch to be tested; raise UserError if its parameters are not kept."""
        epoch = tested_epoch(self.epochs[name], self.config.tested_params)
        if not epoch.params:
            raise UserError(
                f"{self.path} no longer holds {name}'s parameters of epoch {epoch.number}, which "
                "would be tested: train longer, with more --epochs."
            )
        return epoch

    def _read_epochs(self, source: str, start: TrainingState, data: Dataset) -> list[Epoch]:
        """Read the epochs that were finished when a state was saved."""
        batches = count_batches(len(data.train.labels), self.config.batch_size)
        lines = [
            line
            for line in self._lines
            if isinstance(line, EpochLine)
            and line.implementation == source
            and line.epoch < start.epoch
        ]
        losses = self._step_losses.get(source, np.empty(0))[: len(lines) * batches]
        is_whole = all(line.epoch == number for number, line in enumerate(lines, start=1))
        if not is_whole or not len(lines) == start.epoch - 1 == len(losses) / batches:
            raise UserError(
                f"{self.path} does not hold the numbers of all epochs of {source} before epoch "
                f"{start.epoch}: start a new run."
            )
        by_epoch = losses.astype(self.config.dtype).reshape(len(lines), batches)
        no_logits = np.empty((0, len(start.params["out.bias"])), self.config.dtype)
        epochs = [
            Epoch(
                number=line.epoch,
                train_loss=_number(line.train_loss),
                train_accuracy=line.train_accuracy,
                validation=Evaluation(_number(line.val_loss), line.val_accuracy, no_logits),
                train_seconds=line.train_seconds,
                samples=batches * self.config.batch_size,
                step_losses=step_losses,
                params={},
                adam=AdamState(line.epoch * batches, {}, {}),
            )
            for line, step_losses in zip(lines, by_epoch, strict=True)
        ]
        for index in {tested_epoch(epochs, which).number - 1 for which in WHICH if epochs}:
            params = self._find_params(source, index + 1, start)
            epochs[index] = replace(epochs[index], params=params)
        return epochs

    def _find_params(self, source: str, epoch: int, start: TrainingState) -> dict[str, np.ndarray]:
        """Return the parameters at an epoch's end, or nothing if they are no longer kept."""
        if epoch == start.epoch - 1 and not start.step_losses.size:
            return dict(start.params)
        for path in (self.params_path(source, which) for which in ("final", "best")):
            params, metadata = load_params(path) if path.exists() else ({}, {})
            if metadata.get("epoch") != str(epoch):
                continue
            found, wanted = (
                {key: (array.shape, array.dtype) for key, array in held.items()}
                for held in (params, start.params)
            )
            if found != wanted:
                raise UserError(f"{path} does not have the run's shapes and dtype: remove it.")
            return params
        return {}

    def _set_aside(self, newest: Path, problem: str) -> None:
        """Print the problem of the newest checkpoint, and keep it from replacing the valid one."""
        print(problem, file=sys.stderr)
        if newest.exists():
            os.replace(newest, newest.with_name(f"{newest.stem}-damaged.safetensors"))

    def _write_numbers(self) -> None:
        """Write the metrics, and the step losses of all finished epochs."""
        write_metrics(self.metrics_path, self._lines)
        losses = {
            name: np.concatenate([epoch.step_losses for epoch in epochs])
            for name, epochs in self.epochs.items()
            if epochs
        }
        self._step_losses |= losses
        save_step_losses(self.path, self._step_losses)

    def _save_params(self, name: str, which: str, epoch: Epoch) -> None:
        """Write the "final" or the "best" parameters, if the epoch still has them."""
        metadata = {
            "implementation": name,
            "epoch": str(epoch.number),
            "config": to_json(config_to_json(self.config)),
        }
        if epoch.params:
            save_params(self.params_path(name, which), epoch.params, metadata)


def _number(loss: float | None) -> float:
    """Return a loss of metrics.jsonl as a float; null stands for NaN."""
    return nan if loss is None else loss


def _epoch_of(line: EpochLine | TestLine) -> int:
    return line.epoch if isinstance(line, EpochLine) else sys.maxsize


def _create(runs_dir: Path, name: str, latest: str) -> Path:
    """Create a run folder and point the link `latest` at it."""
    if Path(name).name != name:
        raise UserError(bad_option("name", repr(name), "a name without a folder"))
    stem, link = f"{datetime.now():%Y%m%d-%H%M%S}-{name}", runs_dir / latest
    try:
        if link.exists() and not link.is_symlink():
            raise UserError(f"{link} should be a link to the newest run, but is not: rename it.")
        runs_dir.mkdir(parents=True, exist_ok=True)
        path = _create_new_folder(runs_dir, stem)
        _point(link, path.name)
    except OSError as error:
        raise UserError(
            f"Could not create a run folder in {runs_dir}: {error.strerror}; "
            "choose another with --runs-dir."
        ) from error
    return path


def _lock(folder: Path) -> FileLock:
    """Lock a run folder; raise UserError if another process has locked it."""
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


def _create_new_folder(runs_dir: Path, stem: str) -> Path:
    """Create a new folder, also if several runs start within one second."""
    for attempt in range(1000):
        path = runs_dir / (stem if attempt == 0 else f"{stem}-{attempt + 1}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise UserError(f"{runs_dir} holds a thousand runs named {stem}: remove some.")


def _point(link: Path, target: str) -> None:
    """Point a symbolic link at `target`, atomically."""
    temporary = link.with_name(f".{link.name}-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, link)
