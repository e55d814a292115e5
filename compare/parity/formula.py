"""Judge the implementations of a run at sizes at which no bug can go unnoticed.

A run has one channel by default. With one channel, a missing scale changes nothing, nor do swapped
key and query (docs/divergences.md). So the implementations of a run, in the form they ran in, also
compute a small problem of three channels in float64: logits and loss, and a few steps of Adam,
whose first moments hold the gradients of all parameters. If an implementation was resumed, this
also shows that training in two pieces equals training in one: in float32, a partly lost state looks
like drift.
"""

from types import ModuleType

import numpy as np

from compare.parity.checks import Check
from compare.parity.common import Comparisons, draw_problems, evaluate, expect_evaluation
from compare.parity.comparison import Comparison, hold_against
from compare.parity.forward import check_intermediates
from compare.parity.intermediates import Case
from compare.parity.training import check_adam_steps, check_resume
from compare.registry.contract import can_train, config_for, dtypes_of
from shared.config import Config


def judge_formula(name: str, implementation: ModuleType, config: Config) -> list[Comparison]:
    """Judge an implementation as it runs with `config`, in float64 if it has that.

    If it is wrong, its wrong intermediates come first.
    """
    case = judged_case(name, implementation, config)
    comparisons = Check("formula", "", check_formula).put(case, implementation)
    if all(each.passed for each in comparisons):
        return comparisons
    intermediates = Check("intermediates", "", check_intermediates).put(case, implementation)
    return [each for each in intermediates if not each.passed] + comparisons


def judge_resume(name: str, implementation: ModuleType, config: Config) -> list[Comparison]:
    """Judge whether an implementation continues from a saved state, as it runs with `config`."""
    case = judged_case(name, implementation, config)
    return Check("resume", "", check_resume).put(case, implementation)


def judged_case(name: str, implementation: ModuleType, config: Config) -> Case:
    """Return the case in which an implementation is judged, in float64 if it has that."""
    own = config_for(implementation, config)
    dtype = "float64" if "float64" in dtypes_of(implementation) else own.dtype
    return Case(name, own.attention, dtype, own.device)


def check_formula(case: Case, implementation: ModuleType, seed: int) -> Comparisons:
    """Check logits, loss and a few training steps at three channels and prime sizes."""
    *_, problem = draw_problems(seed)
    logits, loss = expect_evaluation(problem, case.dtype)
    found = evaluate(case, implementation, problem)
    yield hold_against("logits", str(case), found.logits, logits)
    yield hold_against("loss", str(case), np.array([found.loss]), loss)
    if can_train(implementation):
        yield from check_adam_steps(case, implementation, problem)
