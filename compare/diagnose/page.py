"""A report as one HTML file: the arrays of both programs side by side, the first break marked."""

from pathlib import Path

from compare.diagnose.report import HEADINGS, Report
from compare.page.render import render_diagnosis
from shared.files import write_text

JOINS = {
    "same": "= the same",
    "axes": "= axes moved",
    "turned": "transposed",
    "order": "another order",
    "parts": "✕ part here",
    "": "",
}


def write_page(path: Path, report: Report, programs: tuple[str, str]) -> None:
    """Write the page of a report; raise UserError if that fails."""
    seen = report.seen
    view = {
        "heading": HEADINGS[report.verdict].capitalize(),
        "status": report.status,
        "sentence": report.sentence,
        "evidence": [line for line in report.lines()[1:] if not line.startswith(("Seen:",))],
        "programs": programs,
        "rows": report.rows,
        "joins": JOINS,
        "counts": f"{seen[0]} arrays on the left, {seen[1]} on the right; "
        f"{report.matched} pairs match. The numbers are the largest difference over the largest "
        "value.",
    }
    write_text(path, render_diagnosis(view))
