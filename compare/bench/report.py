"""The tables and the figure of a benchmark."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter
from rich.table import Table

from compare.colors import COLORS
from compare.records.bench import Row
from compare.registry.contract import FORMS
from compare.registry.implementations import PACKAGES
from shared.files import replacing

TITLES = {"forward": "Forward pass", "step": "Training step"}
HEADINGS = (
    *("batch", "ms/sample", "lowest - highest", "samples/s", "x the loop"),
    *("x floor", "compile s", "peak MiB"),
)
NARROW_HEADINGS = ("batch", "ms/sample", "x the loop", "x floor")
FULL_WIDTH = 132  # characters
COLOR_OF = dict(zip(FORMS, COLORS, strict=True))
# One of each per implementation: first this project's three, then third parties'.
LINES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
MARKERS, HATCHES = "os^vD", ("", "///", "...", "xxx", "ooo")


def bench_table(rows: Sequence[Row], phase: str, width: int = FULL_WIDTH) -> Table:
    """Return the table of a phase: a row per case, by implementation, form and batch size.

    If `width` is less than FULL_WIDTH, the least important columns are left out.
    """
    title = f"{TITLES[phase]} (x the loop: speed-up; x floor: times the shortest possible)"
    table = Table(title=title)
    table.add_column("implementation", no_wrap=True)
    table.add_column("form", no_wrap=True)
    is_wide = width >= FULL_WIDTH
    for heading in HEADINGS:
        if is_wide or heading in NARROW_HEADINGS:
            table.add_column(heading, justify="right", no_wrap=True)
    before = None
    for row in (row for row in rows if row.phase == phase):
        if before is not None and row.implementation != before:
            table.add_section()
        before = row.implementation
        cells = dict(zip(HEADINGS, say_cells(row), strict=True))
        shown = [cell for name, cell in cells.items() if is_wide or name in NARROW_HEADINGS]
        table.add_row(row.implementation, row.form, *shown)
    return table


def say_cells(row: Row) -> list[str]:
    """Return the cells of a row, one for each of HEADINGS."""
    return [
        str(row.batch_size),
        f"{row.ms_per_sample:.3g}",
        f"{row.ms_lowest:.3g} - {row.ms_highest:.3g}",
        f"{row.samples_per_second:,.0f}",
        "-" if row.ratio_to_loop is None else say_ratio(row.ratio_to_loop),
        _or_dash(row.times_floor, ",.1f"),
        f"{row.compile_seconds:.1f}",
        _or_dash(None if row.peak_bytes is None else row.peak_bytes / 2**20, ",.0f"),
    ]


def say_ratio(ratio: float) -> str:
    """Return a ratio with three digits, without an exponent if it is large."""
    return f"{ratio:.3g}" if ratio < 100 else f"{ratio:,.0f}"


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def save_bench_figure(path: Path, rows: Sequence[Row]) -> list[Path]:
    """Write the figure to `path` as .png and, beside it, as .svg; return both paths."""
    figure = draw_bench(rows)
    paths = [path.with_suffix(".png"), path.with_suffix(".svg")]
    for target in paths:
        # The same rows give the same file: no date, and no random names.
        with replacing(target) as temporary, rc_context({"svg.hashsalt": "bench"}):
            undated = {"Date": None} if target.suffix == ".svg" else None
            figure.savefig(temporary, dpi=150, metadata=undated)
    return paths


def draw_bench(rows: Sequence[Row]) -> Figure:
    """Draw the training steps: bars at one batch size, and time per sample against batch size.

    The bars show the batch size with the most cases; of several such, the smallest.
    If nothing was trained (only NumPy), the forward pass is drawn.
    """
    phase = "step" if any(row.phase == "step" for row in rows) else "forward"
    drawn = [row for row in rows if row.phase == phase]
    sizes = sorted({row.batch_size for row in drawn})
    size = max(sizes, key=lambda size: sum(row.batch_size == size for row in drawn))
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    figure.suptitle(f"{TITLES[phase]}: milliseconds per sample, lower is better")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    _draw_bars(left, [row for row in drawn if row.batch_size == size])
    left.set_title(f"at batch {size} (x: how many times as fast as PyTorch's loop)", fontsize=10)
    _draw_lines(right, drawn, sizes)
    right.set_title("against the batch size", fontsize=10)
    return figure


def _draw_bars(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw a bar per row on a log axis, the fastest on top, with its spread and speed-up."""
    ordered = sorted(rows, key=lambda row: -row.ms_per_sample)
    style = _styles(rows)
    times = [row.ms_per_sample for row in ordered]
    for place, row in enumerate(ordered):
        axes.barh(
            place,
            row.ms_per_sample,
            color=COLOR_OF[row.form],
            hatch=HATCHES[style[row.implementation]],
            edgecolor="white",
            xerr=[[row.ms_per_sample - row.ms_lowest], [row.ms_highest - row.ms_per_sample]],
            error_kw={"ecolor": "#444444", "capsize": 2, "linewidth": 1},
        )
        ratio = "" if row.ratio_to_loop is None else f"  {say_ratio(row.ratio_to_loop)}x"
        label = f"{row.ms_per_sample:.3g} ms{ratio}"
        axes.text(row.ms_highest * 1.1, place, label, va="center", fontsize=9)
    axes.set_yticks(range(len(ordered)), [f"{row.implementation} {row.form}" for row in ordered])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(min(times) / 2.5, max(row.ms_highest for row in ordered) * 10)
    axes.set_xlabel("ms per sample (log scale; whiskers: lowest and highest round)")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _styles(rows: Sequence[Row]) -> dict[str, int]:
    """Return the index of the style of each implementation; a sixth looks like the first."""
    present = dict.fromkeys(row.implementation for row in rows)
    names = dict.fromkeys((*PACKAGES, *present))
    return {name: i % len(MARKERS) for i, name in enumerate(names) if name in present}


def _draw_lines(axes: Axes, rows: Sequence[Row], sizes: Sequence[int]) -> None:
    """Draw a line per implementation and form: the colour shows the form."""
    cases = dict.fromkeys((row.implementation, row.form) for row in rows)
    style = _styles(rows)
    for implementation, form in cases:
        line = [row for row in rows if (row.implementation, row.form) == (implementation, form)]
        line.sort(key=lambda row: row.batch_size)
        axes.plot(
            [row.batch_size for row in line],
            [row.ms_per_sample for row in line],
            linestyle=LINES[style[implementation]],
            marker=MARKERS[style[implementation]],
            markersize=6,
            color=COLOR_OF[form],
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes)
    axes.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("images per batch")
    axes.set_ylabel("ms per sample")
    axes.grid(alpha=0.3)
    keys = [
        Line2D([], [], color=COLOR_OF[form], linewidth=4, label=form)
        for form in FORMS
        if any(form == drawn for _, drawn in cases)
    ]
    keys += [
        Line2D([], [], color="#444444", linestyle=LINES[i], marker=MARKERS[i], label=name)
        for name, i in style.items()
    ]
    axes.figure.legend(handles=keys, loc="outside lower right", ncols=len(keys), fontsize=9)
