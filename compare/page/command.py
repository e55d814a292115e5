"""Gather what the page shows of a run, and write it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import tyro

from compare.catalogue.divergences import SUBJECTS
from compare.page.bugs import bugs_data
from compare.page.code import code_rows, intermediates_data
from compare.page.model_data import choose_digits, model_data
from compare.page.render import MOST_BYTES, render_page
from compare.page.run_result import Run, read_run
from compare.page.speed import speed_data
from compare.page.training import training_data
from compare.parity.intermediates import Batch
from compare.registry.contract import FORMS
from compare.registry.implementations import DISPLAY_NAMES, PACKAGES, load_present
from shared.cli import make_console, parse_options
from shared.data.load import Dataset
from shared.errors import UserError
from shared.files import write_text
from shared.training.alone import load_config_data

DOCS = Path(__file__).resolve().parents[2] / "docs"
VIEWS = (
    ("intermediates", "the eight intermediates", ("attend", "forward", "loss")),
    *((form, f"attention {form}", (form,)) for form in FORMS if form != "vectorized"),
    ("all", "all of model.py and forms.py", ()),
)


@dataclass(frozen=True)
class PageConfig:
    """The options of `compare page`."""

    run: Annotated[Path, tyro.conf.Positional] = Path("runs/latest")
    """The run folder to show."""
    output: Path | None = None
    """The file to write (default: page.html in the run folder)."""
    mnist_dir: Path | None = None
    """A folder with MNIST's four original files, for a run on full MNIST."""
    docs: Path | None = None
    """The folder with bench.json and mutants.json, for the sections "Speed" and "Break it"
    (default: the project's own)."""


def main(args: Sequence[str]) -> int:
    """Write the page of a run and print where it is."""
    config = parse_options(
        PageConfig(),
        args,
        prog="python -m compare page",
        description=(
            "Writes one HTML file that shows a run: the code side by side with the values that "
            "every step computed, attention to explore, digits to draw, training and speed. It "
            "opens from disk, without a network."
        ),
    )
    console = make_console()
    run = read_run(config.run)
    known = [name for name in run.result.implementations if name in PACKAGES]
    implementations = load_present(known, console) if known else {}
    data = load_config_data(replace(run.result.config, mnist_dir=config.mnist_dir))
    path = write_page(config.run, data, implementations, config.output, config.docs)
    console.print(f"Page: {path}")
    return 0


def write_page(
    folder: Path,
    data: Dataset,
    implementations: Mapping[str, ModuleType],
    output: Path | None = None,
    docs: Path | None = None,
) -> Path:
    """Write the page of a run folder, whose data is `data`; return the file's path.

    Raises UserError for a folder without a complete run, and for a run too large for a page.
    """
    run = read_run(folder)
    path, docs = output or folder / "page.html", docs or DOCS
    view, embedded = gather(run, data, implementations, docs)
    page = render_page(view, embedded)
    if (size := len(page.encode("utf-8"))) > MOST_BYTES:
        raise UserError(
            f"The page of {folder} would have {size / 1e6:.1f} MB, more than "
            f"{MOST_BYTES / 1e6:.0f} MB: choose a run with fewer channels or epochs."
        )
    write_text(path, page)
    return path


def gather(
    run: Run, data: Dataset, implementations: Mapping[str, ModuleType], docs: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the templates show, and the data that the page's scripts compute with.

    A section whose data is None is left out.
    """
    first, params = next(iter(run.params.items()))
    digit = choose_digits(data.test).first(1)
    embedded = {
        "names": DISPLAY_NAMES,
        "intermediates": intermediates_data(
            implementations, Batch(params, digit.images, digit.labels), first
        ),
        "model": model_data(run, data),
        "training": training_data(run),
        "speed": speed_data(run.path, docs),
        "bugs": bugs_data(docs),
    }
    view = {
        "run": run,
        "names": list(PACKAGES),
        "views": VIEWS,
        "rows": code_rows(),
        "digit": embedded["intermediates"],
        "sections": embedded,
        "divergences": SUBJECTS,
        "is_global": run.result.config.normalization == "global",
    }
    return view, embedded
