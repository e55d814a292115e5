"""The versions of Python and of the libraries, as every result states them."""

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from compare.registry.contract import Implementation, libraries_of

LIBRARIES = ("numpy", "torch", "torchmetrics", "jax", "jaxlib", "flax", "optax", "safetensors")


def library_versions(implementations: Iterable[Implementation] = ()) -> dict[str, str]:
    """Give the versions of Python and of the libraries that are installed.

    They are those that this project uses, and those that `implementations` say they use.
    """
    versions = {"python": platform.python_version()}
    also = [name for each in implementations for name in libraries_of(each)]
    for name in (*LIBRARIES, *also):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
