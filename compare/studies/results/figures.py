"""The figures of docs/results.md: curves, differences of trainings, attention as a curve."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from compare.colors import COLORS
from compare.studies.results.controls import remap
from compare.studies.results.plan import ORIGINAL_FORMS
from compare.studies.results.records import Record
from compare.studies.results.tables import select
from shared.data.load import Dataset

PANELS = (
    ("val_loss", "validation loss (nats)", 1),
    ("val_accuracy", "validation accuracy (%)", 100),
)
TITLES = {"default": "default preset", "original": "original preset"}
DIGITS_SHOWN = 6


def draw_curves(runs: Sequence[Record]) -> Figure:
    """Draw validation loss and accuracy over the epochs, with a row for each preset."""
    parts = [part for part in TITLES if select(runs, part)]
    figure = Figure(figsize=(10, 3.4 * max(1, len(parts))), layout="constrained")
    grid = figure.subplots(max(1, len(parts)), len(PANELS), squeeze=False)
    for part, row in zip(parts, grid, strict=False):
        for (quantity, label, factor), axes in zip(PANELS, row, strict=True):
            _draw_runs(axes, select(runs, part), quantity, factor)
            axes.set_title(TITLES[part])
            axes.set_ylabel(label)
    return figure


def _draw_runs(axes: Axes, runs: Sequence[Record], quantity: str, factor: float) -> None:
    # PyTorch's line is wide and JAX's narrow, so that both are visible where they coincide.
    for name, color, width in zip(ORIGINAL_FORMS, COLORS, (3.0, 1.0), strict=False):
        found = [run["implementations"][name] for run in runs if name in run["implementations"]]
        for one in found:
            values = factor * np.array(one["epochs"][quantity])
            label = name if one is found[0] else None
            epochs = np.arange(1, len(values) + 1)
            alpha = 0.45 if width > 2 else 1
            axes.plot(epochs, values, color=color, linewidth=width, alpha=alpha, label=label)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.3)
    axes.legend(title=f"seed {', '.join(dict.fromkeys(str(run['seed']) for run in runs))}")


def draw_trajectories(followed: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw the differences from `follow` over the steps, for each pair of trainings."""
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots()
    for (label, found), color in zip(followed.items(), COLORS, strict=False):
        steps = np.array(found["step"])
        for kind, width in (("largest", 0.8), ("median", 2.0)):
            values = np.array(found[kind])
            shown = values > 0  # a log axis cannot show 0
            axes.plot(
                *(steps[shown], values[shown]),
                color=color,
                linewidth=width,
                label=label if kind == "median" else None,
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("training step")
    axes.set_ylabel("relative difference of the losses")
    axes.set_title("How far apart two trainings are (thick: median, thin: largest)")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def draw_remap(data: Dataset, params: Mapping[str, np.ndarray]) -> Figure:
    """Draw the attended value of every grey level, for one test image of each of some classes."""
    assert data.test.levels is not None, "the default preset's normalization has levels"
    levels = data.test.levels[:, 0].astype(np.float64)
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for digit in range(DIGITS_SHOWN):
        pixels = data.test.pixels[int(np.flatnonzero(data.test.labels == digit)[0])]
        counts = np.bincount(pixels, minlength=len(levels))
        axes.plot(remap(levels, counts, params), label=f"a {digit}", linewidth=1.6)
    axes.set_xlabel("grey level of the pixel")
    axes.set_ylabel("what the last layer sees")
    axes.set_title("Attention as a curve: one for each image, and monotone")
    axes.grid(alpha=0.3)
    axes.legend(ncols=2)
    return figure
