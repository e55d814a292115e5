"""The landmarks of a Python file, which are held on one row however the files around them differ.

A landmark is a function, a class, or a step: the first `name = ...` in its function, as
`scores = ...` is. It is called by its location: `attend`, `attend.scores`,
`SelfAttentionModel.forward.logits`, `SelfAttentionModel.__init__.self.K`.
"""

import ast
from collections.abc import Sequence
from typing import NamedTuple

# What PyTorch calls `forward` is `__call__` in Flax and in plain Python.
SAME_NAME = {"__call__": "forward"}


class Location(NamedTuple):
    """Where in its file a line stands."""

    scope: str  # the function or class it is in, "" at the top level; "@name" above a definition
    landmark: str | None = None
    is_definition: bool = False  # of a function or class


def find_locations(text: str) -> dict[int, Location]:
    """Find the location of every line, by its number from 1, that is in a function or a landmark.

    Raises SyntaxError if the text is not Python.
    """
    locations: dict[int, Location] = {}
    lines = text.split("\n")
    seen: set[str] = set()

    def visit(node: ast.AST, scope: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{scope}.{SAME_NAME.get(child.name, child.name)}".lstrip(".")
                for number in range(child.lineno, (child.end_lineno or child.lineno) + 1):
                    locations[number] = Location(name)
                for number in range(first_line(child, lines), child.lineno):
                    locations[number] = Location(f"@{name}")
                locations[child.lineno] = Location(scope, name, is_definition=True)
                visit(child, name)
                continue
            if isinstance(child, ast.Assign | ast.AnnAssign) and (target := _target(child)):
                name = f"{scope}.{target}".lstrip(".")
                if name not in seen:
                    seen.add(name)
                    locations[child.lineno] = Location(scope, name)
            visit(child, scope)

    visit(ast.parse(text), "")
    return locations


def first_line(statement: ast.stmt, lines: Sequence[str]) -> int:
    """Find where a statement begins, with its decorators and the comments right above it."""
    decorators = getattr(statement, "decorator_list", [])
    first = min(node.lineno for node in (statement, *decorators))
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return first


def _target(statement: ast.Assign | ast.AnnAssign) -> str | None:
    """Name what `name = ...` or `self.name = ...` assigns to, or nothing for all else."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    is_named = isinstance(targets[0], ast.Name | ast.Attribute)
    return ast.unparse(targets[0]) if is_named else None
