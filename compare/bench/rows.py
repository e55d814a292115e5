"""The row of each case of a benchmark: median, spread, and ratios to loop and floor."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from compare.bench.jobs import Job
from compare.machine import Speed, floor_seconds, work_of
from compare.records.bench import Row

# The baseline: the original's way, a loop over a batch of 16 in PyTorch.
BASELINE = ("pytorch", "looped", 16)


class Timing(NamedTuple):
    """The measurements of a job, in milliseconds per sample."""

    first: float  # the first pass, which compiles
    first_samples: int
    rounds: list[float]


def summarise(timings: Mapping[Job, Timing], speed: Speed, peaks: Mapping[Job, int]) -> list[Row]:
    """Return a row per job: median, spread, and the ratios to the loop and to the floor."""
    loops = {
        job.phase: timing.rounds
        for job, timing in timings.items()
        if (job.implementation, job.form, job.batch_size) == BASELINE
    }
    return [
        make_row(job, timing, loops.get(job.phase), speed, peaks.get(job))
        for job, timing in timings.items()
    ]


def make_row(
    job: Job, timing: Timing, loop: Sequence[float] | None, speed: Speed, peak: int | None
) -> Row:
    """Return the row of a job; `loop` holds the baseline's milliseconds per sample by round."""
    ms = median(timing.rounds)
    ratios = None if loop is None else [a / b for a, b in zip(loop, timing.rounds, strict=True)]
    work = work_of(
        *(job.form, job.phase, job.batch_size),
        channels=job.num_channels,
        itemsize=np.dtype(job.dtype).itemsize,
    )
    floor = 1000 * floor_seconds(work, speed) / job.batch_size if job.device == "cpu" else None
    form: Any = job.form  # one of Attention, also for a third party's module
    return Row(
        *(job.implementation, form, job.batch_size, job.phase),
        ms_per_sample=ms,
        ms_lowest=min(timing.rounds),
        ms_highest=max(timing.rounds),
        rounds=timing.rounds,
        samples_per_second=1000 / ms,
        ratio_to_loop=None if ratios is None else median(ratios),
        ratio_rounds=ratios,
        compile_seconds=max(0.0, (timing.first - ms) / 1000 * timing.first_samples),
        peak_bytes=peak,
        operations=work.operations,
        bytes=work.bytes,
        floor_ms_per_sample=floor,
        times_floor=None if floor is None else ms / floor,
    )
