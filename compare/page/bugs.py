"""The planted bugs of the page: the effect of each on accuracy and on every parity check."""

from pathlib import Path
from typing import Any

from compare.records.mutants import read_mutants


def bugs_data(docs: Path) -> dict[str, Any] | None:
    """Read docs/mutants.json; return None if it is missing or has no bug with an accuracy.

    Raises UserError for a file that is not what `python -m compare mutants` writes.
    """
    path = docs / "mutants.json"
    if not path.exists():
        return None
    found = read_mutants(path)
    # A ratio of null: the check does not apply or, if it caught the bug, the error is not finite.
    bugs = [{"name": name, **bug} for name, bug in found["bugs"].items() if "accuracy" in bug]
    return {**found, "bugs": bugs, "planted": len(found["bugs"])} if bugs else None
