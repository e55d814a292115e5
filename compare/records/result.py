"""result.json: what a run came to."""

from dataclasses import dataclass
from pathlib import Path

from shared.config import Config
from shared.files import read_json
from shared.training.metrics import EpochNumbers, Fraction, Name


@dataclass(frozen=True)
class Trained:
    """What a result.json holds of an implementation; the first three are of its training."""

    epochs: list[EpochNumbers]  # none where it trained nothing
    train_seconds: float | None
    samples_per_second: float | None
    test_accuracy: Fraction
    test_loss: float | None  # nats; None where it was NaN or infinite


@dataclass(frozen=True)
class Verdict:
    """What a result.json holds of parity."""

    passed: bool
    verdict: str
    drift: dict[str, float | None]


@dataclass(frozen=True)
class Result:
    """What is read of a result.json: see docs/running.md, "The result of a run"."""

    parity: Verdict
    implementations: dict[Name, Trained]
    config: Config
    versions: dict[str, str]
    machine: str


def read_result(path: Path) -> Result:
    """Read the result.json of a run; UserError says what is wrong with it."""
    return read_json(path, Result, "give that of a `python -m compare run`")
