"""Several pytest-xdist workers (`make test`): what they share, and which tests run alone.

Without pytest-xdist, or with `-n 0`, there is one process, and none of this has a cost.
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
    """Make the folder that the workers share; its path is in the environment."""
    config.addinivalue_line("markers", "alone: measures time, so no other test runs beside it")
    clean_up = config.stash[CLEAN_UP] = ExitStack()
    if not hasattr(
        config, "workerinput"
    ):  # not a worker: the process that starts them, or the only one
        folder = clean_up.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        patch = clean_up.enter_context(pytest.MonkeyPatch.context())
        patch.setenv(FOLDER, folder)
        for name, value in environment(compiled_folder(config) or folder).items():
            patch.setenv(
                name, os.environ.get(name, value)
            )  # of tests that run within a test, or of the user
    config.stash[SHARED] = Path(os.environ[FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[CLEAN_UP].close()


def compiled_folder(config: pytest.Config) -> Path | None:
    """Return the folder of JAX's compilation cache, kept between runs in .pytest_cache."""
    return config.cache.mkdir("compiled") if hasattr(config, "cache") else None


def environment(compiled: str | Path) -> dict[str, str]:
    """Return the environment variables of all test processes, unless the user sets them."""
    return compiling_into(compiled) | {
        "PYTHONWARNINGS": "ignore:Error reading persistent compilation cache:UserWarning",
        # PyTorch's waiting threads must sleep, not spin: others need the cores.
        "OMP_WAIT_POLICY": "PASSIVE",
    }


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Use one worker per core, and none with -s, which shows the output directly."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 0 if config.option.capture == "no" else cores or 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests that run alone to the start, where waiting for others is short."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is None)  # a stable sort


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run a test, with its fixtures, beside others or alone."""
    with turn(item.config.stash[SHARED], alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait until no test runs alone or, for a test that runs alone, until no other test runs.

    There are two locks: a test that waits to run alone keeps new ones from starting, or it could
    wait forever.
    """
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with (folder / "running").open("w") as running:
        with (folder / "door").open("w") as door:
            fcntl.flock(door, kind)
            fcntl.flock(running, kind)
        yield
