"""An observed program: run in float64 and in float32, with all arrays that it computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from compare.diagnose.execute import Inputs, Ran, Side, run
from compare.diagnose.params import Param, params_of
from compare.look.match import tolerance
from compare.look.values import FLOAT32_U, Store, Value, apart
from shared.errors import say_error

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Observed:
    """A side in both dtypes."""

    side: Side
    float64: Ran
    float32: Ran

    def noise(self, value: Value) -> float:
        """Return the relative error of an array in float32; at least float32's rounding."""
        look32 = self.float32.look
        assert look32 is not None
        if value.pieces:
            return max(self.noise(piece) for piece in value.pieces)
        twin = look32.twin_of(value)
        if twin is None or twin.shape != value.shape:
            return FLOAT32_U
        return max(apart(value.array, twin.array), FLOAT32_U)

    @cached_property
    def params(self) -> list[Param]:
        """The parameters of the program, cached: sorting 100 million numbers takes seconds."""
        return params_of(self.side)

    @property
    def values(self) -> list[Value]:
        """All arrays seen in float64, in the order they were computed."""
        assert self.float64.look is not None
        return sorted(self.float64.look.values.values(), key=lambda value: value.order)


class CannotTell(Exception):  # noqa: N818  it is a verdict
    """Two programs cannot be compared; the message says why and what to do."""


def observe(side: Side, inputs: Inputs, look: tuple[str, ...]) -> Observed:
    """Run a side in both dtypes and observe all that it computes."""
    try:
        in32 = run(side, inputs, "float32", store=Store(), look=look)
    except Exception as error:
        error.add_note(f"This is what {side.name} raised; compare diagnose only called it.")
        raise
    try:
        in64 = run(side, inputs, "float64", store=Store(), look=look)
    except Exception as error:
        raise CannotTell(
            f"{side.name} runs in float32 and fails in float64: {say_error(error)}. Let it take "
            "its dtype from its inputs and parameters, not from a constant."
        ) from error
    return Observed(side, in64, in32)


def check_not_random(observed: Observed, inputs: Inputs) -> None:
    """Raise CannotTell if another seed gives other outputs."""
    again = run(observed.side, inputs, "float64", seed=1)
    for name, array in observed.float64.outputs.items():
        if not apart(array, again.outputs.get(name, np.empty(0))) <= tolerance(FLOAT32_U):
            raise CannotTell(
                f"{observed.side.name} is random: another seed gives another {name}. Switch "
                "dropout off (.eval(), deterministic=True), or draw its numbers outside and give "
                "them as an input."
            )


def pair_outputs(left: Observed, right: Observed) -> Pairs:
    """Pair the outputs of both sides: by name if the names are the same, or else in order."""
    ours, theirs = left.float64.outputs, right.float64.outputs
    if not ours or not theirs:
        side = left if not ours else right
        raise CannotTell(f"{side.side.name} returns no array: return the arrays to compare.")
    if set(ours) == set(theirs):
        return [(name, name) for name in ours]
    return list(zip(ours, theirs, strict=False))
