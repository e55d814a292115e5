"""The loss of every training step, kept in the run folder beside the metrics of every epoch."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from shared.errors import UserError
from shared.files import replacing

STEP_LOSSES = "step-losses.safetensors"


def save_step_losses(folder: Path, losses: Mapping[str, np.ndarray]) -> None:
    """Write the loss of every training step, [steps] by implementation, into a run folder."""
    arrays = {name: np.ascontiguousarray(array) for name, array in losses.items()}
    with replacing(folder / STEP_LOSSES) as temporary:
        temporary.write_bytes(save(arrays))


def read_step_losses(folder: Path) -> dict[str, np.ndarray]:
    """Read what `save_step_losses` wrote, in float64; nothing where there is no such file."""
    path = folder / STEP_LOSSES
    try:
        arrays = load(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"Could not read {path}: {error.strerror}.") from error
    except (SafetensorError, TypeError, KeyError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}.") from error
    for name, array in arrays.items():
        if array.ndim != 1 or array.size == 0 or array.dtype.kind != "f":
            raise UserError(f"{path} does not hold the losses of steps: {name!r} is {array.shape}.")
    return {name: array.astype(np.float64) for name, array in arrays.items()}
