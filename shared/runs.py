"""Run folders: `runs/<time>-<name>/` with the config, the metrics and the weights of a run."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.checkpoints import save_params
from shared.config import Config
from shared.errors import UserError
from shared.files import to_json, write_json
from shared.records import Epoch, tested_epoch


def config_to_json(config: Config) -> dict[str, Any]:
    """Turn a config into what JSON can hold: its paths become text."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(config).items()
    }


class RunFolder:
    """The folder of one run: everything in it is whole at any moment."""

    def __init__(self, config: Config, name: str) -> None:
        """Create `<runs_dir>/<time>-<name>/` and point `<runs_dir>/latest` at it."""
        self.config = config
        self.epochs: dict[str, list[Epoch]] = {}
        stem = f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
        try:
            config.runs_dir.mkdir(parents=True, exist_ok=True)
            self.path = _create_new_folder(config.runs_dir, stem)
            _point_latest(config.runs_dir, self.path.name)
        except OSError as error:
            raise UserError(
                f"Could not create a run folder in {config.runs_dir}: {error.strerror}; "
                "choose another with --runs-dir."
            ) from error
        write_json(self.path / "config.json", config_to_json(config))

    def record_epoch(self, name: str, epoch: Epoch) -> None:
        """Keep a finished epoch: a line of metrics, the final weights and the best so far."""
        epochs = self.epochs.setdefault(name, [])
        epochs.append(epoch)
        self.record_metrics(implementation=name, **epoch_to_json(epoch))
        self._save(name, "final", epoch)
        if (best := tested_epoch(epochs, "best")) is epoch:
            self._save(name, "best", best)

    def record_metrics(self, **metrics: Any) -> None:
        """Append one line to metrics.jsonl."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(to_json(metrics) + "\n")

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
