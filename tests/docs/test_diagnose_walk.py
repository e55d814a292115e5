"""docs/diagnose.md shows two ports and the output of `compare diagnose`: both are run as shown."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from compare.diagnose import command
from compare.diagnose.report import HEADINGS

for library in ("torch", "flax"):
    pytest.importorskip(library)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "diagnose.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
MINE, PORT, NORMS = [text for kind, text in BLOCKS if kind == "python"][:3]
OUTPUTS = [text for kind, text in BLOCKS if kind == "" and text.startswith("left ")]
FIXES = [text for kind, text in BLOCKS if kind == "diff"]
MODULES = ("mine", "port", "norms")


def fix(program: str, diff: str) -> str:
    """Replace the lines of a diff that begin with "-" by those that begin with "+"."""
    removed, added = (
        "".join(line[1:] for line in diff.splitlines(keepends=True) if line.startswith(sign))
        for sign in "-+"
    )
    assert program.count(removed) == 1
    return program.replace(removed, added)


def without_numbers(text: str) -> list[str]:
    """Return the words of a text: numbers differ in their last digits, and so lines in length."""
    return [word for word in text.split() if not re.search(r"\d", word)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the page's programs and their inputs, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("COLUMNS", "110")
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "norms.py").write_text(NORMS)
    rng = np.random.default_rng
    np.savez("batch.npz", x=rng(0).standard_normal((2, 7, 48), "float32"))
    np.savez("large.npz", x=1000 + rng(0).standard_normal((5, 256), "float32"))
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("fixes", "options", "status"), [(0, (), 1), (1, (), 1), (2, ("--gradients",), 0)]
)
def test_the_port_is_judged_as_the_page_shows(folder, capsys, fixes, options, status):
    port = PORT
    for diff in FIXES[:fixes]:
        port = fix(port, diff)
    (folder / "port.py").write_text(port)
    programs = ("mine.py:make_torch", "port.py:make_jax", "--input", "batch.npz")
    assert command.main([*programs, *options]) == status
    assert without_numbers(capsys.readouterr().out) == without_numbers(OUTPUTS[fixes])


def test_the_less_exact_side_is_named_as_the_page_shows(folder, capsys):
    programs = ("norms.py:make_torch", "norms.py:make_jax", "--input", "large.npz")
    assert command.main(programs) == 0
    assert without_numbers(capsys.readouterr().out) == without_numbers(OUTPUTS[3])


def test_every_verdict_is_in_the_table():
    rows = [
        line.split("|")[1].strip()
        for line in PAGE.splitlines()
        if re.match(r"\| .*\| [012] \|", line)
    ]
    assert len(rows) == len(HEADINGS)
