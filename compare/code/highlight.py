"""Lines of code as coloured pieces, the same for the terminal, a picture and a page."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from pygments.token import Comment, Keyword, Name, Number, Operator, String

from compare.code.aligned import AlignedRow
from compare.code.sources import Source
from compare.code.tokens import Token, tokenize_lines

ROLES = {
    Comment: "comment",
    String.Doc: "comment",
    String: "string",
    Number: "number",
    Keyword: "keyword",
    Operator.Word: "keyword",  # and, in, not
    Name.Function: "definition",
    Name.Class: "definition",
    Name.Decorator: "decorator",
}


class Piece(NamedTuple):
    """A piece of a line in one style."""

    text: str
    role: str | None  # one of the values of ROLES
    is_marked: bool  # whether it differs from the other lines of its row


class Cell(NamedTuple):
    """A line as it is shown: its number and its pieces, which joined give its text."""

    number: int
    pieces: tuple[Piece, ...]


def highlight(rows: Sequence[AlignedRow], sources: Sequence[Source]) -> Iterator[list[Cell | None]]:
    """Return the cells of every row of `align(sources)`: one per source, None for a gap."""
    tokens = {source.implementation: tokenize_lines(source.text) for source in sources}
    for row in rows:
        yield [
            line
            and Cell(
                line.number, _pieces(line.text, tokens[name][line.number - 1], row.marks[name])
            )
            for name, line in row.lines.items()
        ]


def _pieces(
    text: str, tokens: Sequence[Token], marks: Sequence[tuple[int, int]]
) -> tuple[Piece, ...]:
    """Split a line where its style changes: where the role changes or a mark begins or ends."""
    roles: list[str | None] = [None] * len(text)
    for token in tokens:
        role = next((role for kind, role in ROLES.items() if token.type in kind), None)
        roles[token.start : token.end] = [role] * len(token.text)
    is_marked = [any(start <= i < end for start, end in marks) for i in range(len(text))]
    runs = groupby(zip(text, roles, is_marked, strict=True), lambda character: character[1:])
    return tuple(Piece("".join(c for c, _, _ in run), *look) for look, run in runs)
