"""Training with checkpoints, stopped on request or when a number is not finite."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from shared.config import Config
from shared.data.batches import count_batches
from shared.data.load import Dataset
from shared.errors import Stopped, UserError
from shared.training.loop import EpochUnderWay, train
from shared.training.records import Epoch, TrainingState, begin_next_epoch
from shared.training.runs import RunFolder
from shared.training.stopping import Stop


def train_watched(
    implementation: Any,
    name: str,
    start: TrainingState,
    data: Dataset,
    config: Config,
    run: RunFolder,
    stop: Stop,
    on_steps: Callable[[int, np.ndarray], None],
) -> Iterator[Epoch]:
    """Train from `start` and yield every epoch after it is saved in the run folder.

    Raises Stopped after a requested stop, once the state is saved, and UserError if a loss or a
    parameter is not finite.
    """
    saved, steps_since = start, 0

    def on_part(steps: int, epoch: EpochUnderWay) -> None:
        """Save the state if it is due, or if a stop was requested, and then stop."""
        nonlocal saved, steps_since
        on_steps(steps, epoch.losses)
        steps_since += steps
        if steps_since >= config.checkpoint_every or stop.is_requested:
            state = epoch.copy_state()
            check_finite(state)
            run.save_state(name, state)
            saved, steps_since = state, 0
            stop_if_asked(state)

    def stop_if_asked(state: TrainingState) -> None:
        if stop.is_requested:
            raise Stopped(
                f"Stopped by SIGTERM after {len(state.step_losses)} steps of epoch "
                f"{state.epoch} of {name}. The state is saved; continue with --resume {run.path}"
            )

    try:
        epochs = train(implementation, start.params, data, config, start=start, on_part=on_part)
        for epoch in epochs:
            state = begin_next_epoch(epoch)
            check_finite(replace(state, epoch=epoch.number, step_losses=epoch.step_losses))
            run.record_epoch(name, epoch)
            saved, steps_since = state, 0
            stop_if_asked(state)
            yield epoch
    except _NotFinite as found:
        raise UserError(say_what_broke(implementation, saved, found, data, config)) from None


class _NotFinite(Exception):  # noqa: N818  caught here
    """A state in which a loss or a parameter is NaN or infinite."""

    def __init__(self, state: TrainingState) -> None:
        self.state = state


def check_finite(state: TrainingState) -> None:
    """Raise _NotFinite if a step's loss or a parameter is NaN or infinite."""
    if not np.isfinite(state.step_losses).all() or not_finite(state):
        raise _NotFinite(state)


def not_finite(state: TrainingState) -> list[str]:
    """Return the names of the parameters that contain NaN or infinity."""
    return [name for name, array in state.params.items() if not np.isfinite(array).all()]


def say_what_broke(
    implementation: Any,
    before: TrainingState,
    found: _NotFinite,
    data: Dataset,
    config: Config,
) -> str:
    """Return a sentence with the step of the first bad loss, and the first bad parameter."""
    first = find_first(implementation, before, data, config) or found.state
    step, where = len(first.step_losses), f"epoch {first.epoch}"
    names = ", ".join(not_finite(first))
    wrong = np.flatnonzero(~np.isfinite(found.state.step_losses))
    loss = f"the loss is NaN or infinite from step {wrong[0] + 1} of {where} on"
    parts = [loss] if wrong.size else []
    parts += [f"the first such parameter, after step {step}, is {names}"] if names else []
    return (
        f"Training is stopped: {'; '.join(parts)}. The last checkpoint before that is kept; "
        "try a lower --learning-rate, or check the data."
    )


def find_first(
    implementation: Any, before: TrainingState, data: Dataset, config: Config
) -> TrainingState | None:
    """Repeat a training, one step at a time, up to the first state that is not finite."""

    def look(_: int, epoch: EpochUnderWay) -> None:
        check_finite(epoch.copy_state())

    slow = replace(config, checkpoint_every=1, epochs=before.epoch)
    try:
        for _ in train(implementation, before.params, data, slow, start=before, on_part=look):
            pass
    except _NotFinite as found:
        return found.state
    return None


def steps_left(start: TrainingState, data: Dataset, config: Config) -> int:
    """Return the number of training steps left."""
    batches = count_batches(len(data.train.labels), config.batch_size)
    return (config.epochs - start.epoch + 1) * batches - len(start.step_losses)


@contextmanager
def explaining_out_of_memory(config: Config) -> Iterator[None]:
    """Convert a framework's out-of-memory error into a UserError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = (str(error).splitlines() or ["no details"])[0][:200]
        raise UserError(
            f"Out of memory on {config.device} ({reason}): give a smaller --batch-size than "
            f"{config.batch_size} or --eval-batch-size than {config.eval_batch_size}."
        ) from error


def is_out_of_memory(error: Exception) -> bool:
    """Check for PyTorch's and JAX's out-of-memory errors by name, without importing either."""
    said = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(s in said for s in ("resource_exhausted", "out of memory", "can't allocate memory"))
    )
