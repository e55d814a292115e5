"""Load implementations: this project's and third parties', as far as they can run here."""

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType

from rich.console import Console

from compare.registry.contract import Implementation, dtypes_of
from compare.registry.third_party import guard, import_third_party
from shared.config import bad_option
from shared.errors import UserError, check_choice

PACKAGES = {"pytorch": "pytorch_impl", "jax": "jax_impl", "numpy": "numpy_reference"}
DISPLAY_NAMES = {"pytorch": "PyTorch", "jax": "JAX", "numpy": "NumPy"}


def display(name: str) -> str:
    """Return the display name of an implementation; a third party's is unchanged."""
    return DISPLAY_NAMES.get(name, name)


def load_implementations(names: Sequence[str]) -> tuple[dict[str, ModuleType], dict[str, str]]:
    """Import the implementations called `names`, in that order.

    Returns the packages by name and, for each that cannot be imported because a library is not
    installed, the name of that library. Raises UserError for an unknown name.
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


def load_third_party(modules: Sequence[str]) -> dict[str, ModuleType]:
    """Import third-party implementations, guarded, named by the last part of their modules."""
    found = import_third_party(modules, taken=tuple(PACKAGES))
    return {name: guard(module, name) for name, module in found.items()}


def load_present(
    names: Sequence[str], console: Console, third_party: Sequence[str] = ()
) -> dict[str, ModuleType]:
    """Import the implementations called `names`, and print which are left out.

    `third_party` lists modules of third parties to add; they must exist.
    """
    added = load_third_party(third_party)
    if added and not names:
        return added
    if not names:
        raise UserError(bad_option("implementations", "empty", " or ".join(PACKAGES)))
    found, missing = load_implementations(names)
    for name, library in missing.items():
        console.print(f"{name} is left out: {library} is not installed.", style="yellow")
    return found | added


def keep_with_dtype(
    implementations: Mapping[str, ModuleType], dtype: str, console: Console
) -> dict[str, ModuleType]:
    """Return the implementations that compute in a dtype, and print the others."""
    kept = {}
    for name, implementation in implementations.items():
        if dtype in dtypes_of(implementation):
            kept[name] = implementation
        else:
            console.print(f"{name} is left out: it has no {dtype}.", style="yellow")
    return kept


def say_what_lacks(
    name: str, implementation: Implementation, forms: Sequence[str], dtypes: Sequence[str]
) -> str | None:
    """Return which of these forms and dtypes an implementation lacks; None if it has all."""
    lacks = [form for form in forms if form not in implementation.ATTENTION]
    lacks += [dtype for dtype in dtypes if dtype not in dtypes_of(implementation)]
    return f"{name} has no {', '.join(lacks)}." if lacks else None
