"""Plant a bug and run every check that concerns what it changes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from unittest.mock import patch

import numpy as np

from compare.catalogue import Bug, plant
from compare.catalogue.plant import import_whole
from compare.mutants.report import Tried
from compare.mutants.train import can_be_trained, measure_accuracy
from compare.parity import forward, training
from compare.parity.checks import CHECKS
from compare.parity.common import draw_problems
from compare.parity.comparator import check_comparator
from compare.parity.comparison import Comparison, largest
from compare.parity.data import check_data
from compare.parity.forward import enormous
from compare.parity.intermediates import Batch, Case, bound_intermediates, first_break, judge
from compare.parity.reports import check_reports
from compare.parity.saved import check_saved
from compare.registry.implementations import PACKAGES, load_implementations

LOOP = "training/loop.py"  # modules of shared: the loop around every training
NAMES = {package: name for name, package in PACKAGES.items()}


def try_bug(bug: Bug, train_epochs: int = 0) -> Tried:
    """Plant a bug and run, in float64, every check that concerns what it changes."""
    places = bug.everywhere()
    try:
        planted = [plant(place) for place in places]
    except ModuleNotFoundError as error:
        return Tried(bug.name, {}, None, missing=str(error.name))
    trains = train_epochs > 0 and can_be_trained(bug)
    with judging_by(places, planted):
        tried = [put_checks(place, each) for place, each in zip(places, planted, strict=True)]
    # A bug planted in several places counts as caught only if it is caught in each of them.
    ratios = {
        name: min((found[name] for found in tried if name in found), key=_badness)
        for name in dict.fromkeys(name for found in tried for name in found)
    }
    first = None
    if bug.package in NAMES:
        first = trace_bug(Case(NAMES[bug.package], bug.form, "float64"), planted[0])
    accuracy = measure_accuracy(bug, train_epochs) if trains else None
    return Tried(bug.name, ratios, first, accuracy=accuracy)


def put_checks(bug: Bug, planted: ModuleType) -> dict[str, float]:
    """Run every check on one place of a bug; return the largest error over its bound by check."""
    if bug.file == LOOP:
        return put_to_loop(bug, planted)
    if bug.package == "shared":
        changed = {planted.__name__.removeprefix("shared."): planted}
        return put_to_shared(import_whole("compare"), changed)
    if bug.package == "compare":
        return {
            "comparator": ratio_of(check_comparator(planted)),
            "reports": ratio_of(check_reports(planted, {})),
        }
    case = Case(NAMES[bug.package], bug.form, "float64")
    return {
        check.name: ratio_of(check.put(case, planted))
        for check in CHECKS
        if hasattr(planted, check.needs)
    }


@contextmanager
def judging_by(places: Sequence[Bug], planted: Sequence[ModuleType]) -> Iterator[None]:
    """Let the checks use NumPy's planted metrics: there the reference is wrong too."""
    with ExitStack() as stack:
        for place, module in zip(places, planted, strict=True):
            if (place.package, place.file) == ("numpy_reference", "metrics.py"):
                wrong = module.metrics.measure_accuracy
                for checks in (forward, training):
                    stack.enter_context(patch.object(checks, "measure_accuracy", wrong))
        yield


def put_to_shared(
    compare: ModuleType, changed: Mapping[str, ModuleType], seed: int = 0
) -> dict[str, float]:
    """Run the checks of `shared`, some of whose modules are `changed`."""
    return {
        "data": ratio_of(check_data(changed, seed)),
        "saved": ratio_of(check_saved(changed, seed)),
        "reports": ratio_of(check_reports(compare, changed, seed)),
    }


def put_to_loop(bug: Bug, planted: ModuleType) -> dict[str, float]:
    """Run the checks of training on PyTorch, trained by a loop with a bug."""
    found, _ = load_implementations(["pytorch"])
    case = Case("pytorch", bug.form, "float64")
    with patch.object(training, "train", planted.train):
        ratios = {
            check.name: ratio_of(check.put(case, found["pytorch"]))
            for check in CHECKS
            if check.needs == "Training"
        }
    changed = {"training.loop": planted}
    return ratios | {"reports": ratio_of(check_reports(import_whole("compare"), changed))}


def trace_bug(case: Case, planted: ModuleType) -> str | None:
    """Return the first intermediate that breaks, if any, with ordinary or enormous scores."""
    several, _, of_few_levels = draw_problems(0, batch=7)
    for problem in (of_few_levels, enormous(of_few_levels), enormous(several)):
        batch = Batch(*problem)
        try:
            with np.errstate(all="ignore"):
                found = first_break(
                    judge(case, planted, batch, bound_intermediates(batch, case.dtype))
                )
        except Exception:  # the checks report what was raised
            return None
        if found is not None:
            return found.name
    return None


def ratio_of(checks: Iterable[Comparison]) -> float:
    """Return the largest error over its bound; infinity if it raises or compares nothing."""
    try:
        with np.errstate(all="ignore"):
            ratios = [check.error_ratio for check in checks]
    except Exception:
        ratios = []
    return largest(ratios) if ratios else float("inf")


def _badness(ratio: float) -> float:
    """Return a sort key: NaN is the largest."""
    return float("inf") if np.isnan(ratio) else ratio
