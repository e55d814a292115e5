"""Copy a program with its arrays replaced: parameters in float64, or as tracers.

A program is anything that can be called: a torch.nn.Module, an nnx.Module, a bound Flax module, or
a function that holds its parameters in closures, defaults, globals or a partial. The user's objects
are not modified: objects that hold an array are copied, all others are shared.
"""

import copy
import dataclasses
import dis
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from compare.look.sources import is_users_file
from shared.arrays import is_floating

Change = Callable[[Any], Any]


def rebuild(program: Any, change: Change) -> Any:
    """Return the program with each floating-point array replaced by `change(array)`."""
    return _Rebuilder(change).of(program)


def arrays_of(program: Any) -> list[Any]:
    """Return the floating-point arrays that a program holds, in the order of `rebuild`."""
    held: list[Any] = []

    def keep(array: Any) -> Any:
        held.append(array)
        return array

    _Rebuilder(keep, copies=False).of(program)
    return held


def is_array(value: Any) -> bool:
    """Check whether a value is an array of PyTorch, JAX or NumPy."""
    if isinstance(value, np.ndarray):
        return True
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    return (torch is not None and isinstance(value, torch.Tensor)) or (
        jax is not None and isinstance(value, jax.Array)
    )


def holds_floats(value: Any) -> bool:
    """Check whether an array has a floating-point dtype, bfloat16 included."""
    if hasattr(value, "is_floating_point"):
        return bool(value.is_floating_point())
    is_key = hasattr(value.dtype, "_rules")  # of JAX's random numbers
    return not is_key and is_floating(np.dtype(value.dtype))


def is_instance(value: Any, module: str, name: str) -> bool:
    """Check whether a value is an instance of a library's class, without importing the library."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)


def globals_used(function: types.FunctionType) -> dict[str, Any]:
    """Return the globals used by a function and by functions defined in it."""
    names = names_loaded(function.__code__, "LOAD_GLOBAL")
    return {name: function.__globals__[name] for name in names if name in function.__globals__}


@functools.cache
def names_loaded(code: types.CodeType, operation: str) -> frozenset[str]:
    """Return the names that a code object, and those nested in it, use in a bytecode operation."""
    found = {str(i.argval) for i in dis.get_instructions(code) if i.opname == operation}
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            found |= names_loaded(const, operation)
    return frozenset(found)


class _Rebuilder:
    def __init__(self, change: Change, *, copies: bool = True):
        self.change = change
        self.copies = copies  # if False, PyTorch modules are only searched
        self.done: dict[int, Any] = {}
        self.kept: list[Any] = []  # or the id could be reused by another object

    def of(self, value: Any) -> Any:
        if id(value) not in self.done:
            self.kept.append(value)
            self.done[id(value)] = value  # in case it refers to itself
            self.done[id(value)] = self._of(value)
        return self.done[id(value)]

    def _of(self, value: Any) -> Any:
        if is_array(value):
            return self.change(value) if holds_floats(value) else value
        if is_instance(value, "torch.nn", "Module"):
            return self._of_torch(value)
        if is_instance(value, "flax.nnx", "Module"):
            nnx = sys.modules["flax.nnx"]
            graph, state = nnx.split(value)
            return nnx.merge(graph, sys.modules["jax"].tree.map(self.of, state))
        if is_instance(value, "flax.linen", "Module"):
            if value.scope is None:
                return value
            module, variables = value.unbind()
            return module.bind(self.of(variables))
        if isinstance(value, types.FunctionType):
            return self._of_function(value)
        if isinstance(value, types.MethodType):
            owner = self.of(value.__self__)
            return value if owner is value.__self__ else types.MethodType(value.__func__, owner)
        if isinstance(value, functools.partial):
            args, kwargs = self.of(value.args), self.of(value.keywords)
            return functools.partial(self.of(value.func), *args, **kwargs)
        if isinstance(value, dict | list | tuple):
            return self._of_container(value)
        if type(value).__name__ in ("PjitFunction", "JitWrapped"):  # search what they compile
            return self.of(value.__wrapped__)
        return self._of_object(value)

    def _of_torch(self, module: Any) -> Any:
        torch = sys.modules["torch"]
        twin = getattr(module, "_orig_mod", module)  # torch.compile has its own
        twin = copy.deepcopy(twin) if self.copies else twin
        for part in twin.modules():
            for name, array in part._parameters.items():
                if array is not None and array.is_floating_point():
                    changed = self.of(array)
                    if not isinstance(changed, torch.nn.Parameter):
                        changed = torch.nn.Parameter(changed, requires_grad=array.requires_grad)
                        self.done[id(array)] = changed  # tied parameters stay tied
                    if self.copies:
                        part._parameters[name] = changed
            for name, array in part._buffers.items():
                changed = self.of(array)
                if self.copies:
                    part._buffers[name] = changed
            for name, attribute in list(vars(part).items()):
                if is_array(attribute):
                    changed = self.of(attribute)
                    if self.copies:
                        object.__setattr__(part, name, changed)
        return twin

    def _of_function(self, function: types.FunctionType) -> Any:
        cells = function.__closure__ or ()
        users = is_users_file(function.__code__.co_filename)
        if not users and not cells:
            return function
        scope = dict(function.__globals__) if users else function.__globals__
        closure = tuple(types.CellType() for _ in cells)
        twin = types.FunctionType(
            function.__code__, scope, function.__name__, function.__defaults__, closure
        )
        twin.__dict__.update({k: v for k, v in vars(function).items() if k != "__wrapped__"})
        twin.__kwdefaults__, twin.__qualname__ = function.__kwdefaults__, function.__qualname__
        self.done[id(function)] = twin
        for cell, old in zip(closure, cells, strict=True):
            try:
                cell.cell_contents = self.of(old.cell_contents)
            except ValueError:  # an empty cell
                continue
        twin.__defaults__ = self.of(function.__defaults__)
        if function.__kwdefaults__:
            twin.__kwdefaults__ = self.of(function.__kwdefaults__)
        if users:
            scope.update({name: self.of(value) for name, value in globals_used(function).items()})
        return twin

    def _of_container(self, value: Any) -> Any:
        if isinstance(value, dict):
            items = {key: self.of(item) for key, item in value.items()}
            if all(items[key] is item for key, item in value.items()):
                return value
            return items if type(value) is dict else _refill(value, items)
        changed = [self.of(item) for item in value]
        if all(new is old for new, old in zip(changed, value, strict=True)):
            return value
        if hasattr(value, "_fields"):
            return type(value)(*changed)
        return type(value)(changed)

    def _of_object(self, value: Any) -> Any:
        """Copy an object of a user's class, a dataclass or a pytree, if it holds an array."""
        kind = type(value)
        file = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
        is_ours = isinstance(value, type | types.ModuleType) or not (
            is_users_file(file) or kind.__name__ in ("custom_jvp", "custom_vjp")
        )
        if not hasattr(value, "__dict__") or (is_ours and not dataclasses.is_dataclass(value)):
            return value
        if isinstance(value, type):
            return value
        parts = {name: self.of(part) for name, part in vars(value).items()}
        if all(parts[name] is part for name, part in vars(value).items()):
            return value
        twin = copy.copy(value)
        for name, part in parts.items():
            object.__setattr__(twin, name, part)
        return twin


def _refill(value: Any, items: dict[Any, Any]) -> Any:
    """Return a mapping of the same class, such as FrozenDict, with other items."""
    try:
        return type(value)(items)
    except TypeError:
        return items
