"""The state of a training in a safetensors file.

Options are in config.json, finished epochs in metrics.jsonl, and the best parameters in a file of
their own. Files are checked against their header when they are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from shared.errors import UserError
from shared.files import Count, CountFrom1, load_arrays, save_arrays
from shared.params import PARAM_NAMES, check_params
from shared.training.records import AdamState, TrainingState

FORMAT = 2
KEY = "training"  # of the metadata
KINDS = ("params", "first_moment", "second_moment")
STEPS = ("step_losses", "step_accuracies")


@dataclass(frozen=True)
class _Header:
    format: int
    epoch: CountFrom1
    adam_step: Count
    seconds: Annotated[float, msgspec.Meta(ge=0)]


def save_state(path: Path, state: TrainingState, *, previous: Path) -> None:
    """Write a state to `path`, atomically, and keep the old file as `previous`."""
    header = _Header(FORMAT, state.epoch, state.adam.step, state.seconds)
    moments = (state.params, state.adam.first_moment, state.adam.second_moment)
    arrays = {
        f"{kind}.{name}": array
        for kind, held in zip(KINDS, moments, strict=True)
        for name, array in held.items()
    }
    arrays |= {"step_losses": state.step_losses, "step_accuracies": state.step_accuracies}
    save_arrays(path, arrays, {KEY: msgspec.json.encode(header).decode()}, previous=previous)


def load_state(path: Path) -> TrainingState:
    """Read the file of `save_state`; raise UserError with its name if it is wrong."""
    arrays, metadata = load_arrays(path)
    try:
        header = msgspec.json.decode(metadata.get(KEY, ""), type=_Header)
        if header.format != FORMAT:
            raise UserError(f"its format is {header.format}, not {FORMAT}")
        return _check_state(arrays, header)
    except (UserError, msgspec.DecodeError, RecursionError) as error:
        reason = str(error).rstrip(".")
        raise UserError(f"{path} is not a training checkpoint: {reason}.") from error


def _check_state(arrays: Mapping[str, np.ndarray], header: _Header) -> TrainingState:
    """Return the state made of some arrays; raise UserError if they are not one."""
    expected = {f"{kind}.{name}" for kind in KINDS for name in PARAM_NAMES} | set(STEPS)
    missing, unknown = sorted(expected - arrays.keys()), sorted(arrays.keys() - expected)
    if missing or unknown:
        raise UserError(
            f"it lacks {', '.join(missing) or 'nothing'} and has {', '.join(unknown) or 'nothing'} "
            "that does not belong there"
        )
    params, first, second = (
        {name: arrays[f"{kind}.{name}"] for name in PARAM_NAMES} for kind in KINDS
    )
    if not check_params(params) == check_params(first) == check_params(second):
        raise UserError("Adam's moments do not have the parameters' shapes")
    losses, accuracies = (arrays[name] for name in STEPS)
    dtypes = {array.dtype.name for name, array in arrays.items() if name != "step_accuracies"}
    if len(dtypes) != 1 or accuracies.dtype.name not in ("float32", "float64"):
        raise UserError(f"its arrays are of several dtypes, {', '.join(sorted(dtypes))}")
    if losses.ndim != 1 or losses.shape != accuracies.shape:
        shapes = f"{list(losses.shape)} and {list(accuracies.shape)}"
        raise UserError(f"step_losses and step_accuracies are {shapes}, not [steps]")
    if not (np.isfinite(losses).all() and ((accuracies >= 0) & (accuracies <= 1)).all()):
        raise UserError("a loss is NaN or infinite, or an accuracy not from 0 to 1")
    if any((array < 0).any() for array in second.values()):
        raise UserError("Adam's second moment is negative")
    if header.adam_step < len(losses) or (losses.size and not header.seconds):
        raise UserError(
            f"it says epoch {header.epoch}, step {header.adam_step} and {header.seconds} seconds"
        )
    adam = AdamState(header.adam_step, first, second)
    return TrainingState(params, adam, header.epoch, losses, accuracies, header.seconds)
