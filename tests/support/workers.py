"""Several workers of pytest-xdist at once (`make test`): what they share, and who runs alone.

Without pytest-xdist, or with `-n 0`, there is one process, and all of this costs it nothing.
"""

import fcntl
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from compare.compiled import compiling_into

SHARED = pytest.StashKey[Path]()
CLEAN_UP = pytest.StashKey[ExitStack]()
FOLDER = "TESTS_SHARED_FOLDER"


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that the workers share; they and all that tests start know it by name."""
    config.addinivalue_line("markers", "alone: measures time, so no other test runs beside it")
    clean_up = config.stash[CLEAN_UP] = ExitStack()
    if not hasattr(config, "workerinput"):  # no worker: whoever starts them, or all there is
        folder = clean_up.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        patch = clean_up.enter_context(pytest.MonkeyPatch.context())
        patch.setenv(FOLDER, folder)
        for name, value in environment(compiled_folder(config) or folder).items():
            patch.setenv(name, os.environ.get(name, value))  # of tests within a test, or a user's
    config.stash[SHARED] = Path(os.environ[FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[CLEAN_UP].close()


def compiled_folder(config: pytest.Config) -> Path | None:
    """Return where JAX keeps what it compiles from one `pytest` to the next: .pytest_cache."""
    return config.cache.mkdir("compiled") if hasattr(config, "cache") else None


def environment(compiled: str | Path) -> dict[str, str]:
    """Return what all processes of the tests have in their environment, unless a user set it."""
    return compiling_into(compiled) | {
        "PYTHONWARNINGS": "ignore:Error reading persistent compilation cache:UserWarning",
        # PyTorch's threads are to sleep while they wait, not to spin: others need the cores.
        "OMP_WAIT_POLICY": "PASSIVE",
    }


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Take a worker for each core, and none where the output is wanted as it comes (-s)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 0 if config.option.capture == "no" else cores or 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that run alone, while nobody has to wait long for another's end."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is None)  # a stable sort


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run a test, its fixtures included, beside others or alone."""
    with turn(item.config.stash[SHARED], alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait until nobody runs alone, or for whoever wants to run alone until nobody runs at all.

    Two locks: who wants to run alone keeps the door shut behind them, or would wait for ever.
    """
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with (folder / "running").open("w") as running:
        with (folder / "door").open("w") as door:
            fcntl.flock(door, kind)
            fcntl.flock(running, kind)
        yield
