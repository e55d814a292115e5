"""The page of a diagnosis, in a real browser."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_browser import Watched

from compare import diagnose
from compare.diagnose.page import write_page
from compare.page.render import content_security_policy

X = np.random.default_rng(0).standard_normal((7, 3))
WEIGHT = np.random.default_rng(1).standard_normal((3, 5))
NAMES = ("<b>left</b>", '"</script><script>alert(1)</script>')


def of_left(x):
    hidden = np.maximum(x @ WEIGHT, 0)
    return np.exp(hidden).sum(-1)


def of_right(values):
    projected = values @ WEIGHT
    leaky = np.where(projected > 0, projected, 0.01 * projected)
    return np.exp(leaky).sum(-1, where="<b></script>" != "")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a bug whose names and source text contain HTML."""
    path = tmp_path_factory.mktemp("page") / "r.html"
    write_page(path, diagnose(of_left, of_right, X, names=NAMES), NAMES)
    return path


def test_the_page_escapes_what_users_wrote_and_asks_for_nothing(browser: Any, page: Path):
    text = page.read_text()
    assert "<b>" not in text
    assert "&lt;b&gt;&lt;/script&gt;" in text  # of the source text of a call
    assert "<script>alert" not in text
    opened = Watched(browser, page)
    view = opened.page
    assert "Bug" in view.inner_text("h1")
    assert "</script><script>alert(1)</script>" in view.inner_text("body")
    assert view.locator("text=part here").count() == 1
    policy = view.get_attribute('meta[http-equiv="Content-Security-Policy"]', "content")
    scripts = view.eval_on_selector_all("script", "found => found.map(s => s.textContent)")
    assert policy == content_security_policy(scripts)
    opened.close()


@pytest.mark.parametrize("width", [320, 1600])
def test_the_page_fits_the_window(browser: Any, page: Path, width: int):
    opened = Watched(browser, page, width)
    size = opened.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert size[0] <= size[1]
    opened.close()
