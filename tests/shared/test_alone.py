"""The splits that are validated and tested, and the epoch whose parameters are tested."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compare.expected.problems import make_dataset, make_problem
from compare.run.command import evaluate_everywhere
from shared.config import Config
from shared.data.load import Dataset
from shared.training import alone, records
from shared.training.records import AdamState, Epoch, Evaluation

PROBLEM = make_problem(batch=11)
TRAIN, VALIDATION, TEST = 1, 2, 3  # the label of all samples of a split, and so its loss


def splits_that_differ() -> Dataset:
    train = make_dataset(PROBLEM).train
    labels = [np.full_like(train.labels, label) for label in (TRAIN, VALIDATION, TEST)]
    return Dataset(*(replace(train, labels=each) for each in labels))


def evaluate(model: Any, images: Any, labels: np.ndarray, **options: Any) -> Evaluation:
    """Return the split's label for a loss, and the parameters' own number for logits."""
    return Evaluation(float(labels.mean()), 0.5, np.full((len(labels), 5), model["V"][0, 0]))


class Training:
    """A training whose losses are its data's labels, and whose V counts its steps."""

    def __init__(self, params: Any, adam: AdamState, data: Any, config: Config) -> None:
        self.model = {name: array.copy() for name, array in params.items()}
        self.adam, self.labels = adam, data.labels

    def take_steps(self, batches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.adam = self.adam._replace(step=self.adam.step + len(batches))
        self.model["V"] = np.full_like(self.model["V"], self.adam.step)
        return self.labels[batches].mean(axis=1).astype(np.float32), np.ones(len(batches))

    def state(self) -> tuple[dict[str, np.ndarray], AdamState]:
        return dict(self.model), self.adam


STUB: Any = SimpleNamespace(
    __name__="stub",
    __doc__="A stub.",
    ATTENTION={"histogram": None},
    Training=Training,
    evaluate=evaluate,
    from_params=lambda params, *options: params,
    find_device=lambda name: name,
)


def test_every_epoch_is_validated_on_its_split_and_the_test_split_is_tested(
    tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(alone, "load_config_data", lambda config: splits_that_differ())
    monkeypatch.setattr(alone, "draw_config_params", lambda config: PROBLEM.params)
    options = ["--epochs", "2", "--batch-size", "5", "--num-channels", "3"]
    assert alone.train_alone(STUB, STUB, "stub", options) == 0
    lines = (tmp_path / "runs" / "latest-stub" / "metrics.jsonl").read_text().splitlines()
    *epochs, tested = map(json.loads, lines)
    assert [line["train_loss"] for line in epochs] == [TRAIN, TRAIN]
    assert [line["val_loss"] for line in epochs] == [VALIDATION, VALIDATION]
    assert tested["test_loss"] == TEST


def test_a_comparison_tests_on_the_test_split():
    found = evaluate_everywhere(
        {"it": STUB}, {"it": PROBLEM.params}, splits_that_differ(), Config()
    )
    assert found["it"]["it"].loss == TEST


def epoch_of(number: int, train_loss: float, val_loss: float) -> Epoch:
    validation = Evaluation(val_loss, 0.5, np.zeros((1, 5)))
    nothing = AdamState(number, {}, {})
    return Epoch(number, train_loss, 0.5, validation, 1.0, 10, np.zeros(1), {}, nothing)


@pytest.mark.parametrize(
    ("val_losses", "best"),
    [((0.5, 0.3, 0.4), 2), ((float("nan"), 0.5, 0.4), 3), ((0.3, 0.3, 0.3), 1)],
)
def test_the_best_epoch_is_that_of_the_lowest_validation_loss(val_losses: Any, best: int):
    train_losses = (0.3, 0.2, 0.1)  # the lowest is the last
    epochs = [epoch_of(n + 1, train_losses[n], val) for n, val in enumerate(val_losses)]
    assert records.tested_epoch(epochs, "best").number == best
    assert records.tested_epoch(epochs, "last").number == 3
