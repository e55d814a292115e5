"""The model in the page is the model: its attention and its probabilities are NumPy's."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PACKAGES
from page_browser import Watched
from page_runs import NAMES, make_run

import numpy_reference
from compare.page.command import write_page
from compare.page.model_data import choose_digits
from compare.parity.capture import capture_intermediates
from compare.parity.intermediates import Batch, bound_intermediates
from shared.data.load import Dataset, Split
from shared.data.normalization import fit_normalization, normalize
from shared.params import load_params


def exact_weights(params: dict[str, np.ndarray], image: np.ndarray) -> Any:
    """Return NumPy's weights in float64 and their rounding bounds: [784, 784] each."""
    batch = Batch({name: array.astype(np.float64) for name, array in params.items()}, image, [])
    found = bound_intermediates(batch, "float64")["weights"]
    return found.value[0], found.bound[0]


@pytest.mark.parametrize(
    ("channels", "normalization", "dtype"),
    [(1, "global", "float32"), (3, "global", "float64"), (3, "per-pixel", "float32")],
)
def test_the_heat_map_is_numpys_weights(
    browser: Any, tmp_path: Path, channels: int, normalization: str, dtype: str
):
    attention = "histogram" if normalization == "global" else "vectorized"
    run, data = make_run(
        tmp_path / "run",
        **{"num_channels": channels, "normalization": normalization},
        **{"dtype": dtype, "attention": attention},
    )
    opened = Watched(browser, write_page(run, data, {}, docs=tmp_path))
    digits = choose_digits(data.test)
    for digit, checkpoint, pixel in ((0, 0, 0), (5, 1, 391), (19, 0, 402)):
        opened.page.locator(f"input[name=digit][value='{digit}']").check(force=True)
        opened.page.locator("select[name=parameters]").select_option(str(checkpoint))
        move_to(opened.page, pixel)
        found = opened.page.evaluate("sideBySide.attention()")
        assert (found["digit"], found["pixel"]) == (digit, pixel)
        params, _ = load_params(run / f"{NAMES[checkpoint]}-best.safetensors")
        value, bound = exact_weights(params, digits.images[digit : digit + 1])
        # The page rounds and so does NumPy, each by no more than the bound.
        error = np.abs(np.array(found["weights"]) - value[pixel])
        assert np.all(error <= 2 * bound[pixel]), np.max(error / bound[pixel])
        assert_colours_follow(opened.page, value)
        shown = opened.page.locator("[data-of-pixel=sentence]").inner_text()
        assert f"grey level {digits.pixels[digit, pixel]}." in shown
    opened.close()


def move_to(page: Any, pixel: int) -> None:
    """Move the pointer over a pixel of the heat map."""
    heat = page.locator("canvas.heat")
    heat.scroll_into_view_if_needed()
    page.mouse.move(0, 0)
    box = heat.bounding_box()
    row, column = divmod(pixel, 28)
    size = box["width"] / 28
    page.mouse.move(box["x"] + (column + 0.5) * size, box["y"] + (row + 0.5) * size)


def assert_colours_follow(page: Any, weights: np.ndarray) -> None:
    """Check the heat map's colours against the weights: brighter is more, equal is equal."""
    colours = page.evaluate("""() => {
        const copy = new OffscreenCanvas(28 * 16, 28 * 16);
        const context = copy.getContext("2d", { willReadFrequently: true });
        context.drawImage(document.querySelector("canvas.heat"), 0, 0);
        return Array.from({ length: 784 }, (_, pixel) => {
            const [x, y] = [(pixel % 28) * 16 + 8, Math.floor(pixel / 28) * 16 + 8];
            return [...context.getImageData(x, y, 1, 1).data];
        });
    }""")
    pixel = page.evaluate("sideBySide.attention().pixel")
    luminance = np.array(colours)[:, :3] @ [0.2126, 0.7152, 0.0722]
    order = np.argsort(weights[pixel], kind="stable")
    assert np.all(np.diff(luminance[order]) >= -1)  # a colour is whole numbers
    if np.ptp(weights[pixel]) > 0.1 * weights.max():
        assert np.ptp(luminance) > 20


def test_a_pixel_is_pinned_by_click_and_moved_by_keys(watched: Watched):
    page = watched.page
    state = "(({ pixel, isPinned }) => [pixel, isPinned])(sideBySide.attention())"
    move_to(page, 300)
    assert page.evaluate(state) == [300, False]
    page.mouse.down()
    page.mouse.up()
    move_to(page, 100)
    assert page.evaluate(state) == [300, True]
    page.locator("canvas.heat").focus()
    moves = {"ArrowDown": 328, "ArrowRight": 329, "ArrowUp": 301, "ArrowLeft": 300}
    for key, pixel in moves.items():
        page.keyboard.press(key)
        assert page.evaluate(state) == [pixel, True]
    spoken = page.locator("[data-of-pixel=spoken]")
    assert spoken.text_content().startswith("Row 11, column 21, grey level")
    page.keyboard.press("Escape")
    assert page.evaluate(state) == [300, False]
    move_to(page, 0)
    page.locator("canvas.heat").focus()
    page.keyboard.press("ArrowUp")  # there is nothing above
    assert page.evaluate(state)[0] == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_a_drawn_stroke_gives_numpys_probabilities(browser: Any, tmp_path: Path, channels: int):
    run, data = make_run(tmp_path / "run", num_channels=channels)
    opened = Watched(browser, write_page(run, data, {}, docs=tmp_path))
    page = opened.page
    page.locator("button[name=clear]").click()
    canvas = page.locator("canvas.drawing")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for index, (x, y) in enumerate([(0.15, 0.1), (0.5, 0.15), (0.35, 0.4), (0.3, 0.7)]):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
        if index == 0:
            page.mouse.down()
    page.mouse.up()
    for checkpoint, name in enumerate(NAMES):
        page.locator("select[name=draw-parameters]").select_option(str(checkpoint))
        params, _ = load_params(run / f"{name}-best.safetensors")
        assert_probabilities(page, params, data)
    assert np.abs(centre_of_ink(page) - 13.5).max() <= 0.5
    page.locator("input[name=center]").uncheck()
    assert np.abs(centre_of_ink(page) - 13.5).max() > 0.5, "the stroke was in the middle anyway"
    assert_probabilities(page, params, data)
    canvas.focus()
    for key in ("ArrowLeft", " ", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    assert_probabilities(page, params, data)
    opened.close()


def centre_of_ink(page: Any) -> np.ndarray:
    """Return row and column of the centre of the model's input, in pixels from 0."""
    ink = np.array(page.evaluate("sideBySide.drawing().levels"), dtype=float).reshape(28, 28)
    return np.array([(ink.sum(axis=1 - axis) @ np.arange(28)) / ink.sum() for axis in (0, 1)])


def assert_probabilities(page: Any, params: dict[str, np.ndarray], data: Dataset) -> None:
    """Check the page's probabilities against NumPy's, in float64 and in float32."""
    found = page.evaluate("sideBySide.drawing()")
    levels = np.array(found["levels"], dtype=np.uint8)[None]
    assert 20 < np.count_nonzero(levels) < 300, "no stroke was drawn"
    fitted = fit_normalization(data.train.pixels, "global")
    image = np.repeat(normalize(levels, fitted)[..., None], len(params["K"]), axis=-1)
    split = Split(levels, image, np.zeros(1, dtype=np.int64), data.test.levels)
    for dtype in ("float64", "float32"):
        model = numpy_reference.from_params(params, "histogram", dtype)
        logits = model(split.in_form("histogram"))
        expected = numpy_reference.model.softmax(logits, axis=-1)[0]
        bounds = bound_intermediates(Batch(params, image, split.labels), dtype)["logits"].bound[0]
        # Both round. A probability changes by no more than a factor of exp(2 d) if no logit
        # changes by more than d; then it is rounded itself, a few times.
        relative = math.expm1(2 * 2 * bounds.max()) + 64 * np.finfo(dtype).eps
        np.testing.assert_allclose(found["probabilities"], expected, rtol=relative)
    texts = page.locator(".probabilities .number").all_inner_texts()
    assert texts == [f"{100 * share:.1f} %" for share in found["probabilities"]]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_flow_shows_numpys_numbers(browser: Any, tmp_path: Path, channels: int):
    run, data = make_run(tmp_path / "run", num_channels=channels)
    opened = Watched(browser, write_page(run, data, {}, docs=tmp_path), width=390)
    page, digit = opened.page, 7
    page.locator("select[name=flow-digit]").select_option(str(digit))
    pixel = int(choose_digits(data.test).pixels[digit].argmax()) - 28
    page.locator("canvas.flow-digit").press("ArrowUp")
    params, _ = load_params(run / f"{NAMES[0]}-best.safetensors")
    image = choose_digits(data.test).images[digit : digit + 1].astype(np.float64)
    model = numpy_reference.from_params(params, "vectorized", "float64")
    seen = capture_intermediates(numpy_reference, model, image)
    seen = {name: values[0] for name, values in seen.items()}
    best = int(seen["scores"][pixel].argmax())
    logits = model(image)[0]
    row = int(logits.argmax())
    terms = seen["attended"][pixel] * params["out.weight"][row].reshape(784, channels)[pixel]
    shown = {
        "query": seen["query"][pixel],
        "key": seen["key"][best],
        "scores": [seen["scores"][pixel, best]],
        "weights": [seen["weights"][pixel, best]],
        "value": seen["value"][best],
        "attended": seen["attended"][pixel],
        "logits": [terms.sum(), params["out.bias"][row], logits[row]],
    }
    for name, numbers in shown.items():
        text = page.locator(f"[data-of-flow={name}]").inner_text()
        found = [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text)]
        for number in numbers:
            assert any(each == pytest.approx(number, rel=6e-3) for each in found), (name, text)
    bars = page.locator(".flow-bars .number").all_inner_texts()
    assert [float(each) for each in bars] == pytest.approx(logits.tolist(), abs=0.0051)
    assert page.locator("select[name=flow-output]").input_value() == str(row)
    for name in PACKAGES:
        page.locator(f"input[name=flow-framework][value={name}]").check(force=True)
        lines = [each for each in page.locator(".flow [data-of]").all() if each.is_visible()]
        assert [each.get_attribute("data-of") for each in lines] == [name] * 7
    opened.close()
