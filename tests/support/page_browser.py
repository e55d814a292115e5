"""A browser for the tests of the page: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PACKAGES, import_or_skip
from page_runs import make_docs, make_run

from compare.page.command import write_page
from shared.data.load import Dataset


class Watched:
    """A page in the browser, with a record of its messages, errors and requests."""

    def __init__(self, browser: Any, path: Path, width: int = 1600, **options: Any) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 1000}, reduced_motion="reduce", **options
        )
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.route("**/*", self._let_pass)
        self.address = path.as_uri()
        self.page.goto(self.address)
        self.page.evaluate("document.fonts.ready")

    def _let_pass(self, route: Any) -> None:
        url = route.request.url
        if not url.startswith("data:"):  # data of the page itself
            self.requests.append(url)
        if url == self.address or url.startswith("data:"):
            route.continue_()
        else:
            route.abort()

    def close(self) -> None:
        """Close it, and assert that there were no messages, errors or requests."""
        self.context.close()
        assert self.said == []
        assert self.requests == [self.address]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start Chromium, or skip the tests and name what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    """A page with every section, with parameters of three channels, traced in all three."""
    folder = tmp_path_factory.mktemp("page")
    run, data = make_run(folder / "run", num_channels=3)
    implementations = {name: import_or_skip(name) for name in PACKAGES}
    write_page(run, data, implementations, docs=make_docs(folder / "docs"))
    return run, data


@pytest.fixture
def watched(browser: Any, full: tuple[Path, Dataset]) -> Iterator[Watched]:
    """The page with every section, 1,600 pixels wide, without messages, errors or requests."""
    opened = Watched(browser, full[0] / "page.html")
    yield opened
    opened.close()
