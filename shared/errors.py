"""Errors for the user, and the exit status and message of a command that ends with one."""

import re
from collections.abc import Iterable

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


def say_missing(error: ModuleNotFoundError) -> str:
    """Return the end of a sentence about a library that is not installed."""
    library = str(error.name).partition(".")[0]
    return f"needs {library}, which is not installed: python -m pip install {library}"


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
