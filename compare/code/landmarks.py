"""The landmarks of a Python file: lines that are aligned with each other whatever else differs.

A landmark is a function, a class, or a step, which is the first `name = ...` in its function, such
as `scores = ...`. It is named by its location: `attend`, `attend.scores`,
`SelfAttentionModel.forward.logits`, `SelfAttentionModel.__init__.self.K`.
"""

import ast
from collections.abc import Sequence
from typing import NamedTuple

# PyTorch's `forward` is `__call__` in Flax and in plain Python.
SAME_NAME = {"__call__": "forward"}


class Location(NamedTuple):
    """The place of a line in its file."""

    scope: str  # its function or class, "" at the top level, "@name" above a definition
    landmark: str | None = None
    is_definition: bool = False  # of a function or class


def find_locations(text: str) -> dict[int, Location]:
    """Return the location of every line in a function or a landmark, by its number from 1.

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
    """Return the first line of a statement, with its decorators and the comments right above it."""
    decorators = getattr(statement, "decorator_list", [])
    first = min(node.lineno for node in (statement, *decorators))
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return first


def _target(statement: ast.Assign | ast.AnnAssign) -> str | None:
    """Return the target of `name = ...` or `self.name = ...`, or None for any other statement."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    is_named = isinstance(targets[0], ast.Name | ast.Attribute)
    return ast.unparse(targets[0]) if is_named else None
