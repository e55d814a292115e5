"""The plan of a benchmark: its options, the implementations, and a job for each case."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

import tyro
from rich.console import Console

from compare.bench.jobs import Job
from compare.bench.rows import BASELINE
from compare.records.bench import Phase
from compare.registry.contract import can_train, check_device, devices_of
from compare.registry.implementations import (
    PACKAGES,
    keep_with_dtype,
    load_implementations,
    load_present,
    say_what_lacks,
)
from shared.config import Attention, Config, check_count
from shared.data.batches import STEPS_AT_ONCE
from shared.errors import UserError

PHASES: tuple[Phase, ...] = ("forward", "step")
BATCH_SIZES, ROUNDS = (16, 64, 256), 7
QUICK_BATCH_SIZES, QUICK_ROUNDS = (16,), 3
QUICK_ALSO = ("histogram", 256)
# Roughly how long a sample takes, in milliseconds, in the slower framework: this decides only
# how many images a pass has, never a result.
ROUGH_MS = {"looped": 1.5, "vectorized": 5.0, "blocked": 1.0, "builtin": 4.0, "histogram": 0.03}
PASS_SECONDS, QUICK_PASS_SECONDS = 0.3, 0.1


@dataclass(frozen=True)
class BenchConfig:
    """The options of a benchmark."""

    implementations: tuple[Literal["pytorch", "jax", "numpy"], ...] = ("pytorch", "jax", "numpy")
    """The implementations to time. The loop in PyTorch is always timed too, if PyTorch is
    installed."""
    implementation: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Time a third party's implementation too, given as package.module; see
    docs/add_a_framework.md."""
    forms: tuple[Attention, ...] = get_args(Attention)
    """The forms of attention to time."""
    batch_sizes: tuple[int, ...] | None = None
    """Images per batch (default: 16 64 256; with --quick: 16, and 256 for histogram)."""
    rounds: int | None = None
    """Number of times each case is timed (default: 7; with --quick: 3)."""
    images: int = 4000
    """Maximum number of images per timing; at least one batch is run."""
    quick: bool = False
    """Take less than a minute: batch size 16, three short rounds, no measurement of memory."""
    data: Literal["sample", "mnist"] = Config.data
    """The digits: "sample", 5,000 that come with the project, or "mnist", all 70,000."""
    mnist_dir: Path | None = None
    """A folder with MNIST's four original files: --data mnist then downloads nothing."""
    num_channels: int = Config.num_channels
    """Channels per pixel."""
    dtype: Literal["float32", "float64"] = Config.dtype
    """The dtype of all computations, in NumPy too."""
    device: Literal["cpu", "cuda"] = Config.device
    """Where PyTorch and JAX compute. With cuda, NumPy is not timed, and neither memory nor the
    shortest possible time is measured."""
    json: Path = Path("bench.json")
    """Write the result to this file."""
    figure: Path = Path("bench.png")
    """Draw the figure into this file, and as .svg beside it."""

    def check(self) -> None:
        """Raise UserError for an option that has no valid value."""
        sizes = () if self.batch_sizes is None else self.batch_sizes
        rounds = () if self.rounds is None else (self.rounds,)
        for name, numbers in (
            *(("batch-sizes", sizes), ("rounds", rounds)),
            *(("images", (self.images,)), ("num-channels", (self.num_channels,))),
        ):
            for number in numbers:
                check_count(name, number)

    @property
    def num_rounds(self) -> int:
        """The number of timed rounds, after one that warms up."""
        return self.rounds or (QUICK_ROUNDS if self.quick else ROUNDS)

    @property
    def pass_seconds(self) -> float:
        """The time that one pass of a case should take, roughly, in seconds."""
        return QUICK_PASS_SECONDS if self.quick else PASS_SECONDS


def load_timed(
    config: BenchConfig, console: Console
) -> tuple[dict[str, ModuleType], Collection[str]]:
    """Import the implementations to time and the baseline; print which are left out, and why.

    Returns the modules by name, and the names of those that were asked for.
    """
    present = load_present(config.implementations, console, config.implementation)
    implementations = {}
    for name, implementation in keep_with_dtype(present, config.dtype, console).items():
        if config.device in devices_of(implementation):
            implementations[name] = implementation
        else:
            console.print(f"{name} is left out: it computes on the CPU only.", style="yellow")
    if not implementations:
        raise UserError("Nothing is left to time: use --device cpu, or name pytorch or jax.")
    asked = tuple(implementations)
    if BASELINE[0] not in asked:
        try:
            implementations |= load_implementations(BASELINE[:1])[0]
        except UserError:
            console.print("PyTorch is not installed: there is no loop to compare with.")
    for name, implementation in implementations.items():
        check_device(implementation, config.device)
        if name in asked and (lacks := say_what_lacks(name, implementation, config.forms, ())):
            console.print(lacks)
        if not can_train(implementation):
            console.print(f"{name} is forward only: no training step of it is timed.")
    return implementations, asked


def choose_jobs(
    implementations: Mapping[str, ModuleType], names: Collection[str], config: BenchConfig
) -> list[Job]:
    """Return the jobs of `names` and the baseline's; raise UserError if there are none."""
    sizes = config.batch_sizes or (QUICK_BATCH_SIZES if config.quick else BATCH_SIZES)
    also = {QUICK_ALSO} if config.quick and config.batch_sizes is None else set()
    asked = {
        (name, form, size)
        for name in names
        for form in config.forms
        for size in {*sizes, *(size for of, size in also if of == form)}
        if form in implementations[name].ATTENTION
    }
    if not asked:
        raise UserError(
            f"Nothing is left to time: {', '.join(names)} has no form {', '.join(config.forms)}."
        )
    wanted = asked | ({BASELINE} if BASELINE[0] in implementations else set())
    return [
        Job(
            *(name, form, size, phase, images_per_pass(form, size, config)),
            dtype=config.dtype,
            device=config.device,
            num_channels=config.num_channels,
            module=None if name in PACKAGES else implementation.__name__,
        )
        for phase in PHASES
        for name, implementation in implementations.items()
        if phase == "forward" or can_train(implementation)
        for form in implementation.ATTENTION
        for size in sorted({size for *case, size in wanted if case == [name, form]})
    ]


def images_per_pass(form: str, batch_size: int, config: BenchConfig) -> int:
    """Return how many images a pass has: whole batches that take about `pass_seconds`.

    JAX would compile a second loop for a remainder of STEPS_AT_ONCE steps, so there is none.
    """
    steps = round(1000 * config.pass_seconds / ROUGH_MS[form] / batch_size)
    steps = max(1, min(steps, config.images // batch_size))
    if steps > STEPS_AT_ONCE:
        steps -= steps % STEPS_AT_ONCE
    return steps * batch_size
