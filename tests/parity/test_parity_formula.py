"""The verdict on the form that a run trains: a bug that one channel hides fails it."""

import gc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import import_or_skip

from compare.catalogue import BUGS, Bug, plant
from compare.expected.problems import make_dataset, make_problem
from compare.parity.comparison import must
from compare.parity.formula import judge_formula, judge_resume
from compare.parity.verdict import Parity, check_float64_training
from compare.run import command
from shared.config import Config
from shared.data.load import Dataset, load_data

HIDDEN = [bug for bug in BUGS if bug.form == "histogram" and bug.equivalent]


def test_every_implementation_computes_the_formula_at_three_channels(implementation):
    parity = Parity(judge_formula("it", implementation, Config()))
    assert parity.passed, parity.verdict
    quantities = {each.quantity for each in parity.comparisons}
    assert {"logits", "loss"} <= quantities
    assert ("first moment K" in quantities) == hasattr(implementation, "Training")
    assert "with three channels" in parity.verdict


@pytest.mark.parametrize("bug", HIDDEN, ids=lambda bug: bug.name)
def test_a_bug_that_one_channel_hides_fails_and_its_intermediate_is_named(bug: Bug):
    import_or_skip({"pytorch_impl": "pytorch", "numpy_reference": "numpy"}[bug.package])
    parity = Parity(judge_formula("it", plant(bug), Config()))
    assert not parity.passed
    assert parity.verdict.startswith(f"Parity FAILS: {bug.intermediate} of it histogram in float64")


def test_an_implementation_that_resumes_as_it_should_passes(trainer):
    parity = Parity(judge_resume("it", trainer, Config()))
    assert parity.passed, parity.verdict


def test_a_state_that_is_partly_lost_on_resume_fails_a_resumed_run():
    import_or_skip("pytorch")
    (bug,) = (bug for bug in BUGS if bug.name == "adam_counts_anew_after_a_resume")
    parity = Parity(judge_resume("it", plant(bug), Config()))
    assert parity.verdict.startswith(
        "Parity FAILS: Adam's step of it histogram in float64 on cpu, resumed after 3 steps"
    )


def test_a_run_that_was_resumed_is_asked_and_one_that_was_not_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    import_or_skip("pytorch")
    sample = load_data("sample")
    few = Dataset(*(split.first(64) for split in (sample.train, sample.validation, sample.test)))
    monkeypatch.setattr(command, "load_config_data", lambda _: few)
    monkeypatch.setattr(command, "write_after_run", lambda *_: None)
    monkeypatch.setattr(command, "judge_resume", lambda *_: [must("Adam's step", "here", False)])
    options = ["--implementations", "pytorch", "--runs-dir", str(tmp_path), "--epochs"]
    assert command.main([*options, "1"]) == 0
    gc.collect()  # the first run's lock goes with its folder, which frames of libraries hold
    assert command.main([*options, "2", "--resume", str(tmp_path / "latest")]) == 1
    assert "Parity FAILS: Adam's step of here is wrong." in capsys.readouterr().out


def test_the_hidden_bugs_are_three():
    assert len(HIDDEN) == 3


def test_an_implementation_that_raises_fails(implementation):
    def evaluate(*args: object, **options: object) -> None:
        raise RuntimeError("no memory")

    broken: Any = SimpleNamespace(**(vars(implementation) | {"evaluate": evaluate}))
    parity = Parity(judge_formula("it", broken, Config()))
    assert not parity.passed
    assert "raises RuntimeError: no memory" in parity.verdict


@pytest.mark.parametrize("rate", [1e-30, 0.001])
def test_trainings_that_do_not_move_agree_about_nothing(trainer, rate: float):
    problem = make_problem(batch=23)
    config = Config(epochs=1, batch_size=5, learning_rate=rate)
    trainers = {"a": trainer, "b": trainer}
    found = check_float64_training(trainers, problem.params, make_dataset(problem), config)
    parity = Parity(found)
    assert parity.passed == (rate > 1e-10)
    if not parity.passed:
        assert "the movement of a in 4 steps is wrong" in parity.verdict


def test_a_trainer_that_takes_no_step_does_not_pass(trainer):
    def begin(*args: Any) -> Any:
        training = trainer.Training(*args)
        return SimpleNamespace(
            model=training.model,
            state=training.state,
            take_steps=lambda batches: (np.ones(len(batches)), np.ones(len(batches))),
        )

    still = SimpleNamespace(**(vars(trainer) | {"Training": begin}))
    problem = make_problem(batch=23)
    config = replace(Config(), epochs=1, batch_size=5)
    found = check_float64_training(
        {"a": still, "b": still}, problem.params, make_dataset(problem), config
    )
    assert not Parity(found).passed
