"""The page of a run: its contents, its escaping, and refused inputs."""

import hashlib
import html
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PACKAGES, import_or_skip
from page_runs import HOSTILE, MUTANTS, NAMES, draw_params, make_docs, make_run
from rich.console import Console

import compare.__main__
import compare.page
import numpy_reference
from compare.catalogue.divergences import DIVERGENCES
from compare.page.code import code_rows, intermediates_data
from compare.page.command import main, write_page
from compare.page.encode import embed_json, encode_array, make_picture
from compare.page.render import FONTS, HERE, SCRIPTS, STYLES
from compare.page.training import step_curves
from compare.parity.intermediates import INTERMEDIATES, Batch
from shared.cli import run_main
from shared.errors import UserError
from shared.training.metrics import STEP_LOSSES


def test_the_page_is_one_file_below_5_mb_that_names_no_other(tmp_path: Path):
    run, data = make_run(tmp_path / "run", num_channels=3)
    page = write_page(run, data, {}, docs=make_docs(tmp_path / "docs"))
    assert page == run / "page.html"
    text = page.read_text()
    assert len(text.encode()) < 5_000_000
    # What a browser would fetch by itself; links for the reader do not count.
    assert not re.findall(r"\b(?:src|srcset|poster)=[\"'](?!data:)", text)
    assert not re.findall(r"<link\b(?![^>]*href=\"data:,\")", text)
    assert not re.findall(r"url\((?!data:)|@import", text)
    assert "default-src 'none'" in html.unescape(text)


def test_a_section_whose_data_is_missing_is_left_out(tmp_path: Path):
    run, data = make_run(tmp_path / "run")
    (tmp_path / "docs").mkdir()
    text = write_page(run, data, {}, docs=tmp_path / "docs").read_text()
    always = ["flow", "code", "attention", "draw", "training", "divergences"]
    assert re.findall(r'<section id="(\w+)"', text) == always
    assert re.findall(r'<li><a href="#(\w+)"', text) == always
    docs = make_docs(tmp_path / "full")
    text = write_page(run, data, {}, docs=docs).read_text()
    everything = ["flow", "code", "attention", "draw", "break", "training", "speed", "divergences"]
    assert re.findall(r'<section id="(\w+)"', text) == everything
    without = {**MUTANTS, "bugs": {"not_trained": MUTANTS["bugs"]["not_trained"]}}
    (docs / "mutants.json").write_text(json.dumps(without))
    assert '<section id="break"' not in write_page(run, data, {}, docs=docs).read_text()


def test_the_same_run_makes_the_same_page(tmp_path: Path):
    run, data = make_run(tmp_path / "run")
    first = write_page(run, data, {}, output=tmp_path / "a.html").read_bytes()
    assert write_page(run, data, {}, output=tmp_path / "b.html").read_bytes() == first


def test_json_cannot_leave_its_element_and_means_the_same():
    value = {"<&>": [HOSTILE, 1.5, None, float("nan")]}
    text = embed_json(value)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == {"<&>": [HOSTILE, 1.5, None, None]}


def test_texts_of_a_run_are_escaped(tmp_path: Path):
    run, data = make_run(tmp_path / "<b>run")
    path = run / "result.json"
    result = json.loads(path.read_text())
    result["machine"] = result["parity"]["verdict"] = HOSTILE
    result["versions"] = {HOSTILE: HOSTILE}
    path.write_text(json.dumps(result))
    text = write_page(run, data, {}, docs=tmp_path).read_text()
    assert "<script>document" not in text
    assert "<img" not in text
    assert text.count("&lt;/script&gt;&lt;script&gt;document") == 4
    assert "<b>run" not in text
    assert text.count("<script") == 9  # the theme, six of data, uPlot, and the page's own


def test_curves_are_thinned_without_hiding_the_largest_difference():
    losses = np.linspace(2, 1, 12_345)
    other = losses.copy()
    other[7_000] += 0.5
    curves = step_curves({"a": losses, "b": other}, {"a": 3, "b": 3})
    assert len(curves["x"]) <= 500
    assert curves["x"][-1] == 3
    assert max(curves["differences"]["b"]) == 0.5
    assert curves["losses"]["a"][-1] == pytest.approx(losses[-curves["smooth"] :].mean())
    assert step_curves({}, {}) is None


def test_the_code_is_the_files_own_and_every_step_has_one_row_of_all_three():
    rows = code_rows()
    for index, (name, package) in enumerate(PACKAGES.items()):
        cells = [row.cells[index] for row in rows if row.part != "loss" and row.cells[index]]
        text = "".join("".join(p.text for p in cell.pieces) + "\n" for cell in cells)
        files = [HERE.parents[1] / package / file for file in ("model.py", "forms.py")]
        assert text == "".join(path.read_text() for path in files), name
    shown = [row for row in rows if row.part in ("attend", "forward", "loss") and row.intermediate]
    assert [row.intermediate for row in shown] == list(INTERMEDIATES)
    assert all(None not in row.cells for row in shown)


@pytest.mark.parametrize("channels", [1, 3])
def test_steps_have_their_real_shapes_and_errors(channels: int, tmp_path: Path):
    _, data = make_run(tmp_path / "run", num_channels=channels)
    batch = Batch(draw_params(channels, 0), *(data.test.images[:1], data.test.labels[:1]))
    implementations = {name: import_or_skip(name) for name in PACKAGES}
    found = intermediates_data(implementations, batch, "pytorch")
    by_name = {each["name"]: each for each in found["intermediates"]}
    assert list(by_name) == list(INTERMEDIATES)
    assert by_name["query"]["shape"] == [1, 784, channels]
    assert by_name["scores"]["shape"] == by_name["weights"]["shape"] == [1, 784, 784]
    assert by_name["logits"]["shape"] == [1, 10]
    assert by_name["value"]["picture"]["shape"] == [28, 28 * channels]
    model = numpy_reference.from_params(batch.params, "vectorized")
    assert by_name["logits"]["values"] == model(batch.images)[0].tolist()
    for each in found["intermediates"]:
        for name in PACKAGES:
            for dtype in ("float32", "float64"):
                assert each["errors"][name][dtype]["passed"]
                assert 0 <= each["errors"][name][dtype]["carried"] <= 1
    assert by_name["scores"]["errors"]["pytorch"]["float32"]["local"] > 0


def test_a_picture_is_the_mean_of_blocks_from_the_smallest_to_the_largest():
    picture = make_picture(np.arange(16.0).reshape(4, 4), size=2)
    assert picture == encode_array(np.array([[0, 51], [204, 255]], dtype=np.uint8))
    assert make_picture(np.ones((3, 5)))["shape"] == [3, 5]
    assert make_picture(np.ones((5, 3)), size=2)["shape"] == [2, 2]
    with pytest.raises(ValueError, match="int64"):
        encode_array(np.array([1]))


def test_every_divergence_is_whole_in_the_page_and_every_link_works(tmp_path: Path):
    run, data = make_run(tmp_path / "run")
    text = write_page(run, data, {}, docs=tmp_path).read_text()
    start = text.index('<section id="divergences"')
    section = text[start : text.index("</section>", start)]
    shown = html.unescape(re.sub(r"</?code>", "`", section))
    assert shown.count("<details") == len(DIVERGENCES)
    for each in DIVERGENCES:
        for words in (
            each.title,
            each.what,
            each.detect,
            each.fix,
            each.pytorch,
            each.jax,
            each.port,
        ):
            assert words in shown, each.name
    assert "<code>1 - decay**count</code>" in section
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    links = re.findall(r'<a\b[^>]*\bhref="([^"]*)"', text)
    assert {link for link in links if not link.startswith("https://")} <= {f"#{i}" for i in ids}


def test_the_accuracies_that_the_page_quotes_are_those_of_the_results():
    template = (HERE / "templates" / "attention.html.j2").read_text()
    results = (HERE.parents[1] / "docs" / "results.md").read_text()
    quoted = re.findall(r"\d\d\.\d\d %", template)
    assert len(quoted) == 2
    sentence = "the model reaches a test accuracy of **{}** and its last layer alone **{}**"
    assert sentence.format(*quoted) in results


def test_another_mutants_file_is_one_sentence(tmp_path: Path):
    run, data = make_run(tmp_path / "run")
    docs = make_docs(tmp_path / "docs")
    broken = json.loads(json.dumps(MUTANTS))
    broken["bugs"]["softmax_over_the_queries"]["accuracy"]["wrong"] = "low"
    (docs / "mutants.json").write_text(json.dumps(broken))
    with pytest.raises(UserError, match=r"mutants\.json cannot be read: .*bugs.*\.accuracy\.wrong"):
        write_page(run, data, {}, docs=docs)


def test_without_jinja2_one_line_says_so(tmp_path: Path, monkeypatch, capsys):
    run, data = make_run(tmp_path / "run")
    for module in ("jinja2", "compare.page.command", "compare.page.render"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    compare.page.write_after_run(run, data, {}, Console(width=200, soft_wrap=True))
    said = capsys.readouterr().out
    needs = "it needs jinja2, which is not installed: python -m pip install jinja2.\n"
    assert said == f"No page was written: {needs}"
    monkeypatch.setattr(sys, "argv", ["compare", "page", str(run)])
    with pytest.raises(SystemExit, match="2"):
        run_main(compare.__main__.main)
    assert capsys.readouterr().err == f"error: This {needs.removeprefix('it ')}"


def test_a_run_is_not_lost_to_its_page(tmp_path: Path, capsys):
    run, data = make_run(tmp_path / "run")
    (run / "page.html").mkdir()  # cannot be replaced by a file
    console = Console(width=200, soft_wrap=True)
    compare.page.write_after_run(run, data, {}, console)
    assert "No page was written: Could not write" in capsys.readouterr().out
    compare.page.write_after_run(run, None, {}, console)  # type: ignore[arg-type]
    assert "No page was written: AttributeError" in capsys.readouterr().out
    assert sorted(path.name for path in run.iterdir()) == sorted(
        ["result.json", "page.html", STEP_LOSSES, *(f"{name}-best.safetensors" for name in NAMES)]
    )


def test_the_command_writes_where_it_is_told(tmp_path: Path, capsys):
    import_or_skip("pytorch")
    run, _ = make_run(tmp_path / "run")
    output = tmp_path / "elsewhere.html"
    assert main([str(run), "--output", str(output)]) == 0
    assert output.name in capsys.readouterr().out.replace("\n", "")
    assert output.read_text().startswith("<!DOCTYPE html>")
    assert not (run / "page.html").exists()
    with pytest.raises(UserError, match="Could not write"):
        main([str(run), "--output", str(tmp_path / "no" / "folder.html")])


def test_what_the_page_carries_along_is_what_its_makers_publish():
    text = (HERE / "vendor" / "README.md").read_text()
    rows = re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", text, re.MULTILINE)
    files = {path for path in (HERE / "vendor").glob("*/*") if path.name != "LICENSE"}
    assert {HERE / "vendor" / name for name, _ in rows} == files
    for name, expected in rows:
        path = HERE / "vendor" / name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == expected, name
        assert (path.parent / "LICENSE").read_text().strip()


def test_the_pages_own_files_fit_in_the_head_and_are_all_used():
    scripts = {HERE / name for name in SCRIPTS} | {HERE / "static" / "theme.js"}
    styles = {HERE / name for name in STYLES if not name.startswith("vendor")}
    styles.add(HERE / "static" / "diagnosis.css")  # of the page of `compare diagnose`
    assert scripts | styles == set((HERE / "static").iterdir())
    for path in [*scripts, *styles, *(HERE / "templates").iterdir()]:
        assert len(path.read_text().splitlines()) <= 300, path.name
    for path in [*scripts, HERE / "vendor" / "uplot" / "uPlot.iife.min.js"]:
        assert "</" not in path.read_text(), f"{path.name} could end its element"
    assert all((HERE / name).exists() for name in FONTS.values())
