"""The effect of a planted bug on accuracy: a model trained with a bug adapts to it."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from compare.catalogue import Bug, plant
from shared.config import Config
from shared.data.load import Dataset, load_data
from shared.params import initial_params
from shared.training.loop import train

CHANNELS = 3  # with 1, half of these bugs change nothing
# The bugs of the forward pass, in PyTorch, whose forms all train within a minute.
PACKAGE = "pytorch_impl"


@dataclass(frozen=True)
class Accuracy:
    """The accuracy on the sample's test images after training."""

    right: float  # without the bug
    wrong: float  # with it


def can_be_trained(bug: Bug) -> bool:
    """Check whether the accuracy with a bug is measured."""
    return bug.package == PACKAGE and bug.intermediate not in (None, "loss")


def measure_accuracy(bug: Bug, epochs: int) -> Accuracy:
    """Train on the sample with a bug and without it, from the same start."""
    return Accuracy(
        right=_train_right(bug.form, epochs), wrong=_train(plant(bug), bug.form, epochs)
    )


@cache
def _train_right(form: str, epochs: int) -> float:
    return _train(import_module(PACKAGE), form, epochs)


@cache
def _load() -> Dataset:
    return load_data("sample", num_channels=CHANNELS)


def _train(module: Any, form: str, epochs: int) -> float:
    config = Config(epochs=epochs, num_channels=CHANNELS, attention=form)  # type: ignore[arg-type]
    data = _load()
    *_, last = train(module, initial_params(num_channels=CHANNELS), data, config)
    model = module.from_params(last.params, form, config.dtype, config.device)
    accuracy: float = module.evaluate(model, data.test.in_form(form), data.test.labels).accuracy
    return accuracy
