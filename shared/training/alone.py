"""Train one implementation alone, as the original script does: train, report, test."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import log
from types import ModuleType
from typing import Any

import numpy as np
from rich.console import Console

from shared.cli import make_console, parse_config
from shared.config import Config, EvaluationConfig
from shared.data.batches import epoch_batches
from shared.data.load import Dataset, Split, load_data
from shared.params import initial_params
from shared.training.loop import train
from shared.training.metrics import TestLine
from shared.training.processes import Process, check_share, find_process, run_or_leave
from shared.training.progress import say_interrupted, training_progress, watch_steps
from shared.training.records import Epoch, Evaluation
from shared.training.resume import check_fits, check_has_checkpoint, find_folder, find_state
from shared.training.runs import RunFolder
from shared.training.stopping import stopping_at_sigterm
from shared.training.watched import explaining_out_of_memory, steps_left, train_watched


def load_config_data(config: Config) -> Dataset:
    """Load the digits for a config."""
    return load_data(
        config.data,
        normalization=config.normalization,
        num_channels=config.num_channels,
        mnist_dir=config.mnist_dir,
    )


def check_before_training(implementation: ModuleType, config: Config, data: Dataset) -> None:
    """Raise UserError for problems of the training, before anything is written."""
    implementation.find_device(config.device)
    epoch_batches(len(data.train.labels), config.batch_size)


def draw_config_params(config: Config) -> dict[str, np.ndarray]:
    """Draw the initial parameters for a config."""
    return initial_params(num_channels=config.num_channels, seed=config.seed)


def evaluate_params(
    implementation: Any, params: Mapping[str, np.ndarray], split: Split, config: EvaluationConfig
) -> Evaluation:
    """Evaluate parameters on a split, in a config's form, dtype and device."""
    return implementation.evaluate(
        implementation.from_params(params, config.attention, config.dtype, config.device),
        split.in_form(config.attention),
        split.labels,
        batch_size=config.eval_batch_size,
        accuracy=config.accuracy,
    )


def train_alone(
    implementation: ModuleType, distributed: ModuleType, name: str, args: Sequence[str]
) -> int:
    """Train one implementation, print each epoch, and test and keep the parameters.

    `distributed` is its module of that name, for a training in several processes.
    """
    config = parse_config(
        Config,
        args,
        prog=f"python -m {implementation.__name__}",
        description=f"{implementation.__doc__} Trains it, prints epochs, and tests the result.",
    )
    process = find_process(os.environ)
    if process is None:
        return _train_and_test(implementation, implementation, name, config)
    run_or_leave(
        process, lambda: _train_together(implementation, distributed, name, config, process)
    )
    return 0


def _train_together(
    implementation: ModuleType,
    distributed: ModuleType,
    name: str,
    config: Config,
    process: Process,
) -> int:
    """Train in one of several processes; only the first evaluates, reports and writes."""
    check_share(config.batch_size, process.size)  # before waiting for any other
    distributed.join(process, config.device)
    check_share(config.batch_size, distributed.count_devices(config.device))
    status = 0
    if process.is_first:
        status = _train_and_test(implementation, distributed, name, config)
    else:
        train_along(distributed, name, config)
    if status == 0:
        distributed.leave()
    return status


def train_along(distributed: ModuleType, name: str, config: Config) -> None:
    """Train along with the first process, from its state; it evaluates for all."""
    data, start = load_config_data(config), None
    data = replace(data, validation=data.validation.first(1))
    if config.resume is not None:
        start, _ = find_state(
            find_folder(config.resume),
            config.resume_from or name,
            partial(check_fits, data=data, config=config),
        )
    for _ in train(distributed, draw_config_params(config), data, config, start=start):
        pass


def _train_and_test(
    implementation: ModuleType, trainer: ModuleType, name: str, config: Config
) -> int:
    """Train with the module `trainer` into a run folder, and test the parameters."""
    console = make_console()
    data = load_config_data(config)
    check_before_training(implementation, config, data)
    check_has_checkpoint(config, name)
    run = RunFolder(config, name, latest=f"latest-{name}")  # `latest` is for comparisons
    try:
        with explaining_out_of_memory(config):
            _train_and_report(trainer, name, config, data, run, console)
            return _test(implementation, name, config, data, run, console)
    except KeyboardInterrupt:
        finished = str(len(run.epochs.get(name, [])))
        return say_interrupted(console, f"python -m {implementation.__name__}", run.path, finished)


def _test(
    implementation: ModuleType,
    name: str,
    config: Config,
    data: Dataset,
    run: RunFolder,
    console: Console,
) -> int:
    """Test the parameters chosen by the config; return the exit status."""
    epoch = run.tested_epoch(name)
    result = evaluate_params(implementation, epoch.params, data.test, config)
    run.record_test(
        TestLine(
            implementation=name,
            tested_epoch=epoch.number,
            test_loss=result.loss,
            test_accuracy=result.accuracy,
        )
    )
    console.print(
        f"test (parameters of epoch {epoch.number}): {describe(result, config.nats_per_bit)}"
    )
    console.print(f"parameters and metrics: {run.path}")
    return 0


def _train_and_report(
    trainer: ModuleType,
    name: str,
    config: Config,
    data: Dataset,
    run: RunFolder,
    console: Console,
) -> None:
    start = run.start_of(name, draw_config_params(config), data)
    with training_progress(console) as progress, stopping_at_sigterm() as stop:
        steps = steps_left(start, data, config)
        on_steps = watch_steps(progress, name, steps, config.batch_size)
        for epoch in train_watched(trainer, name, start, data, config, run, stop, on_steps):
            console.print(describe_epoch(epoch, config))


def describe(result: Evaluation, nats_per_bit: float = log(2)) -> str:
    """Return loss in nats and bits, and accuracy in percent, as text."""
    return describe_numbers(result.loss, result.accuracy, nats_per_bit)


def describe_numbers(loss: float, accuracy: float, nats_per_bit: float) -> str:
    """Return a loss, given in nats, in nats and bits, and an accuracy in percent, as text."""
    return f"{loss:.4f} nats ({loss / nats_per_bit:.4f} bits), {accuracy:.1%}"


def describe_epoch(epoch: Epoch, config: Config) -> str:
    """Return the results of an epoch as one line of text."""
    training = describe_numbers(epoch.train_loss, epoch.train_accuracy, config.nats_per_bit)
    return (
        f"epoch {epoch.number}/{config.epochs}: training {training}; "
        f"validation {describe(epoch.validation, config.nats_per_bit)}; "
        f"{epoch.train_seconds:.1f} s, {epoch.samples_per_second:,.0f} samples/s"
    )
