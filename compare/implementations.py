"""The implementations there are, and which of them can be run here."""

import importlib
from collections.abc import Sequence
from types import ModuleType

from rich.console import Console

from shared.errors import UserError, check_choice

PACKAGES = {"pytorch": "pytorch_impl", "jax": "jax_impl", "numpy": "numpy_reference"}


def load_implementations(names: Sequence[str]) -> tuple[dict[str, ModuleType], dict[str, str]]:
    """Import the implementations called `names`, in that order.

    Returns the packages by name and, for each that cannot be imported because a library is not
    installed, the name of that library. Raises UserError for a name that is not known.
    """
    found: dict[str, ModuleType] = {}
    missing: dict[str, str] = {}
    for name in names:
        check_choice("implementation", name, PACKAGES)
        try:
            found[name] = importlib.import_module(PACKAGES[name])
        except ModuleNotFoundError as error:
            missing[name] = str(error.name)
    if not found:
        raise UserError(f"None of {', '.join(names)} can be run here: install one with pip.")
    return found, missing


def load_present(names: Sequence[str], console: Console) -> dict[str, ModuleType]:
    """Import the implementations called `names`, and name on the console those left out."""
    found, missing = load_implementations(names)
    for name, library in missing.items():
        console.print(f"{name} is left out: {library} is not installed.", style="yellow")
    return found


def device_of(name: str, device: str) -> str:
    """Choose the device: the one asked for, except that NumPy computes on the CPU alone."""
    return "cpu" if name == "numpy" else device


def can_train(implementation: ModuleType) -> bool:
    """Tell whether an implementation trains, or is forward only like the NumPy reference."""
    return hasattr(implementation, "train")
