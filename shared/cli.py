"""The common part of all commands: options from a dataclass, errors as sentences."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from io import TextIOWrapper
from pathlib import Path
from typing import TypeVar

import tyro
from rich.console import Console

from shared.config import PRESETS, AnyConfig
from shared.errors import UserError, find_ending, print_sentence
from shared.files import check_writable
from shared.options import read_options
from shared.training.resume import check_unchanged, resumed_config

Options = TypeVar("Options")
WRITTEN = ("json", "figure", "output", "svg")  # options that name a file to write


def parse_options(
    default: Options,
    args: Sequence[str],
    *,
    prog: str,
    description: str,
) -> Options:
    """Read the command line; `default`, a dataclass, has the defaults and the help texts.

    Raises UserError, before any work is done, for an output file that cannot be written.
    """
    for arg in args:
        if any("\ud800" <= each <= "\udfff" for each in arg):  # bytes that Python cannot decode
            raise UserError(f"{arg!r} is not in UTF-8: rename it.")
    options = read_options(default, args, prog=prog, description=description)
    for name in WRITTEN:
        if (path := getattr(options, name, None)) is not None:
            check_writable(path)
    return options


def complete_flag(args: Sequence[str], flag: str) -> list[str]:
    """Add the value True to a flag such as "--quick" without a value: all options take one."""
    completed = []
    for arg, following in zip(args, [*args, ""][1:], strict=True):
        is_alone = arg == flag and following not in ("True", "False")
        completed += [arg, "True"] if is_alone else [arg]
    return completed


def parse_config(
    config_type: type[AnyConfig], args: Sequence[str], *, prog: str, description: str
) -> AnyConfig:
    """Read a training config: the preset sets the defaults, and the other options override it.

    With --resume the defaults are those of the run, and few may differ. Raises UserError.
    """
    choice = _find_choice(args)
    if choice.resume is not None:
        begun = resumed_config(config_type, choice.resume, choice.resume_from)
        config = parse_options(begun, args, prog=prog, description=description)
        check_unchanged(config)
        return config
    preset = PRESETS.get(choice.preset, PRESETS["default"])
    settings = {field.name: getattr(preset, field.name) for field in fields(preset)}
    default = replace(config_type(), **settings)
    return parse_options(default, args, prog=prog, description=description)


@dataclass(frozen=True)
class _Choice:
    preset: str = "default"
    resume: Path | None = None
    resume_from: str | None = None


def _find_choice(args: Sequence[str]) -> _Choice:
    """Read the options that decide on the defaults, ignoring all others."""
    try:
        chosen, _ = tyro.cli(
            _Choice,
            args=list(args),
            return_unknown_args=True,
            add_help=False,
            console_outputs=False,
        )
    except SystemExit:  # a wrong value: reading all options reports it
        return _Choice()
    return chosen


class _Console(Console):
    """A console whose output may be closed early, as in `| head`."""

    def on_broken_pipe(self) -> None:
        """Raise, so that `run_main` ends the command; Rich's exit status 1 would mean no parity."""
        raise BrokenPipeError


def make_console() -> Console:
    """Return the console for reports: in a terminal, lines are wrapped between words.

    Without a terminal lines may be long, so that a sentence stays on one line.
    """
    # Names from users are printed unchanged: "[" starts no markup.
    console = _Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.soft_wrap = True
        console.width = 132
    return console


def run_main(main: Callable[[Sequence[str]], int]) -> None:
    """Run a command and exit: 2 and a sentence for bad input, 130 after Ctrl-C, 143 if stopped."""
    for stream in (sys.stdout, sys.stderr):  # names and terminals need not be in UTF-8
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status: int | str | None
        try:
            status = main(sys.argv[1:])
        except SystemExit as exited:  # --help
            status = exited.code
        sys.stdout.flush()
    except BaseException as error:
        ending = find_ending(error)
        if ending is None:
            raise
        status, sentence = ending
        if sentence:
            print_sentence(sentence)
        try:
            sys.stdout.flush()
        except OSError:  # or Python flushes again at exit, and reports that it cannot
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)
