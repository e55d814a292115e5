"""Errors meant for the person at the terminal."""

from collections.abc import Iterable


class UserError(ValueError):
    """Bad input, said in one sentence: what was wrong, what was found, what to do.

    The command-line programs print the message alone, without a traceback, and exit with status 2.
    """


class Stopped(Exception):  # noqa: N818  nothing is wrong
    """A training that was asked to stop, has saved its state, and says how to go on."""


def check_choice(what: str, found: str, choices: Iterable[str]) -> str:
    """Return `found` if it is one of `choices`, else raise a UserError that lists them."""
    choices = list(choices)
    if found not in choices:
        raise UserError(f"{what} {found!r} is not known here: choose {' or '.join(choices)}.")
    return found
