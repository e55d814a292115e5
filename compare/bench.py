"""`python -m compare bench`: time every implementation in every form, side by side."""

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from compare.bench_report import bench_table, rows_to_json, save_bench_figure
from compare.bench_rows import BASELINE, Row, Timing, summarise
from compare.implementations import (
    can_train,
    device_of,
    load_implementations,
    load_present,
)
from compare.jobs import Job, Phase, Run, prepare
from compare.machine import (
    Speed,
    describe_machine,
    fastest,
    measure_speed,
    seconds_of_others,
)
from compare.memory import measure_memory
from compare.report import library_versions
from shared.alone import load_config_data
from shared.batches import STEPS_AT_ONCE
from shared.cli import complete_flag, make_console, parse_options
from shared.config import Attention, Config, bad_option
from shared.data import Dataset
from shared.errors import UserError
from shared.files import write_json

PHASES: tuple[Phase, ...] = ("forward", "step")
BATCH_SIZES, ROUNDS = (16, 64, 256), 7
QUICK_BATCH_SIZES, QUICK_ROUNDS = (16,), 3
QUICK_ALSO = ("histogram", 256)
# About how long a sample takes, in milliseconds, in the slower of the frameworks: decides only
# how many images a pass takes, never a result.
ROUGH_MS = {"textbook": 5.0, "looped": 1.5, "vectorized": 1.0, "builtin": 4.0, "histogram": 0.03}
# Below this, other programs count as idle.
TOLERATED_CORES = 0.1
PASS_SECONDS, QUICK_PASS_SECONDS = 0.3, 0.1


@dataclass(frozen=True)
class BenchConfig:
    """What a benchmark needs to know."""

    implementations: tuple[Literal["pytorch", "jax", "numpy"], ...] = ("pytorch", "jax", "numpy")
    """Which to time; PyTorch's loop is always timed along, where it is installed."""
    forms: tuple[Attention, ...] = get_args(Attention)
    """The forms of attention to time."""
    batch_sizes: tuple[int, ...] | None = None
    """Images per batch (default: 16 64 256; with --quick 16, and histogram at 256 too)."""
    rounds: int | None = None
    """How often to time every case, all cases by turns (default: 7; with --quick 3)."""
    images: int = 4000
    """At most so many images in one pass of a case, though always a batch."""
    quick: bool = False
    """Take less than a minute: batch 16, three short rounds, no memory. Needs no value."""
    data: Literal["sample", "mnist"] = Config.data
    """The digits, as for the other commands."""
    mnist_dir: Path | None = None
    """A folder with MNIST's four original files, for --data mnist."""
    num_channels: int = Config.num_channels
    """Channels per pixel."""
    dtype: Literal["float32", "float64"] = Config.dtype
    """The floating-point numbers to compute with, in NumPy too."""
    device: Literal["cpu", "cuda"] = Config.device
    """Where PyTorch and JAX compute. On cuda NumPy is left out, and so are memory and floor."""
    json: Path = Path("bench.json")
    """Write the result to this file."""
    figure: Path = Path("bench.png")
    """Draw the figure into this file, and as .svg beside it."""

    def check(self) -> None:
        """Raise UserError, one sentence, for an option that cannot be."""
        sizes = () if self.batch_sizes is None else self.batch_sizes
        rounds = () if self.rounds is None else (self.rounds,)
        for name, numbers in (
            *(("batch-sizes", sizes), ("rounds", rounds)),
            *(("images", (self.images,)), ("num-channels", (self.num_channels,))),
        ):
            if any(number < 1 for number in numbers):
                raise UserError(bad_option(name, min(numbers), "1 or more"))
        for path in (self.json, self.figure):
            if not path.parent.is_dir():
                raise UserError(f"There is no folder {path.parent} to write {path.name} into.")

    @property
    def num_rounds(self) -> int:
        """How many rounds to time after the first, which warms up."""
        return self.rounds or (QUICK_ROUNDS if self.quick else ROUNDS)

    @property
    def pass_seconds(self) -> float:
        """About how long one pass of a case should take, in seconds."""
        return QUICK_PASS_SECONDS if self.quick else PASS_SECONDS


def main(args: Sequence[str]) -> int:
    """Time every case, print the tables and write the result and the figure."""
    default = BenchConfig()
    config = parse_options(
        default,
        complete_flag(args, "--quick"),
        prog="python -m compare bench",
        description=(
            "Times every implementation in every form, forward and in training steps, by turns, "
            "and holds each against the seed's loop and against the least this machine can do."
        ),
    )
    config.check()
    console = make_console()
    implementations = _load(config, console)
    jobs = choose_jobs(implementations, config)
    data = load_config_data(
        Config(data=config.data, mnist_dir=config.mnist_dir, num_channels=config.num_channels)
    )
    console.print(
        f"{len(jobs)} cases by turns in {config.num_rounds} rounds: {config.dtype}, "
        f"{config.device}, {config.num_channels} channel(s)."
    )
    start, others = time.perf_counter(), seconds_of_others()
    timings, speed = time_jobs(jobs, implementations, data, config, console)
    busy = cores_of_others(others, seconds_of_others(), time.perf_counter() - start)
    if busy is not None and busy > TOLERATED_CORES:
        console.print(
            f"Other programs kept {busy:.1f} cores busy: do not trust these times, and those of "
            "PyTorch and NumPy, whose threads wait for each other, least of all.",
            style="yellow",
        )
    rows = summarise(timings, speed, _weigh(jobs, config, console))
    for phase in PHASES:
        if any(row.phase == phase for row in rows):
            console.print(bench_table(rows, phase, console.width))
    write_json(config.json, _to_json(rows, speed, busy, config))
    paths = save_bench_figure(config.figure, rows)
    console.print(f"Result and figure: {', '.join(map(str, [config.json, *paths]))}")
    return 0


def cores_of_others(before: float | None, after: float | None, seconds: float) -> float | None:
    """Say how many cores others kept busy between two readings of `seconds_of_others`."""
    return None if before is None or after is None else max(0.0, after - before) / seconds


def _load(config: BenchConfig, console: Console) -> dict[str, ModuleType]:
    """Import the implementations asked for and the baseline's; name those left out."""
    names = [name for name in config.implementations if config.device == "cpu" or name != "numpy"]
    if len(names) < len(config.implementations):
        console.print("numpy is left out: it computes on the CPU alone.", style="yellow")
    if not names:
        raise UserError("Nothing is left to time: use --device cpu, or name pytorch or jax.")
    implementations = load_present(names, console)
    if BASELINE[0] not in names:
        try:
            implementations |= load_implementations(BASELINE[:1])[0]
        except UserError:
            console.print("PyTorch is not installed: there is no loop to compare with.")
    for name, implementation in implementations.items():
        implementation.find_device(device_of(name, config.device))
    return implementations


def choose_jobs(implementations: Mapping[str, ModuleType], config: BenchConfig) -> list[Job]:
    """List the cases, the baseline among them. Raises UserError where nothing was asked for."""
    sizes = config.batch_sizes or (QUICK_BATCH_SIZES if config.quick else BATCH_SIZES)
    also = {QUICK_ALSO} if config.quick and config.batch_sizes is None else set()
    asked = {
        (name, form, size)
        for name in config.implementations
        for form in config.forms
        for size in {*sizes, *(size for of, size in also if of == form)}
        if name in implementations and form in implementations[name].ATTENTION
    }
    if not asked:
        raise UserError(
            f"Nothing is left to time: {', '.join(config.implementations)} has no form "
            f"{', '.join(config.forms)}."
        )
    wanted = asked | ({BASELINE} if BASELINE[0] in implementations else set())
    return [
        Job(
            *(name, form, size, phase, images_per_pass(form, size, config)),
            dtype=config.dtype,
            device=config.device,
            num_channels=config.num_channels,
        )
        for phase in PHASES
        for name, implementation in implementations.items()
        if phase == "forward" or can_train(implementation)
        for form in implementation.ATTENTION
        for size in sorted({size for *case, size in wanted if case == [name, form]})
    ]


def images_per_pass(form: str, batch_size: int, config: BenchConfig) -> int:
    """Choose how many images a pass takes: whole batches, about `pass_seconds` of them.

    JAX compiles a loop of STEPS_AT_ONCE steps, and another for a remainder: there is to be none.
    """
    steps = round(1000 * config.pass_seconds / ROUGH_MS[form] / batch_size)
    steps = max(1, min(steps, config.images // batch_size))
    if steps > STEPS_AT_ONCE:
        steps -= steps % STEPS_AT_ONCE
    return steps * batch_size


def time_jobs(
    jobs: Sequence[Job],
    implementations: Mapping[str, ModuleType],
    data: Dataset,
    config: BenchConfig,
    console: Console,
) -> tuple[dict[Job, Timing], Speed]:
    """Time all jobs by turns, so that a change of the machine's speed hits all of them alike."""
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
            gc.collect()  # now, and less likely within what is timed
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
    """Run passes until they took so long altogether; give milliseconds per sample."""
    seconds, samples = run()
    while seconds < least_seconds:
        more_seconds, more_samples = run()
        seconds, samples = seconds + more_seconds, samples + more_samples
    return 1000 * seconds / samples


def _weigh(jobs: Sequence[Job], config: BenchConfig, console: Console) -> dict[Job, int]:
    """Measure the peak memory of every job, two batches of each, in a process of its own."""
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
                console.print(str(error), style="yellow")
    return peaks


def _to_json(
    rows: Sequence[Row], speed: Speed, busy: float | None, config: BenchConfig
) -> dict[str, Any]:
    """Gather a benchmark for machines."""
    settings = asdict(config)
    del settings["json"], settings["figure"]  # where it is written says nothing of what it says
    return {
        "rows": rows_to_json(rows),
        "machine": speed._asdict() | describe_machine() | {"cores_of_others": busy},
        "device": config.device,
        "dtype": config.dtype,
        "num_channels": config.num_channels,
        "versions": library_versions(),
        "config": {k: str(v) if isinstance(v, Path) else v for k, v in settings.items()},
        "quick": config.quick,
    }
