"""Run the code of a divergence, and say what it gives."""

import ast
import importlib
import importlib.util
import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np

from compare.catalogue.divergences.records import Divergence, Raised, Results

# What stands before the code of every divergence.
PRELUDE = {
    "pytorch": "import numpy as np\nimport torch\nfrom torch import nn\n"
    "from torch.nn import functional as F",
    "jax": "import jax\nimport numpy as np\nimport optax\nfrom flax import nnx\n"
    "from jax import numpy as jnp",
    "numpy": "import numpy as np",
}
PRELUDE["port"] = f"{PRELUDE['pytorch']}\n{PRELUDE['jax']}"


def missing_library(divergence: Divergence) -> str | None:
    """Return the first library of a divergence that is not installed, or None."""
    return next(
        (name for name in divergence.libraries if importlib.util.find_spec(name) is None), None
    )


def run_divergence(divergence: Divergence) -> Results:
    """Run the code of every framework that a divergence has; JAX starts with 64 bits off."""
    return Results(
        run_code(divergence.pytorch, "pytorch"),
        run_code(divergence.jax, "jax"),
        run_code(divergence.numpy, "numpy") if divergence.numpy else None,
    )


def run_code(code: str, framework: str) -> Any:
    """Return the value of the last expression of some code, or of the name `result`."""
    tree = ast.parse(code)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        assign = ast.Assign(targets=[ast.Name("result", ast.Store())], value=last.value)
        tree.body[-1] = ast.copy_location(assign, last)
    program = compile(ast.fix_missing_locations(tree), f"<{framework}>", "exec")
    names: dict[str, Any] = {}
    exec(PRELUDE[framework], names)
    as_jax_starts: Any = names["jax"].enable_x64(False) if "jax" in names else nullcontext()
    with warnings.catch_warnings(), as_jax_starts:
        warnings.simplefilter("ignore")  # a divergence that warns is one whose warning was not read
        try:
            exec(program, names)
        except Exception as error:
            return Raised(type(error).__name__, str(error).splitlines()[0])
        return to_numpy(names["result"])


def to_numpy(value: Any) -> Any:
    """Take a value out of its framework: arrays to NumPy's, dtypes to their names."""
    if isinstance(value, tuple | list):
        return tuple(to_numpy(item) for item in value)
    if hasattr(value, "detach"):
        return np.array(value.detach())
    if hasattr(value, "__array__"):
        return np.array(value)
    is_dtype = isinstance(value, np.dtype) or type(value).__name__ == "dtype"
    return str(value).removeprefix("torch.") if is_dtype else value


def say_result(value: Any) -> str:
    """Write down what a piece of code gave, in one line of at most six digits a number."""
    if isinstance(value, Raised):
        return f"raises {value.error}: {value.says}"
    if isinstance(value, tuple):
        text = ", ".join(say_result(item) for item in value)
        return f"({text})" if all(type(item) is int for item in value) else text  # a shape
    if isinstance(value, np.ndarray):
        digits: Any = {"float_kind": lambda x: f"{x:.6g}"}
        text = np.array2string(value, formatter=digits, separator=", ", max_line_width=10**6)
        return " ".join(text.split())
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
