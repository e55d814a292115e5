"""Every link within the README and the docs leads somewhere."""

import re
from collections import Counter
from pathlib import Path

import pytest

from compare.catalogue.divergences.records import anchor_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")


def anchors(page: Path) -> list[str]:
    """Return the anchors that GitHub makes of a page's headings, and those set by hand."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = [anchor_of(title).removeprefix("#") for title in headings]
    return made + re.findall(r'<a (?:id|name)="([^"]+)"', text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_two_places_of_a_page_have_the_same_anchor(page: Path):
    assert [anchor for anchor, count in Counter(anchors(page)).items() if count > 1] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    links = LINK.findall(page.read_text())
    assert len(links) > (300 if page.name == "divergences.md" else 0)
    missing = [path for path, _ in links if path and not (page.parent / path).exists()]
    assert missing == []
    for path, anchor in links:
        target = page.parent / path if path else page
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{path}#{anchor}"
