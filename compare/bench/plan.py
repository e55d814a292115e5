"""What a benchmark times: its options, the implementations, and a job for each case."""

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
# About how long a sample takes, in milliseconds, in the slower of the frameworks: decides only
# how many images a pass takes, never a result.
ROUGH_MS = {"looped": 1.5, "vectorized": 5.0, "blocked": 1.0, "builtin": 4.0, "histogram": 0.03}
PASS_SECONDS, QUICK_PASS_SECONDS = 0.3, 0.1


@dataclass(frozen=True)
class BenchConfig:
    """What a benchmark needs to know."""

    implementations: tuple[Literal["pytorch", "jax", "numpy"], ...] = ("pytorch", "jax", "numpy")
    """Which to time; PyTorch's loop is always timed along, where it is installed."""
    implementation: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Time this one too: the package.module of a third party. See docs/add_a_framework.md."""
    forms: tuple[Attention, ...] = get_args(Attention)
    """The forms of attention to time."""
    batch_sizes: tuple[int, ...] | None = None
    """Images per batch (default: 16 64 256; with --quick 16, and histogram at 256 too)."""
    rounds: int | None = None
    """How often to time every case, all cases by turns (default: 7; with --quick 3)."""
    images: int = 4000
    """Maximum number of images in one pass of a case; at least one batch is run."""
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
            for number in numbers:
                check_count(name, number)

    @property
    def num_rounds(self) -> int:
        """How many rounds to time after the first, which warms up."""
        return self.rounds or (QUICK_ROUNDS if self.quick else ROUNDS)

    @property
    def pass_seconds(self) -> float:
        """About how long one pass of a case should take, in seconds."""
        return QUICK_PASS_SECONDS if self.quick else PASS_SECONDS


def load_timed(
    config: BenchConfig, console: Console
) -> tuple[dict[str, ModuleType], Collection[str]]:
    """Import the implementations to time and the baseline's; name those left out, and why.

    Returns them by name, and the names of those that were asked for.
    """
    present = load_present(config.implementations, console, config.implementation)
    implementations = {}
    for name, implementation in keep_with_dtype(present, config.dtype, console).items():
        if config.device in devices_of(implementation):
            implementations[name] = implementation
        else:
            console.print(f"{name} is left out: it computes on the CPU alone.", style="yellow")
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
    """List the cases of `names`, and the baseline's. Raises UserError where there are none."""
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
    """Choose how many images a pass takes: whole batches, about `pass_seconds` of them.

    JAX compiles a loop of STEPS_AT_ONCE steps, and another for a remainder: there is to be none.
    """
    steps = round(1000 * config.pass_seconds / ROUGH_MS[form] / batch_size)
    steps = max(1, min(steps, config.images // batch_size))
    if steps > STEPS_AT_ONCE:
        steps -= steps % STEPS_AT_ONCE
    return steps * batch_size
