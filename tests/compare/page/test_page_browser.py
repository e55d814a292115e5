"""The page in a real browser: every section renders and reacts, and nothing is requested."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import PACKAGES
from page_browser import Watched
from page_runs import HOSTILE, MUTANTS, make_docs, make_run

from compare.page.command import write_page
from compare.parity.intermediates import INTERMEDIATES
from shared.data.load import Dataset
from shared.training.metrics import STEP_LOSSES

SECTIONS = ("flow", "code", "attention", "draw", "break", "training", "speed", "divergences")


def test_every_section_renders_in_silence(watched: Watched):
    page = watched.page
    headings = page.locator("main h2").all_inner_texts()
    assert headings[0] == "From a pixel to the logits"
    assert headings[1:] == [
        "Code",
        "Attention",
        "Draw",
        "Break it",
        "Training",
        "Speed",
        "Divergences",
    ]
    for name in SECTIONS:
        assert page.locator(f"#{name} h2").is_visible()
    drawn = page.evaluate("""() => [...document.querySelectorAll("canvas")].map((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
    })""")
    # The flow, pictures, twenty digits, and charts: by level, three of training, five of speed.
    assert len(drawn) == 7 + 1 + 20 + 5 + 2 + 1 + 3 + 5
    assert min(drawn) >= 2, "a canvas is blank"
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("name", INTERMEDIATES)
def test_choosing_an_intermediate_highlights_three_lines(watched: Watched, name: str):
    page = watched.page
    page.locator(f"input[name=intermediate][value={name}]").check(force=True)
    chosen = page.locator("tr.chosen td")
    assert chosen.count() == 3
    assert [cell.get_attribute("data-of") for cell in chosen.all()] == list(PACKAGES)
    assert all(cell.is_visible() for cell in chosen.all())
    word = "cross_entropy(logits, " if name == "loss" else f"{name} = "
    assert all(word in text for text in chosen.all_inner_texts())
    assert page.locator(".intermediate h3").inner_text() == name
    assert page.locator(".errors tbody tr").count() == 6
    assert page.locator("[data-of-intermediate=picture] > *").count() == 1


def test_every_form_can_be_shown_and_a_line_be_clicked(watched: Watched):
    page = watched.page
    for view in ("looped", "blocked", "builtin", "histogram", "all", "intermediates"):
        page.locator("select[name=view]").select_option(view)
        parts = {"all": None, "intermediates": {"attend", "forward", "loss"}}.get(view, {view})
        rows = page.locator("table.code tbody tr:not([hidden])")
        found = set(rows.evaluate_all("(rows) => rows.map((row) => row.dataset.part)"))
        # `scores` was chosen, which these do not compute as such: its own view comes back.
        if view in ("looped", "blocked", "builtin"):
            assert found == {"attend", "forward", "loss"}
        else:
            assert found == parts or (view == "all" and "rest" in found)
    page.locator("tr[data-intermediate=weights]:not([hidden]) td").first.click()
    assert page.locator("input[name=intermediate]:checked").get_attribute("value") == "weights"
    page.locator("input[name=intermediate]:checked").press("ArrowRight")
    assert page.locator(".intermediate h3").inner_text() == "attended"


@pytest.mark.parametrize(("width", "columns"), [(899, 1), (900, 3), (1280, 3)])
def test_three_columns_of_code_from_900_pixels(
    browser: Any, full: tuple[Path, Dataset], width: int, columns: int
):
    opened = Watched(browser, full[0] / "page.html", width)
    visible = [cell for cell in opened.page.locator("table.code th").all() if cell.is_visible()]
    assert len(visible) == columns
    assert opened.page.locator("#code .tabs").is_visible() == (columns == 1)
    opened.close()


def test_a_phone_shows_one_implementation_at_a_time(browser: Any, full: tuple[Path, Dataset]):
    opened = Watched(browser, full[0] / "page.html", width=400, has_touch=True)
    for name in reversed(PACKAGES):
        opened.page.locator(f"input[name=shown][value={name}]").check(force=True)
        visible = [cell for cell in opened.page.locator("tr.chosen td").all() if cell.is_visible()]
        assert [cell.get_attribute("data-of") for cell in visible] == [name]
    before = opened.page.evaluate("sideBySide.drawing().probabilities")
    box = opened.page.locator("canvas.drawing")
    box.scroll_into_view_if_needed()
    box.tap(position={"x": 20, "y": 30})
    assert opened.page.evaluate("sideBySide.drawing().probabilities") != before
    opened.close()


def test_a_bug_that_is_switched_on_turns_parity_red_and_leaves_accuracy(watched: Watched):
    page, bug = watched.page, MUTANTS["bugs"]["softmax_over_the_queries"]
    assert page.locator("#break .check.failed").count() == 0
    assert "Parity holds" in page.locator("[data-of-bug=verdict]").inner_text()
    assert page.locator("input[name=bug]").count() == 2, "a bug without its accuracy is no switch"
    page.locator("input[name=bug][value=softmax_over_the_queries]").check()
    red = page.locator("#break .check.failed .check-name").all_inner_texts()
    assert red == bug["caught_by"]
    assert page.locator("[data-of-bug=verdict]").inner_text() == (
        "Parity fails: 2 of 3 checks. The first wrong intermediate in a trace: weights."
    )
    assert page.locator("[data-of-bug=moved]").inner_text() == "\N{MINUS SIGN}0.20 points"
    assert page.locator("[data-accuracy=wrong] .number").inner_text() == "89.40 %"
    assert page.locator("[data-of-bug=wrong]").inner_text() == bug["wrong"]
    checks = page.locator("#break .check .number").all_inner_texts()
    times = "\N{MULTIPLICATION SIGN}"
    assert checks == [f"3.1e12 {times} bound", "no number", f"0.25 {times} bound"]


def test_what_only_enormous_scores_show_is_said_so(browser: Any, tmp_path: Path):
    run, data = make_run(tmp_path / "run")
    docs = make_docs(tmp_path / "docs")
    mutants = json.loads(json.dumps(MUTANTS))
    mutants["bugs"]["softmax_over_the_queries"]["caught_by"] = ["logits"]
    (docs / "mutants.json").write_text(json.dumps(mutants))
    opened = Watched(browser, write_page(run, data, {}, docs=docs))
    opened.page.locator("input[name=bug]").nth(1).check()
    verdict = opened.page.locator("[data-of-bug=verdict]").inner_text()
    assert "Every intermediate passes with ordinary scores; the first wrong one" in verdict
    assert "2 bugs were planted in all; the 1 with which" in " ".join(
        opened.page.locator("#break .lead").inner_text().split()
    )
    opened.close()


def test_on_a_phone_the_result_follows_the_bug_that_was_tapped(
    browser: Any, full: tuple[Path, Dataset]
):
    opened = Watched(browser, full[0] / "page.html", width=390, has_touch=True)
    page = opened.page
    tops = {}
    for index in (1, 0):
        label = page.locator("#break .choices label").nth(index)
        label.scroll_into_view_if_needed()
        before = label.bounding_box()["y"]
        label.tap()
        tops[index] = (before, label.bounding_box()["y"])
        assert label.evaluate("one => one.nextElementSibling.matches('.card')")
    assert all(after == pytest.approx(before, abs=1) for before, after in tops.values()), tops
    page.set_viewport_size({"width": 1280, "height": 900})
    assert page.locator("#break .break-grid > .card").count() == 1
    opened.close()


def test_a_link_to_a_divergence_opens_it(watched: Watched):
    page = watched.page
    name = "divergence-adam_bias_correction"
    assert not page.locator(f"#{name}").is_visible()
    page.locator(f"a[href='#{name}']").click()
    assert page.locator(f"#{name}").is_visible()
    watched.requests = [url.partition("#")[0] for url in watched.requests][:1]


def test_speed_names_only_what_it_draws(watched: Watched):
    page = watched.page
    legend = page.locator("#speed .key .swatch:visible")
    assert legend.all_inner_texts() == ["PyTorch", "JAX"]
    page.locator("input[name=phase][value=forward]").check(force=True)
    assert legend.all_inner_texts() == ["PyTorch", "JAX", "NumPy"]


def test_speed_shows_both_phases(watched: Watched):
    page = watched.page
    assert page.locator("#speed figure:visible").count() == 5
    page.locator("input[name=phase][value=forward]").check(force=True)
    labels = page.locator("#speed figure:visible .u-wrap")
    assert labels.count() == 5
    assert "NumPy" in labels.first.get_attribute("aria-label")


def test_texts_of_a_run_are_shown_and_never_run(browser: Any, tmp_path: Path):
    run, data = make_run(tmp_path / "run")
    result = json.loads((run / "result.json").read_text())
    result["machine"] = result["parity"]["verdict"] = HOSTILE
    (run / "result.json").write_text(json.dumps(result))
    docs = make_docs(tmp_path / "docs")
    mutants = json.loads(json.dumps(MUTANTS))
    mutants["bugs"]["softmax_over_the_queries"]["title"] = HOSTILE
    (docs / "mutants.json").write_text(json.dumps(mutants))
    opened = Watched(browser, write_page(run, data, {}, docs=docs))
    page = opened.page
    page.locator("input[name=bug]").nth(1).check()
    assert page.title() == "Attention, side by side: run"
    assert page.locator("img").count() == 0
    assert "</script><script>" in page.locator(".verdict").inner_text()
    assert "</script><script>" in page.locator("[data-of-bug=title]").inner_text()
    opened.close()


def test_a_run_from_before_and_of_a_third_party_is_shown_too(browser: Any, tmp_path: Path):
    """The run has no step losses, and one implementation is unknown to the page."""
    run, data = make_run(tmp_path / "run")
    (run / STEP_LOSSES).unlink()
    text = (run / "result.json").read_text()
    (run / "result.json").write_text(text.replace('"jax"', '"tiny"'))
    (run / "jax-best.safetensors").rename(run / "tiny-best.safetensors")
    opened = Watched(browser, write_page(run, data, {}, docs=tmp_path))
    label = opened.page.locator(".difference-chart .u-wrap").get_attribute("aria-label")
    assert label == (
        "Difference of the loss from PyTorch's, on a log axis. The largest: tiny 0.25 nats."
    )
    options = opened.page.locator("select[name=parameters] option").all_inner_texts()
    assert options == ["PyTorch, best", "tiny, best", "before training"]
    opened.close()


@pytest.mark.parametrize("name", ["constructor", "__proto__"])
def test_a_name_that_every_object_has_breaks_no_chart(browser: Any, name: str, tmp_path: Path):
    """The losses of its steps are not kept: what is found by its name must not be JavaScript's."""
    run, data = make_run(tmp_path / "run")
    path = run / "result.json"
    path.write_text(path.read_text().replace('"jax"', json.dumps(name)))
    (run / "jax-best.safetensors").rename(run / f"{name}-best.safetensors")
    write_page(run, data, {}, docs=tmp_path)
    opened = Watched(browser, run / "page.html")
    labels = opened.page.locator("#training .u-wrap").evaluate_all(
        "charts => charts.map((chart) => chart.getAttribute('aria-label'))"
    )
    opened.close()
    assert len(labels) == 3
    assert all(name in label for label in labels)
