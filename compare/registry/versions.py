"""The versions of Python and of the libraries, for every result."""

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from compare.registry.contract import Implementation, libraries_of

LIBRARIES = ("numpy", "torch", "torchmetrics", "jax", "jaxlib", "flax", "optax", "safetensors")


def library_versions(implementations: Iterable[Implementation] = ()) -> dict[str, str]:
    """Return the versions of Python and of the installed libraries.

    They are those that this project uses, and those that `implementations` name.
    """
    versions = {"python": platform.python_version()}
    also = [name for each in implementations for name in libraries_of(each)]
    for name in (*LIBRARIES, *also):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
