"""The records of the runs in docs/results.json: their numbers, without parameters."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import lru_cache
from importlib import import_module
from math import nan
from pathlib import Path
from typing import Any

from compare.records.result import read_result
from compare.registry.contract import Trainer
from compare.registry.versions import library_versions
from compare.studies.results.plan import BOTH, Planned, ResultsConfig
from shared.config import Config
from shared.data.load import Dataset, load_data
from shared.files import read_json
from shared.params import load_params
from shared.training.alone import evaluate_params
from shared.training.metrics import EpochLine, TestLine, read_metrics

NUMBERS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "train_seconds")
Record = dict[str, Any]  # see `read_run`


def read_run(planned: Planned, runs: Path) -> Record | None:
    """Read a run, finished or not; return None if it was never started.

    Each implementation has its `epochs`, a list for each of NUMBERS (losses in nats, accuracies 0
    to 1), and, once it is finished, `test`, of the parameters that its config asks for.
    """
    folder = planned.find_run(runs)
    if folder is None:
        return None
    config, lines = read_config(folder), read_metrics(folder / "metrics.jsonl")
    if not lines:
        return None  # stopped within its first epoch
    finished = planned.is_finished(folder)
    record = {
        "part": planned.part,
        "label": planned.label,
        "command": planned.command,
        "seed": planned.seed,
        "epochs_asked": int(planned.option("--epochs")),
        "nats_per_bit": config.nats_per_bit,
        "finished": finished,
        "implementations": _read_implementations(lines),
    }
    if finished and planned.module == BOTH:
        record["parity"] = asdict(read_result(folder / "result.json").parity)
    return record


def read_config(folder: Path) -> Config:
    """Read the options that a run was started with."""
    return read_json(folder / "config.json", Config, "remove the run to have it run again")


def _read_implementations(lines: Iterable[EpochLine | TestLine]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in lines:
        name = line.implementation
        one = found.setdefault(name, {"epochs": {number: [] for number in NUMBERS}})
        if isinstance(line, EpochLine):
            for number in NUMBERS:
                value = getattr(line, number)
                one["epochs"][number].append(nan if value is None else round(value, 6))
        elif line.params_of in (None, name):
            one["test"] = {
                "loss": nan if line.test_loss is None else line.test_loss,
                "accuracy": line.test_accuracy,
            }
    # NumPy, the reference, does not train.
    return {name: one for name, one in found.items() if one["epochs"]["train_loss"]}


def add_tests_of_both(record: Record, planned: Planned, config: ResultsConfig) -> None:
    """Test the best and the last parameters of a finished run, with their own framework."""
    folder = planned.find_run(config.runs)
    assert folder is not None, "it was read"
    trained = read_config(folder)
    data = load(config, trained.normalization)
    for name, one in record["implementations"].items():
        one["tests"] = {
            which: _test(name, folder / f"{name}-{which}.safetensors", data, trained)
            for which in ("best", "final")
        }


@lru_cache(maxsize=1)  # runs with the same normalization mostly follow each other
def load(config: ResultsConfig, normalization: str = Config.normalization) -> Dataset:
    """Load the digits as a run does, by default with the default preset's normalization."""
    return load_data(config.data, normalization=normalization, mnist_dir=config.mnist_dir)


def _test(name: str, weights: Path, data: Dataset, config: Config) -> dict[str, float]:
    implementation: Trainer = import_module(f"{name}_impl")
    params, metadata = load_params(weights)
    result = evaluate_params(implementation, params, data.test, config)
    return {
        "epoch": int(metadata["epoch"]),
        "loss": float(result.loss),
        "accuracy": float(result.accuracy),
    }


def read_runs(plan: Sequence[Planned], config: ResultsConfig) -> list[Record]:
    """Read all started runs of a plan; test the best and last parameters of the two presets."""
    records = []
    for planned in plan:
        record = read_run(planned, config.runs)
        if record is None:
            continue
        if planned.part in ("default", "original", "rates") and record["finished"]:
            add_tests_of_both(record, planned, config)
        records.append(record)
    return records


def gather(plan: Sequence[Planned], config: ResultsConfig) -> dict[str, Any]:
    """Return the numbers of all runs, with the machine and the versions."""
    return {
        "data": config.data,
        "planned": [planned.command for planned in plan],
        "runs": read_runs(plan, config),
        "versions": library_versions(),
    }
