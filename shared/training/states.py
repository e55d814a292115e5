"""The state of a training on disk: one safetensors file, all that is needed to go on.

Its arrays are those of the state under way and, under `epochs.<number>.`, those kept of the
finished epochs; its metadata is JSON: the numbers, and the config. What is read is checked
against what these say should be there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from shared.checkpoints import load_arrays, save_arrays
from shared.errors import UserError
from shared.params import PARAM_NAMES, check_params
from shared.training.records import AdamState, Epoch, Evaluation, TrainingState

Params = dict[str, np.ndarray]

FORMAT = 1
KEY = "training"  # of the metadata
ADAM = ("first_moment", "second_moment")


@dataclass(frozen=True)
class SavedTraining:
    """A training as it was saved: where it stood, the epochs it had finished, its options."""

    implementation: str
    config: dict[str, Any]
    state: TrainingState
    epochs: list[Epoch]


@dataclass(frozen=True)
class _Epoch:
    """The numbers of a finished epoch; a loss that is not finite is none in JSON."""

    number: int
    train_loss: float | None
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float
    train_seconds: float
    samples: int
    has_arrays: bool


@dataclass(frozen=True)
class _Header:
    format: int
    implementation: str
    config: dict[str, Any]
    epoch: int
    steps: int  # that Adam took
    seconds: float
    epochs: list[_Epoch]


def save_training(path: Path, saved: SavedTraining, *, previous: Path) -> None:
    """Write `saved` to `path`, whole or not at all, and keep what was there as `previous`."""
    state = saved.state
    header = _Header(
        format=FORMAT,
        implementation=saved.implementation,
        config=saved.config,
        epoch=state.epoch,
        steps=state.adam.step,
        seconds=state.seconds,
        epochs=[_epoch_numbers(epoch) for epoch in saved.epochs],
    )
    arrays = _state_arrays("", state.params, state.adam)
    arrays |= {"step_losses": state.step_losses, "logits": state.logits}
    for epoch in saved.epochs:
        prefix = f"epochs.{epoch.number}."
        arrays[f"{prefix}step_losses"] = epoch.step_losses
        if epoch.params:
            arrays |= _state_arrays(prefix, epoch.params, epoch.adam)
            arrays[f"{prefix}logits"] = epoch.validation.logits
    save_arrays(path, arrays, {KEY: msgspec.json.encode(header).decode()}, previous=previous)


def load_training(path: Path) -> SavedTraining:
    """Read what `save_training` wrote; UserError names the file and what is wrong with it."""
    arrays, metadata = load_arrays(path)
    try:
        header = msgspec.json.decode(metadata.get(KEY, ""), type=_Header)
        if header.format != FORMAT:
            raise UserError(f"its format is {header.format}, not {FORMAT}.")
        _check_names(set(arrays), header)
        sizes = check_params(_params("", arrays))
        state = TrainingState(
            epoch=header.epoch,
            params=_params("", arrays),
            adam=_read_adam("", arrays, header.steps, sizes),
            step_losses=_checked("step_losses", arrays, ndim=1),
            logits=_checked("logits", arrays, ndim=3),
            seconds=header.seconds,
        )
        epochs = [_read_epoch(numbers, arrays, sizes) for numbers in header.epochs]
        _check_state(state, epochs)
    except (UserError, msgspec.DecodeError) as error:
        reason = str(error).rstrip(".")
        raise UserError(f"The checkpoint {path} is none of a training: {reason}.") from error
    return SavedTraining(header.implementation, header.config, state, epochs)


def _epoch_numbers(epoch: Epoch) -> _Epoch:
    return _Epoch(
        number=epoch.number,
        train_loss=epoch.train_loss,
        train_accuracy=epoch.train_accuracy,
        val_loss=epoch.validation.loss,
        val_accuracy=epoch.validation.accuracy,
        train_seconds=epoch.train_seconds,
        samples=epoch.samples,
        has_arrays=bool(epoch.params),
    )


def _state_arrays(
    prefix: str, params: Mapping[str, np.ndarray], adam: AdamState
) -> dict[str, np.ndarray]:
    kinds = {"params": params, "first_moment": adam.first_moment}
    kinds["second_moment"] = adam.second_moment
    return {f"{prefix}{kind}.{name}": kinds[kind][name] for kind in kinds for name in PARAM_NAMES}


def _check_names(found: set[str], header: _Header) -> None:
    """Check that the arrays are those that the header speaks of, no more and no fewer."""
    every = [f"{kind}.{name}" for kind in ("params", *ADAM) for name in PARAM_NAMES]
    expected = {*every, "step_losses", "logits"}
    for epoch in header.epochs:
        names = [*every, "logits"] if epoch.has_arrays else []
        expected |= {f"epochs.{epoch.number}.{name}" for name in (*names, "step_losses")}
    missing, unknown = sorted(expected - found), sorted(found - expected)
    if missing or unknown:
        raise UserError(
            f"it lacks {', '.join(missing) or 'nothing'} and has {', '.join(unknown) or 'nothing'} "
            "that does not belong there."
        )


def _params(prefix: str, arrays: Mapping[str, np.ndarray], kind: str = "params") -> Params:
    return {name: arrays[f"{prefix}{kind}.{name}"] for name in PARAM_NAMES}


def _read_adam(
    prefix: str, arrays: Mapping[str, np.ndarray], step: int, sizes: tuple[int, int, int]
) -> AdamState:
    moments = [_params(prefix, arrays, kind) for kind in ADAM]
    for kind, moment in zip(ADAM, moments, strict=True):
        try:
            found = check_params(moment)
        except UserError as error:
            raise UserError(f"in Adam's {kind.replace('_', ' ')}: {error}") from error
        if found != sizes:
            raise UserError(f"Adam's {kind.replace('_', ' ')} has not the parameters' shapes.")
    if step < 0 or any((array < 0).any() for array in moments[1].values()):
        raise UserError("Adam's second moment or number of steps is negative.")
    return AdamState(step, *moments)


def _read_epoch(
    numbers: _Epoch, arrays: Mapping[str, np.ndarray], sizes: tuple[int, int, int]
) -> Epoch:
    prefix = f"epochs.{numbers.number}."
    step_losses = _checked(f"{prefix}step_losses", arrays, ndim=1)
    nan = float("nan")
    steps = numbers.number * len(step_losses)
    params: Params = {}
    adam = AdamState(steps, {}, {})
    logits = np.empty((0, sizes[2]), step_losses.dtype)
    if numbers.has_arrays:
        params = _params(prefix, arrays)
        if check_params(params) != sizes:
            raise UserError(f"the parameters of epoch {numbers.number} have other shapes.")
        adam = _read_adam(prefix, arrays, steps, sizes)
        logits = _checked(f"{prefix}logits", arrays, ndim=2)
    return Epoch(
        number=numbers.number,
        train_loss=nan if numbers.train_loss is None else numbers.train_loss,
        train_accuracy=numbers.train_accuracy,
        validation=Evaluation(
            loss=nan if numbers.val_loss is None else numbers.val_loss,
            accuracy=numbers.val_accuracy,
            logits=logits,
        ),
        train_seconds=numbers.train_seconds,
        samples=numbers.samples,
        step_losses=step_losses,
        params=params,
        adam=adam,
    )


def _checked(name: str, arrays: Mapping[str, np.ndarray], *, ndim: int) -> np.ndarray:
    array = arrays[name]
    if array.ndim != ndim or not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"{name} is {array.dtype} {list(array.shape)}.")
    return array


def _check_state(state: TrainingState, epochs: Sequence[Epoch]) -> None:
    """Check that the parts of a state belong together."""
    if [epoch.number for epoch in epochs] != list(range(1, state.epoch)):
        raise UserError(f"it stands in epoch {state.epoch} and has not all epochs before it.")
    if len(state.logits) != len(state.step_losses):
        raise UserError("it has not as many logits as losses.")
    if not np.isfinite(state.step_losses).all():
        raise UserError("its losses hold NaN or infinity.")
    arrays = [*_state_arrays("", state.params, state.adam).values(), state.step_losses]
    dtypes = sorted({str(array.dtype) for array in (*arrays, state.logits)})
    if len(dtypes) != 1:
        raise UserError(f"its arrays are of several dtypes, {', '.join(dtypes)}.")
