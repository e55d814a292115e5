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
        "every intermediate of the forward pass is within the rounding bound of its operation",
        check_intermediates,
    ),
    Check(
        "logits",
        "the logits of `evaluate` are within the rounding bound of the whole forward pass",
        check_logits,
    ),
    Check(
        "loss",
        "the mean loss of `evaluate` is within its bound, also with a short last batch",
        check_loss,
    ),
    Check(
        "accuracy",
        "micro and macro accuracy are exact, also with ties, absent classes and unbalanced classes",
        check_accuracy,
    ),
    Check(
        "gradients",
        "`loss_and_gradients` returns the gradient of the mean loss for every parameter",
        check_gradients,
        needs="loss_and_gradients",
    ),
    Check(
        "adam",
        "parameters and both moments after a few steps agree with Adam in float64",
        check_adam,
        needs="Training",
    ),
    Check(
        "trajectory",
        "500 float64 training steps agree with the same training in NumPy",
        check_trajectory,
        needs="Training",
        dtypes=("float64",),
    ),
    Check(
        "epochs",
        "every epoch uses its own batches and reports its own results",
        check_epochs,
        needs="Training",
    ),
    Check(
        "copies",
        "changes of the data and the parameters after training has started have no effect",
        check_copies,
        needs="Training",
    ),
    Check(
        "resume",
        "training that is stopped within an epoch and resumed equals uninterrupted training",
        check_resume,
        needs="Training",
        dtypes=("float64",),
    ),
    Check(
        "repeat",
        "a second call for loss and gradients returns the same result",
        check_repeat,
        needs="loss_and_gradients",
    ),
    Check(
        "parameters",
        "parameters are converted without changes, as copies, in the requested dtype",
        check_params,
    ),
    Check(
        "inputs",
        "large scores do not overflow, NaN is not hidden, and subnormal numbers are handled",
        check_inputs,
    ),
    Check(
        "threads",
        "two threads that evaluate at the same time get the same results as one",
        check_threads,
    ),
    Check(
        "labels",
        "a label out of range raises an error",
        check_labels,
    ),
)

# All that is checked, by name: also of what no implementation has a part in.
CHECKED = {check.name: check.says for check in CHECKS} | {
    "comparator": "the comparison fails for wrong results of every kind and passes for right ones",
    "data": "pixels, labels, statistics and initial parameters from `shared` are right",
    "saved": "saved, resumed and best parameters are those of the training, in every process",
    "reports": "times, rates, medians, ratios and bits agree with NumPy's results",
}
