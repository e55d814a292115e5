"""What training and evaluation return, in NumPy terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np


class Evaluation(NamedTuple):
    """The result of a model on a whole split."""

    loss: float  # nats per image
    accuracy: float  # 0 to 1
    logits: np.ndarray  # [n, outputs]


class AdamState(NamedTuple):
    """What Adam keeps besides the parameters: see Kingma and Ba (2015), algorithm 1."""

    step: int  # how many steps were taken
    first_moment: dict[str, np.ndarray]  # m, the moving average of gradients, by parameter
    second_moment: dict[str, np.ndarray]  # v, the moving average of their squares


@dataclass(frozen=True)
class TrainingState:
    """All that a training needs to continue as if it had never stopped, between two of its steps.

    What is random needs no state: an epoch's batches follow from the config and its number.
    """

    params: dict[str, np.ndarray]
    adam: AdamState
    epoch: int  # the number, from 1, of the epoch under way
    # [steps], of the steps taken in this epoch, before each: nats per image, and 0 to 1.
    step_losses: np.ndarray  # in the parameters' dtype
    step_accuracies: np.ndarray  # float64
    seconds: float  # spent on them


@dataclass(frozen=True)
class Epoch:
    """One finished epoch of training: its numbers, and copies of the parameters at its end."""

    number: int  # from 1
    train_loss: float  # nats per image, mean over the epoch while the parameters moved
    train_accuracy: float  # likewise, 0 to 1
    validation: Evaluation  # at the epoch's end
    train_seconds: float  # the training steps alone, without validation
    samples: int  # images trained on
    step_losses: np.ndarray  # [batches], the loss of every step, nats per image
    params: dict[str, np.ndarray]
    adam: AdamState

    @property
    def samples_per_second(self) -> float:
        """Images trained on in a second."""
        return self.samples / self.train_seconds

    def without_arrays(self) -> "Epoch":
        """Return a copy with the numbers and the step losses only; the rest is empty."""
        return replace(
            self,
            validation=self.validation._replace(logits=self.validation.logits[:0]),
            params={},
            adam=AdamState(self.adam.step, {}, {}),
        )


def begin_training(params: Mapping[str, np.ndarray], dtype: str) -> TrainingState:
    """Return the state that training from `params` begins in: no step taken."""
    held = {name: np.array(array, dtype) for name, array in params.items()}
    zeros = {name: np.zeros_like(array) for name, array in held.items()}
    return _begin_epoch(1, held, AdamState(0, zeros, zeros))


def begin_next_epoch(epoch: Epoch) -> TrainingState:
    """Return the state that a finished epoch leaves behind: no step taken of the next."""
    return _begin_epoch(epoch.number + 1, epoch.params, epoch.adam)


def _begin_epoch(number: int, params: dict[str, np.ndarray], adam: AdamState) -> TrainingState:
    return TrainingState(params, adam, number, np.empty(0, params["K"].dtype), np.empty(0), 0.0)


def tested_epoch(epochs: Sequence[Epoch], tested_params: str) -> Epoch:
    """Choose the epoch whose parameters are tested: "best" by validation loss, or the "last"."""
    if tested_params == "last":
        return epochs[-1]
    return min(epochs, key=lambda epoch: (np.isnan(epoch.validation.loss), epoch.validation.loss))
