"""Live progress of training: one bar per implementation, and nothing where there is no terminal."""

import time
from collections.abc import Callable
from typing import SupportsFloat

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_UPDATES = 0.1


def training_progress(console: Console) -> Progress:
    """Make the display: a bar per implementation with loss, samples per second and time left."""
    return Progress(
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def watch_steps(
    progress: Progress, name: str, steps: int, batch_size: int
) -> Callable[[int, SupportsFloat], None]:
    """Add a bar of `steps` steps and make the function that training tells of steps and loss.

    The loss is read only when it is shown, since reading it waits for the device.
    """
    task = progress.add_task(name, total=steps, status="")
    done, shown_done, shown_at = 0, 0, time.perf_counter()

    def on_steps(number: int, loss: SupportsFloat) -> None:
        nonlocal done, shown_done, shown_at
        done += number
        elapsed = time.perf_counter() - shown_at
        if progress.disable or (elapsed < SECONDS_BETWEEN_UPDATES and done < steps):
            return
        rate = (done - shown_done) * batch_size / elapsed
        shown_done, shown_at = done, time.perf_counter()
        status = f"loss {float(loss):.3f}  {rate:,.0f} samples/s"
        progress.update(task, completed=done, status=status)

    return on_steps
