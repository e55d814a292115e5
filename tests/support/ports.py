"""The ports of the `compare diagnose` bench: right ones, and ones with a planted bug."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "compare" / "diagnose" / "ports"

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Port:
    """Two programs with the expected verdict, and words of which one must be in the place."""

    name: str
    left: Callable[[], Callable]
    right: Callable[[], Callable]
    inputs: Callable[[np.random.Generator], Arrays]
    verdict: str = "same function"
    place: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bug:
    """A change of the right side, named as its factory expects."""

    name: str
    place: tuple[str, ...]
    verdict: str = "bug"


def families() -> dict[str, tuple[Port, ...]]:
    """Import the bench, one file per family."""
    names = sorted(path.stem for path in FOLDER.glob("*.py"))
    package = "tests.compare.diagnose.ports"
    return {name: importlib.import_module(f"{package}.{name}").PORTS for name in names}


def ports(
    name: str,
    left: Callable[[], Callable],
    right: Callable[[str | None], Callable],
    inputs: Callable[[np.random.Generator], Arrays],
    *bugs: Bug,
) -> tuple[Port, ...]:
    """Return a correct pair, and the same pair with each bug planted in its right side."""
    planted = (
        Port(f"{name}: {bug.name}", left, partial(right, bug.name), inputs, bug.verdict, bug.place)
        for bug in bugs
    )
    return Port(name, left, partial(right, None), inputs), *planted


def normal(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], Arrays]:
    """Return a function that draws normal inputs, one for each shape."""
    return lambda rng: tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)


def draw(seed: int, *shape: int, scale: float | None = None) -> np.ndarray:
    """Draw float32 parameters, the same for the same seed and shape."""
    if scale is None:
        scale = shape[-1] ** -0.5 if len(shape) > 1 else 0.3
    numbers = scale * np.random.default_rng([seed, *shape]).normal(size=shape)
    return numbers.astype(np.float32)


def load(module, **arrays: np.ndarray):
    """Load arrays into a PyTorch module by the names of its state dict; `__` is a dot."""
    import torch

    state = {name.replace("__", "."): torch.from_numpy(a) for name, a in arrays.items()}
    module.load_state_dict(state)
    return module.eval()
