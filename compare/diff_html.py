"""The columns of `compare diff` as one HTML file that needs nothing else: no script, no network."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template

from compare.aligned import Row
from compare.diff_columns import SIGNS
from compare.highlight import Cell, highlight
from compare.sources import Source
from shared.files import write_text

TEMPLATE = Path(__file__).with_name("diff_page.html")
MEANINGS = {"same": "the same", "renamed": "different only in a name", "different": "different"}


def write_html(
    path: Path, rows: Sequence[Row], sources: Sequence[Source], summary: Sequence[str]
) -> None:
    """Write the columns, headed by the sentences of `summary`, to `path`.

    Raises UserError if the file cannot be written.
    """
    file = sources[0].path.rpartition("/")[2]
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"{file} side by side: {', '.join(s.implementation for s in sources)}"),
        summary="\n".join(f"<p>{escape(sentence)}</p>" for sentence in summary),
        heads="".join(f'<th scope="col">{escape(source.path)}</th>' for source in sources),
        rows="\n".join(_rows(rows, sources)),
    )
    write_text(path, page)


def _rows(rows: Sequence[Row], sources: Sequence[Source]) -> Iterator[str]:
    for row, cells in zip(rows, highlight(rows, sources), strict=True):
        # A landmark that every file has is a place to link to: page.html#attend_textbook.scores
        anchor = f' id="{escape(row.landmark)}"' if row.landmark and None not in cells else ""
        sign = f'<th class="sign" scope="row" title="{MEANINGS[row.kind]}">{SIGNS[row.kind]}</th>'
        columns = "".join(
            _column(cell, source.implementation)
            for cell, source in zip(cells, sources, strict=True)
        )
        yield f'<tr class="{row.kind}"{anchor}>{sign}{columns}</tr>'


def _column(cell: Cell | None, implementation: str) -> str:
    if cell is None:
        return '<td class="gap"></td>'
    code = ""
    for piece in cell.pieces:
        text = escape(piece.text)
        text = f'<span class="{piece.role}">{text}</span>' if piece.role else text
        code += f"<mark>{text}</mark>" if piece.is_marked else text
    plain = "".join(piece.text for piece in cell.pieces)
    indent = len(plain) - len(plain.lstrip())
    return (
        f'<td data-number="{cell.number}" data-of="{implementation}">'
        f'<code style="--indent:{indent}">{code}</code></td>'
    )
