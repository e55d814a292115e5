"""SIGTERM asks a training to stop: it does so at the next moment that it can be resumed from."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Stop:
    """Whether the process was asked to stop."""

    is_requested: bool = False


@contextmanager
def stopping_at_sigterm() -> Iterator[Stop]:
    """Make SIGTERM, within the block, ask for a stop instead of ending the process at once."""
    stop = Stop()

    def request(*_: object) -> None:
        stop.is_requested = True

    before = signal.signal(signal.SIGTERM, request)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
