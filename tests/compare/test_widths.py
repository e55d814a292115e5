"""The long tables fit a terminal: whole numbers, whole names, no ellipsis."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from compare.catalogue import BUGS
from compare.diagnose.report import HEADINGS
from compare.diagnose.show import print_report
from compare.mutants.report import Tried, headroom_table, kill_matrix
from compare.parity.intermediates import INTERMEDIATES, Case, Judged
from compare.trace.command import trace_table
from shared.training.progress import track_work

WIDTHS = pytest.mark.parametrize("width", [80, 160])
ERROR = 12345678.0  # times its bound


def shown(table: Table, width: int) -> str:
    """Return a table as a terminal of some width shows it."""
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    return text


@WIDTHS
@pytest.mark.parametrize("wrong", [None, "scores"])
def test_a_trace_shows_its_numbers_and_dtypes_whole(width: int, wrong: str | None):
    judged = [
        Judged(name, ERROR if name == wrong else 0.012, 0.00053, (0,), 1.0, 1.0, 0.0, None)
        for name in INTERMEDIATES
    ]
    cases = [Case(n, "vectorized", d) for n in ("pytorch", "jax") for d in ("float32", "float64")]
    text = shown(trace_table(dict.fromkeys(cases, judged), width), width)
    assert text.count("float32") == text.count("float64") == 2
    assert "0.00053" in text
    assert ("1.2e+07" in text) == (wrong is not None)
    assert (wrong or "query") in text
    assert ("attended" in text) == (width == 160)


@WIDTHS
def test_the_kill_matrix_names_every_bug_and_its_check_whole(width: int):
    ratios = {bug.name: {bug.check: ERROR, "logits": ERROR} for bug in BUGS}
    tried = [Tried(bug.name, ratios[bug.name], bug.intermediate) for bug in BUGS]
    honest = {bug.check: 0.0512 for bug in BUGS}
    lines = shown(kill_matrix(BUGS, tried, width), width).splitlines()
    for bug in BUGS:
        (line,) = [each for each in lines if each.split()[:1] == [bug.name]]
        assert bug.check in line.split()
        assert "7" in line.split()
    assert "1.2e+07" in shown(headroom_table(BUGS, tried, honest), width)


def test_a_wide_terminal_shows_every_check():
    bug = BUGS[0]
    tried = Tried(bug.name, {bug.check: ERROR, "labels": np.inf}, None)
    assert "labels" in shown(kill_matrix([bug], [tried], 210), 210)


def test_a_diagnosis_is_wrapped_between_words_and_keeps_a_link_whole():
    link = "(docs/divergences.md#" + "a-name-of-many-words-" * 4 + "end)"
    lines = [f"{HEADINGS['bug']}: they differ", f"Looks like: {link}"]
    console = Console(width=80, file=io.StringIO(), highlight=False)
    print_report(console, SimpleNamespace(verdict="bug", status=1, lines=lambda: lines))
    assert f"\n  {link}\n" in console.file.getvalue()  # type: ignore[attr-defined]


def test_work_is_tracked_at_a_terminal_alone():
    for is_terminal in (True, False):
        console = Console(width=80, file=io.StringIO(), force_terminal=is_terminal)
        assert list(track_work([1, 2], "Tracing", 2, console)) == [1, 2]
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert ("Tracing" in text) == is_terminal
