"""Heartbeats between the processes of a training, so that a hanging one ends the others.

If a process is killed, its connections break, and the others notice at once. If it is only stopped,
or its machine is lost, no connection breaks: the others would wait for it within a step. JAX sends
heartbeats itself; these are for PyTorch.
"""

import os
import sys
from collections.abc import Callable
from threading import Event

from shared.training.processes import SECONDS_OF_SILENCE, Process, say_process

LOOKS = 12  # checks of the others' counts within SECONDS_OF_SILENCE

# Adds to a named number that all processes share, and returns the sum.
Add = Callable[[str, int], int]


def watch_others(process: Process, add: Add, leaving: Event) -> None:
    """Send heartbeats until `leaving` is set; end this process if another sends none."""
    try:
        silent = find_silent(process, add, leaving, SECONDS_OF_SILENCE)
        why = f"process {silent} has shown no sign of life for {SECONDS_OF_SILENCE} seconds"
    except RuntimeError:  # the process with the counts is gone, which is normal when all leave
        silent = None if leaving.wait(1) else 0
        why = "torchrun, or process 0, has ended or cannot be reached"
    if silent is not None:
        print(f"error: {say_process(process)} ends, since {why}.", file=sys.stderr, flush=True)
        os._exit(1)  # the training thread waits for the lost process and cannot raise


def find_silent(process: Process, add: Add, leaving: Event, silence: float) -> int | None:
    """Send heartbeats; return the rank of a process that has sent none for `silence` seconds.

    Returns None once `leaving` is set. Checks are counted, not seconds, so that a machine that
    slept has not missed a heartbeat.
    """
    counts = {rank: -1 for rank in range(process.size) if rank != process.rank}
    still = dict.fromkeys(counts, 0)  # number of successive checks with the same count
    while not leaving.wait(silence / LOOKS):
        add(f"heartbeats of {process.rank}", 1)
        for rank, count in counts.items():
            counts[rank] = add(f"heartbeats of {rank}", 0)
            still[rank] = still[rank] + 1 if counts[rank] == count else 0
            if still[rank] == LOOKS:
                return rank
    return None
