"""Implementations from elsewhere: imported by name, checked, and reported by name if they fail.

What such a module raises, or gives that is not what the contract asks for, becomes one sentence
that names the module, the function and the place. Its own UserErrors are such sentences already.
"""

import importlib
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn, SupportsFloat

import numpy as np

from compare.capture import is_file_of
from compare.contract import HELP, check_implementation
from shared.config import Config
from shared.data import Dataset
from shared.errors import UserError
from shared.params import check_params
from shared.training.records import (
    AdamState,
    Epoch,
    Evaluation,
    StateWatcher,
    TrainingState,
    ignore_state,
)
from shared.training.watched import can_go_on


def import_foreign(modules: Sequence[str], taken: Sequence[str] = ()) -> dict[str, ModuleType]:
    """Import implementations from elsewhere, by the last part of their modules' names.

    The current directory is searched too. Raises UserError, one sentence, for a module that is
    not found, fails, or does not meet the contract, and for a name that is `taken`.
    """
    found: dict[str, ModuleType] = {}
    for module in modules:
        name = module.rpartition(".")[2]
        if name in (*taken, *found):
            raise UserError(
                f"--implementation {module}: something is called {name} already; rename the module."
            )
        found[name] = _import_module(module)
        check_implementation(found[name], name)
    return found


def _import_module(name: str) -> ModuleType:
    """Import a module, and say in one sentence why if that fails."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(
            f"--implementation {name} is not the name of a module: give package.module, as an "
            "import statement does."
        )
    here = os.getcwd()
    if not {"", here} & set(sys.path):
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            why = f"{error.name} is not installed" if error.name else say_error(error)
            raise UserError(f"{name} could not be imported: {why}.") from error
        raise UserError(
            f"There is no module {error.name}: --implementation takes one that Python finds, in "
            "the current directory or where PYTHONPATH says."
        ) from None
    except (Exception, SystemExit) as error:
        raise UserError(f"{name} could not be imported: {say_error(error)}.") from error


def say_error(error: BaseException, module: ModuleType | None = None) -> str:
    """Say an exception in one line: its type, its message, and where in `module` it came from."""
    said = textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" ...")
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if module is None or is_file_of(module, each.filename)]
    place = f" ({os.path.basename(own[-1].filename)}, line {own[-1].lineno})" if own else ""
    return said.rstrip(":. ") + place


def guard(module: ModuleType, name: str) -> ModuleType:
    """Copy an implementation, called `name`, with its functions watched."""
    guarded, watch = ModuleType(module.__name__, module.__doc__), _Watch(module, name)
    vars(guarded).update(vars(module))
    for function in (
        *("from_params", "to_params", "evaluate", "loss_and_gradients", "train"),
        *("find_device", "eagerly", "steps"),
    ):
        if hasattr(module, function):
            setattr(guarded, function, getattr(watch, function))
    if hasattr(module, "train") and can_go_on(module):
        vars(guarded)["train"] = watch.train_from
    return guarded


@dataclass(frozen=True)
class _Model:
    """A model of a foreign implementation, and what was asked of it."""

    own: Any
    attention: str
    dtype: str
    num_outputs: int


@dataclass(frozen=True)
class _Watch:
    """The contract's functions, each of which calls the module's own."""

    module: Any
    name: str

    def from_params(
        self, params: Mapping[str, np.ndarray], attention: str, dtype: str, device: str
    ) -> _Model:
        _, _, num_outputs = check_params(params)
        with self._reporting("from_params"):
            own = self.module.from_params(params, attention, dtype, device)
        return _Model(own, attention, dtype, num_outputs)

    def to_params(self, model: _Model) -> Any:
        with self._reporting("to_params"):
            return self.module.to_params(model.own)

    def find_device(self, name: str) -> Any:
        with self._reporting("find_device"):
            return self.module.find_device(name)

    @contextmanager
    def eagerly(self) -> Iterator[None]:
        with ExitStack() as stack:
            with self._reporting("eagerly"):
                stack.enter_context(self.module.eagerly())
            yield

    def steps(self, model: _Model, images: Any) -> dict[str, np.ndarray]:
        with self._reporting("steps"):
            found = dict(self.module.steps(model.own, images))
            return {name: np.asarray(array) for name, array in found.items()}

    def evaluate(
        self,
        model: _Model,
        images: Any,
        labels: np.ndarray,
        *,
        batch_size: int = Config.eval_batch_size,
        accuracy: str = "micro",
    ) -> Evaluation:
        with self._reporting("evaluate"):
            result = self.module.evaluate(
                model.own, images, labels, batch_size=batch_size, accuracy=accuracy
            )
        return self._check(result, "evaluate", (len(images), model.num_outputs), model.dtype)

    def loss_and_gradients(self, model: _Model, images: np.ndarray, labels: np.ndarray) -> Any:
        with self._reporting("loss_and_gradients"):
            return self.module.loss_and_gradients(model.own, images, labels)

    def train(
        self,
        params: Mapping[str, np.ndarray],
        data: Dataset,
        config: Config,
        on_steps: Callable[[int, SupportsFloat], None] = lambda number, loss: None,
    ) -> Iterator[Epoch]:
        """Train as a module does that begins a training, and goes on with none."""
        given = (params, data, config, on_steps)
        return self._watch_epochs(given, range(1, config.epochs + 1), [])

    def train_from(
        self,
        params: Mapping[str, np.ndarray],
        data: Dataset,
        config: Config,
        on_steps: Callable[[int, SupportsFloat], None] = lambda number, loss: None,
        on_state: StateWatcher = ignore_state,
        start: TrainingState | None = None,
    ) -> Iterator[Epoch]:
        """Train as a module does that tells of its states and goes on from one."""
        heard: list[Exception] = []  # what whoever watches the states raises is no error of its own

        def hear(steps: int, copy_state: Callable[[], Any]) -> None:
            try:
                on_state(steps, lambda: self._check_copied(copy_state()))
            except Exception as error:
                heard.append(error)
                raise

        given = (params, data, config, on_steps, hear, start)
        first = 1 if start is None else start.epoch
        return self._watch_epochs(given, range(first, config.epochs + 1), heard)

    def _watch_epochs(
        self, given: tuple[Any, ...], numbers: range, heard: list[Exception]
    ) -> Iterator[Epoch]:
        """Train with the arguments `given`; let pass what was `heard` of, and check each epoch."""
        params, data, config = given[:3]
        _, _, num_outputs = check_params(params)
        shape = (len(data.validation.labels), num_outputs)
        with self._reporting("train", heard):
            epochs = iter(self.module.train(*given))
        for number in numbers:
            with self._reporting("train", heard):
                epoch = next(epochs, None)
            if not isinstance(epoch, Epoch):
                self._refuse("train", f"{_kind(epoch)} for epoch {number}", "an Epoch")
            self._check(epoch.validation, "train", shape, config.dtype)
            if epoch.number != number:
                self._refuse("train", f"an Epoch of number {epoch.number}", f"number {number}")
            if not (epoch.train_seconds > 0 and epoch.samples > 0):
                found = f"train_seconds {epoch.train_seconds} and samples {epoch.samples}"
                self._refuse("train", found, "more than 0")
            if np.ndim(epoch.step_losses) != 1:
                self._refuse("train", "no row of step_losses", "a NumPy array [batches]")
            self._check_state(epoch)
            yield epoch

    def _check(self, result: Any, function: str, shape: tuple[int, int], dtype: str) -> Evaluation:
        """Give an evaluation back if it is one, with logits of this shape and dtype."""
        if not isinstance(result, Evaluation):
            self._refuse(function, _kind(result), "an Evaluation")
        for what, value in (("loss", result.loss), ("accuracy", result.accuracy)):
            if not isinstance(value, float):
                self._refuse(function, f"{_kind(value)} as {what}", "a float")
        # NumPy has no bfloat16; float32 holds its numbers exactly.
        dtypes = (dtype, "float32") if dtype == "bfloat16" else (dtype,)
        wanted = f"a NumPy array of shape {shape} and dtype {dtype}"
        if not isinstance(result.logits, np.ndarray):
            self._refuse(function, f"{_kind(result.logits)} as logits", wanted)
        if result.logits.shape != shape or result.logits.dtype.name not in dtypes:
            found = f"logits of shape {result.logits.shape} and dtype {result.logits.dtype}"
            self._refuse(function, found, wanted)
        return result

    def _check_copied(self, state: Any) -> TrainingState:
        """Refuse what is copied out and is no state."""
        if not isinstance(state, TrainingState):
            self._refuse("train", f"{_kind(state)} to on_state", "a TrainingState")
        return state

    def _check_state(self, epoch: Epoch) -> None:
        """Refuse an epoch whose parameters, or whose moments, are not parameters' arrays."""
        if not isinstance(epoch.adam, AdamState):
            self._refuse("train", f"{_kind(epoch.adam)} as adam", "an AdamState")
        held = (epoch.params, epoch.adam.first_moment, epoch.adam.second_moment)
        for what, arrays in zip(("params", "first_moment", "second_moment"), held, strict=True):
            try:
                check_params(arrays)
            except (UserError, TypeError) as error:
                raise UserError(f"{self.name}.train gave {what} of no use: {error}") from error

    def _refuse(self, function: str, found: str, wanted: str) -> NoReturn:
        raise UserError(f"{self.name}.{function} gave {found}: it must be {wanted}; {HELP}.")

    @contextmanager
    def _reporting(self, function: str, heard: list[Exception] | None = None) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if heard and error is heard.pop():  # kept no longer, nor are its frames
                raise
            said = say_error(error, self.module)
            raise UserError(f"{self.name}.{function} raised {said}.") from error


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
