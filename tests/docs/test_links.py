"""Every link within the README and the docs leads somewhere."""

import re
from pathlib import Path

import pytest

from compare.catalogue.divergences.records import anchor_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings, and those set by hand."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = {anchor_of(title).removeprefix("#") for title in headings}
    return made | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    links = LINK.findall(page.read_text())
    missing = [path for path, _ in links if path and not (page.parent / path).exists()]
    assert missing == []
    for path, anchor in links:
        target = page.parent / path if path else page
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{path}#{anchor}"
