"""What the catalogue says of a divergence: a place where the libraries themselves part."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Raised(NamedTuple):
    """What a piece of code gives that raises."""

    error: str  # the exception's class
    says: str


class Results(NamedTuple):
    """What the code of each framework gives, as NumPy arrays, numbers, text, or tuples of them."""

    pytorch: Any
    jax: Any
    numpy: Any = None  # where a divergence has code for it


@dataclass(frozen=True)
class Divergence:
    """One place where the libraries part, with code that shows it: it is run, and printed.

    The code of a framework stands behind PRELUDE's imports; its value is that of its last
    expression, or of the name `result`.
    """

    name: str  # snake_case, unique
    title: str  # one line
    what: str  # what parts, and who gets caught
    pytorch: str
    jax: str
    expect: Callable[[Results], bool]  # whether they still part, in the way that `what` says
    size: Callable[[Results], str]  # how far apart they are, computed from what was found
    detect: str  # how to see it
    fix: str  # how to mend it
    sources: tuple[str, ...]  # public pages that say so
    numpy: str = ""
    bugs: tuple[str, ...] = ()  # planted bugs that it leads to
    libraries: tuple[str, ...] = ("torch", "jax")  # distributions whose versions it depends on

    @property
    def short(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")


def anchor_of(heading: str) -> str:
    """Return the link to a heading of docs/divergences.md, as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return "#" + kept.replace(" ", "-")
