"""A report in a terminal, readable at 80 columns."""

from rich.console import Console
from rich.text import Text

from compare.diagnose.report import HEADINGS, Report

STYLES = {0: "bold green", 1: "bold red", 2: "bold yellow"}


def print_report(console: Console, report: Report) -> None:
    """Print the verdict in its colour, and what supports it."""
    first, *others = report.lines()
    heading = HEADINGS[report.verdict]
    console.print(Text(heading, style=STYLES[report.status]), Text(first[len(heading) :]), sep="")
    for line in others:
        style = "bold" if not line.startswith(" ") and line.endswith(("common", "parts")) else ""
        console.print(Text(line, style=style))
