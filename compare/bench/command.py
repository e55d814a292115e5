"""`python -m compare bench`: time every implementation in every form, side by side."""

import gc
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from compare.bench.jobs import Job, Run, prepare
from compare.bench.memory import measure_memory
from compare.bench.plan import PHASES, BenchConfig, choose_jobs, load_timed
from compare.bench.rows import Timing, summarise
from compare.machine import (
    Speed,
    describe_machine,
    fastest,
    measure_speed,
    seconds_of_others,
)
from compare.records.bench import Bench, Machine, Row
from compare.registry.contract import Implementation
from compare.registry.versions import library_versions
from shared.cli import complete_flag, make_console, parse_options
from shared.config import Config
from shared.data.load import Dataset
from shared.errors import UserError
from shared.files import write_json
from shared.training.alone import load_config_data

# Below this, other programs count as idle.
TOLERATED_CORES = 0.1


def main(args: Sequence[str]) -> int:
    """Time every case, print the tables, and write the result and the figure."""
    default = BenchConfig()
    config = parse_options(
        default,
        complete_flag(args, "--quick"),
        prog="python -m compare bench",
        description=(
            "Times the forward pass and the training step of every implementation and form of "
            "attention. Compares each with a loop over the samples in PyTorch, and with the "
            "shortest time that this machine allows."
        ),
    )
    config.check()
    from compare.bench.report import bench_table, save_bench_figure  # slow to import: Matplotlib

    console = make_console()
    implementations, asked = load_timed(config, console)
    jobs = choose_jobs(implementations, asked, config)
    data = load_config_data(
        Config(data=config.data, mnist_dir=config.mnist_dir, num_channels=config.num_channels)
    )
    console.print(
        f"{len(jobs)} cases in turn, {config.num_rounds} rounds: {config.dtype}, "
        f"{config.device}, {config.num_channels} channel(s)."
    )
    start, others = time.perf_counter(), seconds_of_others()
    timings, speed = time_jobs(jobs, implementations, data, config, console)
    busy = cores_of_others(others, seconds_of_others(), time.perf_counter() - start)
    if busy is not None and busy > TOLERATED_CORES:
        console.print(
            f"Other programs kept {busy:.1f} cores busy: these times are not reliable, least of "
            "all those of PyTorch and NumPy, whose threads wait for each other.",
            style="yellow",
        )
    rows = summarise(timings, speed, _weigh(jobs, config, console))
    for phase in PHASES:
        if any(row.phase == phase for row in rows):
            console.print(bench_table(rows, phase, console.width))
    write_json(config.json, asdict(_gather(rows, speed, busy, config, implementations.values())))
    paths = save_bench_figure(config.figure, rows)
    console.print(f"Result and figure: {', '.join(map(str, [config.json, *paths]))}")
    return 0


def cores_of_others(before: float | None, after: float | None, seconds: float) -> float | None:
    """Return the cores that other programs kept busy between two `seconds_of_others`."""
    return None if before is None or after is None else max(0.0, after - before) / seconds


def time_jobs(
    jobs: Sequence[Job],
    implementations: Mapping[str, ModuleType],
    data: Dataset,
    config: BenchConfig,
    console: Console,
) -> tuple[dict[Job, Timing], Speed]:
    """Time all jobs in turn, so that a change of the machine's speed affects all of them."""
    runs = {job: prepare(job, implementations[job.implementation], data) for job in jobs}
    firsts: dict[Job, tuple[float, int]] = {}
    rounds: dict[Job, list[float]] = {job: [] for job in jobs}
    speed = measure_speed(config.dtype)
    columns = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=len(jobs) * (config.num_rounds + 1))
        for number in range(config.num_rounds + 1):
            gc.collect()  # here, so that it is less likely to happen while a job is timed
            for job, run in runs.items():
                about = f"round {number}: {job}" if number else f"warm-up: {job}"
                progress.update(task, description=about)
                if number == 0:
                    firsts[job] = run()
                else:
                    rounds[job].append(time_round(run, config.pass_seconds / 2))
                progress.advance(task)
            speed = fastest(speed, measure_speed(config.dtype))
    return {
        job: Timing(1000 * seconds / samples, samples, rounds[job])
        for job, (seconds, samples) in firsts.items()
    }, speed


def time_round(run: Run, least_seconds: float) -> float:
    """Run passes for at least `least_seconds` in total; return milliseconds per sample."""
    seconds, samples = run()
    while seconds < least_seconds:
        more_seconds, more_samples = run()
        seconds, samples = seconds + more_seconds, samples + more_samples
    return 1000 * seconds / samples


def _weigh(jobs: Sequence[Job], config: BenchConfig, console: Console) -> dict[Job, int]:
    """Measure the peak memory of every job, with two batches, in a new process."""
    peaks: dict[Job, int] = {}
    if config.quick or config.device != "cpu":
        return peaks
    with console.status("memory") as status:
        for number, job in enumerate(jobs, start=1):
            status.update(f"memory {number}/{len(jobs)}: {job}")
            two = Job(**asdict(job) | {"num_images": 2 * job.batch_size})
            try:
                peaks[job] = measure_memory(two)
            except UserError as error:
                console.print(str(error), style="yellow", markup=False)
    return peaks


def _gather(
    rows: Sequence[Row],
    speed: Speed,
    busy: float | None,
    config: BenchConfig,
    implementations: Iterable[Implementation],
) -> Bench:
    """Return the result of a benchmark as bench.json holds it."""
    settings = asdict(config)
    del settings["json"], settings["figure"]  # output paths are not part of the result
    return Bench(
        rows=list(rows),
        machine=Machine(**speed._asdict(), **describe_machine(), cores_of_others=busy),
        device=config.device,
        dtype=config.dtype,
        num_channels=config.num_channels,
        versions=library_versions(implementations),
        config={k: str(v) if isinstance(v, Path) else v for k, v in settings.items()},
        quick=config.quick,
    )
