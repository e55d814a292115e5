"""mutants.json: the results of every planted bug, and the headroom of every check."""

from pathlib import Path
from typing import NotRequired, TypedDict

from shared.files import Count, read_json
from shared.training.metrics import Fraction


class FoundAccuracy(TypedDict):
    """The accuracy with and without a bug; see `Accuracy`."""

    right: Fraction
    wrong: Fraction


class FoundBug(TypedDict):
    """The results of a planted bug; see `Bug` and `Tried`."""

    title: str
    package: str
    check: str
    right: str
    wrong: str
    error_ratios: dict[str, float | None]  # None if not finite
    caught_by: list[str]
    first_intermediate: str | None
    missing: str | None
    accuracy: NotRequired[FoundAccuracy]


class FoundHeadroom(TypedDict):
    """The headroom of a check."""

    smallest: float | None
    bug: str
    ratio: float | None


class Found(TypedDict):
    """The contents of a mutants.json."""

    passed: bool
    failures: list[str]
    versions: dict[str, str]
    seeds: Count
    honest: dict[str, float | None]
    headroom: dict[str, FoundHeadroom]
    bugs: dict[str, FoundBug]


def read_mutants(path: Path) -> Found:
    """Read a mutants.json; raise UserError if it is not one."""
    return read_json(path, Found, "write it with `python -m compare mutants --json`")
