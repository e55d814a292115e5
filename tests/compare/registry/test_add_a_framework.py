"""docs/add_a_framework.md, executed as written: its code, its commands, and its failures."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compare.parity.checks import CHECKS
from compare.parity.intermediates import INTERMEDIATES
from compare.registry.contract import KNOWN_DEVICES, KNOWN_DTYPES, OPTIONAL, REQUIRED
from shared.training.records import Evaluation

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "add_a_framework.md").read_text()
# The folder of the repository is called REPO there, and Python `python`.
SHELL = f'set -eu; REPO="{ROOT}"; python() {{ "{sys.executable}" "$@"; }}; '


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


FORWARD, TRAINING = blocks("python")
FIRST_COMMANDS, COMMANDS = (block.splitlines() for block in blocks("sh"))


def run(command: str, folder: Path) -> subprocess.CompletedProcess:
    """Run a line of the page in the reader's folder."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", SHELL + command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )


def run_all(commands: list[str], folder: Path) -> dict[str, subprocess.CompletedProcess]:
    """Run lines two at a time; return the result of each by its command, such as "trace"."""
    names = [re.search(r"-m (?:compare )?(\w+)", line)[1] for line in commands]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(lambda line: run(line, folder), commands), strict=True))


def in_a_folder(tmp_path_factory, source: str) -> Path:
    pytest.importorskip("mlx.core", reason="mlx is not installed")
    folder = tmp_path_factory.mktemp("reader")
    (folder / "mlx_attention.py").write_text(source)
    return folder


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    """Return a folder with all of the page's code."""
    return in_a_folder(tmp_path_factory, f"{FORWARD}\n\n{TRAINING}")


SOAK = pytest.mark.soak  # a minute; test_third_party.py does the same with an example in NumPy


@pytest.fixture(scope="module")
def results(reader: Path) -> dict[str, subprocess.CompletedProcess]:
    """Run the commands at the page's end."""
    return run_all(COMMANDS, reader)


@SOAK
@pytest.mark.parametrize("name", ["trace", "run", "bench", "pytest"])
def test_a_command_of_the_page_succeeds(results, name: str):
    process = results[name]
    assert process.returncode == 0, process.stdout + process.stderr


@SOAK
def test_every_step_of_the_example_is_seen_and_right(results):
    out = results["trace"].stdout
    assert "mlx_attention has no looped, blocked, builtin, bfloat16." in out
    assert "Every intermediate is within its rounding bound" in out
    rows = [line for line in out.splitlines() if "│ vectorized" in line]
    assert len(rows) == 2
    assert not any(re.search(r"│\s+-\s+│", row) for row in rows), "an intermediate was not seen"


@SOAK
def test_the_example_trains_as_pytorch_does(results, reader: Path):
    assert "Parity holds" in results["run"].stdout
    (report,) = (reader / "runs").glob("*-compare/report.txt")
    rows = report.read_text().splitlines()
    row = next(line for line in rows if "pytorch against mlx_attention" in line)
    assert float(row.split("│")[3]) < 1e-14


@SOAK
def test_the_example_is_timed_in_training_too(results):
    steps = results["bench"].stdout.split("Training step")[1]
    assert "mlx_attention" in steps


@SOAK
def test_all_checks_are_put_to_the_example(results):
    out = results["pytest"].stdout
    assert "judged: mlx_attention (vectorized, histogram; float32, float64; cpu)" in out
    assert " passed" in out
    assert "failed" not in out
    assert "forward only" not in out


def test_the_forward_pass_alone_is_an_implementation(tmp_path_factory):
    folder = in_a_folder(tmp_path_factory, FORWARD)
    commands = [*FIRST_COMMANDS, f"{COMMANDS[-1]} -k test_check"]
    results = run_all(commands, folder)
    for process in results.values():
        assert process.returncode == 0, process.stdout + process.stderr
    words = "mlx_attention has no Training: forward only"
    assert words in results["pytest"].stdout
    assert words in PAGE


SCALE, EXP = " / math.sqrt(len(K))", "    return mx.power("


def said_on_the_page(starts_with: str) -> str:
    """Return a sentence in a block of the page, without its numbers."""
    (block,) = (text for text in blocks("") if text.startswith(starts_with))
    return without_numbers(block)


def without_numbers(text: str) -> str:
    return re.sub(r"[\d.e+-]*\d", "#", " ".join(text.split()))


@SOAK
def test_without_its_scale_every_judge_refuses_it_at_the_step_that_is_wrong(tmp_path_factory):
    source = f"{FORWARD}\n\n{TRAINING}"
    assert source.count(SCALE) == 2
    folder = in_a_folder(tmp_path_factory, source.replace(SCALE, ""))
    judges = [line for line in COMMANDS if "bench" not in line]  # which judges nothing
    judges[1] = judges[1].replace("--implementations pytorch", "--implementations")
    judges[-1] += ' -x -k "test_check"'
    results = run_all(judges, folder)
    assert {name: process.returncode for name, process in results.items()} == dict.fromkeys(
        ("trace", "run", "pytest"), 1
    )
    assert said_on_the_page("scores breaks first") in without_numbers(results["trace"].stdout)
    assert "Parity FAILS" in results["run"].stdout
    assert "mlx_attention" in results["run"].stdout.split("Parity FAILS")[1]
    assert said_on_the_page("Comparison(quantity='scores'") in without_numbers(
        results["pytest"].stdout
    )
    failed = "test_check[mlx_attention-vectorized-float32-cpu-intermediates]"
    assert f"::{failed}" in results["pytest"].stdout
    assert failed in PAGE


def test_the_exponential_of_float32_is_found_in_float64_alone(tmp_path_factory):
    """If this fails, MLX has fixed mx.exp, and the page has to be changed."""
    assert FORWARD.count(EXP) == 1
    source = FORWARD.replace(EXP, "    return mx.exp(x)\n" + EXP)
    process = run(COMMANDS[0], in_a_folder(tmp_path_factory, source))
    assert process.returncode == 1
    assert said_on_the_page("weights breaks first") in without_numbers(process.stdout)


def test_the_page_names_all_that_there_is():
    for check in CHECKS:
        assert re.search(rf"^\| `{check.name}` \| .* \| `{check.needs}` \|$", PAGE, re.MULTILINE)
    words = [*INTERMEDIATES, *KNOWN_DTYPES, *KNOWN_DEVICES, *Evaluation._fields]
    for word in words:
        assert re.search(rf'`"?{word}"?`', PAGE), word
    for function, arguments in (REQUIRED | OPTIONAL).items():
        assert f"`{function}({', '.join(arguments)})" in PAGE.replace("*, ", ""), function


def test_the_links_of_the_page_lead_somewhere():
    prose = re.sub(r"^```.*?^```$", "", PAGE, flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)]+)\)", prose)
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in prose.splitlines()
        if line.startswith("#")
    }
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("https://"):
            assert (ROOT / "docs" / target).exists(), target
    assert len(targets) > 4
