"""The checks of the comparator itself: it rejects wrong results, and accepts right ones.

Each wrong implementation here is the NumPy reference, changed in a way that comparators are known
to overlook: NaN, errors that cancel, an extra axis, one number among many.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import StringIO
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
from rich.console import Console

import numpy_reference
from compare.expected.bounds import exact
from compare.expected.problems import make_dataset, make_problem
from compare.parity.common import Comparisons
from compare.parity.comparison import must
from compare.parity.saved import finish_epoch
from shared.config import Config
from shared.training.records import Epoch

Change = Callable[[np.ndarray], np.ndarray]


def _at(index: int, change: Callable[[float], float]) -> Change:
    """Change one logit."""

    def changed(logits: np.ndarray) -> np.ndarray:
        spoilt = logits.copy()
        spoilt.flat[index] = change(spoilt.flat[index])
        return spoilt

    return changed


def _cancelling(logits: np.ndarray) -> np.ndarray:
    signs = np.where(np.arange(logits.size) % 2, 1.0, -1.0)
    signs[-1] = 0 if logits.size % 2 else signs[-1]
    return logits + 1e-3 * signs.reshape(logits.shape)


WRONG: dict[str, Change] = {
    "one logit is NaN": _at(3, lambda _: np.nan),
    "every logit is NaN": lambda logits: logits * np.nan,
    "one logit is infinite": _at(4, lambda _: np.inf),
    "one logit is off by a millionth": _at(-1, lambda logit: logit + 1e-6),
    "every logit is too small": lambda logits: logits - 1e-3,
    "errors cancel": _cancelling,
    "logits have an extra axis": lambda logits: logits[..., None],
    "one logit is returned for all": lambda logits: logits[:1, :1],
    "nothing is returned": lambda logits: logits[:0],
    "samples are in another order": lambda logits: logits[::-1],
}


def check_comparator(compare: ModuleType) -> Comparisons:
    """Judge right and wrong implementations with a package `compare`, planted or real.

    It uses the package's modules `parity.comparison`, `parity.checks`, `parity.verdict` and
    `trace`.
    """
    yield must("a right implementation passes", "a run", _run_passes(compare, numpy_reference))
    yield must("a right implementation passes", "a check", _check_passes(compare, numpy_reference))
    yield must("a right implementation passes", "trace", _trace_passes(compare, numpy_reference))
    for what, change in WRONG.items():
        spoilt = _spoil(change)
        yield must(f"{what}: fails", "a run", not _run_passes(compare, spoilt))
        yield must(f"{what}: fails", "a check", not _check_passes(compare, spoilt))
        yield must(f"{what}: fails", "trace", not _trace_passes(compare, spoilt))
    yield must("no checks do not pass", "a run", not compare.parity.verdict.Parity([]).passed)
    for wrong_loss in (np.nan, np.inf, 0.0):
        spoilt = _spoil(lambda logits: logits, loss=wrong_loss)
        yield must(f"a loss of {wrong_loss} fails", "a run", not _run_passes(compare, spoilt))
    largest = compare.parity.comparison.largest([1.0, np.nan, 2.0])
    yield must("NaN is the largest", "checks", bool(np.isnan(largest)))
    yield from _check_trainings(compare)
    for shape in ((5, 1), (1, 5), (1,), (), (0,)):  # equal if broadcast, but not the same
        passed = _passes(partial(_ones_pass, compare, shape))
        yield must(f"shape {shape} against (5,) fails", "checks", not passed)


def _check_trainings(compare: ModuleType) -> Comparisons:
    """Reject trainings that differ only in a loss or a parameter, or in which nothing moves."""
    start = make_problem().params
    right = finish_epoch(1, 0.3, 0.3, 0.5)
    losses = right.step_losses.astype(np.float64)
    still = replace(right, params=start)
    yield must("the same training passes", "a run", _training_passes(compare, right, right))
    for what, one, other in (
        ("a loss off by a millionth", right, replace(right, step_losses=losses + 1e-6)),
        ("a loss that is NaN", right, replace(right, step_losses=losses * np.nan)),
        ("V off by a millionth", right, replace(right, params=_moved(right, 1e-6))),
        ("V that is NaN", right, replace(right, params=_moved(right, np.nan))),
        ("parameters that do not move", still, still),
    ):
        yield must(f"{what}: fails", "a run", not _training_passes(compare, one, other))


def _moved(epoch: Epoch, by: float) -> dict[str, np.ndarray]:
    return epoch.params | {"V": epoch.params["V"].astype(np.float64) + by}


def _training_passes(compare: ModuleType, *epochs: Epoch) -> bool:
    """Judge given epochs as if they had been trained."""
    problem, verdict = make_problem(), compare.parity.verdict
    trainers = {
        name: SimpleNamespace(ATTENTION=("vectorized",), epoch=epoch)
        for name, epoch in zip("ab", epochs, strict=True)
    }
    judge = partial(
        verdict.check_float64_training,
        *(trainers, problem.params, make_dataset(problem), Config(batch_size=2)),
    )
    with patch.object(verdict, "train", lambda trainer, *_: iter([trainer.epoch])):
        return _passes(lambda: bool(verdict.Parity(judge()).passed))


def _spoil(change: Change, **numbers: float) -> Any:
    """Return a copy of the NumPy reference whose results are changed after they are computed."""

    def evaluate(*args: Any, **options: Any) -> Any:
        result = numpy_reference.evaluate(*args, **options)
        return result._replace(logits=change(result.logits), **numbers)

    return SimpleNamespace(**(vars(numpy_reference) | {"evaluate": evaluate}))


def _passes(judge: Callable[[], bool]) -> bool:
    """Return the answer of a comparator; False if it raises."""
    try:
        with np.errstate(all="ignore"):
            return judge()
    except Exception:
        return False


def _run_passes(compare: ModuleType, implementation: Any) -> bool:
    problem = make_problem(batch=11)
    split = make_dataset(problem).test
    config = Config(dtype="float64", batch_size=5)
    parity = compare.parity.verdict

    def judge() -> bool:
        comparisons = parity.check_same_params(
            {"numpy": implementation}, problem.params, split, config, params_of="numpy"
        )
        return bool(parity.Parity(comparisons).passed)

    return _passes(judge)


def _check_passes(compare: ModuleType, implementation: Any) -> bool:
    (logits,) = (check for check in compare.parity.checks.CHECKS if check.name == "logits")
    case = compare.parity.intermediates.Case("numpy", "vectorized", "float64")
    return _passes(lambda: all(check.passed for check in logits.put(case, implementation)))


def _trace_passes(compare: ModuleType, implementation: Any) -> bool:
    """Run the command, and check only its exit status."""
    options = [
        "--implementations",
        "numpy",
        "--forms",
        "vectorized",
        "--dtypes",
        "float64",
        "--images",
        "3",
    ]
    quiet = Console(file=StringIO())
    trace = compare.trace.command
    with (
        patch.object(trace, "load_present", lambda *_: {"numpy": implementation}),
        patch.object(trace, "make_console", lambda: quiet),
        patch.object(trace, "load_batch", lambda _: trace.Batch(*make_problem(batch=11))),
    ):
        return _passes(lambda: trace.main(options) == 0)


def _ones_pass(compare: ModuleType, shape: tuple[int, ...]) -> bool:
    held = compare.parity.comparison.hold_against("ones", "", np.ones(shape), exact(np.ones(5)))
    return bool(held.passed)
