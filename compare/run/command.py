"""`python -m compare run`: train side by side, evaluate everywhere, and judge whether all agree."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import tyro
from rich.console import Console

import numpy_reference
from compare.page import write_after_run
from compare.parity.formula import judge_formula, judge_resume
from compare.parity.verdict import Parity, check_float64_training, check_same_params, measure_drift
from compare.registry.contract import (
    Implementation,
    Trainer,
    can_train,
    check_device,
    config_for,
    dtypes_of,
    form_of,
)
from compare.registry.implementations import keep_with_dtype, load_present
from compare.run.report import (
    parity_table,
    print_report,
    result_to_json,
    results_table,
    save_loss_curves,
    write_tables,
)
from shared.cli import complete_flag, make_console, parse_config
from shared.config import Config
from shared.data.batches import epoch_batches
from shared.data.load import Dataset
from shared.errors import UserError
from shared.files import write_json
from shared.training.alone import draw_config_params, evaluate_params, load_config_data
from shared.training.metrics import TestLine
from shared.training.progress import count, say_interrupted, training_progress, watch_steps
from shared.training.records import Epoch, Evaluation
from shared.training.runs import RunFolder, config_to_json
from shared.training.stopping import stopping_at_sigterm
from shared.training.watched import explaining_out_of_memory, steps_left, train_watched

LONG_SECONDS = 10  # a training that takes longer prints a line per epoch


@dataclass(frozen=True)
class RunConfig(Config):
    """The options of `compare run`."""

    implementations: tuple[Literal["pytorch", "jax", "numpy"], ...] = ("pytorch", "jax", "numpy")
    """The implementations to run. Those whose library is not installed are left out."""
    implementation: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Run a third party's implementation too, given as package.module; see
    docs/add_a_framework.md."""
    name: str = "compare"
    """The run folder's name is the time followed by this text."""
    json: Path | None = None
    """Write the result to this file too."""
    verbose: bool = False
    """Print every epoch, test and comparison as tables; report.txt in the run folder always has
    them."""


def main(args: Sequence[str]) -> int:
    """Run the comparison; exit status 0 only if parity holds."""
    config = parse_config(
        RunConfig,
        complete_flag(args, "--verbose"),
        prog="python -m compare run",
        description=(
            "Trains the implementations from the same parameters on the same batches, evaluates "
            "each on the trained parameters of all, and judges whether they agree. Exit status 0 "
            "only if they do."
        ),
    )
    console = make_console()
    implementations = _load(config, console)
    trainers = {name: module for name, module in implementations.items() if can_train(module)}
    if not trainers:
        raise UserError("Nothing here can train: choose pytorch or jax with --implementations.")
    data = load_config_data(config)
    epoch_batches(len(data.train.labels), config.batch_size)  # raise now if it is not
    run = RunFolder(config, config.name)
    console.print(
        f"{len(data.train.labels):,} training images, attention {config.attention}, "
        f"{count(config.epochs, 'epoch')}, {config.dtype}, {config.device}"
    )
    try:
        with explaining_out_of_memory(config):
            return _compare(implementations, trainers, data, config, run, console)
    except KeyboardInterrupt:
        finished = ", ".join(f"{len(run.epochs.get(name, []))} of {name}" for name in trainers)
        return say_interrupted(console, "python -m compare run", run.path, finished)


def _load(config: RunConfig, console: Console) -> dict[str, ModuleType]:
    """Import the implementations, and print what third parties' cannot do."""
    present = load_present(config.implementations, console, config.implementation)
    implementations = keep_with_dtype(present, config.dtype, console)
    for name, implementation in implementations.items():
        check_device(implementation, config.device)
        form = form_of(implementation, config.attention)
        if form != config.attention:
            console.print(f"{name} has no {config.attention}: it runs {form} instead.")
        if not can_train(implementation):
            console.print(f"{name} is forward only: it is evaluated and judged, not trained.")
    return implementations


def _compare(
    implementations: Mapping[str, ModuleType],
    trainers: Mapping[str, ModuleType],
    data: Dataset,
    config: RunConfig,
    run: RunFolder,
    console: Console,
) -> int:
    """Train, test, judge, report and keep the result; return the exit status."""
    params = draw_config_params(config)
    comparable = keep_comparable(trainers, console)
    train_side_by_side(trainers, params, data, config, run, console)
    with console.status("Testing and judging"):
        tested = {name: run.tested_epoch(name).params for name in trainers}
        tests = evaluate_everywhere(implementations, tested, data, config)
        comparisons = [
            comparison
            for name, trained in tested.items()
            for comparison in check_same_params(
                implementations, trained, data.test, config, params_of=name
            )
        ]
        formulas = {
            name: judge_formula(name, each, config) for name, each in implementations.items()
        }
        resumed = comparable if config.resume is not None else {}
        comparisons = [
            *chain.from_iterable(formulas.values()),
            *chain.from_iterable(
                judge_resume(name, each, config) for name, each in resumed.items()
            ),
            *check_float64_training(comparable, params, data, config),
            *comparisons,
        ]
        parity = Parity(comparisons, measure_drift(find_last_epochs(trainers, data, config, run)))
    for name, results in tests.items():
        for params_of, result in results.items():
            run.record_test(
                TestLine(
                    implementation=name,
                    params_of=params_of,
                    test_loss=result.loss,
                    test_accuracy=result.accuracy,
                )
            )
    save_loss_curves(run.path, run.epochs)
    used = implementations.values()
    report = result_to_json(config_to_json(config), run.epochs, tests, parity, used)
    for path in filter(None, (run.path / "result.json", config.json)):
        write_json(path, report)
    tables = (results_table(run.epochs, tests, config.nats_per_bit), parity_table(parity))
    write_tables(run.path / "report.txt", tables)
    if config.verbose:
        console.print(*tables, sep="\n")
    print_report(console, run.epochs, tests, parity)
    console.print(f"Parameters, metrics, curves and tables: {run.path}")
    write_after_run(run.path, data, implementations, console)
    for name, found in formulas.items():
        if not all(each.passed for each in found):
            form = form_of(implementations[name], config.attention)
            console.print("See where:", trace_command(name, form, config), sep="\n", soft_wrap=True)
    return 0 if parity.passed else 1


def trace_command(name: str, form: str, config: RunConfig) -> str:
    """Return the `trace` command for an implementation."""
    modules = [module for module in config.implementation if module.rpartition(".")[2] == name]
    which = f"--implementations {name}"
    if modules:
        which = f"--implementations --implementation {modules[0]}"
    device = f" --device {config.device}" if config.device != "cpu" else ""
    return f"python -m compare trace {which} --forms {form}{device}"


def keep_comparable(trainers: Mapping[str, ModuleType], console: Console) -> dict[str, ModuleType]:
    """Return the trainers that compute in float64, and print the others."""
    kept = {name: each for name, each in trainers.items() if "float64" in dtypes_of(each)}
    for name in trainers.keys() - kept.keys():
        console.print(f"{name} has no float64: its training is not compared.", style="yellow")
    if len(kept) == 1:
        console.print(f"Only {next(iter(kept))} trains: its training is not compared with another.")
    return kept


def train_side_by_side(
    trainers: Mapping[str, Trainer],
    params: Mapping[str, np.ndarray],
    data: Dataset,
    config: Config,
    run: RunFolder,
    console: Console,
) -> None:
    """Train all in turn, an epoch each, and keep every finished epoch in the run folder."""
    starts = {name: run.start_of(name, params, data) for name in trainers}
    began = time.perf_counter()
    with training_progress(console) as progress, stopping_at_sigterm() as stop:
        trainings = {}
        for name, trainer in trainers.items():
            steps = steps_left(starts[name], data, config)
            on_steps = watch_steps(progress, name, steps, config.batch_size)
            own = config_for(trainer, config)
            trainings[name] = train_watched(
                trainer, name, starts[name], data, own, run, stop, on_steps
            )
        for number in range(1, config.epochs + 1):
            for name, training in trainings.items():
                if number >= starts[name].epoch:
                    epoch = next(training)
                    if time.perf_counter() - began > LONG_SECONDS:
                        console.print(say_epoch(name, epoch, config))


def say_epoch(name: str, epoch: Epoch, config: Config) -> str:
    """Return the results of an epoch in one line, for long runs."""
    return (
        f"epoch {epoch.number}/{config.epochs}, {name}: training loss {epoch.train_loss:.4f}, "
        f"validation {epoch.validation.loss:.4f}, {epoch.validation.accuracy:.1%}"
    )


def find_last_epochs(
    trainers: Mapping[str, Implementation], data: Dataset, config: Config, run: RunFolder
) -> dict[str, Epoch]:
    """Return every last epoch; those finished before a resume are validated again."""
    last = {}
    for name, trainer in trainers.items():
        epoch = run.epochs[name][-1]
        if not epoch.validation.logits.size:
            own = config_for(trainer, config)
            validation = evaluate_params(trainer, epoch.params, data.validation, own)
            epoch = replace(epoch, validation=validation)
        last[name] = epoch
    return last


def evaluate_everywhere(
    implementations: Mapping[str, Implementation],
    tested: Mapping[str, Mapping[str, np.ndarray]],
    data: Dataset,
    config: Config,
) -> dict[str, dict[str, Evaluation]]:
    """Evaluate the test split; return results by implementation, then by origin of parameters.

    NumPy, the reference, evaluates in float64, and all others in the run's dtype.
    """
    results: dict[str, dict[str, Evaluation]] = {}
    for name, implementation in implementations.items():
        own = config_for(implementation, config)
        if implementation is numpy_reference:
            own = replace(own, dtype="float64")
        results[name] = {
            params_of: evaluate_params(implementation, params, data.test, own)
            for params_of, params in tested.items()
        }
    return results
