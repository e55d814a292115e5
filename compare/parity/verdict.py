"""The verdict of a run: do the implementations compute the same function, and train alike?

Four questions are judged.

1. On the same parameters, do the logits and the loss of every implementation lie within the
   rounding bound (compare/expected/bounds.py) of the exact ones (compare/expected/exact.py)?
2. Trained in float64 from the same start on the same batches, do loss and parameters stay
   together, and did they move? There rounding is 1e-16 and any difference of method shows.
3. Does each compute the formula at three channels too (compare/parity/formula.py)?
4. If the run was resumed, is a training in two pieces the same as in one (likewise there)?

The drift, the difference of the runs at their end in their own dtype, is reported but not judged:
one rounding, amplified over hundreds of steps, looks like a small difference of method.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from types import ModuleType
from typing import Any

import numpy as np

from compare.expected.bounds import ARITHMETIC
from compare.expected.exact import expect_logits, expect_loss
from compare.parity.comparison import Comparison, hold_against, largest, must, relative_difference
from compare.parity.training import TRAJECTORY_TOLERANCE
from compare.registry.contract import config_for
from shared.config import Config
from shared.data.load import Dataset, Split
from shared.training.loop import train
from shared.training.records import Epoch

JUDGED_IMAGES = 100  # number of test images that the bound is computed for
TRAJECTORY_STEPS = 20


@dataclass(frozen=True)
class Parity:
    """The comparisons of a run, and the drift between the trained implementations."""

    comparisons: list[Comparison]
    drift: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether there are comparisons, and all of them passed."""
        return bool(self.comparisons) and all(each.passed for each in self.comparisons)

    @property
    def verdict(self) -> str:
        """Return the sentence that says whether parity holds, and if not, what fails first."""
        for each in self.comparisons:
            if not each.passed:
                return f"Parity FAILS: {each.quantity} of {each.where} {each.say()}."
        closest = max(self.comparisons, key=Comparison.badness)
        return (
            "Parity holds: all compute the same function. Every difference, in this run and with "
            "three channels per pixel, is within what rounding allows; the largest is "
            f"{closest.error_ratio:.1%} of that: {closest.quantity} of {closest.where}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the verdict, the largest error by quantity, each comparison and the drift."""
        by_quantity: dict[str, list[Comparison]] = {}
        for each in self.comparisons:
            by_quantity.setdefault(each.quantity, []).append(each)
        return {
            "passed": self.passed,
            "verdict": self.verdict,
            "max_error": {q: largest(c.error for c in each) for q, each in by_quantity.items()},
            "max_error_ratio": {
                q: largest(c.error_ratio for c in each) for q, each in by_quantity.items()
            },
            "drift": self.drift,
            "checks": [asdict(each) | {"passed": each.passed} for each in self.comparisons],
        }


def check_same_params(
    implementations: Mapping[str, ModuleType],
    params: Mapping[str, np.ndarray],
    split: Split,
    config: Config,
    *,
    params_of: str,
) -> list[Comparison]:
    """Compare logits and loss of every implementation on `params` with the exact ones."""
    images, labels = split.images[:JUDGED_IMAGES], split.labels[:JUDGED_IMAGES]
    arithmetic = ARITHMETIC[config.dtype]
    logits = expect_logits(params, images, arithmetic)
    loss = expect_loss(logits, labels, arithmetic)
    comparisons = []
    for name, implementation in implementations.items():
        own = config_for(implementation, config)
        model = implementation.from_params(params, own.attention, own.dtype, own.device)
        result = implementation.evaluate(model, images, labels, batch_size=config.eval_batch_size)
        where = f"{name} on {params_of}'s parameters"
        comparisons += [
            hold_against("logits", where, result.logits, logits),
            hold_against("loss", where, np.array([result.loss]), loss),
        ]
    return comparisons


def check_float64_training(
    trainers: Mapping[str, ModuleType],
    params: Mapping[str, np.ndarray],
    data: Dataset,
    config: Config,
) -> list[Comparison]:
    """Train a few steps in float64 and compare losses and parameters of every pair."""
    size = min(len(data.train.labels), TRAJECTORY_STEPS * config.batch_size)
    few = Dataset(
        train=data.train.first(size),
        validation=data.validation.first(1),
        test=data.test.first(1),
    )
    epochs = {}
    for name, trainer in trainers.items():
        float64 = replace(config_for(trainer, config), dtype="float64", epochs=1)
        epochs[name] = next(train(trainer, params, few, float64))
    comparisons = [
        must("the movement", f"{name} in {len(epoch.step_losses)} steps", has_moved(params, epoch))
        for name, epoch in epochs.items()
    ]
    for (name_a, a), (name_b, b) in combinations(epochs.items(), 2):
        where = f"{name_a} against {name_b} after {len(a.step_losses)} steps in float64"
        for quantity, difference in (
            ("trajectory_loss", relative_difference(a.step_losses, b.step_losses)),
            ("parameters", largest_parameter_difference(a.params, b.params)),
        ):
            comparisons.append(
                Comparison(quantity, where, difference, difference / TRAJECTORY_TOLERANCE)
            )
    return comparisons


def has_moved(params: Mapping[str, np.ndarray], epoch: Epoch) -> bool:
    """Check whether training changed a parameter and the loss by more than rounding.

    If not, the agreement of two trainings shows nothing.
    """
    moved = largest_parameter_difference(epoch.params, params) > TRAJECTORY_TOLERANCE
    return moved and float(np.ptp(epoch.step_losses)) > 0


def measure_drift(last: Mapping[str, Epoch]) -> dict[str, float]:
    """Return the largest difference of the last epochs over all pairs."""
    drift = {"logits": 0.0, "loss": 0.0, "parameters": 0.0}
    for a, b in combinations(last.values(), 2):
        pair = {
            "logits": float(np.abs(a.validation.logits - b.validation.logits).max()),
            "loss": abs(a.validation.loss - b.validation.loss),
            "parameters": largest_parameter_difference(a.params, b.params),
        }
        drift = {quantity: largest([drift[quantity], pair[quantity]]) for quantity in drift}
    return drift


def largest_parameter_difference(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> float:
    """Return the largest relative difference over all parameters."""
    return largest(relative_difference(a[name], b[name]) for name in a)
