"""Print a report in a terminal of at least 80 columns."""

import shutil
import textwrap

from rich.console import Console
from rich.text import Text

from compare.diagnose.report import HEADINGS, Report

STYLES = {0: "bold green", 1: "bold red", 2: "bold yellow"}
NARROWEST = 60  # columns: every heading fits


def print_report(console: Console, report: Report) -> None:
    """Print the verdict, in colour, and the evidence for it."""
    width = max(NARROWEST, shutil.get_terminal_size((console.width, 0)).columns)
    first, *others = (_wrap(line, width) for line in report.lines())
    heading = HEADINGS[report.verdict]
    console.print(Text(heading, style=STYLES[report.status]), Text(first[len(heading) :]), sep="")
    for line in others:
        style = "bold" if not line.startswith(" ") and line.endswith(("common", "parts")) else ""
        # What is too long for a line, a link or a path, is whole to copy: the terminal breaks it.
        console.print(Text(line, style=style), soft_wrap=True)


def _wrap(line: str, width: int) -> str:
    indent = "    " if line.startswith(" ") else "  "
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
