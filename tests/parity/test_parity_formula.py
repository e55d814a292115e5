"""What a run says of the form it trains: a bug that one channel hides fails the verdict."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import import_or_skip

from compare.catalogue import BUGS, Bug, plant
from compare.expected.problems import make_dataset, make_problem
from compare.parity.formula import judge_formula
from compare.parity.verdict import Parity, check_float64_training
from shared.config import Config

HIDDEN = [bug for bug in BUGS if bug.form == "histogram" and bug.equivalent]


def test_every_implementation_computes_the_formula_at_three_channels(implementation):
    parity = Parity(judge_formula("it", implementation, Config()))
    assert parity.passed, parity.verdict
    quantities = {each.quantity for each in parity.comparisons}
    assert {"logits", "loss"} <= quantities
    assert ("first moment K" in quantities) == hasattr(implementation, "Training")
    assert "at three channels" in parity.verdict


@pytest.mark.parametrize("bug", HIDDEN, ids=lambda bug: bug.name)
def test_a_bug_that_one_channel_hides_fails_and_its_intermediate_is_named(bug: Bug):
    import_or_skip({"pytorch_impl": "pytorch", "numpy_reference": "numpy"}[bug.package])
    parity = Parity(judge_formula("it", plant(bug), Config()))
    assert not parity.passed
    assert parity.verdict.startswith(f"Parity FAILS: {bug.intermediate} of it histogram in float64")


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
