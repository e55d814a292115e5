"""Run a copy of a user's program in float32 or float64, and leave nothing changed."""

import inspect
import random
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from compare.look.hooks import looking
from compare.look.rebuild import (
    arrays_of,
    globals_used,
    holds_floats,
    is_instance,
    names_loaded,
    rebuild,
)
from compare.look.values import Store, to_numpy
from compare.look.watch import Look, leaves
from shared.errors import UserError

FRAMEWORKS = ("torch", "jax", "numpy")
Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Side:
    """A program of the user's, its framework, and its name."""

    name: str
    program: Any
    framework: str


@dataclass(frozen=True)
class Ran:
    """The result of a run: its outputs by path, in float64, and the observed arrays."""

    outputs: dict[str, np.ndarray]
    look: Look | None = None


def name_inputs(inputs: Sequence[Any]) -> dict[str, np.ndarray]:
    """Return the inputs as NumPy arrays by name: those of a mapping, or `input 0` and so on."""
    if len(inputs) == 1 and isinstance(inputs[0], Mapping):
        given = {str(name): value for name, value in inputs[0].items()}
    else:
        given = {f"input {number}": value for number, value in enumerate(inputs)}
    arrays = {}
    for name, value in given.items():
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        if array.dtype.kind not in "biufc" and not holds_floats(array):
            raise UserError(f"The input {name!r} has dtype {array.dtype}: give numbers.")
        arrays[name] = array
    return arrays


def find_framework(program: Any, name: str) -> str | None:
    """Return torch, jax or numpy: from what a program holds, or else from what its code names.

    Returns None if neither shows it. Raises UserError if the program cannot be called.
    """
    if is_instance(program, "torch.nn", "Module"):
        return "torch"
    if is_instance(program, "flax.nnx", "Module") or is_instance(program, "flax.linen", "Module"):
        return "jax"
    held: set[str] = set()
    for array in arrays_of(program):
        held.add(framework_of(array))
    named = _libraries_named(program)
    for framework in ("torch", "jax"):
        if framework in held:
            return framework
    for framework in ("torch", "jax"):
        if framework in named:
            return framework
    if not callable(program):
        raise UserError(
            f"{name} is a {type(program).__name__}, which cannot be called: give a function "
            "without arguments that returns a module or a function of arrays."
        )
    return "numpy" if held | named else None


def framework_of(array: Any) -> str:
    """Return the framework of an array."""
    if isinstance(array, np.ndarray):
        return "numpy"
    return "torch" if is_instance(array, "torch", "Tensor") else "jax"


def _libraries_named(program: Any) -> set[str]:
    """Return the frameworks named in the code of a function and of those it calls."""
    found, waiting, seen = set(), [program], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        value = getattr(value, "func", value)  # a partial
        value = getattr(value, "__func__", value)  # a method
        if not isinstance(value, types.FunctionType):
            inner = getattr(value, "__wrapped__", None) or vars(type(value)).get("__call__")
            if isinstance(inner, types.FunctionType):
                waiting.append(inner)
            continue
        used = globals_used(value)
        imported = names_loaded(value.__code__, "IMPORT_NAME")
        modules = [v.__name__ for v in used.values() if isinstance(v, types.ModuleType)]
        modules += [getattr(v, "__module__", None) or "" for v in used.values()]
        roots = {name.split(".")[0] for name in (*modules, *imported)}
        found |= {"jax" if root in ("jax", "flax", "optax") else root for root in roots}
        waiting += [v for v in used.values() if callable(v) and not isinstance(v, type)]
        for cell in value.__closure__ or ():
            try:
                waiting.append(cell.cell_contents)
            except ValueError:
                continue
    return found & set(FRAMEWORKS)


def run(
    side: Side,
    inputs: Inputs,
    dtype: str,
    *,
    store: Store | None = None,
    look: tuple[str, ...] = (),
    compiled: bool = False,
    seed: int = 0,
) -> Ran:
    """Run a copy of a program in a dtype; with a store, observe all that it computes.

    The parameters and inputs of floating point are rounded to float32 first, so that both dtypes
    start from the same numbers. Raises whatever the program raises.
    """
    with computing(side.framework, dtype, seed):
        program = rebuild(side.program, lambda array: cast(array, dtype, side.framework))
        args = {name: input_for(array, dtype, side.framework) for name, array in inputs.items()}
        call = bind(program, args)
        if compiled:
            return Ran(output_arrays(_compile(program, args).items()))
        if store is None:
            with _eager(side.framework):
                return Ran(output_arrays(leaves(call(), "output")))
        seen = Look(store, look)
        for name, value in args.items():
            seen.see("input", name, "input", value)
        with looking(seen, program, side.framework):
            out = call()
        seen.see("output", "output", "output", out, list(seen.values.values())[-1:])
        seen.put_together()
        return Ran(output_arrays(leaves(out, "output")), seen)


@contextmanager
def computing(framework: str, dtype: str, seed: int, *, gradients: bool = False) -> Iterator[None]:
    """Set a framework's default dtype and the seeds within the block, and restore them after it."""
    with ExitStack() as stack:
        # The user's program may draw from NumPy's legacy generator.
        python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
        stack.callback(random.setstate, python)
        stack.callback(np.random.set_state, legacy)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        if framework == "torch":
            torch = sys.modules["torch"]
            stack.enter_context(torch.random.fork_rng(devices=_gpus(torch)))
            torch.manual_seed(seed)
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(getattr(torch, dtype))
            stack.enter_context(torch.set_grad_enabled(gradients))
        if framework == "jax":
            stack.enter_context(sys.modules["jax"].enable_x64(dtype == "float64"))
        yield


def _gpus(torch: Any) -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []


@contextmanager
def _eager(framework: str) -> Iterator[None]:
    if framework == "jax":
        with sys.modules["jax"].disable_jit():
            yield
    else:
        yield


def cast(array: Any, dtype: str, framework: str) -> Any:
    """Return a copy of an array, rounded to float32, in a dtype."""
    if isinstance(array, np.ndarray):
        return array.astype(np.float32).astype(dtype)
    if type(array).__module__.startswith("torch"):
        torch = sys.modules["torch"]
        return array.detach().to(torch.float32).to(getattr(torch, dtype), copy=True)
    return array.astype("float32").astype(dtype)


def input_for(array: np.ndarray, dtype: str, framework: str) -> Any:
    """Return an input as an array of a framework: floats in a dtype, integers unchanged."""
    value = cast(array, dtype, "numpy") if holds_floats(array) else array.copy()
    return held_by(value, framework)


def held_by(array: np.ndarray, framework: str) -> Any:
    """Return a NumPy array as an array of a framework."""
    if framework == "torch":
        return sys.modules["torch"].from_numpy(np.array(array))
    return sys.modules["jax"].numpy.asarray(array) if framework == "jax" else array


def _takes_by_name(program: Any, names: Iterable[str]) -> bool:
    """Check whether the inputs have the names of the program's arguments."""
    try:
        parameters = inspect.signature(getattr(program, "forward", program)).parameters
    except (TypeError, ValueError):
        return False
    return all(name in parameters for name in names)


def bind(program: Any, args: Mapping[str, Any]) -> Any:
    """Return the call of a program with its inputs, by name where it takes them by name."""
    if _takes_by_name(program, args):
        return lambda: program(**args)
    return lambda: program(*args.values())


def _compile(program: Any, args: Mapping[str, Any]) -> dict[str, Any]:
    """Run a JAX program compiled as a whole, with its parameters as arguments."""
    jax = sys.modules["jax"]
    held = arrays_of(program)

    def whole(arrays: list[Any], given: Mapping[str, Any]) -> Any:
        following = iter(arrays)
        out = bind(rebuild(program, lambda _: next(following)), given)()
        return dict(leaves(out, "output"))

    found: dict[str, Any] = jax.jit(whole)(held, dict(args))
    return found


def output_arrays(found: Iterable[tuple[str, Any]]) -> dict[str, np.ndarray]:
    """Return the leaves of an output by their paths, in float64."""
    arrays = ((path, to_numpy(leaf)) for path, leaf in found)
    return {path: array for path, array in arrays if array is not None}
