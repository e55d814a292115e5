"""The verdict is code too: the parity of a run must fail if anything in it is wrong."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import TRAINERS, import_or_skip

from compare.expected.problems import make_dataset, make_problem
from compare.parity.comparison import Comparison, largest, relative_difference
from compare.parity.verdict import Parity, check_float64_training, check_same_params
from shared.config import Config

CONFIG = Config(epochs=1, batch_size=5)


def altered(module, **changes):
    """Return a copy of an implementation with some functions replaced."""
    return SimpleNamespace(**(vars(module) | changes))


def wrong_logits(module, change):
    def evaluate(*args, **kwargs):
        result = module.evaluate(*args, **kwargs)
        return result._replace(logits=change(result.logits))

    return altered(module, evaluate=evaluate)


def judge_weights(module) -> Parity:
    problem = make_problem(batch=11)
    split = make_dataset(problem).test
    return Parity(check_same_params({"it": module}, problem.params, split, CONFIG, params_of="it"))


def test_correct_implementations_pass(implementation):
    parity = judge_weights(implementation)
    assert parity.passed
    assert parity.verdict.startswith("Parity holds")
    assert 0 < parity.to_json()["max_error_ratio"]["logits"] < 1


def nan_in_one(logits):
    return np.where(np.arange(logits.size).reshape(logits.shape) == 3, np.nan, logits)


@pytest.mark.parametrize(
    "change",
    [
        lambda logits: logits + 1e-2,
        lambda logits: logits * 1.01,
        lambda logits: logits[::-1],
        lambda logits: logits * np.nan,
        nan_in_one,
        lambda logits: np.zeros_like(logits),
    ],
)
def test_wrong_logits_fail(implementation, change):
    parity = judge_weights(wrong_logits(implementation, change))
    assert not parity.passed
    assert parity.verdict.startswith("Parity FAILS: logits of it on it's parameters is ")


def test_a_wrong_loss_fails(implementation):
    def evaluate(*args, **kwargs):
        return implementation.evaluate(*args, **kwargs)._replace(loss=float("nan"))

    parity = judge_weights(altered(implementation, evaluate=evaluate))
    assert not parity.passed
    assert "loss of it" in parity.verdict


def test_training_that_differs_by_its_learning_rate_fails():
    pytorch, jax = (import_or_skip(name) for name in TRAINERS)

    def begin(params, adam, data, config):
        return jax.Training(params, adam, data, replace(config, learning_rate=0.0030001))

    problem = make_problem(batch=23)
    data = make_dataset(problem)
    good = check_float64_training({"a": pytorch, "b": jax}, problem.params, data, CONFIG)
    wrong = {"a": pytorch, "b": altered(jax, Training=begin)}
    bad = check_float64_training(wrong, problem.params, data, CONFIG)
    assert Parity(good).passed
    assert not Parity(bad).passed


def test_no_checks_is_not_a_pass():
    assert not Parity([]).passed


def test_nan_is_the_largest_difference_and_never_passes():
    assert np.isnan(largest([1.0, float("nan"), 2.0]))
    assert np.isnan(relative_difference(np.array([1.0, np.nan]), np.array([1.0, 2.0])))
    assert not Comparison("loss", "here", float("nan"), float("nan")).passed
    assert relative_difference(np.array([-3.0, 1.0]), np.array([1.0, 1.0])) == 4 / 3
