"""The checks of parity: what every implementation, form, dtype and device must do.

Each check is a function that puts a case to small problems, drawn from a seed, and yields its
comparisons; whoever asks decides what a failure means. The tests ask it of every case, the planted
bugs (compare/mutants) are caught by it, and an implementation from outside is put to the same. What
is allowed is in compare/expected/bounds.py; there is no other tolerance, except for a trajectory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from compare.parity.common import Comparisons
from compare.parity.comparison import Comparison, must
from compare.parity.forward import (
    check_accuracy,
    check_inputs,
    check_intermediates,
    check_labels,
    check_logits,
    check_loss,
    check_params,
    check_threads,
)
from compare.parity.intermediates import Case
from compare.parity.training import (
    check_adam,
    check_copies,
    check_epochs,
    check_gradients,
    check_repeat,
    check_resume,
    check_trajectory,
)


@dataclass(frozen=True)
class Check:
    """One check: its name, what it says, and how it is put to a case."""

    name: str
    says: str
    check: Callable[[Case, ModuleType, int], Comparisons]
    needs: str = "evaluate"  # the function of an implementation that it is about
    dtypes: tuple[str, ...] = ("float32", "float64")  # in which it can be put

    def put(self, case: Case, implementation: ModuleType, seed: int = 0) -> list[Comparison]:
        """Put the check to a case; an implementation that raises has failed, and says how."""
        comparisons: list[Comparison] = []
        try:
            with np.errstate(all="ignore"):  # infinities and NaN are judged, not told of
                comparisons += self.check(case, implementation, seed)
        except Exception as error:  # whatever it is: it is an answer
            said = f"{type(error).__name__}: {error}".split("\n")[0]
            comparisons.append(must(f"{self.name} raises {said}", str(case), False))
        return comparisons


CHECKS = (
    Check(
        "intermediates",
        "every intermediate of the forward pass, by itself, is within its rounding bound",
        check_intermediates,
    ),
    Check(
        "logits",
        "the logits of `evaluate` are within their bound since the start",
        check_logits,
    ),
    Check(
        "loss",
        "the mean loss of `evaluate` is within its bound, a short last batch included",
        check_loss,
    ),
    Check(
        "accuracy",
        "accuracy, micro and macro, is exact: ties, absent and unbalanced classes",
        check_accuracy,
    ),
    Check(
        "gradients",
        "`loss_and_gradients` gives the gradient of the mean loss by every parameter",
        check_gradients,
        needs="loss_and_gradients",
    ),
    Check(
        "adam",
        "a few steps of training are Adam by hand in float64, parameters and both moments",
        check_adam,
        needs="Training",
    ),
    Check(
        "trajectory",
        "500 float64 steps of training stay with the same training in NumPy",
        check_trajectory,
        needs="Training",
        dtypes=("float64",),
    ),
    Check(
        "epochs",
        "every epoch takes its own batches, and reports what happened in it",
        check_epochs,
        needs="Training",
    ),
    Check(
        "copies",
        "what is done to the data and the parameters after training began changes nothing",
        check_copies,
        needs="Training",
    ),
    Check(
        "resume",
        "training in two pieces, stopped within an epoch, is training in one",
        check_resume,
        needs="Training",
        dtypes=("float64",),
    ),
    Check(
        "repeat",
        "a model that is asked twice for its loss and gradients gives the same twice",
        check_repeat,
        needs="loss_and_gradients",
    ),
    Check(
        "parameters",
        "parameters go in and out unchanged, as copies, in the dtype asked for",
        check_params,
    ),
    Check(
        "inputs",
        "huge scores stay finite, NaN shows, and numbers too small to be normal are kept",
        check_inputs,
    ),
    Check(
        "threads",
        "two threads that evaluate at once get what each gets alone",
        check_threads,
    ),
    Check(
        "labels",
        "a label out of range is refused",
        check_labels,
    ),
)

# All that is checked, by name: also of what no implementation has a part in.
CHECKED = {check.name: check.says for check in CHECKS} | {
    "comparator": "the comparator fails what is wrong, whatever its kind, and passes what is right",
    "data": "pixels, labels, statistics and first parameters are what `shared` says they are",
    "saved": "what is saved, resumed and kept as best is what was trained, in every process",
    "reports": "times, rates, medians, ratios and bits are what NumPy makes of the same numbers",
}
