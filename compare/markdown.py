"""Tables in Markdown, for the pages in docs/."""

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, text: int = 1) -> str:
    """Make a table: `text` columns of words, then numbers, aligned to the right."""
    ruler = ["---"] * text + ["---:"] * (len(heads) - text)
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (heads, ruler, *rows))
