"""`python -m compare diff`: the code side by side, the same step on the same row."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO, TextIOWrapper
from itertools import combinations
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from compare.code.aligned import align, count_kinds
from compare.code.sources import (
    Source,
    excerpt_form,
    files_of,
    forms_of,
    read_source,
    used_siblings,
)
from compare.diff.columns import WIDTHS, column_lines, show_lines
from compare.registry.implementations import PACKAGES
from shared.cli import make_console, parse_options
from shared.config import Attention, bad_option, check_count
from shared.errors import UserError, check_choice
from shared.files import replacing


@dataclass(frozen=True)
class DiffConfig:
    """The options of `compare diff`."""

    implementations: tuple[Literal["pytorch", "jax", "numpy"], ...] | None = None
    """Two or three implementations, shown in the order given (default: all that have the file and
    form)."""
    file: str | None = None
    """The file to compare: model.py (the default), forms.py, convert.py, train.py, metrics.py,
    blocks.py or distributed.py."""
    form: Attention | None = None
    """Show only this form of attention, and the code that it uses in the file."""
    width: int | None = None
    """The width in characters (default: the terminal's, or 160 without a terminal)."""
    svg: Path | None = None
    """Draw the columns into this file (.svg) instead of printing them."""

    def __post_init__(self) -> None:
        names = self.implementations
        if names is not None and not 2 <= len(names) == len(set(names)):
            found = " ".join(names) or "empty"
            raise UserError(bad_option("implementations", found, "two or three different ones"))
        if self.width is not None:
            check_count("width", self.width)


def main(args: Sequence[str]) -> int:
    """Print the code side by side, and the number of lines that differ."""
    config = parse_options(
        DiffConfig(),
        args,
        prog="python -m compare diff",
        description=(
            "Shows the code of the implementations side by side, the same step on one row, and "
            "counts the lines that are the same, that differ only in a name, and that really "
            "differ. Nothing is imported, so no framework is needed."
        ),
    )
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for pipes that are not UTF-8
    sources = choose_sources(config)
    console = make_console()
    width = config.width or (console.width if console.is_terminal else WIDTHS[3])
    summary = [*count_lines(sources), *name_elsewhere(sources, config)]
    if config.svg:
        draw_columns(config.svg, sources, width)
        summary.append(f"Written: {config.svg}")
    else:
        for line in show_lines(sources, width):
            console.print(line)
        summary += advise(sources, width)
    for sentence in summary:
        console.print(Text(sentence))
    return 0


def draw_columns(path: Path, sources: Sequence[Source], width: int) -> None:
    """Draw the columns, `width` characters wide, into an SVG file.

    Raises UserError if its name does not end in .svg, or if it cannot be written.
    """
    if path.suffix != ".svg":
        raise UserError(f"--svg is {path}: give a name that ends in .svg.")
    console = Console(file=StringIO(), record=True, width=width, highlight=False)
    for line in column_lines(align(sources), sources, width):
        console.print(line)
    with replacing(path) as temporary:
        console.save_svg(str(temporary), title=" beside ".join(s.path for s in sources))


def choose_sources(config: DiffConfig) -> list[Source]:
    """Read the files asked for, or all that exist; raise UserError for fewer than two."""
    file = config.file or find_file(config.form)
    if config.implementations:
        sources = [read_source(name, file) for name in config.implementations]
        return [excerpt_form(source, config.form) if config.form else source for source in sources]
    names = [name for name in PACKAGES if file in files_of(name)]
    if not names:
        there = sorted({file for name in PACKAGES for file in files_of(name)})
        check_choice("file", file, there)
    sources = [read_source(name, file) for name in names]
    if config.form and any(config.form in forms_of(source) for source in sources):
        sources = [source for source in sources if config.form in forms_of(source)]
    if config.form:
        sources = [excerpt_form(source, config.form) for source in sources]
    if len(sources) < 2:
        raise UserError(f"Only {sources[0].path} has it: there is nothing to compare it with.")
    return sources


def find_file(form: str | None) -> str:
    """Return the file that defines a form of attention: model.py, or forms.py for faster ones."""
    return "model.py" if form in (None, *forms_of(read_source("jax"))) else "forms.py"


def count_lines(sources: Sequence[Source]) -> list[str]:
    """Return how many lines are the same and how many differ, for every pair of sources and all."""
    groups: list[Sequence[Source]] = list(combinations(sources, 2))
    sentences = []
    for group in [*groups, sources] if len(sources) > 2 else groups:
        counts = count_kinds(align(group))
        who = " and ".join(source.implementation for source in group)
        sentences.append(
            f"{who if len(group) == 2 else 'all three'}: {counts['same']} lines the same, "
            f"{counts['renamed']} different only in a name (~), "
            f"{counts['different']} really different (|)"
        )
    return [
        *sentences,
        "Only in a name: the same tokens, except for names that the other file does not have, "
        "one for one throughout the line. Blank lines are not counted.",
    ]


def name_elsewhere(sources: Sequence[Source], config: DiffConfig) -> list[str]:
    """Return what a form uses from other files of its package, and what the default left out."""
    used = used_siblings(sources) if config.form else {}
    left_out = [name for name in PACKAGES if name not in {s.implementation for s in sources}]
    sentences = [f"{name} is in {file}: see --file {file}" for name, file in used.items()]
    if config.implementations is None:
        what = f"form {config.form}" if config.form else config.file or "model.py"
        sentences += [f"{name} is left out: it has no {what}." for name in left_out]
    return sentences


def advise(sources: Sequence[Source], width: int) -> list[str]:
    """Return how to see the code side by side if `width` characters are too few."""
    count, needed = len(sources), WIDTHS[len(sources)]
    if width >= needed:
        return []
    here = f"{count} files side by side need {needed} columns of text; here are {width}."
    if count == 2 or width < WIDTHS[2]:
        return [here]
    first, *_, last = (source.implementation for source in sources)
    return [f"{here} Two fit: --implementations {first} {last}"]
