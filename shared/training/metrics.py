"""The numbers in a run folder: epochs and tests in metrics.jsonl, and the loss of every step."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from shared.errors import UserError
from shared.files import (
    Count,
    CountFrom1,
    decode_json,
    load_arrays,
    read_file,
    save_arrays,
    to_json,
    write_text,
)
from shared.training.records import Epoch

Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
# The name of an implementation, which becomes part of file names.
Name = Annotated[str, msgspec.Meta(pattern=r"^\w+(\.\w+)*\Z", max_length=100)]
STEP_LOSSES = "step-losses.safetensors"
ADVICE = "remove that line, or the run"


@dataclass(frozen=True)
class EpochNumbers:
    """The numbers of a finished epoch; a loss is None if it was NaN or infinite."""

    epoch: CountFrom1
    train_loss: float | None  # nats per image
    train_accuracy: Fraction
    val_loss: float | None
    val_accuracy: Fraction
    train_seconds: Positive
    samples_per_second: Positive


@dataclass(frozen=True)
class _Line:
    implementation: Name


@dataclass(frozen=True)
class EpochLine(EpochNumbers, _Line):
    """A finished epoch of one implementation."""


@dataclass(frozen=True)
class TestLine(_Line):
    """A test of one implementation; the loss is None if it was NaN or infinite."""

    test_loss: float | None  # nats per image
    test_accuracy: Fraction
    tested_epoch: Count | None = None  # of the tested parameters, in a run of one implementation
    params_of: Name | None = None  # the implementation that trained them, in a run of several


def epoch_numbers(epoch: Epoch) -> dict[str, Any]:
    """Return the numbers of a finished epoch, by the names of EpochNumbers."""
    return {
        "epoch": epoch.number,
        "train_loss": epoch.train_loss,
        "train_accuracy": epoch.train_accuracy,
        "val_loss": epoch.validation.loss,
        "val_accuracy": epoch.validation.accuracy,
        "train_seconds": epoch.train_seconds,
        "samples_per_second": epoch.samples_per_second,
    }


def read_metrics(path: Path, *, skip_damaged: bool = False) -> list[EpochLine | TestLine]:
    """Read a metrics.jsonl; return nothing if there is none, since no epoch is finished.

    Raises UserError for a damaged line, or omits it with `skip_damaged`.
    """
    lines: list[EpochLine | TestLine] = []
    content = read_file(path, "make it readable") if path.exists() else b""
    for number, text in enumerate(content.splitlines(), start=1):
        try:
            lines.append(_decode_line(text, f"Line {number} of {path}"))
        except UserError:
            if not skip_damaged:
                raise
    return lines


def _decode_line(text: bytes, where: str) -> EpochLine | TestLine:
    fields = decode_json(text, dict[str, msgspec.Raw], where, ADVICE)
    kind: type[EpochLine | TestLine] = EpochLine if "epoch" in fields else TestLine
    return decode_json(text, kind, where, ADVICE)


def write_metrics(path: Path, lines: Sequence[EpochLine | TestLine]) -> None:
    """Write the lines atomically, without the fields that do not apply to a test."""
    fields = [
        {k: v for k, v in asdict(line).items() if k not in ("tested_epoch", "params_of") or v}
        for line in lines
    ]
    write_text(path, "".join(f"{to_json(line)}\n" for line in fields))


def save_step_losses(folder: Path, losses: Mapping[str, np.ndarray]) -> None:
    """Write the loss of every training step, [steps] by implementation, into a run folder."""
    save_arrays(folder / STEP_LOSSES, losses)


def read_step_losses(folder: Path) -> dict[str, np.ndarray]:
    """Read the file of `save_step_losses`, in float64; return nothing if there is none."""
    path = folder / STEP_LOSSES
    if not path.exists():
        return {}
    arrays, _ = load_arrays(path)
    for name, array in arrays.items():
        is_right = array.ndim == 1 and array.size and array.dtype.kind == "f"
        if not (is_right and np.isfinite(array).all()):
            raise UserError(
                f"{path} does not hold the losses of steps: {name!r} is {array.shape} of "
                f"{array.dtype}, which must be finite numbers."
            )
    return {name: array.astype(np.float64) for name, array in arrays.items()}
