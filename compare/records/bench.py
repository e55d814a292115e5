"""bench.json: the rows of a benchmark, and what it ran on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from shared.config import Attention
from shared.files import Count, CountFrom1, read_json
from shared.training.metrics import Name, Positive

Phase = Literal["forward", "step"]
Rounds = Annotated[list[Positive], msgspec.Meta(min_length=1)]


@dataclass(frozen=True)
class Row:
    """One case: an implementation and form, forward or in training steps, at a batch size."""

    implementation: Name
    form: Attention
    batch_size: CountFrom1
    phase: Phase
    ms_per_sample: Positive  # milliseconds, the median over the rounds
    ms_lowest: Positive
    ms_highest: Positive
    rounds: Rounds  # milliseconds per sample, round by round
    samples_per_second: Positive
    # The speed-up over PyTorch's loop, the original's way, at batch 16 in the same phase and round;
    # None where PyTorch is not installed.
    ratio_to_loop: Positive | None  # the median over the rounds
    ratio_rounds: Rounds | None
    compile_seconds: float  # what the first pass took longer than the later ones
    peak_bytes: Count | None  # added to a process at its peak; None where not measured
    operations: Count  # that a batch must take, see compare/machine.py
    bytes: Count  # that a batch must move
    floor_ms_per_sample: Positive | None  # None on a device that was not measured
    times_floor: Positive | None


@dataclass(frozen=True)
class Machine:
    """What a benchmark ran on: see compare/machine.py."""

    matrix_rate: Positive  # operations per second
    copy_bandwidth: Positive  # bytes per second
    platform: str
    cpu: str | None  # None where it is not known
    threads: Count
    cores_of_others: float | None  # that other programs kept busy; None where it is not known


@dataclass(frozen=True)
class Bench:
    """The result of a benchmark, as bench.json holds it."""

    rows: Annotated[list[Row], msgspec.Meta(min_length=1)]
    machine: Machine
    device: str
    dtype: str
    num_channels: Count
    versions: dict[str, str]
    config: dict[str, Any]  # see BenchConfig
    quick: bool


def read_bench(path: Path) -> Bench:
    """Read a bench.json; UserError says what is wrong with it."""
    return read_json(path, Bench, f"write one with `python -m compare bench --json {path}`")
