"""metrics.jsonl of a run folder: a line for every finished epoch and for every test."""

from pathlib import Path
from typing import Annotated

import msgspec

from shared.errors import UserError
from shared.files import to_json, write_text
from shared.training.records import Epoch

Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class EpochLine(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of an epoch; a loss that is NaN or infinite is none in JSON."""

    implementation: str
    epoch: Annotated[int, msgspec.Meta(ge=1)]
    train_loss: float | None  # nats per image
    train_accuracy: Fraction
    val_loss: float | None
    val_accuracy: Fraction
    train_seconds: Annotated[float, msgspec.Meta(gt=0)]
    samples_per_second: float


class TestLine(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an implementation on the test split, with the parameters of an epoch."""

    implementation: str
    test_loss: float | None  # nats per image
    test_accuracy: Fraction
    tested_epoch: int | None = None  # of its own training, or of
    weights_of: str | None = None  # this implementation's


class _Line(msgspec.Struct):
    epoch: int | None = None


def epoch_line(implementation: str, epoch: Epoch) -> EpochLine:
    """Return the line of a finished epoch."""
    return EpochLine(
        implementation=implementation,
        epoch=epoch.number,
        train_loss=epoch.train_loss,
        train_accuracy=epoch.train_accuracy,
        val_loss=epoch.validation.loss,
        val_accuracy=epoch.validation.accuracy,
        train_seconds=epoch.train_seconds,
        samples_per_second=epoch.samples_per_second,
    )


def read_metrics(path: Path) -> list[EpochLine | TestLine]:
    """Read the lines in their order; raise UserError that names a line that is none."""
    lines: list[EpochLine | TestLine] = []
    try:
        for text in path.read_bytes().splitlines():
            if msgspec.json.decode(text, type=_Line).epoch is None:
                lines.append(msgspec.json.decode(text, type=TestLine))
            else:
                lines.append(msgspec.json.decode(text, type=EpochLine))
    except OSError as error:
        raise UserError(f"Could not read {path}: {error.strerror}.") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise UserError(f"Line {len(lines) + 1} of {path} cannot be read: {error}.") from error
    return lines


def write_metrics(path: Path, lines: list[EpochLine | TestLine]) -> None:
    """Write the lines, whole or not at all; what is none is left out."""
    texts = [
        to_json({k: v for k, v in msgspec.structs.asdict(line).items() if k not in OMITTED or v})
        for line in lines
    ]
    write_text(path, "".join(f"{text}\n" for text in texts))


OMITTED = ("tested_epoch", "weights_of")
