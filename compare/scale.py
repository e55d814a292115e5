"""`python -m compare scale`: time a training in one process and in several, and write the page."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from string import Template
from typing import Any, Literal

from compare.bench import TOLERATED_CORES, cores_of_others
from compare.implementations import PACKAGES, load_present
from compare.machine import describe_machine, num_threads, seconds_of_others
from compare.markdown import table
from compare.report import library_versions
from compare.scale_paper import BANDWIDTH, LATENCY, RATE, paper_table
from shared.cli import make_console, parse_options
from shared.config import bad_option
from shared.errors import UserError
from shared.files import make_folder, write_json, write_text
from shared.launch import search_path
from shared.sample import load_sample
from shared.training.metrics import EpochLine, read_metrics

TEMPLATE = Path(__file__).with_name("scale_template.md")
BATCHES = {"histogram": (16, 256), "vectorized": (16,)}
CAUTION = (
    "**That is too much to trust these times**: threads and processes that wait for one another in "
    "every step wait for the others' turn, too. Measure again on a quiet machine."
)
EPOCHS = 3  # of which the first compiles, and is not counted


@dataclass(frozen=True)
class ScaleConfig:
    """What to time."""

    implementations: tuple[Literal["pytorch", "jax"], ...] = ("pytorch", "jax")
    """Which to time."""
    forms: tuple[Literal["histogram", "vectorized"], ...] = ("histogram", "vectorized")
    """In which form: with little to compute in a step, or a 784 x 784 table for every image."""
    processes: int = 2
    """How many processes to hold against one."""
    rounds: int = 5
    """How often to time every case, all cases by turns."""
    docs: Path | None = None
    """Write the page, scale.md, and its numbers, scale.json, into this folder too."""

    def __post_init__(self) -> None:
        if self.processes < 2:
            raise UserError(bad_option("processes", self.processes, "2 or more"))
        if self.rounds < 1:
            raise UserError(bad_option("rounds", self.rounds, "1 or more"))


@dataclass(frozen=True)
class Case:
    """A training: an implementation's form and batch size, in so many processes and cores."""

    implementation: str
    form: str
    batch_size: int
    processes: int
    cores: int  # of all processes together

    def __str__(self) -> str:
        return (
            f"{self.implementation} {self.form}, batch {self.batch_size}, "
            f"{self.processes} process(es) on {self.cores} core(s)"
        )


def main(args: Sequence[str]) -> int:
    """Time every case by turns and print the table; write the page if asked to."""
    config = parse_options(
        ScaleConfig(),
        args,
        prog="python -m compare scale",
        description=(
            "Times trainings in one process and in several on this machine, by the commands that "
            "a user types, by turns, and says what the exchange between processes costs."
        ),
    )
    console = make_console()
    implementations = load_present(config.implementations, console)
    cases = choose_cases(list(implementations), config)
    start, others = time.perf_counter(), seconds_of_others()
    rounds: dict[Case, list[float]] = {case: [] for case in cases}
    for number in range(1, config.rounds + 1):
        for case in cases:
            rounds[case].append(time_training(case))
        elapsed, own = time.perf_counter() - start, os.times()
        busy = cores_of_others(others, seconds_of_others(), elapsed)
        if busy is not None:  # the trainings were processes of their own
            busy = max(0.0, busy - (own.children_user + own.children_system) / elapsed)
        console.print(f"Round {number} of {config.rounds}, {elapsed:.0f} s:")
        console.print(measured_table(rounds))
        if config.docs is not None:  # what is there after an interruption is of whole rounds
            write_docs(config.docs, rounds, busy)
            console.print(f"Written: {config.docs / 'scale.md'}, and scale.json beside it.")
    return 0


def write_docs(docs: Path, rounds: Mapping["Case", Sequence[float]], busy: float | None) -> None:
    """Write the page, and the numbers that it is made from."""
    make_folder(docs)
    result = {
        "cases": [asdict(case) | {"ms_per_step": times} for case, times in rounds.items()],
        "machine": describe_machine() | {"cores_of_others": busy},
        "versions": library_versions(),
    }
    write_json(docs / "scale.json", result)
    write_text(docs / "scale.md", write_page(rounds, result))


def choose_cases(names: Sequence[str], config: ScaleConfig) -> list[Case]:
    """List the cases: one process on one core, one on all, and several on all together."""
    cores = num_threads()
    return [
        Case(name, form, batch_size, number, on)
        for name in names
        for form in config.forms
        for batch_size in BATCHES[form]
        for number, on in dict.fromkeys(((1, 1), (1, cores), (config.processes, cores)))
    ]


def time_training(case: Case) -> float:
    """Train by the user's own command; give the milliseconds of a step, the epochs' median."""
    package = PACKAGES[case.implementation]
    options = {
        "--processes": case.processes,
        "--attention": case.form,
        "--batch-size": case.batch_size,
        "--epochs": EPOCHS,
    }
    words = [str(word) for option in options.items() for word in option]
    with tempfile.TemporaryDirectory() as folder, only_cores(case.cores):
        process = subprocess.run(
            [sys.executable, "-m", package, *words, "--runs-dir", folder],
            env=os.environ | {"PYTHONPATH": search_path()},
            capture_output=True,
            text=True,
        )
        if process.returncode != 0:
            raise UserError(f"{case} failed: {process.stderr.strip() or process.returncode}")
        (metrics,) = Path(folder).glob("*-*/metrics.jsonl")
        lines = read_metrics(metrics)
    steps = len(load_sample()["train"].labels) // case.batch_size
    seconds = [line.train_seconds for line in lines if isinstance(line, EpochLine)]
    return 1000 * median(seconds[1:]) / steps


@contextmanager
def only_cores(count: int) -> Iterator[None]:
    """Let what is started in a block have so many of this process's cores."""
    if not hasattr(os, "sched_setaffinity"):
        raise UserError("Processes cannot be kept to some cores on this system: use Linux.")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measured_table(rounds: Mapping[Case, Sequence[float]]) -> str:
    """Make the table of medians, in Markdown: a line for each work, a column for each way."""
    ways = list(dict.fromkeys((case.processes, case.cores) for case in rounds))
    heads = [f"{n} process{'es' if n > 1 else ''}, {_count(cores)}" for n, cores in ways]
    rows = []
    for name, form, size in dict.fromkeys((c.implementation, c.form, c.batch_size) for c in rounds):
        times = [median(rounds[Case(name, form, size, *way)]) for way in ways]
        spread = [rounds[Case(name, form, size, *way)] for way in ways]
        cells = [
            f"{middle:.3g} ms ({min(found):.3g} to {max(found):.3g})"
            for middle, found in zip(times, spread, strict=True)
        ]
        ratios = [f"{times[one] / times[-1]:.2f}x" for one in (-2, 0)]
        rows.append((name, f"`{form}`", size, *cells, *ratios))
    against = ("several against one, all cores", "several against one, one core")
    return table(("implementation", "form", "batch", *heads, *against), rows, text=2)


def say_command(rounds: Mapping[Case, Sequence[float]]) -> str:
    """Give the command that measures these cases, as often, once more."""
    names = dict.fromkeys(case.implementation for case in rounds)
    forms = dict.fromkeys(case.form for case in rounds)
    words = ["python -m compare scale"]
    if tuple(names) != ScaleConfig.implementations:
        words += ["--implementations", *names]
    if tuple(forms) != ScaleConfig.forms:
        words += ["--forms", *forms]
    words += ["--processes", str(max(case.processes for case in rounds))]
    words += ["--rounds", str(len(next(iter(rounds.values()))))]
    return " ".join([*words, "--docs docs"])


def _count(cores: int) -> str:
    return f"{cores} core{'s' if cores > 1 else ''}"


def write_page(rounds: Mapping[Case, Sequence[float]], result: Mapping[str, Any]) -> str:
    """Fill the template with what was measured, and with what is on paper."""
    machine, versions = result["machine"], result["versions"]
    busy = machine["cores_of_others"]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        measured=measured_table(rounds),
        paper=paper_table(),
        cpu=machine["cpu"] or "an unknown processor",
        cores=machine["threads"],
        platform=machine["platform"],
        busy="an unknown number" if busy is None else f"{busy:.1f}",
        caution=CAUTION if busy is None or busy > TOLERATED_CORES else "",
        rounds=len(next(iter(rounds.values()))),
        command=say_command(rounds),
        epochs=EPOCHS,
        versions=", ".join(
            f"{name} {versions[name]}" for name in ("torch", "jax") if name in versions
        ),
        bandwidth=f"{8 * BANDWIDTH / 1e9:g} Gbit/s",
        latency=f"{LATENCY * 1e6:g} microseconds",
        rate=f"{RATE / 1e9:g} GFLOP/s",
    )
