"""A divergence: a place where the libraries differ, as the catalogue records it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

# Where the references of the layers are; a page's name follows.
TORCH_DOCS = "https://docs.pytorch.org/docs/stable/generated/torch."
FLAX_DOCS = "https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/"
PORT_GUIDE = "https://flax.readthedocs.io/en/stable/migrating/convert_pytorch_to_flax.html"

# What a reader sees before the cause is known, in the order of the page's index.
SYMPTOMS = (
    "differs by 1e-3 on a GPU",
    "differs by 1e-4 to 1e-2, on a CPU too",
    "differs by 1e-6 to 1e-4",
    "differs by 1e-7 in float64",
    "differs in the last digits",
    "LayerNorm or another normalisation differs slightly",
    "outputs differ by a few percent or more",
    "outputs have the same numbers in another order",
    "shapes differ",
    "differs only with padding",
    "training mode differs from evaluation",
    "an error in one framework only",
    "NaN or infinity",
    "NaN gradients",
    "NaN under jit",
    "the result changes from call to call",
    "bfloat16 results differ",
    "a mask has the opposite effect",
    "losses differ by a factor",
    "first loss too large",
    "loss the same, gradients not",
    "training drifts: the optimiser",
    "training drifts: the loss or its gradient",
    "training drifts: the data, dropout or dtype",
    "training drifts: the initial weights or random numbers",
    "accuracy differs",
    "checkpoint loads, outputs differ: right after loading",
    "checkpoint loads, outputs differ: after a step",
    "inputs differ before they reach the model",
)


class Raised(NamedTuple):
    """The exception that a piece of code raises."""

    error: str  # the exception's class
    says: str


class Results(NamedTuple):
    """The results of each framework's code: NumPy arrays, numbers, text, or tuples of them."""

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
    symptoms: tuple[str, ...]  # of SYMPTOMS: what it looks like from outside
    calls: tuple[str, ...]  # the layers and functions that it concerns, as they are called
    numpy: str = ""
    port: str = ""  # the fix as code: a pair, what PyTorch gives and what the ported code gives
    bugs: tuple[str, ...] = ()  # planted bugs that it leads to
    libraries: tuple[str, ...] = ("torch", "jax")  # distributions whose versions it depends on

    @property
    def short(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")


def anchor_of(heading: str) -> str:
    """Return the link to a heading of docs/divergences.md, as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]|[²³¹]", "", heading.lower())  # \w has superscripts, GitHub's does not
    return "#" + kept.replace(" ", "-")
