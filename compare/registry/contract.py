"""The contract: the functions a module needs in order to be run, judged and timed.

All take and return NumPy arrays; the model itself may be of any type. docs/add_a_framework.md
implements the contract step by step. Sizes have one name each: `batch` or `n` images, `steps`
pixels (784), `channels` per pixel, `outputs` classes (10). Parameters are a dict of NumPy arrays,
in the order of shared.params.PARAM_NAMES: K, Q and V [channels, channels], out.weight [outputs,
steps * channels] and out.bias [outputs].
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
    """The required part: the forward pass."""

    @property
    def ATTENTION(self) -> Collection[str]:  # noqa: N802 - a constant of the module
        """Its forms of attention, at least one of FORMS."""

    def from_params(
        self, params: Mapping[str, np.ndarray], attention: str, dtype: str, device: str
    ) -> Any:
        """Build a model that holds a copy of `params`, rounded to `dtype`, on `device`.

        Raises ValueError (such as UserError) for parameters that do not fit, hold NaN or infinity,
        or are not floating-point numbers, and for a form or device that it does not have.
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

        `images` are float32 [n, steps, channels], or LevelImages for the form "histogram"; `labels`
        are int64 [n]. At most `batch_size` images are computed at once, which affects only
        rounding. `accuracy` is "micro" or "macro", as in shared.config. The logits [n, outputs] are
        a NumPy array of the model's dtype (float32 for bfloat16), the loss is in nats. A NaN or
        infinite pixel makes its image's logits and the loss NaN. Raises ValueError for images of
        another shape and for labels outside 0 to outputs - 1.
        """


class Trainer(Implementation, Protocol):
    """The optional part: training."""

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
        """Begin or continue a training, from parameters and Adam's state.

        The arguments are copied: changing them later has no effect. Of `config`, the options
        attention, dtype, device, learning_rate and accuracy are used. Raises ValueError for labels
        outside 0 to outputs - 1.
        """


class Training(Protocol):
    """A training in progress; shared.training adds epochs, batches and checkpoints."""

    model: Any  # as `evaluate` takes it

    def take_steps(self, batches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take a step of Adam on every batch of sample indices, int64 [steps, batch].

        Returns the mean loss (nats) of each batch, in the model's dtype, and its accuracy, both
        before its step: two finished arrays [steps].
        """

    def state(self) -> tuple[dict[str, np.ndarray], AdamState]:
        """Copy out the parameters and Adam's state, as the constructor takes them."""


# Optional constants of a module, with their defaults: DTYPES it computes in ("bfloat16" is allowed
# too), DEVICES it can use if the machine has them ("cuda" is allowed too), and LIBRARIES, the
# distributions, as pip names them, whose versions a report should include.
DTYPES: tuple[str, ...] = ("float32", "float64")
DEVICES: tuple[str, ...] = ("cpu",)
LIBRARIES: tuple[str, ...] = ()
# And three optional functions: find_device(name) raises ValueError if the machine has no such
# device; eagerly() is a context in which computed arrays have values; intermediates(model, images)
# returns the intermediates by name. Without it, compare.parity.capture reads local variables.

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
    """Return the dtypes that an implementation computes in."""
    return tuple(getattr(implementation, "DTYPES", DTYPES))


def devices_of(implementation: Implementation) -> tuple[str, ...]:
    """Return the devices that an implementation can use, if the machine has them."""
    return tuple(getattr(implementation, "DEVICES", DEVICES))


def libraries_of(implementation: Implementation) -> tuple[str, ...]:
    """Return the distributions whose versions a report should include."""
    return tuple(getattr(implementation, "LIBRARIES", LIBRARIES))


def device_of(implementation: Implementation, device: str) -> str:
    """Return the device asked for, or the CPU if the implementation has no other."""
    return device if device in devices_of(implementation) else "cpu"


def check_device(implementation: Implementation, device: str) -> None:
    """Raise UserError if an implementation would use a device that the machine does not have."""
    find: Callable[[str], Any] = getattr(implementation, "find_device", lambda name: name)
    find(device_of(implementation, device))


def eagerly(implementation: Implementation) -> AbstractContextManager[None]:
    """Return the context in which the arrays that an implementation computes have values."""
    make: Callable[[], AbstractContextManager[None]]
    make = getattr(implementation, "eagerly", nullcontext)
    return make()


def can_train(implementation: Implementation) -> bool:
    """Check whether an implementation trains; the NumPy reference is forward only."""
    return hasattr(implementation, "Training")


def form_of(implementation: Implementation, attention: str) -> str:
    """Return the form asked for, or else "blocked", or else the first one it has."""
    forms = implementation.ATTENTION
    return next(form for form in (attention, "blocked", *forms) if form in forms)


def config_for(implementation: Implementation, config: AnyConfig) -> AnyConfig:
    """Return the config with a form and a device that the implementation has."""
    form: Any = form_of(implementation, config.attention)
    device: Any = device_of(implementation, config.device)
    return replace(config, attention=form, device=device)


def check_implementation(module: Any, name: str) -> None:
    """Raise UserError if `module`, called `name`, does not meet the contract."""
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
    except (TypeError, ValueError):  # written in C: no signature
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
    """Check whether a file belongs to a package, or is a module's own file."""
    own = getattr(module, "__file__", None)
    if own is None:
        return False
    if Path(own).name == "__init__.py":
        return Path(own).parent in Path(file).parents
    return Path(own) == Path(file)
