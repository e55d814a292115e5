"""Live progress of training: one bar per implementation, and nothing without a terminal."""

import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    track,
)

Item = TypeVar("Item")
SECONDS_BETWEEN_UPDATES = 0.1


def training_progress(console: Console) -> Progress:
    """Return the display: a bar per implementation with loss, samples per second and time left."""
    return Progress(
        TextColumn("{task.description:>8}"),
        BarColumn(bar_width=max(4, min(40, console.width - 64))),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def watch_steps(
    progress: Progress, name: str, steps: int, batch_size: int
) -> Callable[[int, np.ndarray], None]:
    """Add a bar of `steps` steps and return the function to call after each part of an epoch.

    Its arguments are the number of steps, and the losses of the epoch so far, whose mean is shown.
    """
    task = progress.add_task(name, total=steps, status="")
    done, shown_done, shown_at = 0, 0, time.perf_counter()

    def on_steps(number: int, losses: np.ndarray) -> None:
        nonlocal done, shown_done, shown_at
        done += number
        elapsed = time.perf_counter() - shown_at
        if progress.disable or (elapsed < SECONDS_BETWEEN_UPDATES and done < steps):
            return
        rate = (done - shown_done) * batch_size / elapsed
        shown_done, shown_at = done, time.perf_counter()
        status = f"mean loss {np.mean(losses):.3f}  {rate:,.0f} samples/s"
        progress.update(task, completed=done, status=status)

    return on_steps


def track_work(
    work: Iterable[Item], description: str, total: int, console: Console
) -> Iterator[Item]:
    """Yield each item while a bar shows the progress; without a terminal there is no bar."""
    yield from track(
        *(work, description, total),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def count(number: int, thing: str) -> str:
    """Return a number with a noun, such as "1 epoch" or "3 epochs"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def say_interrupted(console: Console, command: str, folder: Path, finished: str) -> int:
    """Print what a run folder holds after Ctrl-C, and how to resume; return the exit status."""
    console.print(f"Interrupted. The finished epochs ({finished}) are kept in {folder}. Resume:")
    console.print(f"{command} --resume {shlex.quote(str(folder))}", soft_wrap=True)
    return 130
