"""The unified form of `compare diff`: as `git diff` prints it, and `patch` takes it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from compare.aligned import Row
from compare.sources import Line, Source

CONTEXT = 3  # equal lines shown around a difference: what diff and git do


class _Edit(NamedTuple):
    """A line that goes ("-"), is added ("+") or stays (" ")."""

    sign: str
    line: Line
    numbers: tuple[int, int]  # of the last line before it, in the old file and in the new


def unified_lines(rows: Sequence[Row], old: Source, new: Source) -> list[str]:
    """Write the difference from `old` to `new`, as aligned in `rows`, as the lines of a patch.

    Where the sources are parts of their files, the line numbers are those of the whole files.
    """
    lines = [
        f"diff --git a/{old.path} b/{new.path}",
        f"--- a/{old.path}",
        f"+++ b/{new.path}",
    ]
    for edits in _stretches(rows, old.implementation, new.implementation):
        for hunk in _hunks(edits):
            lines += [_header(hunk), *(edit.sign + edit.line.text for edit in hunk)]
    return lines


def _stretches(rows: Sequence[Row], old: str, new: str) -> Iterator[list[_Edit]]:
    """Turn rows into edits, cut wherever the line numbers jump, as between the parts of a form."""
    edits: list[_Edit] = []
    added: list[_Edit] = []  # where lines differ, all that go come before all that are added
    last = (0, 0)
    for row in rows:
        before, after = row.lines[old], row.lines[new]
        numbers = (
            before.number - 1 if before else last[0],
            after.number - 1 if after else last[1],
        )
        if numbers != last:
            yield edits + added
            edits, added = [], []
        if before and after and before.text == after.text:
            edits += [*added, _Edit(" ", before, numbers)]
            added = []
        else:
            edits += [_Edit("-", before, numbers)] if before else []
            added += [_Edit("+", after, numbers)] if after else []
        last = (numbers[0] + bool(before), numbers[1] + bool(after))
    yield edits + added


def _hunks(edits: Sequence[_Edit]) -> Iterator[Sequence[_Edit]]:
    """Take the differences, each with its context; those that would touch are one hunk."""
    changed = [index for index, edit in enumerate(edits) if edit.sign != " "]
    starts = [i for i, at in enumerate(changed) if i == 0 or at - changed[i - 1] > 2 * CONTEXT + 1]
    for start, end in pairwise([*starts, len(changed)]):
        first, last = changed[start], changed[end - 1]
        yield edits[max(0, first - CONTEXT) : last + CONTEXT + 1]


def _header(hunk: Sequence[_Edit]) -> str:
    """Say which lines of both files a hunk holds: where it has none, those it comes after."""
    ranges = []
    for sign, before in zip("-+", hunk[0].numbers, strict=True):
        count = sum(edit.sign in (sign, " ") for edit in hunk)
        ranges.append(f"{sign}{before + 1 if count else before},{count}")
    return f"@@ {' '.join(ranges)} @@"
