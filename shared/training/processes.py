"""A process of a distributed training: its rank, its share of a batch, and how it ends.

`torchrun` starts the processes, in PyTorch and in JAX, and tells each its rank in environment
variables: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT.
"""

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from shared.errors import UserError, find_ending

# Error messages of the communication libraries of PyTorch and JAX for a lost process.
SIGNS_OF_LOSS = ("gloo", "nccl", "connection", "unavailable", "heartbeat")
SECONDS_TO_MEET = 300  # between the start of the first process and of the last
SECONDS_OF_SILENCE = 60  # without a heartbeat, until a process counts as lost


class Process(NamedTuple):
    """A process of a distributed training."""

    rank: int  # from 0, over all machines
    size: int  # how many processes there are
    local_rank: int  # from 0, on this machine
    local_size: int  # how many processes there are on this machine
    host: str  # of process 0, which all connect to
    port: int  # torchrun listens there; JAX at half of it, at least 1024

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that evaluates, reports and writes."""
        return self.rank == 0


def find_process(environment: Mapping[str, str]) -> Process | None:
    """Read this process's rank from its environment; return None if it runs alone.

    Raises UserError if the variables are inconsistent.
    """
    if "RANK" not in environment and "WORLD_SIZE" not in environment:
        return None
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT")
    found = {name: environment.get(name, "") for name in (*names, "MASTER_ADDR")}
    try:
        rank, size, local_rank, local_size, port = (int(found[name]) for name in names)
        is_place = 0 <= rank < size and 0 <= local_rank < local_size <= size
    except ValueError:
        is_place, port = False, 0
    if not (is_place and 2048 <= port < 2**16 and found["MASTER_ADDR"]):
        said = ", ".join(f"{name} {value!r}" for name, value in found.items())
        raise UserError(
            f"These variables do not describe one of several processes: {said}. Start the "
            "processes with torchrun, which sets them, or unset RANK and WORLD_SIZE."
        )
    return Process(rank, size, local_rank, local_size, found["MASTER_ADDR"], port)


def check_one_process(environment: Mapping[str, str], command: str) -> None:
    """Raise UserError if a launcher started several processes of a command that uses one."""
    size = environment.get("WORLD_SIZE", "1")
    if size != "1":
        raise UserError(
            f"{command} runs in one process, and WORLD_SIZE is {size!r}: start it without torchrun "
            "(only pytorch_impl and jax_impl train in several processes), or unset WORLD_SIZE."
        )


def check_share(batch_size: int, devices: int) -> None:
    """Raise UserError unless the devices can share every batch evenly.

    Otherwise the mean of the devices' means would not be the mean of the batch.
    """
    if batch_size % devices:
        raise UserError(
            f"The batch size is {batch_size}, which {devices} devices cannot share evenly: give a "
            f"multiple of {devices}."
        )


@contextmanager
def meeting(process: Process, port: int) -> Iterator[None]:
    """Convert errors of connecting into a UserError."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        why = str(error).split("\n")[0].rstrip(". ")
        raise UserError(
            f"{say_process(process)} could not connect to the others at {process.host}, port "
            f"{port} ({why}): start all of them within {SECONDS_TO_MEET} seconds, or choose "
            "another --master-port for torchrun."
        ) from error


def try_port(port: int) -> None:
    """Raise OSError if this process cannot listen at a port, which may be in use."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    socket.create_server(("", port), family=family, dualstack_ipv6=dual).close()


def run_or_leave(process: Process, run: Callable[[], int]) -> None:
    """Run a process's work; if it fails, print why and end the process at once.

    An ordinary exit would wait for the others, which wait for this one within a step.
    """
    if not process.is_first:  # signals may reach all; the first process stops in order
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        status = run()
    except (Exception, KeyboardInterrupt) as error:
        ending = (1, f"error: {say_loss(process)}") if is_loss(error) else find_ending(error)
        status, sentence = ending or (1, "".join(traceback.format_exception(error)).rstrip())
        print(sentence, file=sys.stderr)
    if status:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def is_loss(error: BaseException) -> bool:
    """Check whether an error means that another process is lost."""
    said = str(error).lower()
    return isinstance(error, RuntimeError | OSError) and any(sign in said for sign in SIGNS_OF_LOSS)


def say_loss(process: Process) -> str:
    """Return the sentence that another process is lost, and the consequence."""
    return (
        f"{say_process(process)} has lost another one, which has ended or cannot be reached, so "
        "the run ends here; what process 0 finished is kept in its run folder."
    )


def say_process(process: Process) -> str:
    """Return the name of a process, such as "Process 1 of 4"."""
    return f"Process {process.rank} of {process.size}"
