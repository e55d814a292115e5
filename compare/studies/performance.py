"""`python -m compare.studies.performance BENCH_JSON`: docs/performance.md, from a benchmark."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from string import Template
from typing import Annotated

import tyro

from compare.bench.report import HEADINGS, save_bench_figure, say_cells, say_ratio
from compare.markdown import table
from compare.records.bench import Bench, Row, read_bench
from compare.registry.contract import FORMS
from shared.cli import make_console, parse_options, run_main
from shared.errors import UserError
from shared.files import make_folder, read_json, write_json, write_text
from shared.training.metrics import Fraction, Name

TEMPLATE = Path(__file__).with_name("performance_template.md")
# The goals and what was aimed at: the training step, as many times as fast as the original's loop.
GOALS = (
    ("jax", "histogram", 16, 60, 100),
    ("pytorch", "histogram", 16, 20, 40),
    ("jax", "histogram", 256, 80, 150),
    ("pytorch", "histogram", 256, 80, 150),
)


@dataclass(frozen=True)
class PerformanceConfig:
    """What writing the page needs to know."""

    bench: Annotated[Path, tyro.conf.Positional] = Path("docs/bench.json")
    """The result of `python -m compare bench`: a full one, not of --quick."""
    whole_job: Path = Path("docs/whole_job.json")
    """The original's whole job: the result.json of `compare run --data mnist --epochs 128`, or what
    this command kept of one."""
    docs: Path = Path("docs")
    """The folder to write performance.md, bench.png and bench.svg into, and what they are from."""


@dataclass(frozen=True)
class JobConfig:
    """The options of the original's whole job that the page names."""

    data: str
    epochs: int
    batch_size: int
    attention: str
    dtype: str


@dataclass(frozen=True)
class Took:
    """What an implementation took for the job, and came to."""

    train_seconds: float | None  # None where it trained nothing
    test_accuracy: Fraction


@dataclass(frozen=True)
class WholeJob:
    """What is kept of the original's whole job."""

    config: JobConfig
    versions: dict[str, str]
    implementations: dict[Name, Took]


class Rows:
    """The rows of a benchmark, found by what they measured."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows: dict[tuple[str, str, int, str], Row] = {
            (row.implementation, row.form, row.batch_size, row.phase): row for row in rows
        }

    def find(self, name: str, form: str, batch: int = 16, phase: str = "step") -> Row:
        """Give one row; UserError says which is missing."""
        try:
            return self.rows[name, form, batch, phase]
        except KeyError:
            raise UserError(
                f"The benchmark has no {phase} of {name} {form} at batch {batch}: "
                "run `python -m compare bench` with nothing left out."
            ) from None

    def ratio(self, row: Row, other: Row) -> float:
        """Say how many times as fast `row` is as `other`: the median of the rounds' ratios."""
        return median(b / a for a, b in zip(row.rounds, other.rounds, strict=True))


def main(args: Sequence[str]) -> int:
    """Write the page, its figure, and the numbers that both are made from."""
    config = parse_options(
        PerformanceConfig(),
        args,
        prog="python -m compare.studies.performance",
        description="Writes docs/performance.md and its figure from the result of a benchmark.",
    )
    bench, whole_job = read_bench(config.bench), read_whole_job(config.whole_job)
    page = write_page(bench, whole_job)
    make_folder(config.docs)
    write_json(config.docs / "bench.json", asdict(bench))
    write_json(config.docs / "whole_job.json", asdict(whole_job))
    save_bench_figure(config.docs / "bench.png", bench.rows)
    write_text(config.docs / "performance.md", page)
    make_console().print(f"Written: {config.docs / 'performance.md'}, and what it is made from.")
    return 0


def write_page(bench: Bench, whole_job: WholeJob) -> str:
    """Fill the template with the numbers of a benchmark and of the original's whole job."""
    rows = Rows(bench.rows)
    numbers = {
        f"{prefix}{form}{'' if batch == 16 else f'_{batch}'}_{what}": value
        for prefix, name in (("", "pytorch"), ("jax_", "jax"))
        for form in FORMS
        for batch in (16, 256)
        for what, value in say_row(rows, rows.find(name, form, batch)).items()
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        numbers,
        **say_machine(bench),
        rounds=len(bench.rows[0].rounds),
        step_table=markdown_table([row for row in bench.rows if row.phase == "step"]),
        forward_table=markdown_table([row for row in bench.rows if row.phase == "forward"]),
        goals=goals_table(rows),
        whole_job=say_whole_job(whole_job),
    )


def say_machine(bench: Bench) -> dict[str, str]:
    """Say what a benchmark ran on and with."""
    machine, versions, channels = bench.machine, bench.versions, bench.num_channels
    busy = machine.cores_of_others
    return {
        "cpu": machine.cpu or "an unknown processor",
        "threads": str(machine.threads),
        "platform": machine.platform,
        "matrix_rate": f"{machine.matrix_rate / 1e9:,.0f} GFLOP/s",
        "bandwidth": f"{machine.copy_bandwidth / 1e9:,.0f} GB/s",
        "busy": "an unknown number" if busy is None else f"{busy:.2f}",
        "dtype": bench.dtype,
        "channels": f"{channels} channel" + ("s" if channels > 1 else ""),
        "versions": ", ".join(f"{name} {versions[name]}" for name in sorted(versions)),
    }


def say_row(rows: Rows, row: Row) -> dict[str, str]:
    """Return a row's time, and its speed-up over its own framework's loop, or the original's."""
    if row.form == "histogram":  # held against the original's way, as the goals are
        ratio = row.ratio_to_loop or float("nan")
    else:
        ratio = rows.ratio(row, rows.find(row.implementation, "looped", row.batch_size))
    return {"ms": f"{row.ms_per_sample:.3g}", "ratio": say_ratio(ratio)}


def markdown_table(rows: Sequence[Row]) -> str:
    """Make the page's table: a line per case."""
    return table(
        ("implementation", "form", *HEADINGS),
        [(row.implementation, f"`{row.form}`", *say_cells(row)) for row in rows],
        text=2,
    )


def goals_table(rows: Rows) -> str:
    """Hold what was aimed at against what was measured."""
    lines: list[tuple[object, ...]] = []
    for name, form, batch, goal, aim in GOALS:
        row = rows.find(name, form, batch)
        spread = sorted(row.ratio_rounds or [])
        lines.append(
            (
                *(
                    f"`{form}` in {name}, step at batch {batch}, over the original's loop",
                    goal,
                    aim,
                ),
                say_ratio(row.ratio_to_loop or float("nan")),
                f"{say_ratio(spread[0])} to {say_ratio(spread[-1])}",
            )
        )
    for name, phase in dict.fromkeys((name, phase) for name, _, _, phase in rows.rows):
        said = ", ".join(
            f"{rows.ratio(rows.find(name, 'blocked', batch, phase), looped):.2f} at {batch}"
            for (other, form, batch, of), looped in rows.rows.items()
            if (other, form, of) == (name, "looped", phase)
        )
        lines.append((f"`blocked` in {name}, {phase}, over `looped` in {name}", 1, 2, said, ""))
    heads = ("speed-up", "minimum", "target", "measured", "lowest to highest round")
    return table(heads, lines)


def read_whole_job(path: Path) -> WholeJob:
    """Read what the page says of the original's whole job; UserError if there is no such thing."""
    job = read_json(path, WholeJob, "give the result.json of a `python -m compare run`")
    trained = {name: took for name, took in job.implementations.items() if took.train_seconds}
    return replace(job, implementations=trained)


def say_whole_job(job: WholeJob) -> str:
    """Say in a sentence how long the original's whole job took."""
    took = " and ".join(
        f"{(found.train_seconds or 0) / 60:.1f} minutes in {name} (test accuracy "
        f"{found.test_accuracy:.2%})"
        for name, found in job.implementations.items()
    )
    return (
        f"Training as long as the original ({job.config.epochs} epochs of 50,000 images at batch "
        f"{job.config.batch_size}) in the form `{job.config.attention}` took {took}. The command "
        f"is `python -m compare run --data {job.config.data} --epochs {job.config.epochs}`. The "
        "goal was less than 5 minutes in the faster framework."
    )


if __name__ == "__main__":
    run_main(main)
