"""What several test files share: the implementations present, tiny problems, MNIST if at hand."""

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

PACKAGES = {"pytorch": "pytorch_impl", "jax": "jax_impl", "numpy": "numpy_reference"}
FORMS = {
    "pytorch": ("textbook", "looped", "vectorized", "builtin", "histogram"),
    "jax": ("textbook", "looped", "vectorized", "builtin", "histogram"),
    "numpy": ("textbook", "looped", "vectorized", "histogram"),
}
TRAINERS = ("pytorch", "jax")
DTYPES = ("float32", "float64")
DEVICES = ("cpu", "cuda")


def import_or_skip(name: str) -> ModuleType:
    """Import an implementation, or skip the test by the name of the library that is missing."""
    try:
        return importlib.import_module(PACKAGES[name])
    except ModuleNotFoundError as error:
        pytest.skip(f"{name}: {error.name} is not installed")


def skip_without_device(name: str, device: str) -> None:
    """Skip the test, by name, where an implementation has no such device."""
    if device == "cpu":
        return
    if name == "numpy":
        pytest.skip("numpy computes on the CPU alone")
    module = importlib.import_module(f"{PACKAGES[name]}.model")
    try:
        module.find_device(device)
    except ValueError as error:
        pytest.skip(str(error))


@dataclass(frozen=True)
class Case:
    """One implementation in one form, dtype and device."""

    name: str
    form: str
    dtype: str
    device: str
    module: ModuleType

    def model(self, params: dict[str, np.ndarray]) -> Any:
        return self.module.from_params(
            params, attention=self.form, dtype=self.dtype, device=self.device
        )


def _cases(names: tuple[str, ...], dtypes: tuple[str, ...] = DTYPES) -> list[Any]:
    return [
        pytest.param((name, form, dtype, device), id=f"{name}-{form}-{dtype}-{device}")
        for name in names
        for form in FORMS[name]
        for dtype in dtypes
        for device in (DEVICES if name != "numpy" else ("cpu",))
    ]


def _make_case(param: tuple[str, str, str, str]) -> Case:
    name, form, dtype, device = param
    module = import_or_skip(name)
    skip_without_device(name, device)
    return Case(name, form, dtype, device, module)


@pytest.fixture(params=_cases(tuple(PACKAGES)))
def case(request: pytest.FixtureRequest) -> Case:
    """Every implementation, form, dtype and device there is."""
    return _make_case(request.param)


@pytest.fixture(params=_cases(tuple(PACKAGES), dtypes=("float64",)))
def float64_case(request: pytest.FixtureRequest) -> Case:
    """Every implementation, form and device, in float64."""
    return _make_case(request.param)


@pytest.fixture(params=_cases(TRAINERS))
def trainer_case(request: pytest.FixtureRequest) -> Case:
    """Every form, dtype and device of the implementations that can train."""
    return _make_case(request.param)


@pytest.fixture(params=tuple(PACKAGES))
def implementation(request: pytest.FixtureRequest) -> ModuleType:
    """Every implementation."""
    return import_or_skip(request.param)


@pytest.fixture(params=TRAINERS)
def trainer(request: pytest.FixtureRequest) -> ModuleType:
    """Every implementation that can train."""
    return import_or_skip(request.param)


def mnist_dir_or_skip() -> Path:
    """Find MNIST's four original files, or skip the test by what is missing."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "mnist"
    folder = Path(os.environ.get("MNIST_DIR") or beside)
    if not folder.is_dir():
        pytest.skip("full MNIST is not at hand: set MNIST_DIR to a folder with its four files")
    return folder.resolve()
