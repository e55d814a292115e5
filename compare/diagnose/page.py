"""A report as one HTML file."""

from pathlib import Path

from compare.diagnose.report import Report


def write_page(path: Path, report: Report) -> None:
    """Write the page of a report."""
    raise NotImplementedError
