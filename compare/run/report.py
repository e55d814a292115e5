"""What a run shows at its end: the table, the verdict, the figure and the result as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

from compare.colors import COLORS
from compare.machine import num_threads, platform_name
from compare.parity.comparison import Comparison
from compare.parity.verdict import Parity
from compare.registry.contract import Implementation
from compare.registry.versions import library_versions
from shared.files import replacing, write_text
from shared.training.metrics import epoch_numbers
from shared.training.records import Epoch, Evaluation

MANY_POINTS = 5_000  # more than so many are a picture within an SVG file, or it has tens of MB

REPORT_WIDTH = 132  # columns of report.txt


def summary_table(
    epochs: Mapping[str, Sequence[Epoch]], tests: Mapping[str, Mapping[str, Evaluation]]
) -> Table:
    """Make the short table of a run: a row per implementation, tested on its own parameters.

    One that does not train is tested on the parameters of the first that does.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0))
    table.add_column("implementation", no_wrap=True)
    for heading in ("epochs", "test accuracy", "samples/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("parameters", no_wrap=True)
    for name, results in tests.items():
        run = epochs.get(name, ())
        params_of = name if name in results else next(iter(results))
        seconds = sum(epoch.train_seconds for epoch in run)
        rate = f"{sum(epoch.samples for epoch in run) / seconds:,.0f}" if seconds else "-"
        number = str(len(run)) if run else "-"
        accuracy = f"{results[params_of].accuracy:.2%}"
        whose = "its own" if params_of == name else f"{params_of}'s"
        table.add_row(name, number, accuracy, rate, whose)
    return table


def results_table(
    epochs: Mapping[str, Sequence[Epoch]],
    tests: Mapping[str, Mapping[str, Evaluation]],
    nats_per_bit: float = log(2),
) -> Table:
    """Make the table of a run: a row per implementation and epoch, then one per test."""
    table = Table(title="Training and test (losses in nats; test loss also in bits)")
    table.add_column("implementation")
    table.add_column("epoch or parameters")
    for heading in (
        "train loss",
        "val loss",
        "val acc",
        "test loss",
        "bits",
        "test acc",
        "seconds",
        "samples/s",
    ):
        table.add_column(heading, justify="right")
    for name, run in epochs.items():
        for epoch in run:
            table.add_row(
                name,
                f"epoch {epoch.number}",
                f"{epoch.train_loss:.4f}",
                f"{epoch.validation.loss:.4f}",
                f"{epoch.validation.accuracy:.2%}",
                *("", "", ""),
                f"{epoch.train_seconds:.1f}",
                f"{epoch.samples_per_second:,.0f}",
            )
        table.add_section()
    for name, results in tests.items():
        for params_of, result in results.items():
            table.add_row(
                name,
                f"{params_of}'s parameters",
                *("", "", ""),
                f"{result.loss:.4f}",
                f"{result.loss / nats_per_bit:.4f}",
                f"{result.accuracy:.2%}",
            )
    return table


def parity_table(parity: Parity) -> Table:
    """Make the table of differences: the largest of each case, as a part of what is allowed."""
    table = Table(title="Largest differences")
    table.add_column("where")
    table.add_column("quantity")
    table.add_column("difference", justify="right")
    table.add_column("of what rounding allows", justify="right")
    cases: dict[str, list[Comparison]] = {}
    for each in parity.comparisons:
        cases.setdefault(each.where.partition(",")[0], []).append(each)
    for where, comparisons in cases.items():
        each = max(comparisons, key=Comparison.badness)
        if not each.error_ratio:  # what is either so or not, and is so
            continue
        style = None if each.passed else "bold red"
        ratios = f"{each.error_ratio:.2g}"
        table.add_row(where, each.quantity, f"{each.error:.1e}", ratios, style=style)
    for quantity, difference in parity.drift.items():
        table.add_row(
            "after training, in the run's dtype", quantity, f"{difference:.1e}", "reported"
        )
    return table


def print_report(
    console: Console,
    epochs: Mapping[str, Sequence[Epoch]],
    tests: Mapping[str, Mapping[str, Evaluation]],
    parity: Parity,
) -> None:
    """Print a line per implementation and the verdict: a screen of 80 columns holds both."""
    console.print(summary_table(epochs, tests))
    console.print(parity.verdict, style="bold green" if parity.passed else "bold red")


def write_tables(path: Path, tables: Iterable[Table]) -> None:
    """Write the long tables as text, REPORT_WIDTH columns wide."""
    text = StringIO()
    console = Console(file=text, width=REPORT_WIDTH, highlight=False, markup=False)
    for table in tables:
        console.print(table)
    write_text(path, text.getvalue())


def result_to_json(
    config: Mapping[str, Any],
    epochs: Mapping[str, Sequence[Epoch]],
    tests: Mapping[str, Mapping[str, Evaluation]],
    parity: Parity,
    implementations: Iterable[Implementation] = (),
) -> dict[str, Any]:
    """Gather a run for machines: see docs/running.md, "The result of a run"."""
    return {
        "parity": parity.to_json(),
        "implementations": {
            name: _implementation_to_json(epochs.get(name, ()), name, results)
            for name, results in tests.items()
        },
        "config": dict(config),
        "versions": library_versions(implementations),
        "device": config["device"],
        "threads": num_threads(),
        "machine": platform_name(),
    }


def _implementation_to_json(
    epochs: Sequence[Epoch], name: str, tests: Mapping[str, Evaluation]
) -> dict[str, Any]:
    """Give an implementation's epochs, and its tests: on its own parameters where it trained."""
    own = tests.get(name) or next(iter(tests.values()))
    seconds = sum(epoch.train_seconds for epoch in epochs)
    samples = sum(epoch.samples for epoch in epochs)
    return {
        "epochs": [epoch_numbers(epoch) for epoch in epochs],
        "train_seconds": seconds if epochs else None,
        "samples_per_second": samples / seconds if epochs else None,
        "val_accuracy": epochs[-1].validation.accuracy if epochs else None,
        "test_accuracy": own.accuracy,
        "test_loss": own.loss,
        "tests": {
            params_of: {"test_loss": result.loss, "test_accuracy": result.accuracy}
            for params_of, result in tests.items()
        },
    }


def save_loss_curves(folder: Path, epochs: Mapping[str, Sequence[Epoch]]) -> None:
    """Draw the loss of every implementation, and their difference, into loss.png and loss.svg."""
    figure = draw_loss_curves(epochs)
    for suffix in ("png", "svg"):
        with replacing(folder / f"loss.{suffix}") as path:
            figure.savefig(path, dpi=150)


def draw_loss_curves(epochs: Mapping[str, Sequence[Epoch]]) -> Figure:
    """Draw training and validation loss over the epochs and, below, how far apart they are."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    curves = {
        name: np.concatenate([epoch.step_losses for epoch in run]).astype(np.float64)
        for name, run in epochs.items()
    }
    # Wide lines first, so that curves which coincide can still both be seen.
    for index, (name, losses) in enumerate(curves.items()):
        run, color, width = epochs[name], COLORS[index % len(COLORS)], 4 - 2.5 * min(index, 1)
        steps_per_epoch = len(run[0].step_losses)
        window = max(1, steps_per_epoch // 20)
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        x = (np.arange(len(smooth)) + window) / steps_per_epoch
        label = f"{name}, training (mean of {window} steps)"
        many = len(x) > MANY_POINTS
        top.plot(x, smooth, color=color, linewidth=width, label=label, rasterized=many)
        numbers = [epoch.number for epoch in run]
        validation = [epoch.validation.loss for epoch in run]
        marker = "os^vD"[index % 5]
        size = 11 - 5 * min(index, 1)
        top.plot(
            *(numbers, validation),
            linestyle="none",
            marker=marker,
            markersize=size,
            color=color,
            markeredgecolor="white",
            label=f"{name}, validation",
        )
    top.set_ylabel("loss (nats)")
    top.set_title("Loss of every implementation, same start and same batches")
    top.legend()
    top.grid(alpha=0.3)
    _draw_differences(bottom, curves, epochs)
    return figure


def _draw_differences(axes: Any, curves: Mapping[str, np.ndarray], epochs: Any) -> None:
    """Draw the difference of every curve to the first, step by step, on a log axis."""
    first, *others = curves
    for index, name in enumerate(others, start=1):
        size = min(len(curves[first]), len(curves[name]))
        difference = np.abs(curves[first][:size] - curves[name][:size])
        x = np.arange(1, size + 1) / len(epochs[first][0].step_losses)
        shown = difference > 0  # equal losses have no place on a log axis
        axes.plot(
            *(x[shown], difference[shown], "."),
            markersize=2,
            color=COLORS[index % len(COLORS)],
            rasterized=shown.sum() > MANY_POINTS,
        )
        axes.set_ylabel(f"|{first} - {name}|\nof each step (nats)")
    axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.3)
