"""The result of a diagnosis, as an object, as text and as JSON."""

from dataclasses import dataclass, field
from typing import Any, Literal

from compare.diagnose.parting import Parting
from compare.look.match import Match
from compare.look.values import Value

Verdict = Literal[
    "same function",
    "bug",
    "other order",
    "float32 within float64",
    "not finite",
    "only compiled",
    "cannot tell",
]
HEADINGS: dict[str, str] = {
    "same function": "SAME FUNCTION, the difference is rounding",
    "bug": "BUG, the difference is not rounding",
    "other order": "OTHER ORDER: the same numbers in another arrangement",
    "float32 within float64": "FLOAT32 WITHIN FLOAT64",
    "not finite": "NOT FINITE in float32",
    "only compiled": "ONLY THE COMPILED PROGRAM DIFFERS",
    "cannot tell": "CANNOT TELL",
}


@dataclass(frozen=True)
class Output:
    """An output of both programs: their difference, and the difference of each from its float64.

    All are largest differences relative to the largest magnitude.
    """

    name: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    float64: float
    float32: float
    left_noise: float
    right_noise: float

    def say_gaps(self) -> str:
        """Return the difference in both dtypes, in words."""
        gaps = f"{self.float64:.1e} apart in float64, {self.float32:.1e} in float32"
        return f"{self.name} is {gaps}"


@dataclass(frozen=True)
class Row:
    """A row of the page and of --json: where each side computes an array, and how they match."""

    left: str | None
    right: str | None
    shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    layout: str  # that of Match, or "parts", or "" if only one side has it
    float64: float | None  # the difference of the two
    noise: float | None  # the float32 error of the less exact of the two


@dataclass(frozen=True)
class Report:
    """The verdict on two programs and the evidence for it."""

    verdict: Verdict
    sentence: str
    names: tuple[str, str]
    outputs: tuple[Output, ...] = ()
    parting: Parting | None = None
    less_exact: str | None = None
    hints: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    further: tuple[str, ...] = ()  # other modules that differ on the input of the left
    gradients: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    seen: tuple[int, int] = (0, 0)
    matched: int = 0
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The exit status: 0 if they are the same function, 1 if not, 2 if undecided."""
        return {"same function": 0, "cannot tell": 2}.get(self.verdict, 1)

    @property
    def place(self) -> str:
        """The names and places of the first arrays that differ, as text."""
        if self.parting is None:
            return ""
        common = self.parting.common
        values = (
            self.parting.left,
            self.parting.right,
            *((common.left, common.right) if common else ()),
        )
        return " | ".join(_all_names(value) for value in values if value is not None)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return the report as lines of text for a terminal."""
        lines = [f"{HEADINGS[self.verdict]}: {self.sentence}"]
        if self.parting is not None:
            lines += self._parting_lines(self.parting)
        if self.less_exact:
            lines.append(self.less_exact)
        lines += [f"Looks like: {hint}" for hint in self.hints]
        lines += [f"Also: {text}" for text in self.further]
        lines += [f"Gradients: {text}" for text in self.gradients]
        lines += [f"Note: {remark}" for remark in self.remarks]
        if any(self.seen):
            lines.append(
                f"Seen: {self.seen[0]} arrays on the left, {self.seen[1]} on the right, "
                f"{self.matched} in common; {self.seconds:.1f} s."
            )
        return lines

    def _parting_lines(self, parting: Parting) -> list[str]:
        lines = []
        if parting.common is not None:
            lines += [
                "last match",
                *_side_lines(self.names, parting.common.left, parting.common.right),
            ]
        if parting.left is not None or parting.right is not None:
            lines += ["first difference", *_side_lines(self.names, parting.left, parting.right)]
        found = parting.difference()
        if found is not None:
            relative, index, left, right = found
            lines.append(
                f"largest difference {relative:.2g} relative to the largest value, at "
                f"{list(index)}: {left:.9g} against {right:.9g}"
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-compatible values."""
        parting = self.parting
        return {
            "verdict": self.verdict,
            "status": self.status,
            "sentence": self.sentence,
            "names": list(self.names),
            "outputs": [vars(output) for output in self.outputs],
            "common": _match_json(parting.common) if parting else None,
            "parts_first": {
                side: value and {"name": value.name, "where": value.where, "shape": value.shape}
                for side, value in (("left", parting.left), ("right", parting.right))
            }
            if parting
            else None,
            "less_exact": self.less_exact,
            "hints": list(self.hints),
            "further": list(self.further),
            "gradients": list(self.gradients),
            "remarks": list(self.remarks),
            "arrays": [vars(row) for row in self.rows],
            "seen": list(self.seen),
            "seconds": self.seconds,
        } | self.settings


def _side_lines(names: tuple[str, str], left: Value | None, right: Value | None) -> list[str]:
    """Return a line for each side: its name, the array, its place, and its shape."""
    lines = []
    for side, value in zip(names, (left, right), strict=True):
        said = f"{value.name}  {value.where}  {list(value.shape)}" if value else "no other array"
        lines.append(f"  {side:5}  {said}")
    return lines


def _all_names(value: Value) -> str:
    return "; ".join(f"{name} ({where})" for _, name, where in dict.fromkeys(value.sightings))


def _match_json(match: Match | None) -> dict[str, Any] | None:
    if match is None:
        return None
    return {
        side: {"name": value.name, "where": value.where, "shape": value.shape}
        for side, value in (("left", match.left), ("right", match.right))
    } | {"layout": match.layout}
