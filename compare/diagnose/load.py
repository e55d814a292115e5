"""Load the user's programs, inputs and dumps from files."""

import importlib.util
import inspect
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compare.look.rebuild import is_instance
from shared.errors import UserError, say_error
from shared.files import load_arrays


def load_program(given: str) -> Any:
    """Call `file.py:function` and return what it returns: a program with its parameters."""
    file, colon, name = given.rpartition(":")
    path = Path(file)
    if not colon or not path.is_file():
        raise UserError(
            f"{given!r} is not a program: give file.py:function, where the function takes no "
            "arguments and returns the program."
        )
    make = getattr(_import_file(path), name, None)
    if make is None:
        raise UserError(f"{path} defines no {name!r}: give file.py:function.")
    if not callable(make):
        raise UserError(f"{given} is a {type(make).__name__}: give a function without arguments.")
    try:
        inspect.signature(make).bind()
    except TypeError:
        raise UserError(
            f"{given} takes arguments: give a function without arguments that returns the program."
        ) from None
    except ValueError:  # it has no signature to read
        pass
    try:
        program = make()
    except Exception as error:
        error.add_note(f"This is what {given} raised; compare diagnose only called it.")
        raise
    if not callable(program):
        raise UserError(
            f"{given} returns a {type(program).__name__}, which cannot be called: return a module "
            "or a function of arrays."
        )
    return program


def _import_file(path: Path) -> Any:
    """Import a file under its own name, with its folder first on the path, like a script."""
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else None
    name = name or f"diagnosed_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is not a Python file: give file.py:function.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and NNX look up their own module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise UserError(f"{path} could not be imported: {error}.") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{path} could not be imported: {say_error(error)}.") from error
    return module


def load_named(path: Path) -> dict[str, np.ndarray]:
    """Load the arrays of a .npz or .safetensors file by name; nothing is unpickled."""
    if path.suffix not in (".npz", ".npy", ".safetensors"):
        raise UserError(f"{path}: give a .npz or a .safetensors file.")
    if not path.exists():
        raise UserError(f"There is no file {path}.")
    if path.suffix == ".safetensors":
        arrays, _ = load_arrays(path, from_elsewhere=True)
    else:
        arrays = _load_numpy(path)
    if not arrays:
        raise UserError(f"{path} holds no arrays: give a file with arrays.")
    return arrays


def _load_numpy(path: Path) -> dict[str, np.ndarray]:
    try:
        if path.suffix == ".npy":
            return {"input": np.load(path, allow_pickle=False)}
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise UserError(f"Could not read {path}: {say_error(error)}.") from error


def with_params(program: Any, params: dict[str, np.ndarray], given: str) -> Any:
    """Return a program with its parameters from a file.

    A torch.nn.Module and an nnx.Module are loaded by name; a function takes them as a dict, its
    first argument.
    """
    if is_instance(program, "torch.nn", "Module"):
        torch = sys.modules["torch"]
        try:
            program.load_state_dict({name: torch.from_numpy(a) for name, a in params.items()})
        except RuntimeError as error:
            raise UserError(f"--params does not fit {given}: {say_error(error)}.") from error
        return program
    if is_instance(program, "flax.nnx", "Module"):
        nnx = sys.modules["flax.nnx"]
        state = dict(nnx.to_flat_state(nnx.state(program)))
        held = {".".join(map(str, path)): variable for path, variable in state.items()}
        if unknown := sorted(set(params) - set(held)):
            raise UserError(f"--params does not fit {given}: it has no {unknown[0]!r}.")
        for name, array in params.items():
            if held[name].get_value().shape != array.shape:
                raise UserError(
                    f"--params does not fit {given}: {name} has the shape {array.shape}."
                )
            held[name].set_value(sys.modules["jax"].numpy.asarray(array))
        nnx.update(program, nnx.from_flat_state(list(state.items())))
        return program
    return partial(program, params)
