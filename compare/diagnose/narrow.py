"""Find where a program that runs in float64 computes in fewer bits."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compare.diagnose.execute import bind, cast, computing, input_for
from compare.diagnose.observed import Observed
from compare.look.match import Match
from compare.look.rebuild import rebuild
from compare.look.sources import is_users_file
from compare.look.watch import leaves

NARROW = ("float32", "bfloat16", "float16")


def find_narrow(
    sides: Sequence[Observed], matches: Sequence[Match], inputs: dict[str, np.ndarray]
) -> str | None:
    """Return which side computes something in fewer than 64 bits; None if neither is seen to.

    The arrays themselves may show it, or the program that JAX traces from a function.
    """
    solid = {id(value) for m in matches if m.is_solid for value in (m.left, m.right)}
    for side in sides:
        for value in side.values:
            is_narrow = value.dtype in NARROW and value.parents and not value.is_plain
            if is_narrow and id(value) not in solid:
                return f"{side.side.name} computes {value} in {value.dtype}"
    for side in sides:
        if side.side.framework == "jax" and (place := _find_in_jax(side, inputs)):
            return f"{side.side.name} computes in fewer bits {place}"
    return None


def _find_in_jax(side: Observed, inputs: dict[str, np.ndarray]) -> str | None:
    """Return where the program that JAX traces from a function converts float64 to fewer bits.

    Parameters are closed over, so only computations that depend on an input are found.
    """
    jax = sys.modules["jax"]
    with computing("jax", "float64", 0):
        program = rebuild(side.side.program, lambda array: cast(array, "float64", "jax"))
        given = {name: input_for(array, "float64", "jax") for name, array in inputs.items()}
        try:
            made = jax.make_jaxpr(lambda its: dict(leaves(bind(program, its)(), "output")))(given)
        except Exception:  # JAX cannot trace a program that depends on values
            return None
    for equation in _equations(made.jaxpr):
        kinds = [_dtype(v) for v in equation.invars], [_dtype(v) for v in equation.outvars]
        if "float64" in kinds[0] and any(kind in NARROW for kind in kinds[1]):
            return _place(equation)
    return None


def _dtype(variable: Any) -> str:
    return str(getattr(getattr(variable, "aval", None), "dtype", ""))


def _equations(jaxpr: Any) -> Iterator[Any]:
    """Yield the equations of a JAX program and of the programs nested in it."""
    for equation in jaxpr.eqns:
        yield equation
        for part in equation.params.values():
            for inner in part if isinstance(part, list | tuple) else (part,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from _equations(inner)


def _place(equation: Any) -> str:
    """Return the line of the user's code that an equation comes from, as JAX records it."""
    frames = getattr(equation.source_info.traceback, "frames", ())
    for frame in frames:
        file = getattr(frame, "file_name", "")
        if is_users_file(file):
            return f"at {Path(file).name}:{getattr(frame, 'line_num', '?')}"
    return f"({equation.primitive.name})"
