"""`python -m compare mutants`: test the tests with planted bugs.

Each bug of the catalogue is planted alone, and all checks are run on the result, in float64. Then
the checks are run on correct code, with many seeds: no alarm may be false.
"""

import os
import signal
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from compare.catalogue import BUGS, Bug
from compare.catalogue.plant import import_whole
from compare.compiled import compiling_into
from compare.machine import limit_threads, num_threads
from compare.mutants.report import Tried, merge, print_mutants, to_json
from compare.mutants.trying import put_to_shared, ratio_of, try_bug
from compare.parity.checks import CHECKS
from compare.parity.comparison import largest
from compare.parity.intermediates import Case
from compare.registry.contract import FORMS
from compare.registry.implementations import PACKAGES, load_implementations
from shared.cli import make_console, parse_options
from shared.config import check_count
from shared.errors import check_choice
from shared.files import write_json
from shared.training.progress import track_work

# Quick checks run for every seed; the others for one seed in this many.
EVERY_SEED = ("intermediates", "logits", "inputs")
OTHERS_EVERY = 97  # a prime, so that every case gets a turn
SEEDS_AT_ONCE = 50
BUGS_PER_PROCESS = 20
PLAIN_ERROR = 1000  # times its bound: the least error of a planted bug in float64


@dataclass(frozen=True)
class MutantsConfig:
    """The options of `compare mutants`."""

    bugs: tuple[str, ...] = ()
    """Names of the bugs to plant (default: all)."""
    seeds: int = 1000
    """Number of seeds with which correct code must pass the checks; 0 skips this part."""
    train_epochs: int = 0
    """Number of epochs to train on the sample with each bug in PyTorch's forward pass, and without
    any, to measure the effect on accuracy; 0 skips this part."""
    jobs: int = 0
    """Number of processes at once; 0 means one per core."""
    json: Path | None = None
    """Write the result to this file; with --bugs, results that it has for other bugs are kept."""

    def __post_init__(self) -> None:
        for name in ("seeds", "train_epochs", "jobs"):
            check_count(name, getattr(self, name), least=0)


def main(args: Sequence[str]) -> int:
    """Plant every bug and draw every seed; return 0 if all are caught and no alarm is false."""
    config = parse_options(
        MutantsConfig(),
        args,
        prog="python -m compare mutants",
        description=(
            "Plants known bugs, one at a time, and runs the checks that implementations must pass; "
            "then runs the checks on correct code with many seeds. Exit status 0 only if each bug "
            "is caught by the intended check, at the right intermediate, and correct code passes."
        ),
    )
    console = make_console()
    chosen = choose_bugs(config.bugs)
    jobs = config.jobs or num_threads()
    starts = range(0, config.seeds, SEEDS_AT_ONCE)
    parts = [range(start, min(start + SEEDS_AT_ONCE, config.seeds)) for start in starts]
    # JAX keeps what it compiled, so processes are replaced now and then to free the memory. Not by
    # ProcessPoolExecutor, which can deadlock then: https://github.com/python/cpython/issues/115634
    with (
        TemporaryDirectory() as compiled,
        get_context("spawn").Pool(
            jobs, begin_process, (compiled, max(1, num_threads() // jobs)), BUGS_PER_PROCESS
        ) as pool,
    ):
        bugs = pool.imap(partial(try_bug, train_epochs=config.train_epochs), chosen)
        seeds = pool.imap(draw_seeds, parts)
        tried = list(track_work(bugs, "Planting bugs", len(chosen), console))
        honest = merge_largest(track_work(seeds, "Drawing seeds", len(parts), console))
    failures = [*find_failures(chosen, tried), *say_false_alarms(honest)]
    print_mutants(console, chosen, tried, honest, config.seeds, failures)
    if config.json is not None:
        found = to_json(chosen, tried, honest, config.seeds, failures)
        write_json(config.json, merge(config.json, found) if config.bugs else found)
    return 1 if failures else 0


def begin_process(compiled: str, threads: int) -> None:
    """Prepare a process of the pool, before it imports a framework.

    It uses its share of the cores. JAX caches what it compiles in the folder `compiled`: code that
    a bug does not change need not be compiled again.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the pool
    warnings.simplefilter("ignore")  # in this process only: the checks judge the results
    os.environ.update(limit_threads(threads) | compiling_into(compiled))


def choose_bugs(names: Sequence[str]) -> list[Bug]:
    """Return the bugs called `names`, or all; raise UserError for an unknown name."""
    by_name = {bug.name: bug for bug in BUGS}
    for name in names:
        if name not in by_name:
            close = get_close_matches(name, by_name, cutoff=0.0)
            check_choice("bug", name, close)
    return [by_name[name] for name in names] or list(BUGS)


def draw_seeds(seeds: Sequence[int]) -> dict[str, float]:
    """Run the checks on correct code, another case for each seed; return the largest ratios."""
    found, _ = load_implementations(list(PACKAGES))
    cases = [
        (Case(name, form, dtype), implementation)
        for form in FORMS
        for dtype in ("float64", "float32")
        for name, implementation in found.items()
        if form in implementation.ATTENTION
    ]
    ratios = [put_to_shared(import_whole("compare"), {}, seeds[0])]
    for seed in seeds:
        case, implementation = cases[seed % len(cases)]
        for check in CHECKS:
            is_due = check.name in EVERY_SEED or seed % OTHERS_EVERY == 0
            if is_due and hasattr(implementation, check.needs) and case.dtype in check.dtypes:
                ratios.append({check.name: ratio_of(check.put(case, implementation, seed))})
    return merge_largest(ratios)


def merge_largest(parts: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return the largest ratio of each check over several seeds or processes."""
    merged: dict[str, float] = {}
    for part in parts:
        for name, ratio in part.items():
            merged[name] = largest([merged.get(name, 0.0), ratio])
    return merged


def find_failures(bugs: Sequence[Bug], tried: Sequence[Tried]) -> list[str]:
    """Return a sentence for each bug that was not caught as it should be."""
    failures = []
    for bug, result in zip(bugs, tried, strict=True):
        if result.missing:
            continue
        if not result.is_caught_by(bug.check):
            failures.append(f"{bug.name} is not caught by {bug.check}.")
        elif result.error_ratios[bug.check] < PLAIN_ERROR and not bug.small:
            ratio = result.error_ratios[bug.check]
            failures.append(f"{bug.name} is caught by {bug.check} at only {ratio:.3g} bounds.")
        if bug.intermediate is not None and result.first_intermediate != bug.intermediate:
            failures.append(
                f"A trace of {bug.name} names {result.first_intermediate}, not {bug.intermediate}."
            )
    return failures


def say_false_alarms(honest: Mapping[str, float]) -> list[str]:
    """Return a sentence for each check that correct code fails."""
    return [
        f"Correct code fails the check {name}: {ratio:.3g} times its bound."
        for name, ratio in honest.items()
        if not ratio <= 1
    ]
