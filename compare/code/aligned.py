"""Align files side by side, so that the same step is on the same row.

difflib rates how similar two lines are, and the alignment maximises the sum over all rows. Two
rules come before similarity: landmarks (see compare/code/landmarks.py) share a row wherever their
order allows it, and a line is aligned only with lines of the same function. difflib's own alignment
of whole files has neither rule: it separates `evaluate.loss` of PyTorch from that of JAX.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, groupby
from typing import Literal, NamedTuple

from compare.code.landmarks import Location, find_locations
from compare.code.sources import Line, Source
from compare.code.tokens import (
    Token,
    differing,
    imported_names,
    is_renamed,
    join_dotted,
    likeness,
    tokenize_lines,
)

Kind = Literal["same", "renamed", "different"]


@dataclass(frozen=True)
class AlignedRow:
    """A row of aligned lines, one per implementation."""

    lines: dict[str, Line | None]  # by implementation, in the order asked for; None for a gap
    landmark: str | None  # such as "attend.scores", if it is that of every line
    kind: Kind  # "renamed": only a name differs, see tokens.py; a gap counts as different
    marks: dict[str, list[tuple[int, int]]]  # by implementation: columns [start, end) that differ

    @property
    def is_blank(self) -> bool:
        """Whether it holds only blank lines and gaps; such a row is "same"."""
        return not any(line and line.text.strip() for line in self.lines.values())


class _Item(NamedTuple):
    """A line with its tokens and its landmark."""

    name: str  # of the implementation
    line: Line
    tokens: tuple[Token, ...]
    location: Location


_Group = tuple[_Item, ...]  # the lines of a row, without its gaps


@dataclass(frozen=True)
class _Names:
    """The names in a file, used to decide whether two lines differ only in a name."""

    imported: set[str]
    used: set[str]  # with the dots of imported ones


def align(sources: Sequence[Source]) -> list[AlignedRow]:
    """Align two or more files, or parts of them, in the order given.

    Every line of every source is in exactly one row, and each source's lines keep their order.
    """
    items, names = {}, {}
    for source in sources:
        lines = tokenize_lines(source.text)
        locations = find_locations(source.text)
        imported = imported_names(source.text)
        joined = [token for line in lines for token in join_dotted(line, imported)]
        used = {token.text for token in joined if token.is_name}
        names[source.implementation] = _Names(imported, used)
        items[source.implementation] = [
            _Item(
                source.implementation,
                line,
                tuple(lines[line.number - 1]),
                locations.get(line.number, Location("")),
            )
            for line in source.lines
        ]
    first, *others = items.values()
    rows: list[_Group] = [(item,) for item in first]
    for other in others:
        rows = _merge(rows, other)
    return [_finish(row, list(items), names) for row in rows]


def count_kinds(rows: Sequence[AlignedRow]) -> Counter[Kind]:
    """Count the rows of each kind, without blank ones."""
    return Counter(row.kind for row in rows if not row.is_blank)


def _merge(rows: Sequence[_Group], items: Sequence[_Item]) -> list[_Group]:
    """Align every item with the row it fits best, or give it a new row, keeping the order."""
    fits = [[_fit(row, item) for item in items] for row in rows]
    # best[i][j]: the largest sum that the rows from i and the items from j can reach.
    best = [[0.0] * (len(items) + 1) for _ in range(len(rows) + 1)]
    for i in reversed(range(len(rows))):
        for j in reversed(range(len(items))):
            together = fits[i][j] + best[i + 1][j + 1] if fits[i][j] else 0.0
            best[i][j] = max(together, best[i + 1][j], best[i][j + 1])
    merged: list[_Group] = []
    i = j = 0
    while i < len(rows) and j < len(items):
        if fits[i][j] and best[i][j] == fits[i][j] + best[i + 1][j + 1]:
            merged.append((*rows[i], items[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            merged.append(rows[i])
            i += 1
        else:
            merged.append((items[j],))
            j += 1
    return [*merged, *rows[i:], *((item,) for item in items[j:])]


def _fit(row: _Group, item: _Item) -> float:
    """Return how well an item fits on a row: 0 if it must not be there."""
    return max(_pair_fit(other.tokens, other.location, item.tokens, item.location) for other in row)


@cache
def _pair_fit(
    one: tuple[Token, ...], location: Location, other: tuple[Token, ...], other_place: Location
) -> float:
    if location.scope != other_place.scope or bool(one) != bool(other):
        return 0.0
    if location.landmark is not None and location.landmark == other_place.landmark:
        return 1000.0  # more than all similarities of other lines together
    if location.is_definition or other_place.is_definition:
        return 0.0
    if not one:
        return 0.1  # blank lines
    # The square prefers one good match to two poor ones; dissimilar lines still share a row.
    return 0.01 + likeness(one, other) ** 2


def _finish(group: _Group, order: Sequence[str], names: dict[str, _Names]) -> AlignedRow:
    """Return the row of a group, with its landmark, its kind, and the marks of what differs."""
    by_name = {item.name: item for item in group}
    landmarks = {item.location.landmark for item in group}
    return AlignedRow(
        lines={name: by_name[name].line if name in by_name else None for name in order},
        landmark=landmarks.pop() if len(landmarks) == 1 else None,
        kind=_kind(group, len(order), names),
        marks={name: _marks(by_name[name], group) if name in by_name else [] for name in order},
    )


def _marks(item: _Item, group: _Group) -> list[tuple[int, int]]:
    """Return the columns of a line that differ from any other in its row; neighbours are joined."""
    others = [other for other in group if other is not item]
    differ = {token for other in others for token in differing(item.tokens, other.tokens)}
    runs = [list(run) for _, run in groupby(item.tokens, differ.__contains__)]
    return [(run[0].start, run[-1].end) for run in runs if run[0] in differ]


def _kind(group: _Group, count: int, names: dict[str, _Names]) -> Kind:
    if not any(item.tokens for item in group):
        return "same"  # blank lines or gaps
    if len(group) < count:
        return "different"
    if len({item.line.text for item in group}) == 1:
        return "same"
    joined = {item.name: join_dotted(item.tokens, names[item.name].imported) for item in group}
    are_renamed = all(
        is_renamed(joined[a], joined[b], names[a].used, names[b].used)
        for a, b in combinations(joined, 2)
    )
    return "renamed" if are_renamed else "different"
