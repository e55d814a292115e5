"""result.json: the result of a run."""

from dataclasses import dataclass
from pathlib import Path

from shared.config import Config
from shared.files import read_json
from shared.training.metrics import EpochNumbers, Fraction, Name


@dataclass(frozen=True)
class Trained:
    """The results of an implementation; the first three are those of its training."""

    epochs: list[EpochNumbers]  # None if it was not trained
    train_seconds: float | None
    samples_per_second: float | None
    test_accuracy: Fraction
    test_loss: float | None  # nats; None if NaN or infinite


@dataclass(frozen=True)
class Verdict:
    """The verdict of a run."""

    passed: bool
    verdict: str
    drift: dict[str, float | None]


@dataclass(frozen=True)
class Result:
    """The parts of a result.json that are read; see docs/running.md, "The result of a run"."""

    parity: Verdict
    implementations: dict[Name, Trained]
    config: Config
    versions: dict[str, str]
    machine: str


def read_result(path: Path) -> Result:
    """Read the result.json of a run; raise UserError if it is not one."""
    return read_json(path, Result, "give a result.json of `python -m compare run`")
