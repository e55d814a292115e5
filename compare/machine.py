"""The floor: the shortest time that a form of attention can take on this machine.

The floor is the roofline's (Williams, Waterman and Patterson, "Roofline: an insightful visual
performance model for multicore architectures", 2009): a computation takes at least as long as its
operations take at the machine's best rate, and at least as long as its bytes take to and from
memory. The floor is no prediction: an exponential counts as one operation, and tables do not count
as moved, since they could stay in a cache (as in FlashAttention: Dao et al., 2022).
"""

import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
MATRIX_SIZE = 1024
COPY_BYTES = 64 * 2**20  # source and copy together exceed any cache
# A training step is the forward pass and, for each of its products, two more: the gradients by
# both factors.
PASSES_IN_A_STEP = 3
# A step reads and writes each of these once: parameters, gradients, and the two moments of Adam.
MOVES_IN_A_STEP = 8


class Work(NamedTuple):
    """The least work that a batch takes."""

    operations: int  # additions, multiplications and exponentials
    bytes: int  # to or from memory


class Speed(NamedTuple):
    """The best measured speed of the machine, with all its cores."""

    matrix_rate: float  # operations per second in a matrix product
    copy_bandwidth: float  # bytes read plus bytes written per second


def work_of(
    form: str,
    phase: str,
    batch: int,
    *,
    steps: int = 784,
    channels: int = 1,
    outputs: int = 10,
    levels: int = 256,
    itemsize: int = 4,
) -> Work:
    """Count the work of a form of attention for a batch, in the "forward" pass or in a "step".

    All forms except "histogram" do the same work, once per pair of pixels. `itemsize` is the size
    of a floating-point number in bytes. Inputs, outputs and parameters count as moved once.
    """
    parameters = 3 * channels**2 + outputs * (steps * channels + 1)
    if form == "histogram":
        operations = histogram_operations(batch, channels, levels)
        # Indices take a byte each; the counts and the table of levels are floating-point numbers.
        inputs = batch * steps + itemsize * (batch * levels + levels * channels)
    else:
        operations = batch * direct_operations(steps, channels)
        inputs = itemsize * batch * steps * channels
    operations += batch * 2 * outputs * steps * channels  # the linear layer
    moved = inputs + itemsize * batch * outputs
    if phase == "step":
        return Work(PASSES_IN_A_STEP * operations, moved + MOVES_IN_A_STEP * itemsize * parameters)
    return Work(operations, moved + itemsize * parameters)


def direct_operations(steps: int, channels: int) -> int:
    """Count the operations of a sample's attention, pixel by pixel."""
    projections = 3 * 2 * steps * channels**2  # query, key and value
    scores = 2 * steps**2 * channels
    exponentials = steps**2
    attended = 2 * steps**2 * channels
    return projections + scores + exponentials + attended


def histogram_operations(batch: int, channels: int, levels: int) -> int:
    """Count the operations of a batch's attention, level by level.

    The table of exponentials serves the whole batch; each sample takes two products with it, one
    for the sums of values (every channel) and one for the sum of weights.
    """
    projections = 3 * 2 * levels * channels**2  # query, key and value
    table = levels**2 * (2 * channels + 1)
    sums = 2 * levels**2 * (channels + 1)
    return projections + table + batch * sums


def floor_seconds(work: Work, speed: Speed) -> float:
    """Return the shortest time, in seconds, that `work` can take on a machine of this speed."""
    return max(work.operations / speed.matrix_rate, work.bytes / speed.copy_bandwidth)


def fastest(a: Speed, b: Speed) -> Speed:
    """Return the better of two measurements, separately for each number."""
    return Speed(*map(max, a, b))


def measure_speed(dtype: str = "float32", repeats: int = 3) -> Speed:
    """Measure both rates with NumPy, the best of a few runs, in about a tenth of a second."""
    return Speed(_measure_matrix_rate(dtype, repeats), _measure_copy_bandwidth(repeats))


def _measure_matrix_rate(dtype: str, repeats: int) -> float:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, MATRIX_SIZE, MATRIX_SIZE)).astype(dtype)
    product = np.empty_like(a)
    seconds = _best_seconds(lambda: np.matmul(a, b, out=product), repeats)
    return 2 * MATRIX_SIZE**3 / seconds


def _measure_copy_bandwidth(repeats: int) -> float:
    """Measure the bandwidth of copies on all cores at once: one core may not use all of it."""
    threads = num_threads()
    sources = np.array_split(np.ones(COPY_BYTES // 8), threads)
    targets = np.array_split(np.ones(COPY_BYTES // 8), threads)
    with ThreadPoolExecutor(threads) as pool:  # NumPy releases Python's lock while it copies
        seconds = _best_seconds(lambda: list(pool.map(np.copyto, targets, sources)), repeats)
    return 2 * COPY_BYTES / seconds


def _best_seconds(run: Callable[[], Any], repeats: int) -> float:
    """Time `run`, after one call to warm up, and return the shortest time in seconds."""
    run()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def seconds_of_others() -> float | None:
    """Return the CPU seconds, over all cores, that other programs have used; None if not on Linux.

    The difference of two readings shows how busy the machine was in between. If it was, timings are
    not reliable, least of all of programs that wait for all their threads at a barrier.
    """
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, *interrupts = map(int, line.split()[1:9])
    own = os.times()
    everyone = (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
    return everyone - own.user - own.system


def num_threads() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads(count: int) -> dict[str, str]:
    """Return the environment variables that limit the threads of PyTorch and XLA."""
    return dict.fromkeys(("OMP_NUM_THREADS", "NPROC"), str(count))  # PyTorch's, and XLA's


def platform_name() -> str:
    """Return the system and the processor's architecture, such as "Linux x86_64"."""
    return f"{platform.system()} {platform.machine()}"


def describe_machine() -> dict[str, Any]:
    """Return the system, the processor (None if unknown) and the number of cores."""
    return {
        "platform": platform_name(),
        "cpu": _cpu_model(),
        "threads": num_threads(),
    }


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return None
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, None)


def search_path() -> str:
    """Return the PYTHONPATH with which a new process finds this project's packages."""
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
