"""`python -m compare diagnose`: is the difference of two programs rounding or a bug?"""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from compare.diagnose.api import diagnose
from compare.diagnose.dumps import diagnose_dumps
from compare.diagnose.load import load_named, load_program, with_params
from compare.diagnose.page import write_page
from compare.diagnose.report import Report
from compare.diagnose.show import print_report
from shared.cli import complete_flag, make_console, parse_options
from shared.errors import UserError
from shared.files import check_writable, write_json


@dataclass(frozen=True)
class DiagnoseConfig:
    """The two programs to compare, and their inputs."""

    programs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="LEFT RIGHT")
    ] = ()
    """Two programs, each given as file.py:function. The function takes no arguments and returns the
    program with its parameters: a torch.nn.Module, an nnx.Module, or a function of PyTorch,
    JAX or NumPy arrays."""
    input: Path | None = None
    """The inputs of both: a .npz or .safetensors file of arrays, named after the arguments or in
    their order."""
    params: tuple[Path, Path] | None = None
    """The parameters of LEFT and of RIGHT, two files: loaded into a module by name, or given to a
    function as its first argument, a dict."""
    look: tuple[str, ...] = ()
    """Library modules whose local variables are read as in your own code, such as
    transformers.models.bert."""
    frameworks: tuple[Literal["torch", "jax", "numpy"], Literal["torch", "jax", "numpy"]] | None = (
        None
    )
    """The frameworks of LEFT and of RIGHT, if the code does not show them."""
    gradients: bool = False
    """Compare the gradients too: of the output if it is one number, or else of a random projection
    of it."""
    dumps: tuple[Path, Path] | None = None
    """Two files of named arrays to compare instead of LEFT and RIGHT; each has its arrays in the
    order they were computed."""
    json: Path | None = None
    """Write the result to this file."""
    html: Path | None = None
    """Write an HTML page with the arrays of both programs to this file."""


def main(args: Sequence[str]) -> int:
    """Print the verdict on two programs; return 0 if they agree, 1 if not, 2 if unknown."""
    config = parse_options(
        DiagnoseConfig(),
        complete_flag(args, "--gradients"),
        prog="python -m compare diagnose",
        description=(
            "Runs two programs in float64 and float32 and reports whether their difference is "
            "rounding or a bug, and where they begin to differ. Exit status: 0 if they are the "
            "same function, 1 if not, 2 if that cannot be decided."
        ),
    )
    check_options(config)
    for path in filter(None, (config.json, config.html)):
        check_writable(path)
    console = make_console()
    left_name, right_name = map(str, config.programs or config.dumps or ())
    console.print(f"left   {left_name}\nright  {right_name}", markup=False, highlight=False)
    try:
        report = judge(config)
    except UserError:
        raise
    except (Exception, SystemExit):  # of the programs: Python's exit status 1 would be a verdict
        traceback.print_exc()
        return 2
    print_report(console, report)
    if config.json is not None:
        write_json(config.json, report.to_json())
    if config.html is not None:
        write_page(config.html, report, (left_name, right_name))
    return report.status


def judge(config: DiagnoseConfig) -> Report:
    """Return the report on the given programs or dumps; raise whatever the programs raise."""
    if config.dumps is not None:
        left, right = (load_named(path) for path in config.dumps)
        return diagnose_dumps(left, right)
    assert config.input is not None
    programs = [load_program(given) for given in config.programs]
    if config.params is not None:
        programs = [
            with_params(program, load_named(path), given)
            for program, path, given in zip(programs, config.params, config.programs, strict=True)
        ]
    return diagnose(
        *programs,
        load_named(config.input),
        look=config.look,
        gradients=config.gradients,
        frameworks=config.frameworks or (None, None),
    )


def check_options(config: DiagnoseConfig) -> None:
    """Raise UserError unless two programs and an input, or two dumps, are given."""
    if config.dumps is None and (len(config.programs) != 2 or config.input is None):
        raise UserError(
            "Give two programs and --input FILE: compare diagnose mine.py:make port.py:make "
            "--input batch.npz; or --dumps A B."
        )
    if config.dumps is not None and config.programs:
        raise UserError("Give two programs or --dumps, not both.")
