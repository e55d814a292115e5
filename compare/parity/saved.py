"""The checks of saved data: states, options, the best epoch, and resuming from them."""

from collections.abc import Mapping
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from typing import Any, get_args, get_type_hints
from unittest.mock import patch

import numpy as np

from compare.expected.problems import make_dataset, make_problem
from compare.parity.common import Comparisons, refuses
from compare.parity.comparison import must
from shared.config import Config
from shared.files import write_json
from shared.params import load_params
from shared.training.records import AdamState, Epoch, Evaluation, TrainingState
from shared.training.states import load_state, save_state

MODULES = ("alone", "records", "resume", "runs", "states")  # of shared.training
# Options that may change when a run is resumed; every other one affects what is computed.
MAY_CHANGE = (
    *("epochs", "device", "eval_batch_size", "checkpoint_every"),
    *("runs_dir", "mnist_dir", "resume", "resume_from"),
)
NAN = float("nan")


def check_saved(changed: Mapping[str, ModuleType], seed: int = 0) -> Comparisons:
    """Save and resume small trainings; `changed` modules of `shared` replace the real ones."""
    names = {f"training.{name}": f"shared.training.{name}" for name in MODULES}
    training = {name: import_module(path) for name, path in names.items()} | dict(changed)
    with TemporaryDirectory() as folder:
        yield from _check_states(training["training.states"], Path(folder), seed)
        yield from _check_options(training["training.resume"], Path(folder))
        yield from _check_best(training["training.records"])
        yield from _check_folder(training["training.runs"], Path(folder), seed)
        yield from _check_ranks(training["training.alone"], Path(folder), seed)


def draw_state(dtype: str, seed: int, epoch: int = 2) -> TrainingState:
    """Draw a state within an epoch; all its arrays differ."""
    rng = np.random.default_rng(seed)
    shapes = {name: array.shape for name, array in make_problem().params.items()}
    params, first, second = (
        {name: rng.uniform(1e-9, 1, shape).astype(dtype) for name, shape in shapes.items()}
        for _ in range(3)
    )
    losses, accuracies = rng.uniform(size=3).astype(dtype), rng.uniform(size=3)
    return TrainingState(params, AdamState(7, first, second), epoch, losses, accuracies, 1.5)


def finish_epoch(number: int, val_loss: float, train_loss: float, accuracy: float) -> Epoch:
    """Return a finished epoch with the numbers that the best one may be chosen by."""
    state = draw_state("float32", number)
    return Epoch(
        number=number,
        train_loss=train_loss,
        train_accuracy=0.5,
        validation=Evaluation(val_loss, accuracy, np.ones((1, 5), np.float32)),
        train_seconds=1.0,
        samples=10,
        step_losses=state.step_losses,
        params=state.params,
        adam=state.adam,
    )


def _same(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype and np.array_equal(a[name], b[name]) for name in a
    )


def _check_states(states: ModuleType, folder: Path, seed: int) -> Comparisons:
    """Check that the last state and the one before it are read back bit for bit."""
    newest, previous = folder / "it.safetensors", folder / "previous.safetensors"
    for dtype in ("float64", "float32"):
        saved = [draw_state(dtype, seed + number, number) for number in (2, 3)]
        for state in saved:
            states.save_state(newest, state, previous=previous)
        for path, state in zip((previous, newest), saved, strict=True):
            where, found = f"{path.stem}, {dtype}", states.load_state(path)
            for quantity, a, b in (
                ("parameters", found.params, state.params),
                ("first moments", found.adam.first_moment, state.adam.first_moment),
                ("second moments", found.adam.second_moment, state.adam.second_moment),
                ("step losses", {"": found.step_losses}, {"": state.step_losses}),
                ("step accuracies", {"": found.step_accuracies}, {"": state.step_accuracies}),
            ):
                yield must(f"saved {quantity}", where, _same(a, b))
            numbers = [(each.epoch, each.adam.step, each.seconds) for each in (found, state)]
            yield must("saved numbers", where, numbers[0] == numbers[1])


def _check_options(resume: ModuleType, folder: Path) -> Comparisons:
    """Check that no option may differ from the run's, except those in MAY_CHANGE."""
    begun = Config(attention="looped")
    path = folder / "run"
    path.mkdir()
    write_json(path / "config.json", {"attention": "looped"})
    resumed = replace(begun, resume=path)
    yield must("the same options", "resume", not refuses(resume.check_unchanged, resumed))
    hints = get_type_hints(Config)
    for name in (field.name for field in fields(Config) if not field.name.startswith("resume")):
        other = _other(getattr(begun, name), hints[name])
        refused = refuses(resume.check_unchanged, replace(resumed, **{name: other}))
        yield must(f"--{name} changed on resume", str(other), refused is (name not in MAY_CHANGE))


def _other(value: Any, hint: Any) -> Any:
    """Return another valid value of an option."""
    if isinstance(value, str):
        return next(choice for choice in get_args(hint) if choice != value)
    return value * 2 + 1 if isinstance(value, int | float) else Path("elsewhere")


def _check_best(records: ModuleType) -> Comparisons:
    """Check that the best epoch has the lowest validation loss, and never NaN."""
    for what, losses, best in (
        ("the third", (0.5, 0.4, 0.3, 0.35), 3),
        ("NaN comes first", (NAN, 0.4, 0.3, NAN), 3),
        ("NaN comes last", (0.4, 0.5, 0.6, NAN), 1),
    ):
        # By training loss the last epoch would be the best, by accuracy the second.
        epochs = [
            finish_epoch(number, loss, 1 / number, 0.9 if number == 2 else 0.5)
            for number, loss in enumerate(losses, start=1)
        ]
        yield must("the best epoch", what, records.tested_epoch(epochs, "best").number == best)
        yield must("the last epoch", what, records.tested_epoch(epochs, "last").number == 4)


def _check_folder(runs: ModuleType, folder: Path, seed: int) -> Comparisons:
    """Check that a run folder keeps the best and the last parameters, and resumes from the last."""
    data = make_dataset(make_problem(batch=11))
    run = runs.RunFolder(Config(runs_dir=folder / "runs", batch_size=5), "it")
    run.start_of("it", draw_state("float32", seed).params, data)
    first, second = (finish_epoch(n, loss, 1 / n, 0.5) for n, loss in ((1, 0.3), (2, 0.4)))
    for epoch in (first, second):
        run.record_epoch("it", epoch)
    for which, epoch in (("best", first), ("final", second)):
        params, metadata = load_params(run.params_path("it", which))
        same = _same(params, epoch.params) and metadata["epoch"] == str(epoch.number)
        yield must(f"{which} parameters", "a run folder", same)
    state = load_state(run.path / "it-checkpoint.safetensors")
    same = _same(state.params, second.params) and state.epoch == 3
    yield must("the checkpoint", "a run folder", same)


def _check_ranks(alone: ModuleType, folder: Path, seed: int) -> Comparisons:
    """Check that a process that is not the first resumes from what the first one saved."""
    path = folder / "ranks"
    path.mkdir()
    drawn = draw_state("float32", seed)
    saved = replace(drawn, epoch=1, adam=drawn.adam._replace(step=len(drawn.step_losses)))
    save_state(path / "it-checkpoint.safetensors", saved, previous=path / "none")
    begun: list[tuple[Any, Any]] = []

    def begin(params: Any, adam: Any, data: Any, config: Any) -> SimpleNamespace:
        begun.append((params, adam))
        return SimpleNamespace(
            model=None,
            take_steps=lambda batches: (np.zeros(len(batches), np.float32), np.zeros(len(batches))),
            state=lambda: (params, adam),
        )

    rank = SimpleNamespace(
        Training=begin, evaluate=lambda *_, **__: Evaluation(0.0, 0.0, np.ones(1))
    )
    problem = make_problem(batch=17)
    config = Config(epochs=1, batch_size=2, attention="looped", resume=path)
    with (
        patch.object(alone, "load_config_data", lambda _: make_dataset(problem)),
        patch.object(alone, "draw_config_params", lambda _: problem.params),
    ):
        alone.train_along(rank, "it", config)
    ((params, adam),) = begun
    same = _same(params, saved.params) and _same(adam.first_moment, saved.adam.first_moment)
    yield must("where another process resumes", "its state", same and adam.step == saved.adam.step)
