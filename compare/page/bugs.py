"""Planted bugs that can be switched on: what each does to accuracy, and to every parity check."""

from pathlib import Path
from typing import Any

from compare.records.mutants import read_mutants


def bugs_data(docs: Path) -> dict[str, Any] | None:
    """Read docs/mutants.json; None where it is missing or no bug has its accuracy measured.

    Raises UserError for a file that is not what `python -m compare mutants` writes.
    """
    path = docs / "mutants.json"
    if not path.exists():
        return None
    found = read_mutants(path)
    # A ratio of null: the check says nothing here or, where it caught the bug, what it saw is no
    # number.
    bugs = [{"name": name, **bug} for name, bug in found["bugs"].items() if "accuracy" in bug]
    return {**found, "bugs": bugs, "planted": len(found["bugs"])} if bugs else None
