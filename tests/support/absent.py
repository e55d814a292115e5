"""Leave out cases for devices that this machine lacks, and report them in one line."""

from functools import cache
from types import ModuleType
from typing import Any

import pytest

from compare.registry.contract import check_device, devices_of

ABSENT: dict[str, set[str]] = {}  # by device: the implementations that could use it


@cache
def present_devices(name: str, module: ModuleType) -> tuple[str, ...]:
    """Return the devices that an implementation can use here, and record the absent ones."""
    present = []
    for device in devices_of(module):
        try:
            check_device(module, device)
        except ValueError:
            ABSENT.setdefault(device, set()).add(name)
        else:
            present.append(device)
    return tuple(present)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the absent devices from a pytest-xdist worker to the reporting process."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["absent"] = {key: list(names) for key, names in ABSENT.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receive the absent devices from a worker; one that crashed sent nothing."""
    for device, names in getattr(node, "workeroutput", {}).get("absent", {}).items():
        ABSENT.setdefault(device, set()).update(names)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for device, names in ABSENT.items():
        terminalreporter.write_line(
            f"{device} is absent here ({', '.join(sorted(names))}): its cases are not collected"
        )
