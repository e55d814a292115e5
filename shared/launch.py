"""Starting several processes of one training on this machine, and ending all when one fails."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from shared.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_TO_END = 5.0  # what the first process is given to write and leave once it is told to
SECONDS_TO_SAVE = 30.0  # and what at SIGTERM, to come to where it can be resumed from


def launch(package: str, args: Sequence[str], processes: int) -> int:
    """Run `python -m PACKAGE ARGS` in so many processes on this machine; give the exit status.

    The first has this terminal. As soon as one fails, all are ended; at SIGTERM, once the first
    has saved its training, which needs the others, or at a second one. Raises UserError, which
    names the process, where none of them could say why.
    """
    address = find_address()
    with ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        said = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(processes)]
        running: list[subprocess.Popen[bytes]] = []
        try:
            for rank, errors in enumerate(said):  # so that what runs is known at any moment
                running += [start(package, args, rank, processes, address, errors)]
            failed = wait_for_all(running)
        except KeyboardInterrupt:  # the terminal has told the first of it, too
            wait_for(running[:1], SECONDS_TO_END)
            return 130
        except SystemExit:
            end_first(running, SECONDS_TO_SAVE)
            raise
        finally:
            end_all(running)
        if failed is None:
            return 0
        return explain(failed, running[failed].returncode, processes, said[failed])


def find_address() -> str:
    """Find a port of this machine that nobody listens at, as "host:port"."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def search_path() -> str:
    """Give the PYTHONPATH by which a new process finds this project's packages from any folder."""
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))


def start(
    package: str, args: Sequence[str], rank: int, size: int, address: str, said: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start one process. The first has the terminal; what the others say of errors goes to `said`.

    Each has its share of the cores: else every process would compute in as many threads as there
    are cores, and all would wait for one another in every step.
    """
    host, _, port = address.rpartition(":")
    cores = share_of_cores(rank, size)
    environment = {
        "OMP_NUM_THREADS": str(len(cores)),
        **os.environ,
        **{"RANK": str(rank), "WORLD_SIZE": str(size)},
        **{"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size)},
        **{"MASTER_ADDR": host, "MASTER_PORT": port},
        "PYTHONPATH": search_path(),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", package, *args],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=None if rank == 0 else subprocess.DEVNULL,
        stderr=None if rank == 0 else said,
    )
    if hasattr(os, "sched_setaffinity"):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(process.pid, cores)
    return process


def share_of_cores(rank: int, size: int) -> list[int]:
    """Choose the cores of a process: its own share, or one where there are more processes."""
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
    else:
        cores = list(range(os.cpu_count() or 1))
    own = cores[rank * len(cores) // size : (rank + 1) * len(cores) // size]
    return own or [cores[rank % len(cores)]]


def wait_for_all(running: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Wait until all have ended well, or one has not; give the rank of that one."""
    while True:
        statuses = [process.poll() for process in running]
        failed = [rank for rank, status in enumerate(statuses) if status]
        if failed or None not in statuses:
            # One that was killed has taken the others along: it is the one to name.
            return min(failed, key=lambda rank: (statuses[rank] or 0) > 0, default=None)
        time.sleep(SECONDS_BETWEEN_LOOKS)


def end_all(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """End whoever still runs: the first is asked, and may write; the others have nothing to."""
    for process in running[1:]:
        process.kill()
    end_first(running, SECONDS_TO_END)
    for process in running:
        process.kill()
        process.wait()


def end_first(running: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    """Ask the first process to end, and give it some time to."""
    for process in running[:1]:
        process.terminate()
    wait_for(running[:1], seconds)


def wait_for(running: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    """Give processes that were told to end some time to do so."""
    until = time.monotonic() + seconds
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))


def explain(rank: int, status: int, size: int, said: IO[bytes]) -> int:
    """Give the exit status of a process that failed, and repeat what it said of it.

    Raises UserError for one that was killed, and could say nothing.
    """
    if status < 0:
        name = signal.Signals(-status).name
        raise UserError(
            f"Process {rank} of {size} (they count from 0) was killed by {name}, so the run ends "
            "here; what process 0 finished is kept in its run folder."
        )
    said.seek(0)
    sys.stderr.write(said.read().decode(errors="replace"))
    return status
