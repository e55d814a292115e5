"""The README shows lines of code: they must be lines of the real files."""

from pathlib import Path

import pytest
from conftest import PACKAGES

ROOT = Path(__file__).resolve().parents[2]


def key_lines() -> list[tuple[str, list[str]]]:
    """Read the table of the key ten lines: the step's name, and its line in each package."""
    section = (ROOT / "README.md").read_text().split("## The key ten lines")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|") and "`" in line]
    rows = [line.strip("| ").split(" | ") for line in lines]
    return [(step, [cell.strip("`") for cell in cells]) for step, *cells in rows]


def test_there_are_ten():
    assert len(key_lines()) == 10


@pytest.mark.parametrize("step", [step for step, _ in key_lines()])
def test_the_key_lines_are_real(step: str):
    for package, line in zip(PACKAGES.values(), dict(key_lines())[step], strict=True):
        source = "".join(path.read_text() for path in sorted((ROOT / package).glob("*.py")))
        assert line in source, f"{line!r} is not in {package}"
