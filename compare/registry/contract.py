"""The contract: what a module offers to be run, judged and timed beside the others.

It is a module's functions, in NumPy terms; what a model is, is the module's own business.
docs/add_a_framework.md walks through an implementation of it. Sizes are called by one name each:
`batch` or `n` images, `steps` pixels (784), `channels` per pixel, `outputs` classes (10).
Parameters are a dict of NumPy arrays, in the order of shared.params.PARAM_NAMES: K, Q and V
[channels, channels], out.weight [outputs, steps * channels] and out.bias [outputs].
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np

from shared.config import AnyConfig, Attention, Config
from shared.data.levels import LevelImages
from shared.data.load import Split
from shared.errors import UserError
from shared.training.records import AdamState, Evaluation

KNOWN_DTYPES = ("float32", "float64", "bfloat16")
KNOWN_DEVICES = ("cpu", "cuda")
FORMS: tuple[str, ...] = get_args(Attention)


class Implementation(Protocol):
    """What is required: the forward pass."""

    @property
    def ATTENTION(self) -> Collection[str]:  # noqa: N802 - a constant of the module
        """The forms of attention that it has, at least one of FORMS."""

    def from_params(
        self, params: Mapping[str, np.ndarray], attention: str, dtype: str, device: str
    ) -> Any:
        """Build a model that holds a copy of `params`, rounded to `dtype`, on `device`.

        Raises ValueError (such as UserError) for parameters that do not fit, hold NaN or infinity,
        or are not floating-point numbers, and for a form or device that it has not.
        """

    def to_params(self, model: Any) -> dict[str, np.ndarray]:
        """Copy the parameters out, in the model's dtype: float32 for bfloat16."""

    def evaluate(
        self,
        model: Any,
        images: np.ndarray | LevelImages,
        labels: np.ndarray,
        *,
        batch_size: int,
        accuracy: str,
    ) -> Evaluation:
        """Compute the logits, the mean loss and the accuracy of all images.

        `images` are float32 [n, steps, channels], or LevelImages in the form "histogram" alone;
        `labels` are int64 [n]. At most `batch_size` images are computed at once, which changes
        results by rounding alone. `accuracy` is "micro" or "macro", as in shared.config. The
        logits [n, outputs] are a NumPy array of the model's dtype (float32 for bfloat16), the loss
        is in nats. A NaN or infinite pixel makes NaN of its image's logits, and of the loss. Raises
        ValueError for images of another shape and for labels outside 0 to outputs - 1.
        """


class Trainer(Implementation, Protocol):
    """What a module offers on top, to train as well."""

    def loss_and_gradients(
        self, model: Any, images: np.ndarray, labels: np.ndarray
    ) -> tuple[float, dict[str, np.ndarray]]:
        """Compute a batch's mean loss (nats), and its gradient by each parameter.

        `images` are float32 [batch, steps, channels], also in the form "histogram". The gradients
        have the parameters' names, order and shapes, and the model's dtype.
        """

    def Training(  # noqa: N802 - a class of the module
        self, params: Mapping[str, np.ndarray], adam: AdamState, data: Split, config: Config
    ) -> "Training":
        """Begin a training, or go on with one, from parameters and Adam's state.

        It works on copies: changing what was given changes nothing. Of `config` count attention,
        dtype, device, learning_rate and accuracy. Raises ValueError for labels outside 0 to
        outputs - 1.
        """


class Training(Protocol):
    """A training under way. Epochs, batches, checkpoints and the rest are shared.training's."""

    model: Any  # that `evaluate` takes

    def take_steps(self, batches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take a step of Adam on every batch of sample indices, int64 [steps, batch].

        Returns each batch's mean loss (nats), in the model's dtype, and its accuracy, both before
        its step and [steps]; what is still being computed is waited for.
        """

    def state(self) -> tuple[dict[str, np.ndarray], AdamState]:
        """Copy out the parameters and Adam's state, as the constructor takes them."""


# What a module may say of itself, and what holds where it does not: DTYPES, those it computes in
# ("bfloat16" is known too), DEVICES, those it can use where the machine has them ("cuda" is known
# too), and LIBRARIES, the distributions, as pip calls them, whose versions a report should give.
DTYPES: tuple[str, ...] = ("float32", "float64")
DEVICES: tuple[str, ...] = ("cpu",)
LIBRARIES: tuple[str, ...] = ()
# And three functions: find_device(name) raises ValueError where this machine has no such device;
# eagerly() is a context in which what is computed has values to look at; and intermediates(model,
# images) returns them by name; without it, compare.parity.capture looks for local variables.

REQUIRED: dict[str, tuple[str, ...]] = {
    "from_params": ("params", "attention", "dtype", "device"),
    "to_params": ("model",),
    "evaluate": ("model", "images", "labels", "batch_size", "accuracy"),
}
OPTIONAL: dict[str, tuple[str, ...]] = {
    "loss_and_gradients": ("model", "images", "labels"),
    "Training": ("params", "adam", "data", "config"),
    "find_device": ("name",),
    "eagerly": (),
    "intermediates": ("model", "images"),
}
HELP = "see docs/add_a_framework.md"


def dtypes_of(implementation: Implementation) -> tuple[str, ...]:
    """Name the dtypes that an implementation computes in."""
    return tuple(getattr(implementation, "DTYPES", DTYPES))


def devices_of(implementation: Implementation) -> tuple[str, ...]:
    """Name the devices that an implementation can use, where the machine has them."""
    return tuple(getattr(implementation, "DEVICES", DEVICES))


def libraries_of(implementation: Implementation) -> tuple[str, ...]:
    """Name the distributions whose versions a report should give."""
    return tuple(getattr(implementation, "LIBRARIES", LIBRARIES))


def device_of(implementation: Implementation, device: str) -> str:
    """Choose the device: the one asked for, or the CPU where it is the only one known."""
    return device if device in devices_of(implementation) else "cpu"


def check_device(implementation: Implementation, device: str) -> None:
    """Raise UserError where an implementation would use a device that this machine has not."""
    find: Callable[[str], Any] = getattr(implementation, "find_device", lambda name: name)
    find(device_of(implementation, device))


def eagerly(implementation: Implementation) -> AbstractContextManager[None]:
    """Give the context in which what an implementation computes has values to look at."""
    make: Callable[[], AbstractContextManager[None]]
    make = getattr(implementation, "eagerly", nullcontext)
    return make()


def can_train(implementation: Implementation) -> bool:
    """Tell whether an implementation trains, or is forward only like the NumPy reference."""
    return hasattr(implementation, "Training")


def form_of(implementation: Implementation, attention: str) -> str:
    """Choose the form: the one asked for, else "blocked" or else the first there is."""
    forms = implementation.ATTENTION
    return next(form for form in (attention, "blocked", *forms) if form in forms)


def config_for(implementation: Implementation, config: AnyConfig) -> AnyConfig:
    """Return a config with the form and the device that an implementation has for it."""
    form: Any = form_of(implementation, config.attention)
    device: Any = device_of(implementation, config.device)
    return replace(config, attention=form, device=device)


def check_implementation(module: Any, name: str) -> None:
    """Raise UserError that says what `module`, called `name`, lacks or has of the wrong kind."""
    for what in ("ATTENTION", *REQUIRED):
        if not hasattr(module, what):
            raise UserError(f"{name} lacks `{what}`: {HELP}.")
    forms = _check_names(module, name, "ATTENTION")
    if unknown := [form for form in forms if form not in FORMS]:
        raise UserError(
            f"{name}.ATTENTION holds {unknown[0]!r}: the forms are {', '.join(FORMS)}; {HELP}."
        )
    for what, known in (("DTYPES", KNOWN_DTYPES), ("DEVICES", KNOWN_DEVICES), ("LIBRARIES", None)):
        names = _check_names(module, name, what) if hasattr(module, what) else known
        if known and not set(known) & set(names or ()):
            raise UserError(f"{name}.{what} holds none of {', '.join(known)}: {HELP}.")
    for what, arguments in (REQUIRED | OPTIONAL).items():
        if hasattr(module, what):
            _check_call(getattr(module, what), f"{name}.{what}", arguments)


def _check_names(module: Any, name: str, what: str) -> list[str]:
    """Read a constant that is a collection of names."""
    found = getattr(module, what)
    if isinstance(found, str) or not isinstance(found, Collection):
        raise UserError(f"{name}.{what} is {found!r}: it must be a tuple of names; {HELP}.")
    names = list(found)
    if not all(isinstance(item, str) for item in names) or (what == "ATTENTION" and not names):
        raise UserError(f"{name}.{what} is {found!r}: it must hold names; {HELP}.")
    return names


def _check_call(function: Any, name: str, arguments: tuple[str, ...]) -> None:
    """Check that something can be called with arguments of these names."""
    call = f"{name}({', '.join(arguments)})"
    if not callable(function):
        raise UserError(f"{name} is {function!r}, not a function {call}: {HELP}.")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C: it does not say
        return
    try:
        signature.bind(**dict.fromkeys(arguments))
    except TypeError as error:
        raise UserError(f"{name} cannot be called as {call}: {error}; {HELP}.") from None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = [each.name for each in signature.parameters.values() if each.kind in kinds]
    if any(mine != theirs for mine, theirs in zip(arguments, taken, strict=False)):
        raise UserError(f"{name} takes {', '.join(taken)}, in this order: make it {call}; {HELP}.")


def is_file_of(module: Any, file: str) -> bool:
    """Tell whether a file is a package's own, or a module's where that is no package."""
    own = getattr(module, "__file__", None)
    if own is None:
        return False
    if Path(own).name == "__init__.py":
        return Path(own).parent in Path(file).parents
    return Path(own) == Path(file)
