"""Rounding or a bug? `diagnose` answers it for any two programs of the user's own.

Rounding scales with the unit roundoff, a bug does not. Both programs are run in float64 and in
float32: if they are the same function, their difference falls by about 2^29 from one to the other.
So no tolerance is chosen. In float64, arrays of the same numbers are the same intermediate,
whatever they are called; the last that both have in common and the first that only one has say
where the programs part.
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

    `left` and `right` are what is called, holding its parameters: a torch.nn.Module, an
    nnx.Module, or a function of arrays of PyTorch, JAX or NumPy. `inputs` are arrays in the order
    of the arguments, or one mapping of names to arrays. `look` names libraries whose code is looked
    at like the user's own, such as "transformers.models.bert". With `gradients` the gradients of a
    random projection of the outputs are compared too. Raises UserError for what is no program, and
    whatever the programs raise.
    """
    start = time.perf_counter()
    given = name_inputs(inputs)
    found = [
        framework or find_framework(program, name)
        for name, program, framework in zip(names, (left, right), frameworks, strict=True)
    ]
    # What names no framework takes that of the inputs, else that of the other side.
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
