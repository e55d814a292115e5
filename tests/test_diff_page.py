"""The page and the picture of `python -m compare diff`: whole, escaped, and asking for nothing."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import PACKAGES

from compare.aligned import align
from compare.diff import main
from compare.diff_html import write_html
from compare.sources import Source, read_source

ROOT = Path(__file__).resolve().parent.parent


def plant(folder: Path, line: str) -> list[Source]:
    """Read all three model.py from a copy, of which PyTorch's has one line more."""
    for package in PACKAGES.values():
        (folder / package).mkdir()
        text = (ROOT / package / "model.py").read_text()
        (folder / package / "model.py").write_text(text)
    path = folder / "pytorch_impl" / "model.py"
    path.write_text(path.read_text() + line)
    return [read_source(name, root=folder) for name in PACKAGES]


def test_the_page_is_whole_escaped_and_asks_for_nothing(tmp_path: Path):
    planted = "EVIL = '</code><script>alert(1)</script> & \"quoted\"'  # <img src=x>\n"
    sources = plant(tmp_path, planted)
    path = tmp_path / "page.html"
    write_html(path, align(sources), sources, ["</p><script>alert(2)</script>"])
    text = path.read_text()
    page = ElementTree.fromstring(text)
    assert not list(page.iter("script"))
    assert "<script" not in text
    assert "<img" not in text
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|url\(|@import|\b(src|href|on\w+)=", text.replace("src=x", ""))
    for source in sources:
        cells = page.findall(f".//td[@data-of='{source.implementation}']/code")
        assert "\n".join("".join(cell.itertext()) for cell in cells) + "\n" == source.text
    scores = page.find(".//tr[@id='attend.scores']")
    assert scores is not None
    assert len(scores.findall("td/code")) == 3
    assert scores.get("class") == "same"


def test_the_page_and_the_picture_are_written_by_the_command(tmp_path: Path, capsys):
    page, picture = tmp_path / "page.html", tmp_path / "picture.svg"
    assert main(["--form", "vectorized", "--html", str(page), "--svg", str(picture)]) == 0
    out = capsys.readouterr().out
    assert f"Written: {page}" in out
    assert f"Written: {picture}" in out
    assert "def attend" not in out
    assert ElementTree.fromstring(page.read_text()).tag == "html"
    assert "attend" in page.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"page.html", "picture.svg"}


def test_the_picture_in_docs_shows_the_code_as_it_is(tmp_path: Path):
    picture = ROOT / "docs" / "diff.svg"
    assert picture.stat().st_size < 100_000
    again = tmp_path / "diff.svg"
    main(["--form", "vectorized", "--width", "148", "--svg", str(again)])
    for path in (picture, again):
        assert not re.search(r"url\([^#]|@import|@font-face|href=", path.read_text())
    texts = [
        [
            element.text
            for element in ElementTree.fromstring(path.read_text()).iter()
            if element.text
        ]
        for path in (picture, again)
    ]
    assert texts[0] == texts[1], (
        "run: python -m compare diff --form vectorized --width 148 --svg docs/diff.svg"
    )


def test_a_file_that_is_not_python_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"model\.py is not valid Python: line 1\d\d, "):
        plant(tmp_path, "def broken(:\n")
