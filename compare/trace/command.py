"""`python -m compare trace`: judge every intermediate of every implementation and form."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import tyro
from rich.table import Table
from rich.text import Text

from compare.colors import COLORS
from compare.parity.intermediates import (
    INTERMEDIATES,
    Batch,
    Case,
    Judged,
    bound_intermediates,
    first_break,
    judge,
)
from compare.registry.contract import Implementation, check_device, device_of, dtypes_of
from compare.registry.implementations import load_present, say_what_lacks
from compare.registry.versions import library_versions
from shared.cli import make_console, parse_options
from shared.config import Attention, Config, bad_option, check_count
from shared.data.load import load_data
from shared.errors import UserError
from shared.files import replacing, write_json
from shared.params import initial_params, load_params
from shared.training.progress import track_work

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Results = Mapping[Case, Sequence[Judged]]
FULL_WIDTH = 132  # characters in which every intermediate has a column


@dataclass(frozen=True)
class TraceConfig:
    """The options of `compare trace`."""

    implementations: tuple[Literal["pytorch", "jax", "numpy"], ...] = ("pytorch", "jax", "numpy")
    """The implementations to trace. Those whose library is not installed are left out."""
    implementation: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Trace a third party's implementation too, given as package.module; see
    docs/add_a_framework.md."""
    forms: tuple[Attention, ...] = get_args(Attention)
    """The forms of attention to trace."""
    dtypes: tuple[Literal["float32", "float64", "bfloat16"], ...] = (
        "float32",
        "float64",
        "bfloat16",
    )
    """The dtypes to compute in (NumPy has no bfloat16)."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where PyTorch and JAX compute; NumPy always computes on the CPU."""
    checkpoint: Path | None = None
    """Trained parameters, a .safetensors file (default: initial parameters)."""
    num_channels: int = 3
    """Channels per pixel, without --checkpoint. With only one, a missing scale or swapped key and
    query would not show."""
    images: int = 3
    """Number of test digits to trace."""
    seed: int = Config.seed
    """The seed of the initial parameters, without --checkpoint."""
    json: Path | None = None
    """Write the result to this file."""
    figure: Path | None = None
    """Draw the errors into this file (.png or .svg): a row per intermediate, a dot per case."""

    def __post_init__(self) -> None:
        if self.figure is not None and self.figure.suffix not in (".png", ".svg"):
            raise UserError(bad_option("figure", self.figure, "a name that ends in .png or .svg"))
        for name in ("num_channels", "images"):
            check_count(name, getattr(self, name))


def main(args: Sequence[str]) -> int:
    """Trace every case and print the first intermediate that breaks; return 0 if none does."""
    config = parse_options(
        TraceConfig(),
        args,
        prog="python -m compare trace",
        description=(
            "Runs one batch through every implementation and form of attention, and compares each "
            "intermediate (query, scores, weights and so on) with its exact value. Exit status 0 "
            "only if all errors are within their rounding bounds."
        ),
    )
    console = make_console()
    implementations = load_present(config.implementations, console, config.implementation)
    for name, implementation in implementations.items():
        check_device(implementation, config.device)
        if lacks := say_what_lacks(name, implementation, config.forms, config.dtypes):
            console.print(lacks, style="yellow")
    loaded = load_batch(config)
    batches: dict[str, Batch] = {dtype: loaded.held_in(dtype) for dtype in config.dtypes}
    carried = {dtype: bound_intermediates(batch, dtype) for dtype, batch in batches.items()}
    cases = list(choose_cases(implementations, config))
    results = {
        case: judge(
            case, implementations[case.implementation], batches[case.dtype], carried[case.dtype]
        )
        for case in track_work(cases, "Tracing", len(cases), console)
    }
    if not results:
        raise UserError("Nothing is left to trace: choose other --implementations or --forms.")
    console.print(trace_table(results, console.width))
    sentence = say_first_break(results)
    console.print(sentence or say_all_hold(results), style="bold red" if sentence else "bold green")
    if config.json is not None:
        write_json(config.json, to_json(results, sentence, implementations.values()))
    if config.figure is not None:
        with replacing(config.figure) as path:
            draw_trace(results).savefig(path, dpi=150)
    return 1 if sentence else 0


def load_batch(config: TraceConfig) -> Batch:
    """Load the parameters and some digits."""
    if config.checkpoint is None:
        params = initial_params(num_channels=config.num_channels, seed=config.seed)
    else:
        params, _ = load_params(config.checkpoint)
    test = load_data(num_channels=len(params["K"])).test.first(config.images)
    return Batch(params, test.images, test.labels)


def choose_cases(
    implementations: Mapping[str, Implementation], config: TraceConfig
) -> Iterator[Case]:
    """Return the cases, by implementation, form and dtype."""
    for name, implementation in implementations.items():
        for form in implementation.ATTENTION:
            if form in config.forms:
                for dtype in config.dtypes:
                    if dtype in dtypes_of(implementation):
                        yield Case(name, form, dtype, device_of(implementation, config.device))


def trace_table(results: Results, width: int = FULL_WIDTH) -> Table:
    """Return the table of local error ratios: a row per case, a column per intermediate.

    If `width` is less than FULL_WIDTH, only the worst intermediate is shown.
    """
    is_wide = width >= FULL_WIDTH
    table = Table(
        title="Error over its rounding bound: of each intermediate by itself, and since the start"
    )
    for heading in ("implementation", "form", "dtype"):
        table.add_column(heading, no_wrap=True)
    for heading in INTERMEDIATES if is_wide else ("worst", "by itself"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("since start", justify="right", no_wrap=True)
    before = None
    for case, judged in results.items():
        if before is not None and case.implementation != before:
            table.add_section()
        before = case.implementation
        by_name = {found.name: found for found in judged}
        if is_wide:
            cells = [_say_cell(by_name.get(name)) for name in INTERMEDIATES]
        else:
            found = first_break(judged) or max(judged, key=lambda each: each.local or 0)
            cells = [Text(found.name), _say_cell(found)]
        worst = float(np.max([found.carried for found in judged]))
        table.add_row(
            case.implementation, case.form, case.dtype, *cells, _say_ratio(worst, worst <= 1)
        )
    return table


def _say_cell(judged: Judged | None) -> Text:
    """Return an intermediate's local error over its bound, or a dash if it cannot be seen."""
    if judged is None or judged.local is None:
        return Text("-", style="dim")
    return _say_ratio(judged.local, judged.passed)


def _say_ratio(ratio: float, passed: bool) -> Text:
    said = f"{ratio:.2g}"
    return Text(said, style="" if passed else "bold red")


def say_first_break(results: Results) -> str | None:
    """Return where the first wrong case first goes wrong, and how; None if all are right."""
    for case, judged in results.items():
        found = first_break(judged)
        if found is not None:
            ratio = found.local if found.is_wrong_by_itself else found.carried
            end = "" if (found.hint or "").endswith("?") else "."
            hint = f" It looks like this: {found.hint}{end}" if found.hint else ""
            return (
                f"{found.name} breaks first, in {case}: at {list(found.index)} it is "
                f"{found.found:.9g} and should be {found.expected:.9g}, {ratio:.3g} times what "
                f"rounding allows.{hint}"
            )
    return None


def say_all_hold(results: Results) -> str:
    """Return the sentence about the intermediate that is closest to its bound."""
    case, closest = max(
        ((case, found) for case, judged in results.items() for found in judged),
        key=lambda pair: max(pair[1].carried, pair[1].local or 0),
    )
    ratio = max(closest.carried, closest.local or 0)
    unseen = [str(case) for case, judged in results.items() if not _has_seen(judged)]
    if unseen:
        return (
            f"Only logits and loss were judged in {', '.join(unseen)}: no intermediate was seen. "
            "Intermediates are read from functions called `attend...`, `forward` and `__call__`; "
            "see docs/add_a_framework.md."
        )
    return (
        "Every intermediate is within its rounding bound. The largest error, as a fraction of "
        f"its bound, is {ratio:.2g}: {closest.name} of {case}."
    )


def _has_seen(judged: Sequence[Judged]) -> bool:
    """Check whether any intermediate before the logits was seen."""
    return not {found.name for found in judged} <= {"logits", "loss"}


def to_json(
    results: Results,
    sentence: str | None,
    implementations: Iterable[Implementation] = (),
) -> dict[str, Any]:
    """Return the result as JSON-compatible values."""
    return {
        "passed": sentence is None,
        "first_break": sentence,
        "cases": [
            asdict(case)
            | {"intermediates": [asdict(found) | {"passed": found.passed} for found in judged]}
            for case, judged in results.items()
        ],
        "versions": library_versions(implementations),
    }


def draw_trace(results: Results) -> "Figure":
    """Draw a row per intermediate and a dot per case: local error / bound on a log axis."""
    from matplotlib.figure import Figure  # slow to import: --help does without

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(case.implementation for case in results))
    for number, name in enumerate(names):
        for dtype, marker in (("float32", "o"), ("float64", "D"), ("bfloat16", "s")):
            dots = [
                (
                    found.local,
                    INTERMEDIATES.index(found.name) + 0.22 * (number - (len(names) - 1) / 2),
                )
                for case, judged in results.items()
                for found in judged
                if (case.implementation, case.dtype) == (name, dtype) and found.local
            ]
            if dots:
                axes.plot(
                    *zip(*dots, strict=True),
                    linestyle="none",
                    marker=marker,
                    markersize=6,
                    alpha=0.75,
                    color=COLORS[number % len(COLORS)],
                    label=f"{name}, {dtype}",
                )
    axes.axvline(1, color="#444444", linestyle="--", label="what rounding allows")
    axes.set_xscale("log")
    axes.set_yticks(range(len(INTERMEDIATES)), INTERMEDIATES)
    axes.invert_yaxis()
    axes.set_xlabel(
        "error as a fraction of its bound (log scale; a dot per form; no error, no dot)"
    )
    axes.set_title("Every intermediate, judged by itself, against NumPy in float64")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure
