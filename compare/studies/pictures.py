"""`python -m compare.studies.pictures`: the pictures of the README and the docs, from one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

import numpy_reference
from compare.bench.report import save_bench_figure
from compare.parity.capture import capture_intermediates
from compare.records.bench import read_bench
from compare.trace import command as trace
from shared.cli import make_console, parse_options, run_main
from shared.data.load import Split, load_data
from shared.errors import UserError
from shared.files import make_folder, replacing
from shared.params import load_params

SIDE = 28
LABEL = 3  # index of the digit to draw
MARK = "#4df0ff"


@dataclass(frozen=True)
class PicturesConfig:
    """The options of the command."""

    run: Annotated[Path, tyro.conf.Positional] = Path("runs/latest")
    """The run folder whose parameters are used."""
    implementation: str = "pytorch"
    """The implementation whose parameters are used."""
    docs: Path | None = None
    """The folder to write into, such as docs (default: the run folder). If it has a bench.json, the
    figure of speed is drawn too."""


def main(args: Sequence[str]) -> int:
    """Write attention.png, trace.png and, given a bench.json, bench.png and bench.svg."""
    config = parse_options(
        PicturesConfig(),
        args,
        prog="python -m compare.studies.pictures",
        description=(
            "Draws what a pixel attends to, the error of every intermediate over its bound, and "
            "the speed of every form, which is read from bench.json. Exit status 0 only if every "
            "intermediate is within its bound."
        ),
    )
    console = make_console()
    checkpoint = config.run / f"{config.implementation}-best.safetensors"
    params, _ = load_params(checkpoint)
    folder = config.docs or config.run
    make_folder(folder)
    digits = load_data(num_channels=len(params["K"])).test
    save(draw_attention(params, digits), folder / "attention.png")
    figure = folder / "trace.png"
    status = trace.main(["--checkpoint", str(checkpoint), "--figure", str(figure)])
    written = [folder / "attention.png", figure]
    if (bench := folder / "bench.json").exists():
        written += save_bench_figure(folder / "bench.png", read_bench(bench).rows)
    console.print(f"Pictures: {', '.join(map(str, written))}")
    return status


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a small PNG file, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def draw_attention(params: Mapping[str, np.ndarray], digits: Split) -> Figure:
    """Draw one digit, what three of its pixels attend to, and the attended image.

    `digits` holds images [n, steps, channels] as the model of `params` takes them.
    """
    index = int(np.flatnonzero(digits.labels == LABEL)[0])
    pixels = digits.pixels[index]
    model = numpy_reference.from_params(params, "vectorized")
    seen = capture_intermediates(numpy_reference, model, digits.images[index : index + 1])
    chosen = choose_pixels(pixels)
    heat = {name: len(pixels) * seen["weights"][0, pixel] for name, pixel in chosen.items()}
    highest = max(float(weights.max()) for weights in heat.values())
    figure = Figure(figsize=(13, 3.1), layout="constrained")
    first, *others, last = figure.subplots(1, len(chosen) + 2)
    _show(first, pixels, "the digit", cmap="gray")
    for (name, weights), axes in zip(heat.items(), others, strict=True):
        title = f"weights of {name}\n(grey level {pixels[chosen[name]]})"
        shown = _show(axes, weights, title, cmap="inferno", vmin=0, vmax=highest)
        _outline(axes, pixels)
        _mark(axes, chosen[name])
    bar = figure.colorbar(shown, ax=others, shrink=0.85, pad=0.02)
    bar.set_label(f"weight times {len(pixels)}", fontsize=9)
    _show(last, seen["attended"][0, :, 0], "the attended image", cmap="gray")
    return figure


def choose_pixels(pixels: np.ndarray) -> dict[str, int]:
    """Return a pixel of the background, one at the edge of a stroke, and one inside a stroke.

    The background pixel is the first one inside the frame; the others are those closest to the
    middle of the image with half of the ink and with all of it.
    """
    rows, columns = np.divmod(np.arange(pixels.size), SIDE)
    from_middle = np.hypot(rows - (SIDE - 1) / 2, columns - (SIDE - 1) / 2)

    def nearest(is_wanted: np.ndarray) -> int:
        if not is_wanted.any():
            raise UserError("This digit has no stroke with an edge: choose another run's data.")
        return int(np.where(is_wanted, from_middle, np.inf).argmin())

    ink = pixels.astype(int)
    return {
        "a background pixel": int(np.flatnonzero((ink == 0) & (rows >= 3) & (columns >= 3))[0]),
        "an edge pixel": nearest((ink > 90) & (ink < 165)),
        "a stroke pixel": nearest(ink > 245),
    }


def _show(axes: Axes, values: np.ndarray, title: str, **how: Any) -> AxesImage:
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
    return axes.imshow(values.reshape(SIDE, SIDE), interpolation="nearest", **how)


def _outline(axes: Axes, pixels: np.ndarray) -> None:
    """Draw the border between ink and paper along the edges of pixels."""
    large = np.kron(pixels.reshape(SIDE, SIDE) >= 128, np.ones((8, 8)))
    places = (np.arange(8 * SIDE) + 0.5) / 8 - 0.5
    axes.contour(places, places, large, levels=[0.5], colors="white", linewidths=0.8)


def _mark(axes: Axes, pixel: int) -> None:
    row, column = divmod(pixel, SIDE)
    place = (column - 0.5, row - 0.5)
    axes.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor="black", linewidth=3.5))
    axes.add_patch(Rectangle(place, 1, 1, fill=False, edgecolor=MARK, linewidth=2))


if __name__ == "__main__":
    run_main(main)
