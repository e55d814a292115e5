"""Planted bugs that can be switched on: what each does to accuracy, and to every parity claim."""

from pathlib import Path
from typing import Any

from compare.page.fields import Fields, WrongFieldError, read_fields


def bugs_data(docs: Path) -> dict[str, Any] | None:
    """Read docs/mutants.json; None where it is missing or no bug has its accuracy measured.

    Raises UserError for a file that is not what `python -m compare mutants` writes.
    """
    path = docs / "mutants.json"
    if not path.exists():
        return None
    found = read_fields(path, "the mutants.json of `python -m compare mutants`", _read)
    return found if found["bugs"] else None


def _read(result: Fields) -> dict[str, Any]:
    honest = result.fields("honest")
    return {
        "versions": result.texts("versions"),
        "honest": {claim: honest.optional_number(claim) for claim in honest.value},
        "bugs": [
            _read_bug(name, bug)
            for name, bug in result.each("bugs").items()
            if bug.value.get("accuracy") is not None
        ],
    }


def _read_bug(name: str, bug: Fields) -> dict[str, Any]:
    shares, accuracy = bug.fields("shares"), bug.fields("accuracy")
    caught_by = bug.value.get("caught_by")
    if not isinstance(caught_by, list) or not all(isinstance(claim, str) for claim in caught_by):
        raise WrongFieldError(f"bugs.{name}.caught_by")
    step = bug.value.get("first_step")
    return {
        "name": name,
        "title": bug.text("title"),
        "wrong": bug.text("wrong"),
        "right": bug.text("right"),
        # null: the claim says nothing here or, where it caught the bug, what it saw is no number
        "shares": {claim: shares.optional_number(claim) for claim in shares.value},
        "caught_by": caught_by,
        "first_step": step if isinstance(step, str) else None,
        "accuracy": {which: accuracy.number(which) for which in ("right", "wrong")},
    }
