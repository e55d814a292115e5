"""The comparison of two files of named arrays, for programs that cannot be called."""

from collections.abc import Mapping

import numpy as np

from compare.diagnose.parting import find_parting
from compare.diagnose.report import Report
from compare.diagnose.rows import list_rows
from compare.look.match import match_values
from compare.look.values import FLOAT32_U, HALFWAY, Store, Value
from shared.errors import UserError

ROUNDED = 1e3  # times the unit roundoff: what some hundred operations in a row may add up to


def diagnose_dumps(
    left: Mapping[str, np.ndarray],
    right: Mapping[str, np.ndarray],
    names: tuple[str, str] = ("left", "right"),
) -> Report:
    """Return where two dumps part: arrays in the order of computing, the output last.

    Nothing can be run again, so the less exact of the two dtypes decides what counts as rounding.
    A dump in float64 shows far more.
    """
    sides = [_values(arrays, name) for arrays, name in zip((left, right), names, strict=True)]
    is_exact = all(
        array.dtype == np.float64 for arrays in (left, right) for array in _floats(arrays).values()
    )
    noise = FLOAT32_U if is_exact else ROUNDED * FLOAT32_U / HALFWAY
    matches = match_values(sides[0], sides[1], lambda _: noise)
    parting = find_parting(sides[0], sides[1], matches, ((), ()))
    solid = [match for match in matches if match.is_solid]
    equal = {id(v) for m in solid for v in (m.left, m.right)}
    last = sides[0][-1], sides[1][-1]
    rows = tuple(list_rows(sides[0], sides[1], matches, parting, lambda _: noise))
    seen = (len(sides[0]), len(sides[1]))
    remarks = (
        ()
        if is_exact
        else (
            "the dumps are not all in float64: a difference of up to "
            f"{ROUNDED * FLOAT32_U:.1g} of the largest value passes as rounding",
        )
    )
    if all(id(value) in equal for value in last):
        sentence = f"the last arrays, {last[0].name} and {last[1].name}, are the same"
        return Report(
            "same function",
            sentence,
            names,
            rows=rows,
            seen=seen,
            matched=len(solid),
            remarks=remarks,
        )
    order = [
        m for m in matches if not m.is_solid and {m.left, m.right} == {parting.left, parting.right}
    ]
    return Report(
        "other order" if order else "bug",
        f"{last[0].name} and {last[1].name} differ by more than rounding",
        names,
        parting=parting,
        rows=rows,
        seen=seen,
        matched=len(solid),
        remarks=remarks,
    )


def _floats(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if array.dtype.kind not in "biu"}


def _values(arrays: Mapping[str, np.ndarray], file: str) -> list[Value]:
    """Return arrays as values, each computed from the one before."""
    store = Store()
    found: list[Value] = []
    for name, array in arrays.items():
        try:
            numbers = array.astype(np.float64)
        except (TypeError, ValueError):
            raise UserError(f"{file}: {name} has dtype {array.dtype}: give numbers.") from None
        value = Value(store.put(numbers), numbers.shape, str(array.dtype), len(found), store)
        value.sightings.append(("local", name, file))
        value.parents.update(found[-1:])
        found.append(value)
    return found
