"""The lines of a run's metrics.jsonl: one per finished epoch, one per test."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from shared.errors import UserError

Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
# The module of an implementation: part of a file's name, and of messages.
Name = Annotated[str, msgspec.Meta(pattern=r"^\w+(\.\w+)*\Z", max_length=100)]


@dataclass(frozen=True)
class EpochLine:
    """A finished epoch of one implementation; a loss is None where it was NaN or infinite."""

    implementation: Name
    epoch: Annotated[int, msgspec.Meta(ge=1)]
    train_loss: float | None  # nats per image
    train_accuracy: Fraction
    val_loss: float | None
    val_accuracy: Fraction
    train_seconds: float
    samples_per_second: float


@dataclass(frozen=True)
class TestLine:
    """A test of one implementation; a loss is None where it was NaN or infinite."""

    implementation: Name
    test_loss: float | None  # nats per image
    test_accuracy: Fraction
    tested_epoch: int | None = None  # whose weights were tested, in a run of one implementation
    weights_of: Name | None = None  # likewise, in a run of several: by which implementation


def read_metrics(path: Path, *, skip_damaged: bool = False) -> list[EpochLine | TestLine]:
    """Read a metrics.jsonl; none where there is no such file: no epoch is finished.

    Raises UserError for a line that cannot be read, or leaves it out with `skip_damaged`.
    """
    lines: list[EpochLine | TestLine] = []
    try:
        texts = path.read_bytes().splitlines()
    except FileNotFoundError:
        return lines
    except OSError as error:
        raise UserError(f"Could not read {path}: {error.strerror}.") from error
    for number, text in enumerate(texts, start=1):
        try:
            lines.append(_decode_line(text))
        except (ValueError, RecursionError) as error:
            if not skip_damaged:
                raise UserError(
                    f"Line {number} of {path} is not a line of metrics: {error}; "
                    "mend it or remove the line."
                ) from error
    return lines


def _decode_line(text: bytes) -> EpochLine | TestLine:
    keys = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    kind: type[EpochLine | TestLine] = EpochLine if "epoch" in keys else TestLine
    return msgspec.json.decode(text, type=kind)
