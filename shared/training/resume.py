"""`--resume RUN`: find a run's checkpoints, its options, and its state."""

import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from shared.config import AnyConfig, Config, bad_option
from shared.data.batches import count_batches
from shared.data.load import Dataset
from shared.errors import UserError
from shared.files import read_json
from shared.training.records import TrainingState
from shared.training.states import load_state

SUFFIX = "-checkpoint.safetensors"
# Options with paths or code: they are never read from a run folder, which may be untrusted.
GIVEN_ANEW = ("runs_dir", "json", "mnist_dir", "implementation", "verbose")
# Options that may change when a run is resumed; all others affect what is computed.
CHANGEABLE = {"epochs", "device", "eval_batch_size", "checkpoint_every", "resume", "resume_from"}
CHANGEABLE |= set(GIVEN_ANEW) - {"implementation"}


def checkpoint_path(folder: Path, name: str) -> Path:
    """Return the path of an implementation's newest checkpoint."""
    return folder / f"{name}{SUFFIX}"


def previous_path(newest: Path) -> Path:
    """Return the path of the checkpoint before the newest."""
    return newest.with_name(f"{newest.stem}-previous.safetensors")


def find_folder(given: Path) -> Path:
    """Return the run folder for a path that may be a link, such as runs/latest."""
    folder = given.parent / given.readlink() if given.is_symlink() else given
    if folder.is_dir():
        return folder
    if given.is_symlink():
        raise UserError(f"{given} points to {folder}, which does not exist: give an existing run.")
    raise UserError(f"There is no run folder {given}: give one to --resume, such as runs/latest.")


def saved_names(folder: Path) -> list[str]:
    """Return the implementations that have a checkpoint in a run folder."""
    endings = (SUFFIX, previous_path(Path(SUFFIX)).name)
    files = [name for name in os.listdir(folder) if not name.startswith(".")]
    return sorted(
        {name.removesuffix(end) for end in endings for name in files if name.endswith(end)}
    )


def find_state(
    folder: Path, name: str, check: Callable[[TrainingState], None] = lambda state: None
) -> tuple[TrainingState, str | None]:
    """Read the newest valid checkpoint; also return the problem of a newer, invalid one.

    `check` raises UserError for an invalid state. Raises UserError if no checkpoint is valid, and
    if one cannot be opened, since it may be valid.
    """
    newest = checkpoint_path(folder, name)
    try:
        return _load_good(newest, check), None
    except UserError as error:
        previous = previous_path(newest)
        if isinstance(error.__cause__, PermissionError) or not previous.exists():
            raise
        state = _load_good(previous, check)
        return state, f"{error} Continuing from the one before it, {previous}."


def _load_good(path: Path, check: Callable[[TrainingState], None]) -> TrainingState:
    state = load_state(path)
    try:
        check(state)
    except UserError as error:
        raise UserError(f"The checkpoint {path} does not belong to this run: {error}") from error
    return state


def resumed_config(config_type: type[AnyConfig], given: Path, source: str | None) -> AnyConfig:
    """Read the options of the run in a folder; paths and code get their defaults."""
    folder = find_folder(given)
    names = saved_names(folder)
    if not names:
        raise UserError(f"{folder} holds no checkpoint to continue from: start a new run.")
    if source is not None and source not in names:
        raise UserError(
            f"{folder} holds no checkpoint of {source}: give --resume-from {' or '.join(names)}."
        )
    begun = read_config(config_type, folder)
    default = config_type()
    anew = {name: getattr(default, name) for name in GIVEN_ANEW if hasattr(default, name)}
    return replace(begun, **anew, resume=given, resume_from=source)


def read_config(config_type: type[AnyConfig], folder: Path) -> AnyConfig:
    """Read a run's config.json, without options of other commands; missing ones get defaults."""
    return read_json(folder / "config.json", config_type, "start a new run")


def check_has_checkpoint(config: Config, name: str) -> None:
    """Raise UserError if the run to resume holds no checkpoint of an implementation."""
    if config.resume is None or config.resume_from is not None:
        return
    names = saved_names(find_folder(config.resume))
    if name not in names:
        raise UserError(
            f"{config.resume} holds no checkpoint of {name}: to continue from another's, give "
            f"--resume-from {' or '.join(names)}."
        )


def check_unchanged(config: Config) -> None:
    """Raise UserError for an option that must not change on resume."""
    assert config.resume is not None
    begun = read_config(type(config), find_folder(config.resume))
    for name in (field.name for field in fields(config)):
        before, now = getattr(begun, name), getattr(config, name)
        if name not in CHANGEABLE and before != now:
            raise UserError(bad_option(name, now, f"{before}, as in the run"))


def check_fits(start: TrainingState, data: Dataset, config: Config) -> None:
    """Raise UserError if a state from a checkpoint does not fit the config."""
    steps, channels = data.train.images.shape[1:]
    batches = count_batches(len(data.train.labels), config.batch_size)
    found = (*start.params["out.weight"].shape[1:], *start.params["K"].shape)
    if found != (steps * channels, channels, channels):
        raise UserError(
            f"its parameters are for {found[1]} channels and {found[0] // found[1]} pixels, the "
            f"run's data has {channels} and {steps}."
        )
    if start.params["K"].dtype != config.dtype:
        raise UserError(f"it is in {start.params['K'].dtype}, the run in {config.dtype}.")
    taken = (start.epoch - 1) * batches + len(start.step_losses)
    if start.adam.step != taken or len(start.step_losses) > batches:
        raise UserError(
            f"it was saved after {start.adam.step} steps, {len(start.step_losses)} of them in "
            f"epoch {start.epoch}; an epoch has {batches}."
        )


def check_epochs(start: TrainingState, config: Config) -> None:
    """Raise UserError if the config has fewer epochs than are finished."""
    if start.epoch > config.epochs + 1:
        raise UserError(
            f"--epochs is {config.epochs}, and {start.epoch - 1} epochs are finished: "
            f"give at least {start.epoch - 1}."
        )
