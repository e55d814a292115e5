"""Fixtures of several test files: the installed implementations, small problems, and MNIST."""

import importlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import absent
import numpy as np
import pytest
import third_party
from absent import present_devices

from compare.parity.intermediates import Case
from compare.registry.contract import FORMS as ALL_FORMS
from compare.registry.contract import dtypes_of
from compare.registry.implementations import PACKAGES

pytest_plugins = ["page_browser", "tiny", "workers"]
FORMS = {
    "pytorch": ALL_FORMS,
    "jax": ALL_FORMS,
    "numpy": tuple(form for form in ALL_FORMS if form != "builtin"),  # NumPy has no such call
}
TRAINERS = ("pytorch", "jax")
DTYPES = ("float32", "float64")


def import_or_skip(name: str) -> ModuleType:
    """Import an implementation, or skip the test and name the missing library."""
    try:
        return importlib.import_module(PACKAGES[name])
    except ModuleNotFoundError as error:
        pytest.skip(f"{name}: {error.name} is not installed")


def own_devices(name: str) -> tuple[str, ...]:
    """Return the devices of one of our implementations on this machine.

    If its framework is not installed, that is the CPU, whose cases are skipped by name.
    """
    try:
        return present_devices(name, importlib.import_module(PACKAGES[name]))
    except ModuleNotFoundError:
        return ("cpu",)


@dataclass(frozen=True)
class ModelCase(Case):
    """A case with the module of its implementation."""

    module: Any = None

    def model(self, params: dict[str, np.ndarray]) -> Any:
        return self.module.from_params(
            params, attention=self.form, dtype=self.dtype, device=self.device
        )


# The fixtures of one implementation, and the function that it needs for them.
NEEDS = {
    "case": "evaluate",
    "float64_case": "evaluate",
    "trainer_case": "loss_and_gradients",
    "implementation": "evaluate",
    "trainer": "Training",
}
THIRD_PARTY = pytest.StashKey[dict[str, ModuleType]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--implementation",
        action="append",
        default=[],
        metavar="PACKAGE.MODULE",
        help="run the parity tests on this implementation instead of the project's own "
        "(repeatable; see docs/add_a_framework.md)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(absent)
    names = config.getoption("--implementation")
    config.stash[THIRD_PARTY] = third_party.load(names, taken=tuple(PACKAGES))
    if names:  # their warnings are shown, not turned into errors
        config.addinivalue_line("filterwarnings", "default")


def pytest_report_header(config: pytest.Config) -> list[str]:
    return third_party.describe(config.stash[THIRD_PARTY])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_test = collection_path.match("test_*.py")
    is_parity = collection_path.match("test_parity_*.py")
    return True if config.stash[THIRD_PARTY] and is_test and not is_parity else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.stash[THIRD_PARTY]:
        about_one = [item for item in items if NEEDS.keys() & set(item.fixturenames)]
        config.hook.pytest_deselected(items=[item for item in items if item not in about_one])
        items[:] = about_one


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail if every test of a third-party implementation was skipped."""
    config = session.config
    if config.stash[THIRD_PARTY] and exitstatus == 0 and not config.option.collectonly:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if not reporter.stats.get("passed"):
            reporter.write_line("\nERROR: nothing was judged: every test was skipped", red=True)
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture in NEEDS.keys() & set(metafunc.fixturenames):
        params = list(_params(fixture, metafunc.config.stash[THIRD_PARTY]))
        metafunc.parametrize(fixture, params, indirect=True)
    if "common_device" in metafunc.fixturenames:
        third_party = metafunc.config.stash[THIRD_PARTY]
        metafunc.parametrize("common_device", ["cpu"] if third_party else _common_devices())


def _params(fixture: str, third_party: dict[str, ModuleType]) -> Iterator[Any]:
    """Return the parameters of a fixture: implementations, or their forms, dtypes and devices."""
    trains = NEEDS[fixture] != "evaluate"
    if not third_party:
        for name in TRAINERS if trains else tuple(PACKAGES):
            yield from _params_of(fixture, name, None, FORMS[name], DTYPES, own_devices(name))
    for name, module in third_party.items():
        if hasattr(module, NEEDS[fixture]):
            dtypes = [dtype for dtype in DTYPES if dtype in dtypes_of(module)]
            forms, devices = tuple(module.ATTENTION), present_devices(name, module)
            yield from _params_of(fixture, name, module, forms, dtypes, devices)
        else:
            reason = f"{name} has no {NEEDS[fixture]}: forward only"
            yield pytest.param(None, id=name, marks=pytest.mark.skip(reason=reason))


def _common_devices() -> list[str]:
    """Return the devices that every trainer has."""
    first, *others = (own_devices(name) for name in TRAINERS)
    return [device for device in first if all(device in each for each in others)]


def _params_of(
    fixture: str,
    name: str,
    module: ModuleType | None,
    forms: Sequence[str],
    dtypes: Sequence[str],
    devices: Sequence[str],
) -> Iterator[Any]:
    if "case" not in fixture:
        yield pytest.param((name, module), id=name)
        return
    if fixture == "float64_case":
        dtypes = [dtype for dtype in dtypes if dtype == "float64"]
    for form, dtype, device in product(forms, dtypes, devices):
        yield pytest.param(
            (name, form, dtype, device, module), id=f"{name}-{form}-{dtype}-{device}"
        )


def _make_case(request: pytest.FixtureRequest) -> ModelCase:
    name, form, dtype, device, module = request.param
    return ModelCase(name, form, dtype, device, module or import_or_skip(name))


@pytest.fixture
def case(request: pytest.FixtureRequest) -> ModelCase:
    """Every implementation, form, dtype and device."""
    return _make_case(request)


@pytest.fixture
def float64_case(request: pytest.FixtureRequest) -> ModelCase:
    """Every implementation, form and device, in float64."""
    return _make_case(request)


@pytest.fixture
def trainer_case(request: pytest.FixtureRequest) -> ModelCase:
    """Every form, dtype and device of the implementations that compute gradients."""
    return _make_case(request)


@pytest.fixture
def implementation(request: pytest.FixtureRequest) -> ModuleType:
    """Every implementation."""
    name, module = request.param
    return module or import_or_skip(name)


@pytest.fixture
def trainer(request: pytest.FixtureRequest) -> ModuleType:
    """Every implementation that can train."""
    name, module = request.param
    return module or import_or_skip(name)


def mnist_dir_or_skip() -> Path:
    """Return the folder of MNIST's four original files, or skip the test."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "mnist"
    folder = Path(os.environ.get("MNIST_DIR") or beside)
    if not folder.is_dir():
        pytest.skip("needs full MNIST: set MNIST_DIR to a folder with its four files")
    return folder.resolve()
