"""The results of training and evaluation, as NumPy arrays and numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np


class Evaluation(NamedTuple):
    """The evaluation of a model on a whole split."""

    loss: float  # nats per image
    accuracy: float  # 0 to 1
    logits: np.ndarray  # [n, outputs]


class AdamState(NamedTuple):
    """Adam's state besides the parameters; see Kingma and Ba (2015), algorithm 1."""

    step: int  # number of steps taken
    first_moment: dict[str, np.ndarray]  # m, the moving average of gradients, by parameter
    second_moment: dict[str, np.ndarray]  # v, the moving average of their squares


@dataclass(frozen=True)
class TrainingState:
    """The complete state of a training between two steps, from which it can continue.

    Randomness needs no state: the batches of an epoch follow from the config and its number.
    """

    params: dict[str, np.ndarray]
    adam: AdamState
    epoch: int  # the current epoch, from 1
    # [steps], of the steps taken in this epoch, before each: nats per image, and 0 to 1.
    step_losses: np.ndarray  # of the epoch so far, in the parameters' dtype
    step_accuracies: np.ndarray  # float64
    seconds: float  # spent on these steps


@dataclass(frozen=True)
class Epoch:
    """A finished epoch: its numbers, and copies of the parameters at its end."""

    number: int  # from 1
    train_loss: float  # nats per image, mean over the epoch while the parameters moved
    train_accuracy: float  # likewise, 0 to 1
    validation: Evaluation  # at the epoch's end
    train_seconds: float  # of the training steps, without validation
    samples: int  # images trained on
    step_losses: np.ndarray  # [batches], the loss of every step, nats per image
    params: dict[str, np.ndarray]
    adam: AdamState

    @property
    def samples_per_second(self) -> float:
        """Images trained on per second."""
        return self.samples / self.train_seconds

    def without_arrays(self) -> "Epoch":
        """Return a copy with only the numbers and the step losses; other arrays are empty."""
        return replace(
            self,
            validation=self.validation._replace(logits=self.validation.logits[:0]),
            params={},
            adam=AdamState(self.adam.step, {}, {}),
        )


def begin_training(params: Mapping[str, np.ndarray], dtype: str) -> TrainingState:
    """Return the initial state of a training from `params`."""
    held = {name: np.array(array, dtype) for name, array in params.items()}
    zeros = {name: np.zeros_like(array) for name, array in held.items()}
    return _begin_epoch(1, held, AdamState(0, zeros, zeros))


def begin_next_epoch(epoch: Epoch) -> TrainingState:
    """Return the state after a finished epoch, before the first step of the next."""
    return _begin_epoch(epoch.number + 1, epoch.params, epoch.adam)


def _begin_epoch(number: int, params: dict[str, np.ndarray], adam: AdamState) -> TrainingState:
    return TrainingState(params, adam, number, np.empty(0, params["K"].dtype), np.empty(0), 0.0)


def tested_epoch(epochs: Sequence[Epoch], tested_params: str) -> Epoch:
    """Return the epoch to be tested: the "best" by validation loss, or the "last"."""
    if tested_params == "last":
        return epochs[-1]
    return min(epochs, key=lambda epoch: (np.isnan(epoch.validation.loss), epoch.validation.loss))
