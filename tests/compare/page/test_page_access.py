"""The page for everyone: at three widths, light and dark, by keyboard, with a screen reader."""

from pathlib import Path
from typing import Any

import pytest
from page_browser import Watched

from compare.catalogue.divergences import DIVERGENCES
from shared.data.load import Dataset


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (900, "light"), (1600, "dark")])
def test_it_fits_and_axe_finds_nothing(
    browser: Any, full: tuple[Path, Dataset], width: int, scheme: str
):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    opened = Watched(browser, full[0] / "page.html", width, color_scheme=scheme)
    page = opened.page
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#speed .key").is_visible()
    page.locator("input[name=bug]").nth(1).check()
    for details in page.locator("summary").all():
        details.click()
    # Contrast among the rest; axe-core's rules of WCAG 2.2, levels A and AA, and its good practice.
    violations = axe.Axe().run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in violations] == []
    opened.close()


def test_on_a_phone_the_navigation_is_one_row_that_scrolls_to_its_end(
    browser: Any, full: tuple[Path, Dataset]
):
    opened = Watched(browser, full[0] / "page.html", width=390)
    links = opened.page.locator("nav a")
    assert links.count() == 8
    assert len({link.bounding_box()["y"] for link in links.all()}) == 1
    last = links.last
    last.scroll_into_view_if_needed()
    box = last.bounding_box()
    assert box["x"] + box["width"] <= opened.page.locator("#theme").bounding_box()["x"]
    opened.close()


def test_the_theme_can_be_changed_and_is_remembered(watched: Watched):
    page = watched.page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.locator("#theme")
    assert button.inner_text() == "Dark theme"
    button.press("Enter")
    assert button.inner_text() == "Light theme"
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    watched.requests.pop()  # the reload
    assert page.evaluate(ground) == dark


def test_all_that_can_be_used_is_reached_by_tab_with_visible_focus(watched: Watched):
    page, seen = watched.page, []
    last = DIVERGENCES[-1].title.replace("`", "")
    for _ in range(60 + len(DIVERGENCES)):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("""() => {
                const one = document.activeElement;
                const shown = one.matches(".pills input, .digits input") ? one.nextSibling : one;
                const style = getComputedStyle(shown);
                return [
                    one.name || one.id || one.className || one.textContent.trim(),
                    style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
                ];
            }""")
        )
        if seen[-1][0] == last:
            break
    names = [name for name, _ in seen]
    for name in (
        *(
            "skip",
            "Code",
            "Divergences",
            "theme",
            "intermediate",
            "view",
            "digit",
            "parameters",
            "heat",
            "flow-digit",
            "flow-framework",
            "flow-output",
            "drawing",
        ),
        *("start", "draw-parameters", "center", "clear", "bug", "phase", last),
    ):
        assert name in names, f"{name} is not reached by Tab"
    assert [name for name, is_visible in seen if not is_visible] == []


def test_who_wants_less_motion_gets_none(watched: Watched):
    page = watched.page
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "smooth"
