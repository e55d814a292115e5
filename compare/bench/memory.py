"""The peak memory that a job adds to its process, measured in a new process.

`python -m compare.bench.memory '{"implementation": "jax", ...}'` runs one job, the fields of
compare.bench.jobs.Job as JSON, and prints the bytes.
"""

import ctypes
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from compare.bench.jobs import Job, prepare
from compare.machine import search_path
from compare.registry.implementations import load_implementations, load_third_party
from shared.config import Config
from shared.data.load import load_data
from shared.errors import UserError
from shared.files import decode_json, to_json

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure_evaluation(
    implementation: str,
    form: str,
    num_images: int,
    *,
    dtype: str = "float32",
    batch_size: int = Config.eval_batch_size,
) -> int:
    """Measure the peak memory, in bytes, that evaluating `num_images` images adds to a process.

    The images, repeated from the sample, are not counted. Raises UserError if the process fails.
    """
    return measure_memory(Job(implementation, form, batch_size, "forward", num_images, dtype))


def measure_memory(job: Job) -> int:
    """Run a job in a new process and return the bytes that it adds at its peak.

    The libraries, loaded and warmed up on one image, are not counted; in JAX, the memory that
    compiling takes is. Raises UserError if the process fails, for example for lack of memory.
    """
    # PyTorch's waiting threads must sleep, not spin: if another program computes too, spinning
    # takes up to 20 times as long. The memory is the same.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ | {"PYTHONPATH": search_path()}
    process = subprocess.run(
        [sys.executable, "-m", "compare.bench.memory", to_json(asdict(job))],
        env=environment,
        capture_output=True,
        text=True,
    )
    if process.returncode != 0:
        lines = process.stderr.strip().splitlines() or ["it was killed"]
        raise UserError(
            f"The memory of {job} could not be measured: its process ended with status "
            f"{process.returncode} ({lines[-1]})."
        )
    return int(process.stdout.split()[-1])


def peak_rise(run: Callable[[], object]) -> int:
    """Run a function and return the bytes by which the process's peak exceeds its size before.

    If the system cannot reset the peak, an earlier, higher one may be counted.
    """
    gc.collect()
    with suppress(AttributeError, OSError, TypeError):  # where the C library is not glibc
        ctypes.CDLL(None).malloc_trim(0)  # or reuse of freed memory would not be counted
    before = _start_watching()
    run()
    return max(0, _peak_bytes() - before)


def _start_watching() -> int:
    """Reset the peak, if possible, and return the memory now resident, in bytes."""
    with suppress(OSError):
        CLEAR.write_text("5", encoding="ascii")  # resets VmHWM: see proc(5)
    return _status_bytes("VmRSS") if STATUS.exists() else _peak_bytes()


def _peak_bytes() -> int:
    """Return the peak resident memory of this process, in bytes."""
    if STATUS.exists():
        # Not getrusage's number: on Linux a new process inherits its parent's.
        return _status_bytes("VmHWM")
    import resource  # Windows has none

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status_bytes(name: str) -> int:
    """Read a line such as `VmRSS:  1728 kB` of /proc/self/status."""
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise UserError(f"{STATUS} has no {name}, so memory cannot be measured here.")


def main(args: Sequence[str]) -> int:
    """Run the job given as JSON and print the bytes it added at its peak."""
    job = decode_json(args[0].encode(), Job, "The job", "give the fields of compare.bench.jobs.Job")
    if job.module is None:
        implementations, _ = load_implementations([job.implementation])
    else:
        implementations = load_third_party([job.module])
    implementation = implementations[job.implementation]
    data = load_data(num_channels=job.num_channels)
    prepare(replace(job, num_images=1, batch_size=1), implementation, data)()
    print(peak_rise(prepare(job, implementation, data)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
