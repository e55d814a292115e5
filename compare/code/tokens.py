"""The tokens of a line, by Pygments, and how two lines differ.

Two lines differ only in a name if their tokens are the same except for names that correspond:

- Each name corresponds to one name throughout the line: `Tensor` cannot be `Array` in one place and
  `Images` in another.
- Neither file has the name of the other. A name that both files have means the same in both, so
  `x @ Q` and `x @ K` really differ. An imported name counts with its dots, so `torch.stack` may
  correspond to `np.stack`, but not to `torch.cat`, which is another function of the same library.
  Python's own names, such as `len`, correspond only to themselves.

In comments and strings only the names of the frameworks may differ, also one for one.
"""

import ast
import re
from collections.abc import Collection, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import NamedTuple

from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Name, String, _TokenType

FRAMEWORK_NAMES = frozenset(
    {"PyTorch", "pytorch", "pytorch_impl", "torch"}
    | {"JAX", "jax", "jax_impl", "jnp"}
    | {"NumPy", "numpy", "numpy_reference", "np"}
)


class Token(NamedTuple):
    """A piece of a line: a Python token, or a word or character of a comment or string."""

    start: int  # counted from 0
    text: str
    type: _TokenType

    @property
    def end(self) -> int:
        """The column after its end."""
        return self.start + len(self.text)

    @property
    def is_prose(self) -> bool:
        """Whether it is part of a comment or a string."""
        return self.type in Comment or self.type in String

    @property
    def is_name(self) -> bool:
        """Whether it is a name chosen by a programmer, which another name may correspond to."""
        is_pythons_own = self.type in Name.Builtin or self.type in Name.Exception
        return self.type in Name and not is_pythons_own


def tokenize_lines(text: str) -> list[list[Token]]:
    """Split each line of a Python file into tokens, without white space."""
    lexer = PythonLexer(stripnl=False, ensurenl=False)
    lines: list[list[Token]] = [[]]
    column = 0
    for kind, value in lexer.get_tokens(text):
        is_prose = kind in Comment or kind in String
        pattern = r"\w+|[^\w\s]" if is_prose else r"\S(?:.*\S)?"
        for index, part in enumerate(value.split("\n")):
            if index:
                lines.append([])
                column = 0
            lines[-1] += (
                Token(column + found.start(), found.group(), kind)
                for found in re.finditer(pattern, part)
            )
            column += len(part)
    return lines


def imported_names(text: str) -> set[str]:
    """Return the names that a Python file imports, as the file calls them."""
    return {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def join_dotted(tokens: Sequence[Token], imported: Collection[str]) -> list[Token]:
    """Join an imported name and the attributes after it into one token: `torch.stack`."""
    joined: list[Token] = []
    for token in tokens:
        last = joined[-1] if joined else None
        if last and last.is_name and last.end == token.start:
            is_imported = last.text.lstrip("@").split(".")[0] in imported
            if last.text.endswith(".") or (token.text == "." and is_imported):
                joined[-1] = last._replace(text=last.text + token.text)
                continue
        joined.append(token)
    return joined


def is_renamed(
    one: Sequence[Token],
    other: Sequence[Token],
    names_of_one: Collection[str],
    names_of_other: Collection[str],
) -> bool:
    """Check whether two lines differ at most in names; see the module's docstring for the rules.

    Takes lines from `join_dotted`, and all names of the two files.
    """
    if _gaps(one) != _gaps(other):
        return False
    there: dict[str, str] = {}
    back: dict[str, str] = {}
    for a, b in zip(one, other, strict=True):
        if a.is_prose and b.is_prose:
            may_differ = a.text in FRAMEWORK_NAMES and b.text in FRAMEWORK_NAMES
        else:
            may_differ = a.is_name and b.is_name
            may_differ &= a.text not in names_of_other and b.text not in names_of_one
            may_differ &= a.text.split(".")[0] != b.text.split(".")[0]
        if a.text != b.text and not may_differ:
            return False
        if (a.is_name or may_differ) and (
            there.setdefault(a.text, b.text) != b.text or back.setdefault(b.text, a.text) != a.text
        ):
            return False
    return True


def _gaps(tokens: Sequence[Token]) -> list[int]:
    """Return the width of the white space before each token; the first is the indentation."""
    return [b.start - a.end for a, b in pairwise([Token(0, "", Name), *tokens])]


def likeness(one: Sequence[Token], other: Sequence[Token]) -> float:
    """Return how similar two lines are, from 0 to 1, by the tokens they share in order."""
    texts = [t.text for t in one], [t.text for t in other]
    return SequenceMatcher(None, *texts, autojunk=False).ratio()


def differing(one: Sequence[Token], other: Sequence[Token]) -> list[Token]:
    """Return the tokens of `one` that are not matched in `other`, in order."""
    texts = [t.text for t in one], [t.text for t in other]
    opcodes = SequenceMatcher(None, *texts, autojunk=False).get_opcodes()
    return [token for tag, i, j, _, _ in opcodes if tag != "equal" for token in one[i:j]]
