"""The claims of parity: what every implementation, form, dtype and device must do.

Each claim is a function that puts a case to small problems, drawn from a seed, and yields its
comparisons; whoever asks decides what a failure means. The tests ask it of every case, the planted
bugs (compare/mutants.py) are caught by it, and an implementation from outside is put to the same.
See compare/bounds.py for what is allowed. There is no other tolerance, except for a trajectory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from compare.checks import Check, must
from compare.claims.common import Checks
from compare.claims.forward import (
    check_accuracy,
    check_inputs,
    check_labels,
    check_logits,
    check_loss,
    check_params,
    check_steps,
)
from compare.claims.training import check_adam, check_epochs, check_gradients, check_trajectory
from compare.steps import Case


@dataclass(frozen=True)
class Claim:
    """One claim: its name, what it says, and how it is put to a case."""

    name: str
    says: str
    check: Callable[[Case, ModuleType, int], Checks]
    needs: str = "evaluate"  # the function of an implementation that it is about
    dtypes: tuple[str, ...] = ("float32", "float64")  # in which it can be put

    def put(self, case: Case, implementation: ModuleType, seed: int = 0) -> list[Check]:
        """Put the claim to a case; an implementation that raises has failed, and says how."""
        checks: list[Check] = []
        try:
            with np.errstate(all="ignore"):  # infinities and NaN are judged, not told of
                checks += self.check(case, implementation, seed)
        except Exception as error:  # whatever it is: it is an answer
            said = f"{type(error).__name__}: {error}".split("\n")[0]
            checks.append(must(f"{self.name} raises {said}", str(case), False))
        return checks


CLAIMS = (
    Claim("steps", "every named step is right by itself and since the start", check_steps),
    Claim("logits", "logits are right, also for enormous scores", check_logits),
    Claim("loss", "the loss is the mean over samples, in nats", check_loss),
    Claim("accuracy", "accuracy is counted alike, by sample and by class", check_accuracy),
    Claim("inputs", "odd images, and pixels that are no number, do the same", check_inputs),
    Claim("labels", "a label that is no class is refused", check_labels),
    Claim("parameters", "parameters go in and come out as they are, as copies", check_params),
    Claim(
        "gradients",
        "the gradient by every parameter is right",
        check_gradients,
        needs="loss_and_gradients",
    ),
    Claim("adam", "parameters and both moments step as Adam does", check_adam, needs="train"),
    Claim("epochs", "every epoch reports what it did", check_epochs, needs="train"),
    Claim(
        "trajectory",
        "500 float64 steps stay with the exact training",
        check_trajectory,
        needs="train",
        dtypes=("float64",),
    ),
)
