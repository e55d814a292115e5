"""The lines of `compare diff`, for a terminal and for a picture of one."""

from collections.abc import Iterator, Sequence
from io import StringIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from compare.code.aligned import AlignedRow, Kind, align
from compare.code.highlight import Cell, highlight
from compare.code.sources import Source

SIGNS: dict[Kind, str] = {"same": " ", "renamed": "~", "different": "|"}
# Colours that every terminal has, and that are visible on black and on white.
STYLES = {
    "comment": "cyan",
    "string": "green",
    "keyword": "magenta",
    "definition": "bold",
    "decorator": "magenta",
}
MARK, MARK_DIFFERENT = "underline", "bold red"  # not only a colour: NO_COLOR removes those

WIDTHS = {2: 100, 3: 160}  # characters that two or three readable columns of code take
NARROWEST = 30  # characters for a line of code, however narrow the terminal is


def show_lines(sources: Sequence[Source], width: int) -> Iterator[Text]:
    """Return the code in columns if `width` characters are enough for that, else stacked."""
    rows = align(sources)
    fits = width >= WIDTHS[len(sources)]
    return column_lines(rows, sources, width) if fits else stacked_lines(rows, sources, width)


def column_lines(
    rows: Sequence[AlignedRow], sources: Sequence[Source], width: int
) -> Iterator[Text]:
    """Return the rows as lines of at most `width` characters, with a column per source.

    A line of code that is longer than its column is continued below, indented.
    """
    digits = max(len(str(source.lines[-1].number)) for source in sources)
    longest = max(cell_len(line.text) for source in sources for line in source.lines)
    room = (width - 2 - 3 * (len(sources) - 1)) // len(sources) - digits - 1
    room = min(room, longest)
    heads = [[Text(source.path, style="bold")] for source in sources]
    yield from _side_by_side(" ", [""] * len(sources), heads, digits, room)
    for row, cells in zip(rows, highlight(rows, sources), strict=True):
        texts = [wrap(_styled(cell, row.kind), room) if cell else [Text()] for cell in cells]
        numbers = [str(cell.number) if cell else "" for cell in cells]
        yield from _side_by_side(SIGNS[row.kind], numbers, texts, digits, room)


def stacked_lines(
    rows: Sequence[AlignedRow], sources: Sequence[Source], width: int
) -> Iterator[Text]:
    """Return a line that is the same in all sources once, and lines that differ below each other.

    A line that differs begins with the name of its implementation.
    """
    names = [source.implementation for source in sources]
    margin = max(map(len, names)) + 3
    room = max(width - margin, NARROWEST)
    for row, cells in zip(rows, highlight(rows, sources), strict=True):
        shown = {name: cell for name, cell in zip(names, cells, strict=True) if cell}
        if row.kind == "same":  # also blank lines, of which some files have fewer
            shown = {"": next(iter(shown.values()))}
        for name, cell in shown.items():
            for index, text in enumerate(wrap(_styled(cell, row.kind), room)):
                head = f"{name} {SIGNS[row.kind]} " if index == 0 else ""
                line = Text.assemble((head.rjust(margin), "bold"), text)
                line.rstrip()
                yield line


def _styled(cell: Cell, kind: Kind) -> Text:
    """Return a line with its colours: dim if all lines are the same, marked where they differ."""
    text = Text(style="dim" if kind == "same" else "")
    for piece in cell.pieces:
        styles = [STYLES.get(piece.role or "", "")]
        if piece.is_marked:
            is_code = kind == "different" and piece.role != "comment"
            styles += [MARK, MARK_DIFFERENT] if is_code else [MARK]
        text.append(piece.text, " ".join(styles).strip())
    return text


def wrap(text: Text, room: int) -> list[Text]:
    """Break a line of code into lines of at most `room`: at its last comment, then at spaces."""
    if cell_len(text.plain) <= room:
        return [text]
    plain = text.plain
    indent = len(plain) - len(plain.lstrip())
    comment = plain.rfind("  # ")
    cut = comment + 2 if comment > indent else len(plain)
    deeper = indent + 2 if indent + 2 <= room // 2 else 0
    # Rich uses the console only to justify text; code is not justified.
    console = Console(file=StringIO())
    parts = [part for part in (text[indent:cut], text[cut:]) if part.plain]
    lines = [line for part in parts for line in part.wrap(console, room - deeper, overflow="fold")]
    for index, line in enumerate(lines):
        line.rstrip()
        line.pad_left(deeper if index else min(indent, deeper))
    return lines


def _side_by_side(
    sign: str, numbers: Sequence[str], texts: Sequence[Sequence[Text]], digits: int, room: int
) -> Iterator[Text]:
    """Return the lines of one row side by side."""
    for index in range(max(len(lines) for lines in texts)):
        line = Text(sign if index == 0 else " ")
        for column, lines in enumerate(texts):
            line.append(" │ " if column else " ", style="dim")
            line.append(f"{numbers[column] if index == 0 else '':>{digits}} ", style="dim")
            if index < len(lines):
                line.append_text(lines[index])
                line.append(" " * (room - cell_len(lines[index].plain)))
            else:
                line.append(" " * room)
        line.rstrip()
        yield line
