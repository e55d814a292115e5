"""The page on several processes: the arithmetic on paper, and the table of what was measured."""

import os

import pytest

from compare.scale import (
    Case,
    ScaleConfig,
    choose_cases,
    measured_table,
    only_cores,
    say_command,
    write_page,
)
from compare.scale_paper import BANDWIDTH, LATENCY, RATE, Step, paper_table
from shared.errors import UserError


def test_the_paper_counts_what_a_step_sends_and_computes():
    step = Step("vectorized", channels=1, batch=16)
    assert step.gradient_bytes == 4 * (3 + 10 * 784 + 10)
    attention = 3 * 2 * 784 + 2 * 784**2 + 784**2 + 2 * 784**2
    assert step.operations == 3 * 16 * (attention + 2 * 10 * 784)
    assert step.exchange_seconds(1) == 0
    assert step.exchange_seconds(4) == pytest.approx(
        6 * LATENCY + 1.5 * step.gradient_bytes / BANDWIDTH
    )
    assert step.compute_seconds(4) == pytest.approx(step.operations / 4 / RATE)


@pytest.mark.parametrize("form", ["histogram", "vectorized"])
def test_no_number_of_processes_is_faster_than_its_number(form: str):
    for batch in (16, 256):
        step = Step(form, 3, batch)
        assert step.speedup(1) == 1
        assert all(step.speedup(n) < n for n in (2, 4, 8))
        number, speedup = step.best()
        assert batch % number == 0
        assert speedup >= max(step.speedup(n) for n in (1, 2, 4, 8, 16))
    assert len(paper_table().splitlines()) == 2 + 2 * 4 * 3


def rounds_of(cases: list[Case]) -> dict[Case, list[float]]:
    return {case: [number + 1.0, number + 3.0, number + 2.0] for number, case in enumerate(cases)}


def test_the_table_and_the_page_come_from_the_numbers(monkeypatch):
    monkeypatch.setattr("compare.scale.num_threads", lambda: 6)
    cases = choose_cases(["jax"], ScaleConfig(forms=("vectorized",), processes=3))
    assert [(case.processes, case.cores) for case in cases] == [(1, 1), (1, 6), (3, 6)]
    rounds = rounds_of(cases)
    *_, row = measured_table(rounds).splitlines()
    cells = "2 ms (1 to 3) | 3 ms (2 to 4) | 4 ms (3 to 5) | 0.75x | 0.50x"
    assert row == f"| jax | `vectorized` | 16 | {cells} |"
    machine = {"cpu": "a processor", "threads": 6, "platform": "Linux", "cores_of_others": 0.25}
    page = write_page(rounds, {"machine": machine, "versions": {"jax": "1.2.3"}})
    for said in (row, paper_table(), "a processor with 6 cores", "jax 1.2.3", "kept 0.2 of"):
        assert said in page
    command = "compare scale --implementations jax --forms vectorized --processes 3 --rounds 3"
    assert f"python -m {command} --docs docs\n" in page
    whole = rounds_of(choose_cases(["pytorch", "jax"], ScaleConfig()))
    assert say_command(whole) == "python -m compare scale --processes 2 --rounds 3 --docs docs"
    assert "$SLURM_PROCID" in page
    assert "too much to trust" in page
    quiet = machine | {"cores_of_others": 0.0}
    page = write_page(rounds, {"machine": quiet, "versions": {"jax": "1.2.3"}})
    assert "too much to trust" not in page


def test_a_block_has_only_some_cores_and_gives_them_back():
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system keeps no process to some cores")
    before = os.sched_getaffinity(0)
    with only_cores(1):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_options_that_cannot_be_get_a_sentence():
    with pytest.raises(UserError, match="--processes is 1: give 2 or more"):
        ScaleConfig(processes=1)
    with pytest.raises(UserError, match="--rounds is 0: give 1 or more"):
        ScaleConfig(rounds=0)
