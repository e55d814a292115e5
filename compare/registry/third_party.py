"""Third-party implementations: imported by name, checked, and named in every error.

Whatever such a module raises or returns against the contract becomes one sentence that names the
module, the function and the place. Its own UserErrors are such sentences already.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

from compare.registry.contract import HELP, check_implementation, is_file_of
from shared.config import Config
from shared.data.load import Split
from shared.errors import UserError, say_error
from shared.params import check_params
from shared.training.records import AdamState, Evaluation


def import_third_party(modules: Sequence[str], taken: Sequence[str] = ()) -> dict[str, ModuleType]:
    """Import third-party implementations, named by the last part of their modules.

    The current directory is searched first. Raises UserError for a module that is not found, fails,
    or does not meet the contract, and for a name in `taken`.
    """
    found: dict[str, ModuleType] = {}
    for module in modules:
        name = module.rpartition(".")[2]
        if name in (*taken, *found):
            raise UserError(
                f"--implementation {module}: the name {name} is already taken; rename the module."
            )
        found[name] = _import_module(module)
        check_implementation(found[name], name)
    return found


def _import_module(name: str) -> ModuleType:
    """Import a module; raise UserError with the reason if that fails."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(
            f"--implementation {name} is not the name of a module: give package.module, as an "
            "import statement does."
        )
    here = os.getcwd()
    _check_not_another(name, here)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # or TensorFlow reports on the CPU
    sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            why = f"{error.name} is not installed" if error.name else say_error(error)
            raise UserError(f"{name} could not be imported: {why}.") from error
        raise UserError(
            f"There is no module {error.name}: --implementation needs one in the current "
            "directory or on PYTHONPATH."
        ) from None
    except (Exception, SystemExit) as error:
        raise UserError(f"{name} could not be imported: {say_error(error)}.") from error
    finally:  # later imports of the module are found there too, without hiding other modules
        sys.path.remove(here)
        sys.path.append(here)


def _check_not_another(name: str, here: str) -> None:
    """Raise UserError if another module of this name is already imported."""
    package = name.partition(".")[0]
    meant = PathFinder.find_spec(package, [here])
    imported = getattr(sys.modules.get(package), "__spec__", None)
    if meant is not None and imported is not None and meant.origin != imported.origin:
        raise UserError(
            f"--implementation {name} is {meant.origin}, but {imported.origin} has its name: "
            "rename the module."
        )


def guard(module: ModuleType, name: str) -> ModuleType:
    """Return a copy of an implementation, called `name`, whose functions are checked."""
    guarded, watch = ModuleType(module.__name__, module.__doc__), _Watch(module, name)
    vars(guarded).update(vars(module))
    for function in (
        *("from_params", "to_params", "evaluate", "loss_and_gradients"),
        *("Training", "find_device", "eagerly", "intermediates"),
    ):
        if hasattr(module, function):
            setattr(guarded, function, getattr(watch, function))
    return guarded


@dataclass(frozen=True)
class _Model:
    """A model of a third-party implementation, and its requested form, dtype and device."""

    own: Any
    attention: str
    dtype: str
    num_outputs: int


@dataclass(frozen=True)
class _Watch:
    """The contract's functions, each calling the module's and checking the result."""

    module: Any
    name: str

    def from_params(
        self, params: Mapping[str, np.ndarray], attention: str, dtype: str, device: str
    ) -> _Model:
        _, _, num_outputs = check_params(params)
        with self.reporting("from_params"):
            own = self.module.from_params(params, attention, dtype, device)
        return _Model(own, attention, dtype, num_outputs)

    def to_params(self, model: _Model) -> Any:
        with self.reporting("to_params"):
            return self.module.to_params(model.own)

    def find_device(self, name: str) -> Any:
        with self.reporting("find_device"):
            return self.module.find_device(name)

    @contextmanager
    def eagerly(self) -> Iterator[None]:
        with ExitStack() as stack:
            with self.reporting("eagerly"):
                stack.enter_context(self.module.eagerly())
            yield

    def intermediates(self, model: _Model, images: Any) -> dict[str, np.ndarray]:
        with self.reporting("intermediates"):
            found = dict(self.module.intermediates(model.own, images))
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
        with self.reporting("evaluate"):
            result = self.module.evaluate(
                model.own, images, labels, batch_size=batch_size, accuracy=accuracy
            )
        return self._check(result, "evaluate", (len(images), model.num_outputs), model.dtype)

    def loss_and_gradients(self, model: _Model, images: np.ndarray, labels: np.ndarray) -> Any:
        with self.reporting("loss_and_gradients"):
            return self.module.loss_and_gradients(model.own, images, labels)

    def Training(  # noqa: N802 - a class of the module
        self, params: Mapping[str, np.ndarray], adam: AdamState, data: Split, config: Config
    ) -> "_Training":
        with self.reporting("Training"):
            own = self.module.Training(params, adam, data, config)
            return _Training(self, own, config.attention, config.dtype, len(params["out.bias"]))

    def _check(self, result: Any, function: str, shape: tuple[int, int], dtype: str) -> Evaluation:
        """Return an evaluation if it is one, with logits of this shape and dtype."""
        if not isinstance(result, Evaluation):
            self.refuse(function, _kind(result), "an Evaluation")
        for what, value in (("loss", result.loss), ("accuracy", result.accuracy)):
            if not isinstance(value, float):
                self.refuse(function, f"{_kind(value)} as {what}", "a float")
        # NumPy has no bfloat16; float32 holds its numbers exactly.
        dtypes = (dtype, "float32") if dtype == "bfloat16" else (dtype,)
        wanted = f"a NumPy array of shape {shape} and dtype {dtype}"
        if not isinstance(result.logits, np.ndarray):
            self.refuse(function, f"{_kind(result.logits)} as logits", wanted)
        if result.logits.shape != shape or result.logits.dtype.name not in dtypes:
            found = f"logits of shape {result.logits.shape} and dtype {result.logits.dtype}"
            self.refuse(function, found, wanted)
        return result

    def refuse(self, function: str, found: str, wanted: str) -> NoReturn:
        """Raise UserError for a function that returned something else than it must."""
        raise UserError(f"{self.name}.{function} returned {found}: it must be {wanted}; {HELP}.")

    @contextmanager
    def reporting(self, function: str) -> Iterator[None]:
        """Convert exceptions within the block into a UserError that names the function."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            said = say_error(error, partial(is_file_of, self.module))
            raise UserError(f"{self.name}.{function} raised {said}.") from error


@dataclass(frozen=True)
class _Training:
    """A training of a third-party implementation, with every result checked."""

    watch: _Watch
    own: Any
    attention: str
    dtype: str
    num_outputs: int

    @property
    def model(self) -> _Model:
        """The model that is trained."""
        return _Model(self.own.model, self.attention, self.dtype, self.num_outputs)

    def take_steps(self, batches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take the steps; raise UserError unless each returns a loss and an accuracy."""
        name = "Training.take_steps"
        with self.watch.reporting(name):
            losses, accuracies = self.own.take_steps(batches)
        for what, array in (("losses", losses), ("accuracies", accuracies)):
            if not isinstance(array, np.ndarray) or array.shape != (len(batches),):
                found = f"{_kind(array)} of shape {np.shape(array)} as {what}"
                self.watch.refuse(name, found, f"a NumPy array of shape {(len(batches),)}")
        if losses.dtype != self.dtype:
            self.watch.refuse(name, f"losses of dtype {losses.dtype}", f"of dtype {self.dtype}")
        return losses, accuracies

    def state(self) -> tuple[dict[str, np.ndarray], AdamState]:
        """Return a copy of the state; raise UserError unless it holds parameters and moments."""
        name = "Training.state"
        with self.watch.reporting(name):
            params, adam = self.own.state()
        if not isinstance(adam, AdamState):
            self.watch.refuse(name, f"{_kind(adam)} as adam", "an AdamState")
        held = {"params": params, "first_moment": adam.first_moment}
        held["second_moment"] = adam.second_moment
        for what, arrays in held.items():
            try:  # NaN is not the implementation's fault; shared.training reports it
                check_params({key: np.zeros_like(array) for key, array in arrays.items()})
            except (UserError, TypeError, AttributeError) as error:
                raise UserError(f"{self.watch.name}.{name} returned no {what}: {error}") from error
        return params, adam


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
