"""Signs of life among the processes of a training, so that one that stands still stops the others.

A process that is killed breaks its connections, which the others notice at once. One that is merely
stopped, or whose machine is gone, breaks nothing: they would wait for it in the middle of a step.
JAX sends heartbeats itself; these are for PyTorch.
"""

import os
import sys
from collections.abc import Callable
from threading import Event

from shared.training.processes import SECONDS_OF_SILENCE, Process, say_process

LOOKS = 12  # at the others' counts within the seconds of silence

# Adds to a number that all processes share, by its name, and returns the sum.
Add = Callable[[str, int], int]


def watch_others(process: Process, add: Add, leaving: Event) -> None:
    """Send heartbeats until `leaving` is set; end this process once another sends none."""
    try:
        silent = find_silent(process, add, leaving, SECONDS_OF_SILENCE)
        why = f"process {silent} has shown no sign of life for {SECONDS_OF_SILENCE} seconds"
    except RuntimeError:  # whoever keeps the counts is gone, which is no fault where all leave
        silent = None if leaving.wait(1) else 0
        why = "torchrun, or process 0, has ended or cannot be reached"
    if silent is not None:
        print(f"error: {say_process(process)} ends, since {why}.", file=sys.stderr, flush=True)
        os._exit(1)  # the thread that trains waits for the lost one and can raise nothing


def find_silent(process: Process, add: Add, leaving: Event, silence: float) -> int | None:
    """Send heartbeats; return the rank of a process that has sent none for `silence` seconds.

    Returns None once `leaving` is set. Looks are counted, not seconds: a machine that slept has
    missed no heartbeat.
    """
    counts = {rank: -1 for rank in range(process.size) if rank != process.rank}
    still = dict.fromkeys(counts, 0)  # how many looks in a row have found the same count
    while not leaving.wait(silence / LOOKS):
        add(f"heartbeats of {process.rank}", 1)
        for rank, count in counts.items():
            counts[rank] = add(f"heartbeats of {rank}", 0)
            still[rank] = still[rank] + 1 if counts[rank] == count else 0
            if still[rank] == LOOKS:
                return rank
    return None
