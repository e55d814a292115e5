"""The checks of training in several processes: it must equal training in one.

`torchrun --nproc-per-node 2 -m compare.parity.together PACKAGE FILE` starts the processes. They
train together with the package's distributed.py; each judges its own results, and writes its
comparisons as JSON to FILE, with its rank before the suffix.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType

from compare.expected.problems import few_levels, make_dataset, make_problem
from compare.parity.common import Comparisons, config_of, refuses
from compare.parity.comparison import Comparison, must, relative_difference
from compare.parity.intermediates import Case
from compare.parity.training import TRAJECTORY_TOLERANCE, check_adam_steps, pair_states
from shared.files import write_json
from shared.training.loop import train
from shared.training.processes import Process, find_process, run_or_leave

BATCH = 8  # divisible among 1, 2, 4 and 8 devices
TRAINED_ON, EPOCHS = 67, 5  # 40 steps; three samples are left out of every epoch


def check_together(package: str, case: Case, process: Process) -> Comparisons:
    """Run the checks of a package's distributed.py in one of the processes."""
    distributed = import_module(f"{package}.distributed")
    alone = import_module(package)
    devices = distributed.count_devices(case.device)
    problem = few_levels(make_problem(BATCH, 7, 3, 5), 31)
    # The first moment shows the gradient; its bound starts from the state before the step.
    yield from check_adam_steps(case, distributed, problem)
    yield from check_same_training(case, distributed, alone, process)
    if devices > 1:
        data, uneven = make_dataset(problem), config_of(case, batch_size=devices + 1)
        refused = refuses(lambda: next(train(distributed, problem.params, data, uneven)))
        yield must("an uneven share is refused", str(case), refused)


def check_same_training(
    case: Case, distributed: ModuleType, alone: ModuleType, process: Process
) -> Comparisons:
    """Compare some epochs trained together and alone: batches, losses and parameters."""
    problem = few_levels(make_problem(TRAINED_ON, 7, 3, 5), 31)
    config = config_of(case, epochs=EPOCHS, batch_size=BATCH)
    data = make_dataset(problem)
    together = list(train(distributed, problem.params, data, config))
    for a, b in zip(together, train(alone, problem.params, data, config), strict=True):
        where = f"{case}, process {process.rank} of {process.size}, epoch {a.number}"
        pairs = {"losses": (a.step_losses, b.step_losses)}
        pairs |= {quantity: (one, other) for quantity, one, other in pair_states(a, b)}
        if process.is_first:
            pairs["validation logits"] = (a.validation.logits, b.validation.logits)
            same = a.validation.accuracy == b.validation.accuracy
            yield must("validation accuracy", where, same)
        for quantity, pair in pairs.items():
            error = relative_difference(*pair)
            yield Comparison(quantity, where, error, error / TRAJECTORY_TOLERANCE)
        yield must("Adam's step", where, a.adam.step == b.adam.step)
        yield must("train accuracy", where, a.train_accuracy == b.train_accuracy)
        yield must("samples", where, a.samples == b.samples)


def main(args: Sequence[str]) -> int:
    """Join the other processes, run the checks, and write the comparisons."""
    package, file = args[0], Path(args[1])
    process = find_process(os.environ)
    assert process is not None, "start it with torchrun"
    distributed = import_module(f"{package}.distributed")
    name = package.removesuffix("_impl")

    def run() -> int:
        distributed.join(process, "cpu")
        case = Case(name, "histogram", "float64")
        comparisons = list(check_together(package, case, process))
        found = [asdict(comparison) | {"passed": comparison.passed} for comparison in comparisons]
        write_json(file.with_suffix(f".{process.rank}{file.suffix}"), found)
        distributed.leave()
        return 0

    run_or_leave(process, run)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
