"""The exact training in float64: gradients by exact.py, Adam by adam.py.

Trainings are compared with it. The NumPy reference has no training, so that it stays short.
"""

from dataclasses import dataclass

import numpy as np

from compare.expected.adam import expect_moments, expect_params, start_of_adam
from compare.expected.bounds import ARITHMETIC
from compare.expected.exact import expect_gradients, expect_logits, expect_loss
from compare.expected.problems import Problem
from shared.config import Config
from shared.data.batches import epoch_batches
from shared.training.records import AdamState


@dataclass(frozen=True)
class ExactTraining:
    """The result of a training in float64."""

    losses: np.ndarray  # [steps], nats per image
    logits: np.ndarray  # [steps, batch, outputs], before each step
    labels: np.ndarray  # [steps, batch]
    params: dict[str, np.ndarray]
    adam: AdamState


def train_exactly(problem: Problem, config: Config) -> ExactTraining:
    """Train on the samples of a problem in float64, with the options of `config`."""
    arithmetic = ARITHMETIC["float64"]
    params, adam = dict(problem.params), start_of_adam(problem.params)
    losses, logits, labels = [], [], []
    for number in range(1, config.epochs + 1):
        for rows in epoch_batches(
            len(problem.labels),
            config.batch_size,
            sampling=config.sampling,
            seed=config.seed,
            epoch=number,
        ):
            images, targets = problem.images[rows], problem.labels[rows]
            logits.append(expect_logits(params, images, arithmetic))
            losses.append(expect_loss(logits[-1], targets, arithmetic).value)
            labels.append(targets)
            gradients = expect_gradients(params, images, targets, arithmetic)
            first, second = (
                {name: moment.value for name, moment in moments.items()}
                for moments in expect_moments(adam, gradients, arithmetic)
            )
            adam = AdamState(adam.step + 1, first, second)
            stepped = expect_params(params, adam, config.learning_rate, arithmetic)
            params = {name: array.value for name, array in stepped.items()}
    return ExactTraining(
        np.concatenate(losses),
        np.stack([step.value for step in logits]),
        np.stack(labels),
        params,
        adam,
    )
