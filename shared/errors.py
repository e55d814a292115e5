"""Errors for the user, and the exit status and message of a command that ends with one."""

import os
import re
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterable

LONGEST_WORD, LONGEST = 300, 2000  # characters, of text that may come from a file


class UserError(ValueError):
    """Bad input, described in one sentence: what was wrong, what was found, what to do.

    The command-line programs print the message alone, without a traceback, and exit with status 2.
    Quoted text may come from untrusted files: it becomes one line without control characters.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(make_printable(sentence))


class Stopped(Exception):  # noqa: N818  nothing is wrong
    """A training was asked to stop and has saved its state; the message says how to resume."""


def make_printable(text: str) -> str:
    """Shorten a text and its words in the middle, and escape unprintable characters like repr."""
    text = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: _shorten(word[0], LONGEST_WORD), text)
    text = _shorten(text, LONGEST)
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 2 :]}"


def check_choice(what: str, found: str, choices: Iterable[str]) -> str:
    """Return `found` if it is one of `choices`, else raise a UserError that lists them."""
    choices = list(choices)
    if found not in choices:
        raise UserError(f"{what} {found!r} is unknown: choose {' or '.join(choices)}.")
    return found


def say_error(error: BaseException, is_own: Callable[[str], bool] = bool) -> str:
    """Return an exception in one line: its type, its message, and its last place in the code.

    With `is_own`, only the files for which it returns true count as places.
    """
    said = textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")
    own = [each for each in traceback.extract_tb(error.__traceback__) if is_own(each.filename)]
    place = f" ({os.path.basename(own[-1].filename)}, line {own[-1].lineno})" if own else ""
    return said.rstrip(":. ") + place


def say_missing(error: ModuleNotFoundError) -> str:
    """Return the end of a sentence about a library that is not installed."""
    library = str(error.name).partition(".")[0]
    advice = f"python -m pip install {library}"
    if sys.prefix == sys.base_prefix:  # no environment is active
        advice = "activate the environment, . .venv/bin/activate; make compare creates it"
    return f"needs {library}, which is not installed: {advice}"


def print_sentence(sentence: str) -> None:
    """Print a sentence to stderr; the lines of a terminal end between words."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        sentence = textwrap.fill(sentence, width, break_long_words=False, break_on_hyphens=False)
    print(sentence, file=sys.stderr)


def find_ending(error: BaseException) -> tuple[int, str] | None:
    """Return the exit status and the message that a command ends with; None for a bug."""
    match error:
        case UserError():
            return 2, f"error: {error}"
        case Stopped():
            return 143, str(error)  # 128 + SIGTERM, as shells report it
        case KeyboardInterrupt():
            return 130, "Interrupted."
        case BrokenPipeError():  # the reader of the output has closed it: `| head`
            return 141, ""
        case MemoryError():
            advice = "give a smaller --num-channels or batch size"
            return 2, f"error: Out of memory ({make_printable(str(error))}): {advice}."
        case OSError():
            what = "the output" if error.filename is None else str(error.filename)
            return 2, make_printable(f"error: Could not use {what}: {error.strerror or error}.")
        case ModuleNotFoundError() if error.name and "." not in error.name:
            return 2, f"error: This {say_missing(error)}."
    return None
