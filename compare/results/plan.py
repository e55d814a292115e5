"""What is run for docs/results.md: every training is a command that a reader can type."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from rich.console import Console

from shared.config import PRESETS, bad_option
from shared.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
Part = Literal["default", "float64", "first", "ablations", "seed"]
PARTS: tuple[Part, ...] = get_args(Part)
# The fastest form that is exact for the seed's normalization, which "histogram" is not: see
# docs/performance.md.
SEED_FORMS = {"pytorch": "builtin", "jax": "vectorized"}
BOTH = ("compare", "run")
FIRST_EPOCHS = 3  # so many the seed script's own numbers are known of
# One quirk each, by what turns it on; nothing else differs from the default.
ABLATIONS: dict[str, tuple[str, ...]] = {
    "none": (),
    "the seed's normalization": ("--normalization", "seed", "--attention", "builtin"),
    "what it meant: each pixel's own": ("--normalization", "per-pixel", "--attention", "builtin"),
    "the last weights tested": ("--tested-weights", "last"),
    "accuracy by class within a batch": ("--accuracy", "macro"),
    "bits = nats / 0.693": ("--nats-per-bit", "0.693"),
    "10,000 images validated in one call": ("--eval-batch-size", "10000"),
    "batches drawn with replacement": ("--sampling", "replacement"),
    "learning rate 0.01": ("--learning-rate", "0.01"),
}


@dataclass(frozen=True)
class ResultsConfig:
    """What docs/results.md is made from."""

    parts: tuple[Part, ...] = PARTS
    """Which parts to run: the default preset, the same in float64, the seed's first epochs, one
    quirk at a time, and the seed preset."""
    data: Literal["sample", "mnist"] = "mnist"
    """The digits; "sample" to try the command out."""
    mnist_dir: Path | None = None
    """A folder with MNIST's four original files, as for `compare run`."""
    epochs: int = PRESETS["seed"].epochs
    """How long the two presets train."""
    seeds: int = 3
    """How many seeds: 0, 1, 2, ...; the seed preset's own comes on top, for its first epochs."""
    ablation_epochs: int = 10
    """How long to train with one quirk at a time, and in float64."""
    runs: Path = Path("runs/results")
    """Where the runs are kept: what is finished there is not run again, and what was stopped goes
    on from its last checkpoint."""
    docs: Path = Path("docs")
    """The folder to write results.md, its figures and its numbers into."""
    page_only: bool = False
    """Run nothing: write the page from the runs that are there, finished or not."""

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("ablation_epochs", 1), ("seeds", 2)):
            if getattr(self, name) < least:
                raise UserError(bad_option(name, getattr(self, name), f"{least} or more"))


@dataclass(frozen=True)
class Planned:
    """One training to run: the part of the page it is for, and the command."""

    part: Part
    module: tuple[str, ...]  # what comes after `python -m`
    options: tuple[str, ...]
    label: str = ""  # within its part

    @property
    def command(self) -> str:
        """The command, as a reader types it."""
        return " ".join(("python -m", *self.module, *self.options))

    def option(self, name: str) -> str:
        """Give the value of an option of the command."""
        return self.options[self.options.index(name) + 1]

    @property
    def seed(self) -> int:
        """The seed that decides the first weights and the batches."""
        return int(self.option("--seed"))

    def home(self, runs: Path) -> Path:
        """Name the folder that its run folder lies in: one for every command."""
        words = (word.removeprefix("--") for word in (*self.module, *self.options))
        return runs / "_".join(words)

    def find_run(self, runs: Path) -> Path | None:
        """Find its run folder, if it was ever begun."""
        found = sorted(path.parent for path in self.home(runs).glob("*-*/config.json"))
        return found[-1] if found else None

    def is_finished(self, folder: Path) -> bool:
        """Say whether its run in a folder came to its end: all was tested."""
        if self.module == BOTH:
            return (folder / "result.json").is_file()
        metrics = folder / "metrics.jsonl"
        return metrics.is_file() and '"test_loss"' in metrics.read_text(encoding="utf-8")


def make_plan(config: ResultsConfig) -> list[Planned]:
    """List all trainings of the parts that are asked for, the short ones first."""
    seeds = range(config.seeds)
    data = ("--data", config.data)

    def options(epochs: int, seed: int, *others: str) -> tuple[str, ...]:
        return (*others, *data, "--epochs", str(epochs), "--seed", str(seed))

    def alone(name: str) -> tuple[str, ...]:
        return (f"{name}_impl",)

    def of_seed_preset(part: Part, epochs: int, seed: int) -> list[Planned]:
        return [
            Planned(
                part,
                alone(name),
                options(epochs, seed, "--preset", "seed", "--attention", form),
                name,
            )
            for name, form in SEED_FORMS.items()
        ]

    own = PRESETS["seed"].seed
    plan = [
        *(Planned("default", BOTH, options(config.epochs, seed)) for seed in seeds),
        Planned("float64", BOTH, options(config.ablation_epochs, 0, "--dtype", "float64")),
        *(run for seed in (own, *seeds) for run in of_seed_preset("first", FIRST_EPOCHS, seed)),
        *(
            Planned(
                "ablations", alone("pytorch"), options(config.ablation_epochs, seed, *on), quirk
            )
            for quirk, on in ABLATIONS.items()
            for seed in seeds
        ),
        *of_seed_preset("seed", config.epochs, own),
    ]
    return [planned for planned in plan if planned.part in config.parts]


def run_plan(plan: Sequence[Planned], config: ResultsConfig, console: Console) -> None:
    """Run what is not finished yet, one after the other, each in a process of its own.

    Raises UserError if one fails; what is finished stays, and the next call goes on from there.
    """
    for number, planned in enumerate(plan, start=1):
        folder = planned.find_run(config.runs)
        if folder is not None and planned.is_finished(folder):
            continue
        going_on = "" if folder is None else f", going on in {folder}"
        console.print(f"[{number} of {len(plan)}] {planned.command}{going_on}", markup=False)
        _run(planned, folder, config)


def _run(planned: Planned, folder: Path | None, config: ResultsConfig) -> None:
    environment = dict(os.environ)
    paths = (str(ROOT), environment.get("PYTHONPATH"))
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    if config.mnist_dir is not None:
        environment["MNIST_DIR"] = str(config.mnist_dir)
    if folder is None:
        where = [*planned.options, "--runs-dir", str(planned.home(config.runs))]
    else:
        where = ["--resume", str(folder)]
    words = [sys.executable, "-m", *planned.module, *where]
    status = subprocess.run(words, env=environment).returncode
    run = planned.find_run(config.runs)
    # Exit status 1 of `compare run` says that parity failed, which the page then says.
    if status != 0 and not (status == 1 and run is not None and planned.is_finished(run)):
        raise UserError(
            f"`{planned.command}` ended with status {status}: see what it said above, and give "
            "the same command again to go on."
        )
