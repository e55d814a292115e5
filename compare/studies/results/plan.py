"""The runs for docs/results.md: every training is a command that a reader can type."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from rich.console import Console

from compare.machine import limit_threads, num_threads, search_path
from shared.config import PRESETS, check_count
from shared.errors import UserError
from shared.files import make_folder
from shared.training.metrics import TestLine, read_metrics

Part = Literal["default", "float64", "first", "rates", "ablations", "original"]
PARTS: tuple[Part, ...] = get_args(Part)
# The fastest form that supports the original's normalization, which "histogram" does not; see
# docs/performance.md.
ORIGINAL_FORMS = {"pytorch": "builtin", "jax": "blocked"}
BOTH = ("compare", "run")
FIRST_EPOCHS = 3  # the original's own numbers are known for these
RATES = (0.003, 0.001, 0.0003, 0.0001)  # the default rate and smaller ones
RATE_EPOCHS = 20
# One quirk each, with the options that turn it on; all else is the default.
ABLATIONS: dict[str, tuple[str, ...]] = {
    "none": (),
    "the original's normalization": ("--normalization", "original", "--attention", "builtin"),
    "what it meant: each pixel's own": ("--normalization", "per-pixel", "--attention", "builtin"),
    "the last parameters tested": ("--tested-params", "last"),
    "accuracy by class within a batch": ("--accuracy", "macro"),
    "bits = nats / 0.693": ("--nats-per-bit", "0.693"),
    "10,000 images validated in one call": ("--eval-batch-size", "10000"),
    "batches drawn with replacement": ("--sampling", "replacement"),
    "learning rate 0.01": ("--learning-rate", "0.01"),
}


@dataclass(frozen=True)
class ResultsConfig:
    """The options of the command."""

    parts: tuple[Part, ...] = PARTS
    """The parts to run: the default preset, the same in float64, the original's first epochs,
    other learning rates, one quirk at a time, and the original preset."""
    data: Literal["sample", "mnist"] = "mnist"
    """The digits; "sample" to try the command out."""
    mnist_dir: Path | None = None
    """A folder with MNIST's four original files, as for `compare run`."""
    epochs: int = PRESETS["original"].epochs
    """Number of epochs of the two presets."""
    seeds: int = 3
    """Number of seeds: 0, 1, 2, ...; the original's first epochs also use its own seed."""
    ablation_epochs: int = 5
    """Number of epochs with one quirk at a time, and in float64."""
    runs: Path = Path("runs/results")
    """The folder of the runs: finished ones are not run again, and stopped ones continue from their
    last checkpoint."""
    docs: Path = Path("docs")
    """The folder to write results.md, its figures and its numbers into."""
    jobs: int = 0
    """Number of trainings at once; 0 means one per core."""
    page_only: bool = False
    """Run nothing: write the page from the existing runs, finished or not."""

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("ablation_epochs", 1), ("seeds", 2), ("jobs", 0)):
            check_count(name, getattr(self, name), least)


@dataclass(frozen=True)
class Planned:
    """A planned training: the part of the page that it is for, and its command."""

    part: Part
    module: tuple[str, ...]  # the arguments after `python -m`
    options: tuple[str, ...]
    label: str = ""  # within its part

    @property
    def command(self) -> str:
        """The command, as a reader types it."""
        return " ".join(("python -m", *self.module, *self.options))

    def option(self, name: str) -> str:
        """Return the value of an option of the command."""
        return self.options[self.options.index(name) + 1]

    @property
    def seed(self) -> int:
        """The seed of the initial parameters and the batches."""
        return int(self.option("--seed"))

    def home(self, runs: Path) -> Path:
        """Return the folder of its run folder, one per command."""
        words = (word.removeprefix("--") for word in (*self.module, *self.options))
        return runs / "_".join(words)

    def find_run(self, runs: Path) -> Path | None:
        """Return its run folder, or None if it was never started."""
        found = sorted(path.parent for path in self.home(runs).glob("[0-9]*-*/config.json"))
        return found[-1] if found else None

    def is_finished(self, folder: Path | None) -> bool:
        """Check whether its run in a folder, if there is one, is finished and tested."""
        if folder is None:
            return False
        if self.module == BOTH:
            return (folder / "result.json").is_file()
        lines = read_metrics(folder / "metrics.jsonl", skip_damaged=True)
        return any(isinstance(line, TestLine) for line in lines)


def make_plan(config: ResultsConfig) -> list[Planned]:
    """Return all trainings of the parts asked for, the short ones first."""
    seeds = range(config.seeds)
    data = ("--data", config.data)

    def options(epochs: int, seed: int, *others: str) -> tuple[str, ...]:
        return (*others, *data, "--epochs", str(epochs), "--seed", str(seed))

    def alone(name: str) -> tuple[str, ...]:
        return (f"{name}_impl",)

    def of_original(part: Part, epochs: int, seed: int) -> list[Planned]:
        return [
            Planned(
                part,
                alone(name),
                options(epochs, seed, "--preset", "original", "--attention", form),
                name,
            )
            for name, form in ORIGINAL_FORMS.items()
        ]

    own, short = PRESETS["original"].seed, config.ablation_epochs
    plan = [
        *(Planned("default", BOTH, options(config.epochs, seed)) for seed in seeds),
        Planned("float64", BOTH, options(short, 0, "--dtype", "float64")),
        *(run for seed in (own, *seeds) for run in of_original("first", FIRST_EPOCHS, seed)),
        *(
            Planned(
                *("rates", alone("jax")),
                options(RATE_EPOCHS, 0, "--learning-rate", str(rate)),
                str(rate),
            )
            for rate in RATES
        ),
        *(
            Planned("ablations", alone("pytorch"), options(short, seed, *on), quirk)
            for quirk, on in ABLATIONS.items()
            for seed in seeds
        ),
        *of_original("original", config.epochs, own),
    ]
    return [planned for planned in plan if planned.part in config.parts]


def run_plan(plan: Sequence[Planned], config: ResultsConfig, console: Console) -> None:
    """Run what is not finished, several at once, each in a new process.

    Raises UserError if one fails; finished runs are kept, and the next call continues from there.
    """
    missing = [one for one in plan if not one.is_finished(one.find_run(config.runs))]
    jobs = config.jobs or num_threads()
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(_run, planned, config, jobs): planned for planned in missing}
        console.print(f"{len(running)} of {len(plan)} runs to do, {jobs} at once.")
        try:
            for number, future in enumerate(as_completed(running), start=1):
                minutes = future.result() / 60
                done = f"[{number} of {len(running)}] {running[future].command}"
                console.print(f"{done}: {minutes:.1f} min", markup=False)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # the running ones end first, or by the same Ctrl-C
            raise


def _run(planned: Planned, config: ResultsConfig, jobs: int) -> float:
    """Run or continue one training on its share of the cores; return the seconds it took.

    A step has so little to compute that two trainings on one core each are faster than one after
    the other on both. The output is kept in output.txt beside the run folder.
    """
    home, folder = planned.home(config.runs), planned.find_run(config.runs)
    make_folder(home)
    threads = limit_threads(max(1, num_threads() // jobs))
    environment = os.environ | threads | {"PYTHONPATH": search_path()}
    if config.mnist_dir is not None:
        environment["MNIST_DIR"] = str(config.mnist_dir)
    if folder is None:
        options = [*planned.options, "--runs-dir", str(home)]
    else:
        options = ["--resume", str(folder)]
    start = time.perf_counter()
    with (home / "output.txt").open("a", encoding="utf-8") as output:
        status = subprocess.run(
            [sys.executable, "-m", *planned.module, *options],
            env=environment,
            stdout=output,
            stderr=output,
        ).returncode
    # Exit status 1 of `compare run` means that parity failed; the page reports this.
    if status not in (0, 1) or not planned.is_finished(planned.find_run(config.runs)):
        raise UserError(
            f"`{planned.command}` ended with status {status}: its output is in {output.name}. "
            "Run this command again to continue."
        )
    return time.perf_counter() - start
