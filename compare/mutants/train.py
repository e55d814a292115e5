"""What a planted bug does to accuracy: trained with it, a model adapts to what is wrong."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from compare.catalogue import Bug, plant
from shared.config import Config
from shared.data.load import Dataset, load_data
from shared.params import initial_params
from shared.training.loop import train

CHANNELS = 3  # with one, half of these bugs change nothing
# The bugs of the forward pass, in PyTorch, whose every form trains in a minute.
PACKAGE = "pytorch_impl"


@dataclass(frozen=True)
class Accuracy:
    """The fraction of the sample's test images that are right after training."""

    right: float  # without the bug
    wrong: float  # with it


def can_be_trained(bug: Bug) -> bool:
    """Tell whether a bug is one whose accuracy is measured."""
    return bug.package == PACKAGE and bug.intermediate not in (None, "loss")


def measure_accuracy(bug: Bug, epochs: int) -> Accuracy:
    """Train on the sample's 4,000 images with a bug and without, from the same start."""
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
