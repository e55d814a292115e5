"""The training loop: epochs of batches, with a validation after each epoch."""

import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.config import Config
from shared.data.batches import epoch_batches, in_parts
from shared.data.load import Dataset
from shared.training.records import Epoch, TrainingState, begin_next_epoch, begin_training


@dataclass
class EpochUnderWay:
    """An epoch in progress, between two of its parts, with the results of its steps so far."""

    training: Any  # an implementation's Training
    number: int
    losses: np.ndarray  # [steps], nats per image, in the model's dtype
    accuracies: np.ndarray  # [steps], 0 to 1
    seconds: float

    def take_steps(self, batches: np.ndarray) -> None:
        """Train on every batch of sample indices [steps, batch], and wait for the last step."""
        began = time.perf_counter()
        losses, accuracies = self.training.take_steps(batches)
        self.seconds += time.perf_counter() - began
        self.losses = np.concatenate([self.losses, losses])
        self.accuracies = np.concatenate([self.accuracies, accuracies])

    def copy_state(self) -> TrainingState:
        """Return a copy of the state to continue from."""
        params, adam = self.training.state()
        return TrainingState(params, adam, self.number, self.losses, self.accuracies, self.seconds)


# Called after each part of an epoch, with its number of steps.
PartWatcher = Callable[[int, EpochUnderWay], None]


def train(
    implementation: Any,
    params: Mapping[str, np.ndarray],
    data: Dataset,
    config: Config,
    *,
    start: TrainingState | None = None,
    on_part: PartWatcher = lambda steps, epoch: None,
) -> Iterator[Epoch]:
    """Train from `params`, or continue from `start`, and yield every finished epoch.

    `implementation` is a module with `Training` and `evaluate`; see compare/registry/contract.py.
    Changing `params` or `data` after the first epoch was requested has no effect.
    """
    state = start or begin_training(params, config.dtype)
    training = implementation.Training(state.params, state.adam, data.train, config)
    validation = deepcopy((data.validation.in_form(config.attention), data.validation.labels))
    num_samples = len(data.train.labels)
    while state.epoch <= config.epochs:
        so_far = (state.epoch, state.step_losses, state.step_accuracies, state.seconds)
        epoch = EpochUnderWay(training, *so_far)
        batches = draw_batches(num_samples, state.epoch, config)  # [batches, batch]
        for part in in_parts(batches, len(state.step_losses), config.checkpoint_every):
            epoch.take_steps(part)
            on_part(len(part), epoch)
        result = implementation.evaluate(
            training.model,
            *validation,
            batch_size=config.eval_batch_size,
            accuracy=config.accuracy,
        )
        reached = epoch.copy_state()
        finished = Epoch(
            number=epoch.number,
            train_loss=float(epoch.losses.mean(dtype=np.float64)),
            train_accuracy=float(epoch.accuracies.mean(dtype=np.float64)),
            validation=result,
            train_seconds=epoch.seconds,
            samples=batches.size,
            step_losses=epoch.losses,
            params=reached.params,
            adam=reached.adam,
        )
        yield finished
        state = begin_next_epoch(finished)


def draw_batches(num_samples: int, epoch: int, config: Config) -> np.ndarray:
    """Draw the batches of an epoch as sample indices: int64 [batches, batch]."""
    return epoch_batches(
        num_samples, config.batch_size, sampling=config.sampling, seed=config.seed, epoch=epoch
    )
