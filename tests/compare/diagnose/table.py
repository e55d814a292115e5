"""Diagnose every port of the bench and print a table: `make ports`."""

import sys
import time

import numpy as np
from ports import Port, families

from compare import diagnose

HEADER = (
    "family",
    "right pairs",
    "judged right",
    "bugs",
    "verdict right",
    "place right",
    "seconds",
)


def judge(port: Port) -> tuple[bool, bool]:
    """Diagnose a port; return whether the verdict is right, and whether the place is."""
    inputs = port.inputs(np.random.default_rng(0))
    try:
        report = diagnose(port.left(), port.right(), *inputs)
    except Exception as error:  # a port that cannot be run counts as wrong
        print(f"{port.name}: expected {port.verdict}, raised {error!r}\n", file=sys.stderr)
        return False, False
    placed = not port.place or any(word in report.place for word in port.place)
    is_right = report.verdict == port.verdict
    if not (is_right and placed):
        print(f"{port.name}: expected {port.verdict} at {port.place}, found", file=sys.stderr)
        print(f"{report}\nplace: {report.place}\n", file=sys.stderr)
    return is_right, placed


def rows() -> list[tuple[str, int, int, int, int, int, float]]:
    """Diagnose all ports, and count the results by family."""
    found = []
    for name, ports in families().items():
        start = time.perf_counter()
        judged = [(port.verdict == "same function", *judge(port)) for port in ports]
        right = [verdict for is_right, verdict, _ in judged if is_right]
        bugs = [(verdict, placed) for is_right, verdict, placed in judged if not is_right]
        counts = len(right), sum(right), len(bugs), *(map(sum, zip(*bugs, strict=True)))
        found.append((name, *counts, time.perf_counter() - start))
    totals = [sum(column) for column in list(zip(*found, strict=True))[1:]]
    return [*found, ("all", *totals)]


def main() -> int:
    """Print the table; return 1 if anything was judged wrong."""
    print(*(f"{word:>13}" for word in HEADER))
    table = rows()
    for name, *counts, seconds in table:
        print(f"{name:>13}", *(f"{count:>13}" for count in counts), f"{seconds:>13.1f}")
    _, pairs, right, bugs, verdicts, places, _ = table[-1]
    return int(not (pairs == right and bugs == verdicts == places))


if __name__ == "__main__":
    sys.exit(main())
