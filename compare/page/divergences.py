"""The divergences of the libraries: their titles, a sentence of each, and where to read on."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from compare.catalogue.divergences import SUBJECTS
from compare.catalogue.divergences.records import anchor_of


class Entry(NamedTuple):
    """A place where the frameworks part."""

    title: str
    summary: str  # the first sentence of what parts
    link: str  # to docs/divergences.md, relative to the page


def list_divergences(docs: Path, page: Path) -> dict[str, list[Entry]] | None:
    """List the divergences by subject; None where there is no docs/divergences.md to link to."""
    path = docs / "divergences.md"
    if not path.exists():
        return None
    page_link = Path(os.path.relpath(path.resolve(), page.parent.resolve())).as_posix()
    return {
        subject: [
            Entry(each.title, first_sentence(each.what), page_link + anchor_of(each.title))
            for each in group
        ]
        for subject, group in SUBJECTS.items()
    }


def first_sentence(text: str) -> str:
    """Return the first sentence, without Markdown's marks for code."""
    return re.split(r"(?<=[.!?]) ", text.replace("`", ""), maxsplit=1)[0]
