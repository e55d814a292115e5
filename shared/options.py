"""Turn a dataclass of options into a command line: groups, help texts, suggestions."""

import ast
import inspect
import textwrap
import types
from collections.abc import Sequence
from dataclasses import Field, field, fields, make_dataclass
from difflib import get_close_matches
from shutil import get_terminal_size
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro

from shared.config import GROUPS
from shared.errors import UserError

Options = TypeVar("Options")


def read_options(default: Options, args: Sequence[str], *, prog: str, description: str) -> Options:
    """Read the command line; `default`, a dataclass, has the defaults and the help texts.

    Raises UserError for an unknown option, with the closest known one.
    """
    kind: Any = type(default)
    own = prog.split()[-1].rpartition(".")[2]  # the verb, or the package
    groups = group_fields(fields(kind), own)
    form = make_dataclass(
        "Options",
        [_make_group(name, members, default) for name, members in groups.items()],
    )
    if {"-h", "--help"} & set(args):  # tyro would not wrap it
        print(textwrap.fill(description, min(100, get_terminal_size().columns)), end="\n\n")
    read: Any
    read, unknown = tyro.cli(
        form,
        prog=prog,
        description="",
        args=list(args),
        return_unknown_args=True,
        config=(tyro.conf.FlagConversionOff, tyro.conf.OmitArgPrefixes),
    )
    if unknown:
        raise UserError(say_unknown(unknown[0], [each.name for each in fields(kind)], prog))
    values = {
        each.name: getattr(getattr(read, name), each.name)
        for name, members in groups.items()
        for each in members
    }
    options: Options = kind(**values)
    return options


def group_fields(members: Sequence[Field[Any]], own: str) -> dict[str, list[Field[Any]]]:
    """Return the options by group; those in none of GROUPS are the command's `own`, first."""
    group_of = {name: group for group, names in GROUPS.items() for name in names}
    grouped: dict[str, list[Field[Any]]] = {group: [] for group in (own, *GROUPS)}
    for each in members:
        grouped[group_of.get(each.name, own)].append(each)
    return {group: found for group, found in grouped.items() if found}


def _make_group(name: str, members: Sequence[Field[Any]], default: Any) -> tuple[str, Any, Any]:
    """Return a group of options as a field of the dataclass that tyro reads."""
    hints, helps = get_type_hints(type(default), include_extras=True), read_helps(type(default))
    group = make_dataclass(
        name,
        [
            (
                each.name,
                Annotated[hints[each.name], _describe(hints[each.name], helps.get(each.name, ""))],
                getattr(default, each.name),
            )
            for each in members
        ],
    )
    group.__doc__ = None
    return name, group, field(default_factory=group)


def _describe(hint: Any, text: str) -> Any:
    """Return the description of an option for tyro, without the None of optional ones."""
    metavar = None
    if hint is bool:
        metavar = ""  # see `complete_flag`
    elif get_origin(hint) in (Union, types.UnionType):
        metavar = name_value(get_args(hint)[0])
    is_repeatable = tyro.conf.UseAppendAction in getattr(hint, "__metadata__", ())
    shown = None if is_repeatable else say_given
    return tyro.conf.arg(help=text, metavar=metavar, help_behavior_hint=shown)


def say_given(default: str) -> str:
    """Return the end of a help text: the default, if there is one."""
    return "" if default in ("", "None", "False") else f"(default: {default})"


def name_value(kind: Any) -> str:
    """Return the name of a type's value in the help: {a,b} for a choice, PATH for a path."""
    if kind is ...:
        return "..."
    if get_origin(kind) is Literal:
        return f"{{{','.join(get_args(kind))}}}"
    if get_origin(kind) is tuple:
        return " ".join(map(name_value, get_args(kind)))
    return {"str": "NAME"}.get(kind.__name__, kind.__name__.upper())


def read_helps(kind: type) -> dict[str, str]:
    """Read the docstring below each field of a dataclass and its bases, each as one paragraph."""
    helps: dict[str, str] = {}
    for each in reversed(kind.__mro__[:-1]):
        (body,) = ast.parse(inspect.cleandoc(inspect.getsource(each))).body
        assert isinstance(body, ast.ClassDef)
        for line, following in zip(body.body, body.body[1:], strict=False):
            match line, following:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                    helps[name] = " ".join(text.split())
    return helps


def say_unknown(given: str, names: Sequence[str], prog: str) -> str:
    """Return the error sentence for an unknown option, with the closest one if there is one."""
    options = [f"--{name.replace('_', '-')}" for name in names]
    asked = given.partition("=")[0].replace("_", "-")
    by_initials = {
        "--" + "".join(part[0] for part in option[2:].split("-")): option for option in options
    }
    begun = [option for option in options if len(asked) > 3 and option.startswith(asked)]
    close = [*begun, *get_close_matches(asked, options, n=1)]
    meant = by_initials.get(asked) or next(iter(close), None)
    hint = f"did you mean {meant}?" if meant else f"see {prog} --help."
    return f"{prog} has no option {given}: {hint}"
