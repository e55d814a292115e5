"""The arrays of both programs in rows, matching arrays side by side."""

from collections.abc import Callable, Sequence

import numpy as np

from compare.diagnose.parting import Parting
from compare.diagnose.report import Row
from compare.look.match import Match
from compare.look.values import Value, apart

Noise = Callable[[Value], float]


def list_rows(
    left: Sequence[Value],
    right: Sequence[Value],
    matches: Sequence[Match],
    parting: Parting | None,
    noise: Noise,
) -> list[Row]:
    """Return a row per array or matched pair, in the order they were computed."""
    by_left = {id(m.left): m for m in matches}
    taken = {id(m.right) for m in matches}
    parts = (parting.left, parting.right) if parting is not None else (None, None)
    rows: list[tuple[float, Row]] = []
    for value in left:
        match = by_left.get(id(value))
        if value is parts[0]:
            rows.append((value.order, _row(value, parts[1], "parts", noise)))
        else:
            other = match.right if match else None
            rows.append((value.order, _row(value, other, match.layout if match else "", noise)))
    stretch = len(left) / max(len(right), 1)
    rows.extend(
        (value.order * stretch, _row(None, value, "", noise))
        for value in right
        if id(value) not in taken and value is not parts[1]
    )
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def _row(left: Value | None, right: Value | None, layout: str, noise: Noise) -> Row:
    names = (str(left) if left else None, str(right) if right else None)
    shapes = (left.shape if left else None, right.shape if right else None)
    if left is None or right is None or left.size != right.size:
        return Row(*names, shapes, layout, None, None)
    if left.shape == right.shape:
        gap = apart(left.array, right.array)
    else:  # their arrangement is judged elsewhere
        ours, theirs = left.signature, right.signature
        scale = float(np.abs(ours).max()) or 1.0
        same = ours.shape == theirs.shape
        gap = float(np.abs(ours - theirs).max()) / scale if same else float("inf")
    return Row(*names, shapes, layout, gap, max(noise(left), noise(right)))
