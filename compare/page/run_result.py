"""Read a run folder: what a run found, with what weights it ended, and how it came there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np

from compare.page.fields import Fields, WrongFieldError, read_fields
from shared.checkpoints import load_params
from shared.config import Config
from shared.digits import NUM_CLASSES, NUM_PIXELS
from shared.errors import UserError
from shared.params import check_params
from shared.training.step_losses import read_step_losses

NAME = re.compile(r"\w+(\.\w+)*")  # of an implementation: it is part of a file's name
EPOCH_NUMBERS = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
# What each of these settings may be, as the command line has it.
CHOICES = {
    name: get_args(get_type_hints(Config)[name])
    for name in ("data", "normalization", "dtype", "attention")
}


@dataclass(frozen=True)
class Check:
    """One comparison of a run: how far apart, and as a fraction of what rounding allows."""

    quantity: str
    where: str
    error: float | None  # None where it was NaN or infinite
    error_over_bound: float | None
    passed: bool


@dataclass(frozen=True)
class Trained:
    """What a run says of one implementation."""

    epochs: list[dict[str, float | None]]  # EPOCH_NUMBERS of each; none where it does not train
    test_accuracy: float | None  # 0 to 1
    test_loss: float | None  # nats


@dataclass(frozen=True)
class Run:
    """What a run folder holds, checked; every text in it is still anybody's."""

    path: Path
    passed: bool
    verdict: str
    checks: list[Check]
    implementations: dict[str, Trained]
    config: Config  # what decides which data the run saw, and how it trained
    versions: dict[str, str]
    machine: str
    weights: dict[str, dict[str, np.ndarray]]  # by whose they are: the best by validation loss
    step_losses: dict[str, np.ndarray]  # nats, [steps] by implementation; none in older runs


def read_run(folder: Path) -> Run:
    """Read a run folder; UserError says, in a sentence, what is wrong with it."""
    if not folder.is_dir():
        raise UserError(
            f"There is no run folder {folder}: make one with `python -m compare run`, or name one."
        )
    kind = "the result.json of a `python -m compare run`"
    found = read_fields(folder / "result.json", kind, _read_result)
    names = [name for name, trained in found["implementations"].items() if trained.epochs]
    weights = {name: load_params(folder / f"{name}-best.safetensors")[0] for name in names}
    if not weights:
        raise UserError(f"{folder} holds no weights: nothing was trained in this run.")
    _check_sizes(folder, weights, found["config"].num_channels)
    losses = read_step_losses(folder)
    return Run(
        path=folder,
        weights=weights,
        step_losses={name: losses[name] for name in names if name in losses},
        **found,
    )


def _check_sizes(
    folder: Path, weights: Mapping[str, Mapping[str, np.ndarray]], channels: int
) -> None:
    """Raise UserError unless all weights are a model's of the run's digits."""
    expected = (NUM_PIXELS, channels, NUM_CLASSES)
    for name, params in weights.items():
        if (sizes := check_params(params)) != expected:
            raise UserError(
                f"{folder / name}-best.safetensors is a model of {sizes[0]} pixels, {sizes[1]} "
                f"channels and {sizes[2]} outputs, but the run's result.json speaks of "
                f"{expected[0]}, {expected[1]} and {expected[2]}: they are not of one run."
            )


def _read_result(result: Fields) -> dict[str, Any]:
    parity, config = result.fields("parity"), result.fields("config")
    return {
        "passed": parity.flag("passed"),
        "verdict": parity.text("verdict"),
        "checks": [
            Check(
                check.text("quantity"),
                check.text("where"),
                check.optional_number("error"),
                check.optional_number("error_over_bound"),
                check.flag("passed"),
            )
            for check in parity.list_of("checks")
        ],
        "implementations": {
            _check_name(name): Trained(
                [
                    {key: epoch.optional_number(key) for key in EPOCH_NUMBERS}
                    for epoch in trained.list_of("epochs")
                ],
                trained.optional_number("test_accuracy"),
                trained.optional_number("test_loss"),
            )
            for name, trained in result.each("implementations").items()
        },
        "config": _read_config(config),
        "versions": result.texts("versions"),
        "machine": result.text("machine"),
    }


def _check_name(name: str) -> str:
    if len(name) > 100 or not NAME.fullmatch(name):
        raise WrongFieldError(f"implementations.{name}")
    return name


def _read_config(config: Fields) -> Config:
    """Read the settings that the page needs; paths are left alone."""
    settings: dict[str, Any] = {"learning_rate": config.number("learning_rate")}
    for name, choices in CHOICES.items():
        settings[name] = config.text(name)
        if settings[name] not in choices:
            raise WrongFieldError(f"config.{name}")
    for name in ("num_channels", "epochs", "batch_size", "seed"):
        number = config.number(name)
        settings[name] = int(number)
        if number != settings[name]:
            raise WrongFieldError(f"config.{name}")
    try:
        return replace(Config(), **settings)
    except UserError as error:  # settings that no run can have
        raise WrongFieldError("config") from error
