"""The results of planting bugs: which check caught which, by how much, and the headroom."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compare.catalogue import Bug
from compare.mutants.train import Accuracy
from compare.parity.checks import CHECKED
from compare.records.mutants import Found, FoundBug, read_mutants
from compare.registry.versions import library_versions
from shared.errors import UserError

FULL_WIDTH = 210  # characters in which every check has a column


@dataclass(frozen=True)
class Tried:
    """The result of planting a bug."""

    name: str
    error_ratios: Mapping[str, float]  # by check: the largest error over its bound, or NaN
    first_intermediate: str | None  # the intermediate that `trace` names
    missing: str | None = None  # the library that it needs and that is not installed
    accuracy: Accuracy | None = None  # if it was trained

    def is_caught_by(self, check: str) -> bool:
        """Check whether a check fails with the bug; NaN fails."""
        return check in self.error_ratios and not self.error_ratios[check] <= 1

    @property
    def caught_by(self) -> list[str]:
        """The checks that fail."""
        return [check for check in self.error_ratios if self.is_caught_by(check)]


@dataclass(frozen=True)
class Headroom:
    """The gap of a check between correct code and the bugs that it should catch."""

    smallest: float  # of the bugs that the check should catch: error over bound
    bug: str
    largest: float  # of correct code: error over bound

    @property
    def ratio(self) -> float:
        """The smallest error of a bug over the largest error of correct code."""
        return self.smallest / self.largest if self.largest else math.inf


def find_headroom(
    bugs: Sequence[Bug], tried: Sequence[Tried], honest: Mapping[str, float]
) -> dict[str, Headroom]:
    """Return the headroom of every check, over the bugs that it should catch."""
    found: dict[str, Headroom] = {}
    for check in CHECKED:
        caught = [
            (result.error_ratios[check], bug.name)
            for bug, result in zip(bugs, tried, strict=True)
            if bug.check == check and result.is_caught_by(check)
        ]
        if caught:
            # A yes-or-no check has an infinite error; so does NaN.
            ratio, name = min((math.inf if math.isnan(s) else s, name) for s, name in caught)
            found[check] = Headroom(ratio, name, honest.get(check, 0.0))
    return found


def print_mutants(
    console: Console,
    bugs: Sequence[Bug],
    tried: Sequence[Tried],
    honest: Mapping[str, float],
    seeds: int,
    failures: Sequence[str],
) -> None:
    """Print the kill matrix, the headroom, the errors of correct code, and the verdict."""
    console.print(kill_matrix(bugs, tried, console.width))
    if seeds:
        console.print(headroom_table(bugs, tried, honest))
    for result in tried:
        if result.missing:
            console.print(
                f"{result.name} was not planted: {result.missing} is not installed.", style="yellow"
            )
    for failure in failures:
        console.print(failure, style="bold red", highlight=False)
    planted = sum(result.missing is None for result in tried)
    caught = sum(result.is_caught_by(bug.check) for bug, result in zip(bugs, tried, strict=True))
    verdict = f"{caught} of {planted} planted bugs are caught by the check that should catch them"
    if seeds:
        largest = max(honest.values(), default=0.0)
        verdict += f"; correct code, with {seeds:,} seeds, reaches at most {largest:.2g} of a bound"
    console.print(f"{verdict}.", style="bold red" if failures else "bold green")


def kill_matrix(bugs: Sequence[Bug], tried: Sequence[Tried], width: int = FULL_WIDTH) -> Table:
    """Return the table of bugs and checks: log10 of error over bound, where a bug is caught.

    If `width` is less than FULL_WIDTH, only the check that should catch the bug is shown.
    """
    table = Table(
        title="Kill matrix: error over bound as a power of ten, inf for yes or no",
        caption="Bold: the check that should catch it. A dot: that check passes with the bug.",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("planted bug", no_wrap=True)
    table.add_column("trace names" if width >= FULL_WIDTH else "trace", no_wrap=True)
    columns = [name for name in CHECKED if any(name in result.error_ratios for result in tried)]
    if width < FULL_WIDTH:
        return _add_narrow_rows(table, bugs, tried)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for bug, result in zip(bugs, tried, strict=True):
        cells = [_say_cell(bug, result, check) for check in columns]
        table.add_row(bug.name, result.first_intermediate or "", *cells)
    return table


def _add_narrow_rows(table: Table, bugs: Sequence[Bug], tried: Sequence[Tried]) -> Table:
    """Add a row per bug: its check, the power of ten, and how many other checks catch it."""
    table.add_column("check", no_wrap=True)
    table.add_column("power", justify="right", no_wrap=True)
    table.add_column("others", justify="right", no_wrap=True)
    for bug, result in zip(bugs, tried, strict=True):
        others = len(set(result.caught_by) - {bug.check})
        row = (bug.check, _say_cell(bug, result, bug.check), str(others))
        table.add_row(bug.name, result.first_intermediate or "", *row)
    return table


def _say_cell(bug: Bug, result: Tried, check: str) -> Text:
    if check not in result.error_ratios:
        return Text()
    if not result.is_caught_by(check):
        return Text("·", style="dim")
    ratio = result.error_ratios[check]
    said = f"{math.log10(ratio):.0f}" if math.isfinite(ratio) else "inf"
    return Text(said, style="bold" if check == bug.check else "")


def headroom_table(
    bugs: Sequence[Bug], tried: Sequence[Tried], honest: Mapping[str, float]
) -> Table:
    """Return the table of the headroom of each check."""
    table = Table(
        title="Headroom: the smallest bug that a check should catch, and the largest honest error",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("check", "smallest bug", "its error", "honest", "headroom"):
        table.add_column(heading, justify="left" if "bug" in heading else "right", no_wrap=True)
    for check, room in find_headroom(bugs, tried, honest).items():
        numbers = (f"{number:.2g}" for number in (room.smallest, room.largest, room.ratio))
        smallest, largest, ratio = numbers
        table.add_row(check, room.bug, smallest, largest, ratio)
    return table


def to_json(
    bugs: Sequence[Bug],
    tried: Sequence[Tried],
    honest: Mapping[str, float],
    seeds: int,
    failures: Sequence[str],
) -> Found:
    """Return the result as mutants.json holds it; null stands for a number that is not finite."""
    return {
        "passed": not failures,
        "failures": list(failures),
        "versions": library_versions(),
        "seeds": seeds,
        "honest": dict(honest),
        "headroom": {
            check: {"smallest": room.smallest, "bug": room.bug, "ratio": room.ratio}
            for check, room in find_headroom(bugs, tried, honest).items()
        },
        "bugs": {
            bug.name: _bug_to_json(bug, result) for bug, result in zip(bugs, tried, strict=True)
        },
    }


def _bug_to_json(bug: Bug, result: Tried) -> FoundBug:
    found: FoundBug = {
        "title": bug.title,
        "package": bug.package,
        "check": bug.check,
        "right": bug.right,
        "wrong": bug.wrong,
        "error_ratios": dict(result.error_ratios),
        "caught_by": result.caught_by,
        "first_intermediate": result.first_intermediate,
        "missing": result.missing,
    }
    if result.accuracy is not None:
        found["accuracy"] = {"right": result.accuracy.right, "wrong": result.accuracy.wrong}
    return found


def merge(path: Path, found: Found) -> Found:
    """Return a file's results, with those of some bugs replaced by new ones.

    Raises UserError if the file was made with other versions of the libraries.
    """
    if not path.is_file():
        return found
    kept = read_mutants(path)
    if kept["versions"] != found["versions"]:
        raise UserError(
            f"{path} was made with other versions: plant all bugs again, without --bugs."
        )
    bugs = kept["bugs"] | found["bugs"]
    # Failures of a bug that is planted again no longer hold; each failure names its bug.
    still = [
        each for each in kept["failures"] if not set(re.findall(r"\w+", each)) & set(found["bugs"])
    ]
    failures = still + [each for each in found["failures"] if each not in still]
    return kept | {"bugs": bugs, "failures": failures, "passed": not failures}
