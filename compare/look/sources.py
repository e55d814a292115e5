"""Decide which code is the user's, and read source text at a place in it."""

import importlib.util
import linecache
import os
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

from shared.errors import UserError

LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
OWN = tuple(str(Path(__file__).parents[1] / name) for name in ("look", "diagnose"))
TYPED = ("<stdin>", "<ipython")  # code typed at a prompt
LONGEST = 60  # characters of a source line in a name


@cache
def is_users_file(file: str, look: tuple[str, ...] = ()) -> bool:
    """Check whether a file is the user's own code: not a library's, unless `look` names it."""
    if look and file.startswith(look):
        return True
    if file.startswith(TYPED):
        return True
    return not (not file or file.startswith((*LIBRARIES, *OWN, "<")) or "site-packages" in file)


def files_of(modules: Sequence[str]) -> tuple[str, ...]:
    """Return the files of modules, a folder for a package; raise UserError for an unknown one."""
    found = []
    for name in modules:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            spec = None
        if spec is None or spec.origin is None:
            raise UserError(f"--look {name} is not an installed module: give package.module.")
        origin = Path(spec.origin)
        found.append(str(origin.parent) + os.sep if origin.name == "__init__.py" else str(origin))
    return tuple(found)


def place_of(frame: FrameType) -> str:
    """Return the place of a frame, such as `file.py:12`."""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def call_text(frame: FrameType) -> str:
    """Return the source text of the expression that a frame is computing."""
    return _text_at(frame.f_code, frame.f_lasti)


@cache
def _text_at(code: CodeType, instruction: int) -> str:
    positions = list(code.co_positions())[instruction // 2]
    line, end_line, start, end = positions
    if line is None or end_line is None or start is None or end is None:
        return code.co_name
    lines = [linecache.getline(code.co_filename, number) for number in range(line, end_line + 1)]
    if not lines or not lines[0]:
        return code.co_name
    # Columns are counted in bytes of UTF-8.
    encoded = [text.encode() for text in lines]
    encoded[-1] = encoded[-1][:end]
    encoded[0] = encoded[0][start:]
    text = " ".join(b"".join(encoded).decode(errors="replace").split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
