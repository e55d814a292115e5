"""Markdown tables, for the pages in docs/."""

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, text: int = 1) -> str:
    """Return a table whose first `text` columns are aligned left and all others right."""
    ruler = ["---"] * text + ["---:"] * (len(heads) - text)
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (heads, ruler, *rows))
