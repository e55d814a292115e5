"""mutants.json: what became of every planted bug, and what room is left."""

from pathlib import Path
from typing import NotRequired, TypedDict

from shared.files import Count, read_json
from shared.training.metrics import Fraction


class FoundAccuracy(TypedDict):
    """What mutants.json holds of a bug that was trained; see `Accuracy`."""

    right: Fraction
    wrong: Fraction


class FoundBug(TypedDict):
    """What mutants.json holds of a planted bug; see `Bug` and `Tried`."""

    title: str
    package: str
    check: str
    right: str
    wrong: str
    error_ratios: dict[str, float | None]  # None where that is no finite number
    caught_by: list[str]
    first_intermediate: str | None
    missing: str | None
    accuracy: NotRequired[FoundAccuracy]


class FoundHeadroom(TypedDict):
    """What mutants.json holds of the room of a check."""

    smallest: float | None
    bug: str
    ratio: float | None


class Found(TypedDict):
    """What a mutants.json holds."""

    passed: bool
    failures: list[str]
    versions: dict[str, str]
    seeds: Count
    honest: dict[str, float | None]
    headroom: dict[str, FoundHeadroom]
    bugs: dict[str, FoundBug]


def read_mutants(path: Path) -> Found:
    """Read a mutants.json; UserError says what is wrong with it."""
    return read_json(path, Found, "write it with `python -m compare mutants --json`")
