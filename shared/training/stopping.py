"""Stop a training on SIGTERM at the next moment from which it can be resumed."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Stop:
    """Records whether the process was asked to stop."""

    is_requested: bool = False


@contextmanager
def stopping_at_sigterm() -> Iterator[Stop]:
    """Within the block, let SIGTERM request a stop instead of ending the process at once."""
    stop = Stop()

    def request(*_: object) -> None:
        stop.is_requested = True

    before = signal.signal(signal.SIGTERM, request)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
