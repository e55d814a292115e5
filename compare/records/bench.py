"""bench.json: the rows of a benchmark, and the machine it ran on."""

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
    """One case: an implementation and form, forward or in training steps, with a batch size."""

    implementation: Name
    form: Attention
    batch_size: CountFrom1
    phase: Phase
    ms_per_sample: Positive  # milliseconds per sample, the median over the rounds
    ms_lowest: Positive
    ms_highest: Positive
    rounds: Rounds  # milliseconds per sample, round by round
    samples_per_second: Positive
    # The speed-up over PyTorch's loop, the original's way, at batch 16 in the same phase and round;
    # None if PyTorch is not installed.
    ratio_to_loop: Positive | None  # the median over the rounds
    ratio_rounds: Rounds | None
    compile_seconds: float  # the extra time of the first pass
    peak_bytes: Count | None  # added to a process at its peak; None if not measured
    operations: Count  # that a batch must take, see compare/machine.py
    bytes: Count  # that a batch must move
    floor_ms_per_sample: Positive | None  # None on an unmeasured device
    times_floor: Positive | None


@dataclass(frozen=True)
class Machine:
    """The machine that a benchmark ran on; see compare/machine.py."""

    matrix_rate: Positive  # operations per second
    copy_bandwidth: Positive  # bytes per second
    platform: str
    cpu: str | None  # None if unknown
    threads: Count
    cores_of_others: float | None  # kept busy by other programs; None if unknown


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
    """Read a bench.json; raise UserError if it is not one."""
    return read_json(path, Bench, f"write one with `python -m compare bench --json {path}`")
