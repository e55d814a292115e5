"""What planting bugs shows: which claim caught which, by how much, and what room is left."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from compare.catalogue import Bug
from compare.mutants.train import Accuracy
from compare.parity.claims import CLAIMED
from compare.records.mutants import Found, FoundBug, read_mutants
from compare.registry.versions import library_versions
from shared.errors import UserError


@dataclass(frozen=True)
class Tried:
    """What became of a planted bug."""

    name: str
    shares: Mapping[str, float]  # by claim: the largest error over its bound; NaN where that is
    first_step: str | None  # the step that a trace names
    missing: str | None = None  # the library without which it cannot be planted
    accuracy: Accuracy | None = None  # where it was trained

    def is_caught_by(self, claim: str) -> bool:
        """Whether a claim fails, as it should; NaN does."""
        return claim in self.shares and not self.shares[claim] <= 1

    @property
    def caught_by(self) -> list[str]:
        """The claims that fail."""
        return [claim for claim in self.shares if self.is_caught_by(claim)]


@dataclass(frozen=True)
class Headroom:
    """The room of a claim between correct code and the bugs that it catches."""

    smallest: float  # of the bugs that the claim should catch: error over bound
    bug: str
    largest: float  # of correct code: error over bound

    @property
    def ratio(self) -> float:
        """How many times the smallest bug is the largest honest error."""
        return self.smallest / self.largest if self.largest else math.inf


def find_headroom(
    bugs: Sequence[Bug], tried: Sequence[Tried], honest: Mapping[str, float]
) -> dict[str, Headroom]:
    """Find the headroom of every claim, among the bugs that are its own to catch."""
    found: dict[str, Headroom] = {}
    for claim in CLAIMED:
        caught = [
            (result.shares[claim], bug.name)
            for bug, result in zip(bugs, tried, strict=True)
            if bug.claim == claim and result.is_caught_by(claim)
        ]
        if caught:
            # What is either so or not is infinitely wrong; so is NaN.
            share, name = min((math.inf if math.isnan(s) else s, name) for s, name in caught)
            found[claim] = Headroom(share, name, honest.get(claim, 0.0))
    return found


def print_mutants(
    console: Console,
    bugs: Sequence[Bug],
    tried: Sequence[Tried],
    honest: Mapping[str, float],
    seeds: int,
    failures: Sequence[str],
) -> None:
    """Print the kill matrix, the headroom, what correct code comes to, and the verdict."""
    console.print(kill_matrix(bugs, tried))
    console.print(headroom_table(bugs, tried, honest))
    for result in tried:
        if result.missing:
            console.print(
                f"{result.name} was not planted: {result.missing} is not installed.", style="yellow"
            )
    for failure in failures:
        console.print(failure, style="bold red", highlight=False)
    planted = sum(result.missing is None for result in tried)
    caught = sum(result.is_caught_by(bug.claim) for bug, result in zip(bugs, tried, strict=True))
    console.print(
        f"{caught} of {planted} planted bugs are caught by the claim that should catch them; "
        f"correct code, drawn from {seeds:,} seeds, comes to at most "
        f"{max(honest.values(), default=0.0):.2g} of a bound.",
        style="bold red" if failures else "bold green",
    )


def kill_matrix(bugs: Sequence[Bug], tried: Sequence[Tried]) -> Table:
    """Make the table of bug against claim: the power of ten of error over bound, where caught."""
    table = Table(
        title="Kill matrix: error over bound as a power of ten, inf where there is no number",
        caption="Bold: the claim that should catch it. A dot: that claim holds all the same.",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("planted bug", no_wrap=True)
    table.add_column("trace names", no_wrap=True)
    columns = [name for name in CLAIMED if any(name in result.shares for result in tried)]
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for bug, result in zip(bugs, tried, strict=True):
        cells = [_say_cell(bug, result, claim) for claim in columns]
        table.add_row(bug.name, result.first_step or "", *cells)
    return table


def _say_cell(bug: Bug, result: Tried, claim: str) -> str:
    if claim not in result.shares:
        return ""
    if not result.is_caught_by(claim):
        return "[dim]·[/dim]"
    share = result.shares[claim]
    said = f"{math.log10(share):.0f}" if math.isfinite(share) else "inf"
    return f"[bold]{said}[/bold]" if claim == bug.claim else said


def headroom_table(
    bugs: Sequence[Bug], tried: Sequence[Tried], honest: Mapping[str, float]
) -> Table:
    """Make the table of what room each claim leaves."""
    table = Table(title="Headroom: the smallest bug that a claim is to catch, and honest errors")
    for heading in ("claim", "smallest bug", "its error", "honest, at most", "headroom"):
        table.add_column(heading, justify="left" if "bug" in heading else "right", no_wrap=True)
    for claim, room in find_headroom(bugs, tried, honest).items():
        numbers = (f"{number:.2g}" for number in (room.smallest, room.largest, room.ratio))
        smallest, largest, ratio = numbers
        table.add_row(claim, room.bug, smallest, largest, ratio)
    return table


def to_json(
    bugs: Sequence[Bug],
    tried: Sequence[Tried],
    honest: Mapping[str, float],
    seeds: int,
    failures: Sequence[str],
) -> Found:
    """Give all that was found for machines; a share of null is not a finite number."""
    return {
        "passed": not failures,
        "failures": list(failures),
        "versions": library_versions(),
        "seeds": seeds,
        "honest": dict(honest),
        "headroom": {
            claim: {"smallest": room.smallest, "bug": room.bug, "ratio": room.ratio}
            for claim, room in find_headroom(bugs, tried, honest).items()
        },
        "bugs": {
            bug.name: _bug_to_json(bug, result) for bug, result in zip(bugs, tried, strict=True)
        },
    }


def _bug_to_json(bug: Bug, result: Tried) -> FoundBug:
    found: FoundBug = {
        "title": bug.title,
        "package": bug.package,
        "claim": bug.claim,
        "right": bug.right,
        "wrong": bug.wrong,
        "shares": dict(result.shares),
        "caught_by": result.caught_by,
        "first_step": result.first_step,
        "missing": result.missing,
    }
    if result.accuracy is not None:
        found["accuracy"] = {"right": result.accuracy.right, "wrong": result.accuracy.wrong}
    return found


def merge(path: Path, found: Found) -> Found:
    """Put what was found of some bugs in the place of what a file holds of them.

    Raises UserError where the file was made with other versions of the libraries.
    """
    if not path.is_file():
        return found
    kept = read_mutants(path)
    if kept["versions"] != found["versions"]:
        raise UserError(
            f"{path} was made with other versions: plant all bugs anew, without --bugs."
        )
    bugs = kept["bugs"] | found["bugs"]
    # What was said of a bug that is planted anew no longer holds; each failure names its bug.
    still = [
        each for each in kept["failures"] if not set(re.findall(r"\w+", each)) & set(found["bugs"])
    ]
    failures = still + [each for each in found["failures"] if each not in still]
    return kept | {"bugs": bugs, "failures": failures, "passed": not failures}
