"""The two indexes at the top of docs/divergences.md: by symptom, and by layer or call."""

import re
from collections.abc import Iterable
from itertools import groupby

from compare.catalogue.divergences import Divergence
from compare.catalogue.divergences.records import SYMPTOMS

GRADIENTS = "[`compare diagnose --gradients`](diagnose.md) names the first gradient that differs"
MASKS = "[How each call reads a mask](#attention)"
# What answers a symptom better than any single divergence.
FIRST_ANSWERS = {
    "bfloat16 results differ": (
        "[What is normal, and what to keep in float32](#computing-in-bfloat16)"
    ),
    "a mask has the opposite effect": MASKS,
    "differs only with padding": MASKS,
    "loss the same, gradients not": GRADIENTS,
    "NaN gradients": GRADIENTS,
}


def by_symptom(divergences: Iterable[Divergence]) -> dict[str, list[Divergence]]:
    """Return the divergences of each symptom; first those that list it first."""
    listed = list(divergences)
    found = {
        symptom: sorted(
            (each for each in listed if symptom in each.symptoms),
            key=lambda each: each.symptoms.index(symptom),
        )
        for symptom in SYMPTOMS
    }
    return {symptom: shown for symptom, shown in found.items() if shown}


def by_call(divergences: Iterable[Divergence]) -> list[tuple[list[str], list[Divergence]]]:
    """Return groups of calls that share a name across libraries, each with its divergences."""
    groups: dict[str, tuple[set[str], list[Divergence]]] = {}
    for each in divergences:
        for call in each.calls:
            calls, shown = groups.setdefault(name_of(call), (set(), []))
            calls.add(call)
            if each not in shown:
                shown.append(each)
    return [(sorted(groups[name][0]), groups[name][1]) for name in sorted(groups)]


def by_letter(
    divergences: Iterable[Divergence],
) -> dict[str, list[tuple[list[str], list[Divergence]]]]:
    """Return the rows of by_call by the first letter of what their calls have in common."""
    rows = by_call(divergences)
    return {
        letter: list(group)
        for letter, group in groupby(rows, key=lambda row: name_of(row[0][0])[0].upper())
    }


def name_of(call: str) -> str:
    """Return the common name of a call: "conv" for nn.Conv2d, F.conv1d and nnx.Conv."""
    last = call.split(".")[-1].replace("_", "").lower()
    return re.sub(r"\dd$|(?<=.)loss$", "", last)
