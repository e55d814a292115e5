"""The web site of `make site`: no link is dead, nothing is loaded from elsewhere, search works."""

import functools
import html.parser
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from compare.catalogue.divergences.records import SYMPTOMS

ROOT = Path(__file__).resolve().parents[2]
FOUND = {  # what a reader types, and the section of docs/divergences.md to be found first
    "differs by 1e-3 on GPU": "differs-by-1e-3-on-a-gpu",
    "loss the same, gradients not": "loss-the-same-gradients-not",
    "Dense on GPU": "dense",
    "LayerNorm": "flayer_norm-nnlayernorm-nnxlayernorm",
}


class Links(html.parser.HTMLParser):
    """What an HTML file links to, what it loads, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors = {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {name for key in ("id", "name") if (name := given.get(key))}
        self.links += [link for key in ("href", "src") if (link := given.get(key)) is not None]
        loaded = given.get("href" if tag == "link" else "src")
        self.loads += [] if loaded is None else [loaded]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for library in ("mkdocs", "material", "nbconvert"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    run, site = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("web") / "project"
    (run / "page.html").write_text("<!DOCTYPE html><title>The page</title>")
    command = ["mkdocs", "build", "--config-file", "docs/site/mkdocs.yml"]
    subprocess.run(
        [sys.executable, "-m", *command, "--site-dir", str(site)],
        cwd=ROOT,
        env=os.environ | {"SITE_RUN": str(run), "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=300,
    )
    return site


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {path: Links(path) for path in site.rglob("*.html")}


def test_every_document_is_in_the_site(site: Path, pages: dict[Path, Links]):
    documents = {path.stem for path in (ROOT / "docs").glob("*.md")} | {"tour"}
    assert {path.parent.name for path in pages if path.parents[1] == site / "docs"} == documents
    text = (site / "docs" / "tour" / "index.html").read_text()
    assert text.count('src="data:image/png;base64,') == 2, "the notebook's two pictures"


def test_every_link_and_anchor_leads_somewhere(site: Path, pages: dict[Path, Links]):
    dead, followed = [], 0
    for page, found in pages.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "data"):
                continue
            target = page.parent / unquote(parts.path) if parts.path else page
            target = Path(os.path.normpath(target))
            target = target / "index.html" if target.is_dir() else target
            is_there = target.is_file() and target.is_relative_to(site)
            if not is_there or (
                target in pages and unquote(parts.fragment) not in pages[target].anchors
            ):
                dead.append(f"{page.relative_to(site)}: {link}")
            followed += 1
    assert dead == []
    assert followed > 2000


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Links]):
    loaded = [link for found in pages.values() for link in found.loads]
    loaded += [link for path in site.rglob("*.css") for link in loaded_by(path.read_text())]
    assert len(loaded) > len(pages)
    assert [link for link in loaded if urlsplit(link).scheme not in ("", "data")] == []
    assert [link for link in loaded if link.startswith("/")] == []


def loaded_by(css: str) -> list[str]:
    """Return the addresses of the fonts, pictures and style sheets that a style sheet loads."""
    return re.findall(r"""(?:url\(|@import )["']?([^"')]+)""", css)


def test_each_symptom_is_a_hit_of_its_own(site: Path):
    index = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    titles = {entry["title"] for entry in index}
    assert set(SYMPTOMS) <= titles
    assert not any(entry["location"].startswith("pytorch_impl/") for entry in index), "code"


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Serve the site in a folder of its server, as GitHub Pages does."""

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Log nothing."""

    handler = functools.partial(Silent, directory=site.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{site.name}/"
        server.shutdown()
        thread.join()


def test_a_symptom_is_found_by_searching(browser, address: str):
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    hits = {}
    for typed in FOUND:
        page.goto(address)
        # As a person types: the theme looks at keys, and misses a value that is set.
        page.locator("[data-md-component=search-query]").press_sequentially(typed)
        links = page.locator(".md-search-result__link[href*='docs/divergences/'][href*='#']")
        links.first.wait_for(timeout=60_000)
        hits[typed] = links.first.get_attribute("href").split("#")[1]
    page.close()
    assert hits == FOUND
    assert [url for url in requests if not url.startswith((address, "blob:", "data:"))] == []
