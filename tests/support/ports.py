"""What the bench of `compare diagnose` is made of: ports, right ones and with a planted bug."""

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
    """Two programs and what there is to say of them: a verdict, and any one word of the place."""

    name: str
    left: Callable[[], Callable]
    right: Callable[[], Callable]
    inputs: Callable[[np.random.Generator], Arrays]
    verdict: str = "same function"
    place: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bug:
    """A change of the right side, by the name that its factory takes."""

    name: str
    place: tuple[str, ...]
    verdict: str = "bug"


def families() -> dict[str, tuple[Port, ...]]:
    """Import the bench, a file for each family."""
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
    """Return a right pair, and the same pair with each of the bugs planted in its right side."""
    planted = (
        Port(f"{name}: {bug.name}", left, partial(right, bug.name), inputs, bug.verdict, bug.place)
        for bug in bugs
    )
    return Port(name, left, partial(right, None), inputs), *planted


def normal(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], Arrays]:
    """Return what draws inputs of a normal distribution, one for each shape."""
    return lambda rng: tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)


def draw(seed: int, *shape: int, scale: float | None = None) -> np.ndarray:
    """Draw weights in float32, the same for the same seed and shape."""
    if scale is None:
        scale = shape[-1] ** -0.5 if len(shape) > 1 else 0.3
    numbers = scale * np.random.default_rng([seed, *shape]).normal(size=shape)
    return numbers.astype(np.float32)


def load(module, **arrays: np.ndarray):
    """Put arrays into a module of PyTorch's by the names of its state dict; `__` is a dot."""
    import torch

    state = {name.replace("__", "."): torch.from_numpy(a) for name, a in arrays.items()}
    module.load_state_dict(state)
    return module.eval()
