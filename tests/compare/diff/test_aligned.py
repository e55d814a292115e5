"""The alignment: which lines share a row, which differ only in a name, which parts are shown."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import combinations, permutations

import pytest

from compare.code.aligned import AlignedRow, align, count_kinds
from compare.code.landmarks import find_locations
from compare.code.sources import (
    Line,
    Source,
    excerpt_form,
    files_of,
    forms_of,
    read_source,
    used_siblings,
)
from compare.diff.command import find_file
from compare.parity.intermediates import INTERMEDIATES
from compare.registry.implementations import PACKAGES
from shared.errors import UserError

# With the least number of landmarks that each pair of implementations shares.
FILES = {
    "model.py": 17,
    "forms.py": 25,
    "convert.py": 14,
    "train.py": 15,
    "blocks.py": 2,
    "metrics.py": 1,
    "distributed.py": 7,
}


def groups() -> list[tuple[str, tuple[str, ...]]]:
    """Return every file with each pair, and all three, of the implementations that have it."""
    found = []
    for file in FILES:
        names = [name for name in PACKAGES if file in files_of(name)]
        found += [(file, pair) for pair in permutations(names, 2)]
        found += [(file, tuple(names))] if len(names) == 3 else []
    return found


def made(name: str, text: str) -> Source:
    lines = text.removesuffix("\n").split("\n")
    return Source(name, f"{name}/made.py", text, tuple(Line(i, x) for i, x in enumerate(lines, 1)))


def landmarks(source: Source) -> dict[str, int]:
    """Return the line of every landmark."""
    return {p.landmark: n for n, p in find_locations(source.text).items() if p.landmark}


def row_of(rows: Sequence[AlignedRow], landmark: str) -> AlignedRow:
    (row,) = (row for row in rows if row.landmark == landmark)
    return row


@pytest.mark.parametrize(("file", "names"), groups())
def test_every_landmark_that_two_files_have_is_on_one_row(file: str, names: tuple[str, ...]):
    sources = [read_source(name, file) for name in names]
    rows = align(sources)
    number_of_shared = 0
    for one, other in combinations(sources, 2):
        numbers, other_numbers = landmarks(one), landmarks(other)
        for name in numbers.keys() & other_numbers.keys():
            row = next(r for r in rows if r.lines[one.implementation] == at(one, numbers[name]))
            assert row.lines[other.implementation] == at(other, other_numbers[name]), name
            number_of_shared += 1
    assert number_of_shared >= FILES[file]


def at(source: Source, number: int) -> Line:
    return source.lines[number - 1]


@pytest.mark.parametrize(("file", "names"), groups())
def test_the_rows_give_back_every_file(file: str, names: tuple[str, ...]):
    rows = align([read_source(name, file) for name in names])
    for name in names:
        lines = [line for row in rows if (line := row.lines[name])]
        assert [line.number for line in lines] == list(range(1, len(lines) + 1))
        assert "".join(line.text + "\n" for line in lines) == read_source(name, file).text


@pytest.mark.parametrize(("file", "names"), groups())
def test_the_counts_add_up(file: str, names: tuple[str, ...]):
    rows = [row for row in align([read_source(n, file) for n in names]) if not row.is_blank]
    counts = count_kinds(rows)
    assert sum(counts.values()) == len(rows)
    texts = [{line and line.text for line in row.lines.values()} for row in rows]
    assert counts["same"] == sum(len(found) == 1 for found in texts)
    assert counts["different"] >= sum(None in found for found in texts)
    for name in names:
        with_code = [text for text in read_source(name, file).text.split("\n") if text]
        assert sum(row.lines[name] is not None for row in rows) == len(with_code)


def test_the_steps_of_the_formula_are_rows_of_all_three():
    rows = align([read_source(name) for name in PACKAGES])
    for step in INTERMEDIATES[:6]:
        row = row_of(rows, f"attend.{step}")
        assert all(
            line and line.text.strip().startswith(f"{step} = ") for line in row.lines.values()
        )
        assert row.kind == "same"
    attend = row_of(rows, "attend")
    assert attend.kind == "renamed"
    marked = {
        name: [line.text[start:end] for start, end in attend.marks[name]]
        for name, line in attend.lines.items()
        if line
    }
    assert marked == {"pytorch": ["Tensor"] * 5, "jax": ["Array"] * 5, "numpy": ["Array"] * 5}
    assert row_of(rows, "SelfAttentionModel.forward.logits").kind == "different"


def test_difflib_alone_would_part_what_belongs_together():
    one, other = read_source("pytorch", "train.py"), read_source("jax", "train.py")
    texts = [[line.text for line in source.lines] for source in (one, other)]
    beside = {
        i: j
        for tag, start, stop, first, last in SequenceMatcher(None, *texts).get_opcodes()
        if tag != "insert"
        for i, j in zip(range(start, stop), range(first, last), strict=False)
    }
    line, other_line = landmarks(one)["evaluate.logits"], landmarks(other)["evaluate.logits"]
    assert beside.get(line - 1) != other_line - 1
    row = row_of(align([one, other]), "evaluate.logits")
    assert row.lines == {"pytorch": at(one, line), "jax": at(other, other_line)}


def test_a_line_stands_beside_lines_of_its_own_function_alone():
    one = "def a(x):\n    y = x\n    return y\n\n\ndef c(x):\n    return x\n"
    other = "def b(x):\n    y = x\n    return y\n\n\ndef c(x):\n    return x\n"
    rows = align([made("pytorch", one), made("jax", other)])
    shared = [row.lines["jax"] for row in rows if row.lines["pytorch"] and row.lines["jax"]]
    assert [line.text for line in shared if line and line.text] == ["def c(x):", "    return x"]


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("y = f(x, dim=-1)", "y = f(x, axis=-1)", "renamed"),
        ("y = torch.stack(x)", "y = np.stack(x)", "renamed"),
        ("y = torch.nn.functional.relu(x)", "y = jnp.maximum(x)", "renamed"),
        (
            "def forward(x: Tensor) -> Tensor: ...",
            "def __call__(x: Array) -> Array: ...",
            "renamed",
        ),
        ("y = 1  # PyTorch's own, not jax", "y = 1  # JAX's own, not numpy", "renamed"),
        ("y = x @ Q", "y = x @ Q", "same"),
        ("y = x @ Q", "y = x @ K", "different"),  # both files have K and Q: it is a swap
        ("y = f(a, b)", "y = f(b, a)", "different"),
        ("y = f(tensor, tensor)", "y = f(array, ndarray)", "different"),
        ("y = f(tensor, variable)", "y = f(array, array)", "different"),
        ("y = f(x, dim=-1)", "y = f(x, axis=-2)", "different"),
        ("y = f(x, dim=-1)", "y = f(x, axis=+1)", "different"),
        ("y = min(x)", "y = max(x)", "different"),  # Python's own names cannot be chosen
        ("y = 'float32'", "y = 'float64'", "different"),
        ("y = 1  # [batch, steps]", "y = 1  # [batch, channels]", "different"),
        ("y = torch.stack(x)", "y = torch.cat(x)", "different"),
        ("y = f(x)", "y = f(x).mT", "different"),
        ("if x: y = 1", "if x:  y = 1", "different"),
    ],
)
def test_what_differs_only_in_a_name(one: str, other: str, kind: str):
    start = "import torch\nimport numpy as np\nimport jax.numpy as jnp\nK = Q = a = b = 0\n"
    rows = align([made("pytorch", start + one + "\n"), made("jax", start + other + "\n")])
    assert rows[-1].kind == kind
    # The order of the two does not matter.
    rows = align([made("jax", start + other + "\n"), made("pytorch", start + one + "\n")])
    assert rows[-1].kind == kind


def test_a_blank_line_is_never_a_difference():
    rows = align([made("pytorch", "x = 1\n\n\ny = 2\n"), made("jax", "x = 1\n\ny = 2\n")])
    assert [row.kind for row in rows] == ["same"] * 4
    assert count_kinds(rows) == {"same": 2}


NEEDS = {
    "looped": ["attend", "attend_looped"],
    "vectorized": ["attend"],
    "blocked": ["attend_blocked"],
    "builtin": ["attend_builtin"],
    "histogram": ["attend_histogram", "average_by_one_table", "average_by_table_each"],
}


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize("form", NEEDS)
def test_a_form_is_shown_with_what_it_needs_and_nothing_else(name: str, form: str):
    source = read_source(name, find_file(form))
    if form not in forms_of(source):
        with pytest.raises(UserError, match=f"has no form '{form}': choose blocked or histogram"):
            excerpt_form(source, form)
        assert (name, form) == ("numpy", "builtin")
        return
    excerpt = excerpt_form(source, form)
    own = ["softmax"] if name == "numpy" and form in ("looped", "vectorized") else []
    if (name, form) == ("pytorch", "histogram"):
        own = ["is_surely"]
    functions = [line.text[4:].split("(")[0] for line in excerpt.lines if line.text[:4] == "def "]
    assert sorted(functions) == sorted(NEEDS[form] + own)
    assert all(source.lines[line.number - 1] == line for line in excerpt.lines)
    assert excerpt.lines[-1].text.strip().startswith(("return", "attend_vectorized = attend"))
    siblings = {"attend_in_blocks": "blocks.py"} if form == "blocked" else {}
    siblings |= {"softmax": "model.py"} if (name, form) == ("numpy", "histogram") else {}
    assert used_siblings([excerpt]) == siblings
