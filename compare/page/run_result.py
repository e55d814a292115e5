"""Read a run folder: its result, its parameters, and its training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compare.records.result import Result, read_result
from shared.config import Config
from shared.data.digits import NUM_CLASSES, NUM_PIXELS
from shared.errors import UserError
from shared.params import check_params, load_params
from shared.training.metrics import read_step_losses


@dataclass(frozen=True)
class Run:
    """The checked contents of a run folder; its texts are still not to be trusted."""

    path: Path
    result: Result
    params: dict[str, dict[str, np.ndarray]]  # by implementation: the best by validation loss
    step_losses: dict[str, np.ndarray]  # nats, [steps] by implementation; empty in older runs


def read_run(folder: Path) -> Run:
    """Read a run folder; raise UserError if it is not a complete run."""
    if not folder.is_dir():
        raise UserError(
            f"There is no run folder {folder}: make one with `python -m compare run`, or name one."
        )
    result = read_result(folder / "result.json")
    names = [name for name, trained in result.implementations.items() if trained.epochs]
    best = {name: load_params(folder / f"{name}-best.safetensors")[0] for name in names}
    if not best:
        raise UserError(f"{folder} holds no parameters: choose a run that trained.")
    _check_kind(folder, best, result.config)
    losses = read_step_losses(folder)
    losses = {name: losses[name] for name in names if name in losses}
    return Run(folder, result, best, losses)


def _check_kind(folder: Path, best: Mapping[str, Mapping[str, np.ndarray]], config: Config) -> None:
    """Raise UserError unless all parameters fit the run's digits and dtype."""
    expected = (NUM_PIXELS, config.num_channels, NUM_CLASSES)
    for name, params in best.items():
        dtypes = {array.dtype.name for array in params.values()}
        if dtypes != {config.dtype}:
            raise UserError(
                f"{folder / name}-best.safetensors is in {' and '.join(sorted(dtypes))}, but the "
                f"run's result.json says {config.dtype}: they are not from the same run."
            )
        if (sizes := check_params(params)) != expected:
            raise UserError(
                f"{folder / name}-best.safetensors is a model of {sizes[0]} pixels, {sizes[1]} "
                f"channels and {sizes[2]} outputs, but the run's result.json says "
                f"{expected[0]}, {expected[1]} and {expected[2]}: they are not from the same run."
            )
