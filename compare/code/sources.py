"""The source files to align: read as text, never imported, so no framework is needed."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from compare.code.landmarks import first_line
from compare.registry.implementations import PACKAGES
from shared.errors import UserError, check_choice

ROOT = Path(__file__).resolve().parents[2]


class Line(NamedTuple):
    """A line of a file, without its line break."""

    number: int  # from 1
    text: str


@dataclass(frozen=True)
class Source:
    """A file of an implementation, or some of its lines."""

    implementation: str
    path: str  # relative to the project's root, such as "jax_impl/model.py"
    text: str  # the whole file
    lines: tuple[Line, ...]  # in the file's order


def files_of(implementation: str, root: Path = ROOT) -> list[str]:
    """Return the names of the files of an implementation that other implementations may share."""
    folder = root / PACKAGES[implementation]
    return sorted(path.name for path in folder.glob("*.py") if not path.name.startswith("__"))


def read_source(implementation: str, file: str = "model.py", root: Path = ROOT) -> Source:
    """Read a file of an implementation's package; `file` is a bare name such as "train.py".

    Raises UserError for an unknown implementation or file, and if the file cannot be read.
    """
    check_choice("implementation", implementation, PACKAGES)
    if file not in (there := files_of(implementation, root)):
        raise UserError(f"{implementation} has no file {file!r}: choose {' or '.join(there)}.")
    path = root / PACKAGES[implementation] / file
    try:
        text = path.read_text(encoding="utf-8")
        ast.parse(text)
    except (OSError, ValueError) as error:
        raise UserError(f"Could not read {path}: {error}.") from error
    except SyntaxError as error:
        raise UserError(f"{path} is not valid Python: line {error.lineno}, {error.msg}.") from error
    lines = text.removesuffix("\n").split("\n")  # as Python does; splitlines splits at more
    numbered = tuple(Line(number, line) for number, line in enumerate(lines, start=1))
    return Source(implementation, f"{PACKAGES[implementation]}/{file}", text, numbered)


def forms_of(source: Source) -> list[str]:
    """Return the forms of attention that a file defines as `attend_<form>`."""
    names = [name for node in ast.parse(source.text).body for name in _bound_by(node)]
    return [name.removeprefix("attend_") for name in names if name.startswith("attend_")]


def excerpt_form(source: Source, form: str) -> Source:
    """Return the lines of one form of attention: its function, and what it uses in the file.

    Raises UserError if the file has no such form.
    """
    if form not in (forms := forms_of(source)):
        hint = f"choose {' or '.join(forms)}" if forms else "--form is for model.py and forms.py"
        raise UserError(f"{source.path} has no form {form!r}: {hint}.")
    statements = {name: node for node in ast.parse(source.text).body for name in _bound_by(node)}
    needed, waiting = set(), [f"attend_{form}"]
    while waiting:
        name = waiting.pop()
        if name in statements and name not in needed:
            needed.add(name)
            waiting += _names_in(statements[name])
    keep = {number for name in needed for number in _lines_of(statements[name], source)}
    while source.lines[max(keep) - 1].text == "":
        keep.remove(max(keep))
    return replace(source, lines=tuple(line for line in source.lines if line.number in keep))


def used_siblings(sources: Sequence[Source]) -> dict[str, str]:
    """Return the names that the chosen lines use from other files of the package, with the file."""
    found: dict[str, str] = {}
    for source in sources:
        chosen = {line.number for line in source.lines}
        tree = ast.parse(source.text)
        used = {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and node.lineno in chosen
        }
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                package, _, module = node.module.partition(".")
                if package == PACKAGES[source.implementation]:
                    names = used & {alias.asname or alias.name for alias in node.names}
                    found |= dict.fromkeys(sorted(names), f"{module}.py")
    return found


def _bound_by(node: ast.stmt) -> Iterator[str]:
    """Return the names that a top-level statement defines, except by an import."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _names_in(node: ast.AST) -> list[str]:
    return [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]


def _lines_of(node: ast.stmt, source: Source) -> range:
    """Return a statement's line numbers, with the comments right above and blank lines below."""
    texts = [line.text for line in source.lines]
    end = node.end_lineno or node.lineno
    while end < len(texts) and texts[end] == "":
        end += 1
    return range(first_line(node, texts), end + 1)
