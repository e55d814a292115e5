"""The traps of docs/divergences.md: their headings, a sentence of each, and where to read on."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from shared.errors import UserError

HEADING = re.compile(r"^(#{2,3}) +(.+?)\s*#*$")
NO_SENTENCE = re.compile(r"#|\||<|```|~~~|[-*] |\d+\. ")
FENCE = re.compile(r"^\s*(```|~~~)")


class Trap(NamedTuple):
    """A place where the frameworks part."""

    title: str
    summary: str  # the first sentence below the heading
    link: str  # relative to the page


def read_traps(docs: Path, page: Path) -> dict[str, list[Trap]] | None:
    """List the traps by the heading they stand under; None where there is no docs/divergences.md.

    A trap is a heading of the third level that a sentence follows.
    """
    path = docs / "divergences.md"
    if not path.exists():
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"Could not read {path}: {error}.") from error
    relative = Path(os.path.relpath(path.resolve(), page.parent.resolve())).as_posix()
    found: dict[str, list[Trap]] = {}
    group = ""
    for level, title, body in sections(text):
        if level == 2:
            group = plain(title)
        elif summary := first_sentence(body):
            trap = Trap(plain(title), summary, f"{relative}#{anchor(title)}")
            found.setdefault(group, []).append(trap)
    return found or None


def sections(text: str) -> Iterator[tuple[int, str, str]]:
    """Cut Markdown at its second- and third-level headings: level, title, and what is below."""
    level, title, in_code = 0, "", False
    body: list[str] = []
    for line in text.splitlines():
        in_code ^= bool(FENCE.match(line))
        heading = None if in_code else HEADING.match(line)
        if heading:
            if level:
                yield level, title, "\n".join(body)
            level, title, body = len(heading[1]), heading[2], []
        else:
            body.append(line)
    if level:
        yield level, title, "\n".join(body)


def first_sentence(body: str) -> str:
    """Take the first sentence of the first paragraph; "" where code, a list or a table is first."""
    paragraph = body.strip().split("\n\n")[0].replace("\n", " ")
    if not paragraph or NO_SENTENCE.match(paragraph):
        return ""
    return re.split(r"(?<=[.!?]) ", plain(paragraph), maxsplit=1)[0]


def plain(text: str) -> str:
    """Take Markdown's marks for code, emphasis and links off a line."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"[`*]|(?<!\w)_|_(?!\w)", "", text)


def anchor(title: str) -> str:
    """Name the place of a heading as GitHub does."""
    kept = re.sub(r"[^\w\- ]", "", plain(title).lower())
    return kept.replace(" ", "-")
