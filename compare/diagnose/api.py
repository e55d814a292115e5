"""Rounding or a bug? `diagnose` answers it for any two programs of the user's own.

Rounding scales with the unit roundoff, a bug does not. Both programs are run in float32 and in
float64: if they are the same function, their difference falls by a factor of about 2^29. So no
tolerance has to be chosen. In float64, arrays with the same numbers are the same intermediate,
whatever their names. The programs part between the last array that both have and the first that
only one has.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from compare.diagnose.diagnosis import judge_programs
from compare.diagnose.execute import Side, find_framework, framework_of, name_inputs
from compare.diagnose.report import Report
from compare.look.sources import files_of
from compare.look.watch import leaves


def diagnose(
    left: Any,
    right: Any,
    *inputs: Any,
    look: Sequence[str] = (),
    gradients: bool = False,
    frameworks: tuple[str | None, str | None] = (None, None),
    names: tuple[str, str] = ("left", "right"),
) -> Report:
    """Return whether two programs are the same function, and where they part if they are not.

    `left` and `right` are programs that hold their parameters: a torch.nn.Module, an nnx.Module,
    or a function of PyTorch, JAX or NumPy arrays. `inputs` are arrays in the order of the
    arguments, or one mapping of names to arrays. `look` names libraries whose code is observed
    like the user's own, such as "transformers.models.bert". With `gradients`, the gradients of
    the output, or of a random projection of it, are compared too. Raises UserError for anything
    that is not a program, and whatever the programs raise.
    """
    start = time.perf_counter()
    given = name_inputs(inputs)
    found = [
        framework or find_framework(program, name)
        for name, program, framework in zip(names, (left, right), frameworks, strict=True)
    ]
    # If the code names no framework, that of the inputs is used, or else that of the other side.
    own = {framework_of(array) for _, array in leaves(inputs)} - {"numpy"}
    guess = next(iter(own), found[0] or found[1] or "numpy")
    sides = [
        Side(name, program, framework or guess)
        for name, program, framework in zip(names, (left, right), found, strict=True)
    ]
    report = judge_programs(sides[0], sides[1], given, files_of(look), gradients=gradients)
    return replace(report, seconds=time.perf_counter() - start)


def assert_same_function(left: Any, right: Any, *inputs: Any, **options: Any) -> None:
    """Raise AssertionError, with the whole report, unless two programs are the same function.

    The arguments are those of `diagnose`.
    """
    report = diagnose(left, right, *inputs, **options)
    if report.status:
        raise AssertionError(str(report))
