"""The bench of `compare diagnose`: correct ports pass, and each bug is found in its place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ports import Port, families

from compare import diagnose

for library in ("torch", "jax", "flax", "optax"):
    pytest.importorskip(library)

PORTS = [port for family in families().values() for port in family]
RIGHT = [port for port in PORTS if port.verdict == "same function"]
SEEDS = 200


def outliers(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    return np.where(rng.random(array.shape) < 0.05, 1e4, 1) * array


KINDS: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "normal": lambda rng, array: array,
    "small": lambda rng, array: array / 4,
    "near 0": lambda rng, array: 1e-6 * array,
    "near 1000": lambda rng, array: 1000 + array,
    "outliers": outliers,
}
# These are the same function only for moderate numbers.
MODERATE = {
    "threads/jax 22101, a gradient": "log(1 - tanh(x)^2) is infinite from 19 on",
    "compiled/while loop": "a series of 40 terms",
}
# Known wrong verdicts, with the reasons: remove the line when one is fixed.
LIMITS = {
    "embedding/sinusoids, one-hot: counted from 1": "the frequencies come from two formulas",
    "mlp/three layers, NumPy looped: square kernel not transposed": "placed at the stack",
    "rotary/pairs on a part, matrices: size of the whole head": "placed at the outputs",
    "twins/experts, JAX: expert's kernel not transposed": "placed at a slice of a parameter",
    "twins/experts, JAX: one expert": "placed before the choice, at a softmax over all",
    "twins/logits, NumPy: float32 unit vectors": "placed at the product of what was cast",
    "twins/state space, NumPy: rates made in float32": "a constant made in float32 is called a bug",
}


def inputs_of(port: Port, seed: int, kind: str) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        KINDS[kind](rng, array).astype(np.float32) if array.dtype == np.float32 else array
        for array in port.inputs(rng)
    )


def marked(port: Port) -> Any:
    reason = LIMITS.get(port.name)
    marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
    return pytest.param(port, marks=marks, id=port.name)


@pytest.mark.parametrize("port", map(marked, PORTS))
def test_a_port_is_judged_and_a_bug_is_placed(port: Port):
    report = diagnose(port.left(), port.right(), *port.inputs(np.random.default_rng(0)))
    assert report.verdict == port.verdict, str(report)
    assert report.status == {"same function": 0, "cannot tell": 2}.get(port.verdict, 1)
    if port.place:
        assert any(word in report.place for word in port.place), f"{report.place}\n{report}"


@pytest.mark.soak
@pytest.mark.parametrize("number", range(len(RIGHT)), ids=[port.name for port in RIGHT])
def test_no_false_alarm_over_200_seeds_of_every_kind_of_input(number: int):
    """The seeds are spread over the ports: each kind of input meets 200 of them."""
    port = RIGHT[number]
    kinds = ["small"] if port.name in MODERATE else [kind for kind in KINDS if kind != "small"]
    for kind in kinds:
        for seed in range(number, SEEDS, len(RIGHT)):
            report = diagnose(port.left(), port.right(), *inputs_of(port, seed, kind))
            assert report.verdict == "same function", f"{kind}, seed {seed}\n{report}"


def test_the_bench_is_large_and_its_names_are_its_own():
    assert len(RIGHT) >= 40
    names = {port.name for port in PORTS}
    assert len(names) == len(PORTS) >= 200
    assert LIMITS.keys() | MODERATE.keys() <= names
