"""What training and evaluation hand back, in NumPy terms."""

from collections.abc import Sequence
from dataclasses import dataclass
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


def tested_epoch(epochs: Sequence[Epoch], tested_weights: str) -> Epoch:
    """Choose the epoch whose weights are tested: "best" by validation loss, or the "last"."""
    if tested_weights == "last":
        return epochs[-1]
    return min(epochs, key=lambda epoch: (np.isnan(epoch.validation.loss), epoch.validation.loss))
