"""The output of a run fits a terminal: whole numbers, whole words, one screen."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from compare.parity.comparison import Comparison
from compare.parity.verdict import Parity
from compare.run.command import say_epoch
from compare.run.report import parity_table, print_report, results_table, write_tables
from shared.config import Config
from shared.training.progress import count, say_interrupted, training_progress, watch_steps
from shared.training.records import AdamState, Epoch, Evaluation

WHERE = "jax histogram in float64 on cpu, step 1"
HOLDS = Parity([Comparison("stepped K", WHERE, 1.2e-9, 0.0512), Comparison("loss", "b", 0, 0)])
FAILS = Parity([Comparison("scores", WHERE, 0.12, 1.2e6)])
NAMES = ("pytorch", "jax", "mlx_attention")


def make_epochs(number: int = 3) -> list[Epoch]:
    validation = Evaluation(0.4567, 0.8765, np.zeros((1, 5)))
    nothing = AdamState(0, {}, {})
    return [
        Epoch(n + 1, 0.3669, 0.8, validation, 0.15, 4000, np.ones(2), {}, nothing)
        for n in range(number)
    ]


def make_tests() -> dict[str, dict[str, Evaluation]]:
    result = Evaluation(0.5432, 0.8471, np.zeros((1, 5)))
    return {name: dict.fromkeys(NAMES, result) for name in (*NAMES, "numpy")}


def shown(width: int, *prints: Any) -> list[str]:
    """Return the lines that some functions print on a console of a width."""
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False)
    for each in prints:
        each(console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("parity", [HOLDS, FAILS], ids=["holds", "fails"])
def test_a_run_is_one_screen_of_whole_numbers(width: int, parity: Parity):
    epochs = {name: make_epochs() for name in NAMES}
    lines = shown(width, lambda console: print_report(console, epochs, make_tests(), parity))
    assert len(lines) <= 16
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "…" not in text
    assert "pytorch 3 84.71% 26,667 its own" in text
    assert "numpy - 84.71% - pytorch's" in text
    assert parity.verdict in text, "no word of the verdict is broken"


def test_the_verdict_says_what_its_number_means():
    assert "the largest is 5.1% of that: stepped K of jax histogram" in HOLDS.verdict
    assert FAILS.verdict.startswith("Parity FAILS: scores of jax histogram")


def test_the_long_tables_are_kept_whole(tmp_path: Path):
    tables = [results_table({"jax": make_epochs()}, make_tests()), parity_table(HOLDS)]
    write_tables(tmp_path / "report.txt", tables)
    text = (tmp_path / "report.txt").read_text()
    assert "epoch 3" in text
    assert "1.2e-09" in text
    assert "…" not in text


def test_the_line_of_a_long_runs_epoch_fits():
    line = say_epoch("pytorch", make_epochs(1)[0], Config(epochs=128))
    assert line == "epoch 1/128, pytorch: training loss 0.3669, validation 0.4567, 87.6%"
    assert len(line) < 80


@pytest.mark.parametrize(("number", "said"), [(1, "1 epoch"), (3, "3 epochs")])
def test_one_is_no_plural(number: int, said: str):
    assert count(number, "epoch") == said


@pytest.mark.parametrize("width", [80, 160])
def test_progress_shows_the_mean_loss_whole(width: int):
    console = Console(width=width, file=io.StringIO(), force_terminal=True)
    progress = training_progress(console)
    watch_steps(progress, "pytorch", 3750, 16)(3750, np.array([1.0, 0.5]))
    (last,) = shown(width, lambda plain: plain.print(progress.make_tasks_table(progress.tasks)))
    assert "mean loss 0.750" in last
    assert "samples/s" in last
    assert "…" not in last


@pytest.mark.parametrize("width", [80, 160])
def test_ctrl_c_ends_with_the_command_on_one_line(width: int):
    folder = Path("runs") / ("a folder " * 12)
    *_, last = shown(width, lambda c: say_interrupted(c, "python -m compare run", folder, "1"))
    assert last == f"python -m compare run --resume '{folder}'"
