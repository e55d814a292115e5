"""The README is short and true: its lines of code, commands, output and snippet are real."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PACKAGES, import_or_skip

from shared.params import initial_params, save_params

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """Return the text of a section."""
    return README.split(f"\n## {title}")[1].split("\n## ")[0]


def key_lines() -> list[tuple[str, list[str]]]:
    """Read the core: each of its ten steps, and its line in each package."""
    core = section("The core, three times")
    lines = [line.split("  #")[0] for line in FENCE.search(core)[2].splitlines()]
    shared = [(line.split(" =")[0], [line] * len(PACKAGES)) for line in lines]
    rows = [line.strip("| ").split(" | ") for line in core.splitlines() if "| `" in line]
    return shared + [(step, [cell.strip("`") for cell in cells]) for step, *cells in rows]


def test_there_are_ten():
    assert len(key_lines()) == 10


@pytest.mark.parametrize("step", [step for step, _ in key_lines()])
def test_the_key_lines_are_real(step: str):
    for package, line in zip(PACKAGES.values(), dict(key_lines())[step], strict=True):
        source = "".join(path.read_text() for path in sorted((ROOT / package).glob("*.py")))
        assert line in source, f"{line!r} is not in {package}"


def test_the_readme_is_short():
    lines, words = len(README.splitlines()), len(README.split())
    assert (lines <= 120, words <= 1200) == (True, True), f"{lines} lines, {words} words"


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> dict[str, str]:
    """Run the README's commands in their order; return what each printed."""
    for name in ("pytorch", "jax"):
        import_or_skip(name)
    folder, outputs = tmp_path_factory.mktemp("readme"), {}
    for language, text in FENCE.findall(README):
        if "torch_norm =" in text:
            (folder / "norms.py").write_text(text)
        for line in [] if language else text.splitlines():
            if line.startswith(("python ", "make compare")):
                # What the Makefile has for `make compare`.
                command = line.replace("make compare", "python -m compare run")
                words = shlex.split(command, comments=True)
                outputs[line] = run([sys.executable, *words[1:]], folder)
    return outputs


def run(command: list[str], folder: Path) -> str:
    """Run a command; return what it printed, without its line breaks."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "160", "PYTHON_COLORS": "0"}
    result = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=500
    )
    assert result.returncode == (1 if "diagnose" in command else 0), result.stdout + result.stderr
    return " ".join(result.stdout.split())


@pytest.mark.soak
def test_the_commands_work_in_their_order(printed: dict[str, str]):
    verbs = " ".join(printed)
    for verb in ("make compare", "diff", "page", "diagnose", "mutants", "trace"):
        assert verb in verbs


@pytest.mark.soak
def test_what_the_readme_says_is_printed(printed: dict[str, str]):
    compared = next(text for line, text in printed.items() if line.startswith("make compare"))
    shown = next(text for _, text in FENCE.findall(README) if "Parity holds" in text)
    assert len(shown.splitlines()) == 5
    for line in shown.splitlines():
        assert without_speed(line) in without_speed(compared)


def without_speed(text: str) -> str:
    """Return a text without the numbers of samples per second, and with single spaces."""
    return " ".join(re.sub(r"\d+,\d{3}", "N", text).split())


@pytest.mark.soak
def test_diagnose_prints_what_the_readme_says(printed: dict[str, str]):
    answer = next(text for line, text in printed.items() if "compare diagnose" in line)
    shown = [text for _, text in FENCE.findall(section("Port a model")) if "BUG" in text]
    assert len(shown) == 1
    for line in shown[0].splitlines():
        assert line in answer


def test_the_snippet_runs_as_it_is(tmp_path: Path, monkeypatch, capsys):
    for name in ("pytorch", "jax"):
        import_or_skip(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "latest").mkdir(parents=True)
    params = initial_params(num_channels=1, seed=0)
    save_params(tmp_path / "runs" / "latest" / "jax-best.safetensors", params)
    exec(next(text for _, text in FENCE.findall(README) if "load_params" in text), {})
    (_, *first), *others = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert len(first) == 2
    assert [rest for _, *rest in others] == [first, first]
