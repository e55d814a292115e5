"""`diagnose` changes nothing of the user's, whether it succeeds or raises."""

import hashlib
import pickle
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from compare import diagnose

X = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)


class Torch(nn.Module):
    """A module that draws, and keeps running statistics."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)
        self.forward_runs = 0

    def forward(self, x):
        self.forward_runs += 1
        return self.second(torch.dropout(self.norm(self.first(x)), 0.5, train=self.training))


class Jax(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.a, self.b = nnx.Linear(3, 5, rngs=rngs), nnx.Linear(5, 2, rngs=rngs)
        self.norm = nnx.BatchNorm(5, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.b(self.drop(self.norm(self.a(x))))


def breaks(x):
    hidden = x @ jnp.ones((3, 5))
    raise ZeroDivisionError(hidden.shape)


def make(kind: str) -> tuple[Any, Any]:
    torch.manual_seed(0)
    model = Torch().train(kind == "random")
    port = Jax()
    if kind != "random":
        port.eval()
    return model, breaks if kind == "raises" else port


def digest(*arrays: Any) -> str:
    return hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays)).hexdigest()


def state_of(model: Torch, port: Any, x: np.ndarray) -> dict[str, Any]:
    """Return all state that a diagnosis could change."""
    found = {
        "x64": jax.config.jax_enable_x64,
        "disable_jit": jax.config.jax_disable_jit,
        "default dtype": torch.get_default_dtype(),
        "grad mode": torch.is_grad_enabled(),
        "torch's generator": digest(torch.get_rng_state()),
        "NumPy's generator": digest(np.random.get_state()[1]),  # noqa: NPY002
        "Python's generator": random.getstate(),
        "trace": sys.gettrace(),
        "profile": sys.getprofile(),
        "errors of NumPy": np.geterr(),
        "input": digest(x),
        "state dict": digest(*model.state_dict().values()),
        "parameters": [id(array) for array in model.parameters()],
        "gradients": [array.grad for array in model.parameters()],
        "requires grad": [array.requires_grad for array in model.parameters()],
        "training": [part.training for part in model.modules()],
        "runs": model.forward_runs,
        "hooks": [
            (len(part._forward_hooks), len(part._forward_pre_hooks)) for part in model.modules()
        ],
        "calls": [kind.__call__ for kind in (Jax, nnx.Linear, nnx.BatchNorm, nnx.Dropout)],
        "modes": torch.overrides._get_current_function_mode(),
    }
    if isinstance(port, nnx.Module):
        leaves = jax.tree.leaves(nnx.state(port))
        numbers = [jax.random.key_data(leaf) if _is_key(leaf) else leaf for leaf in leaves]
        found["state of NNX"] = digest(*numbers)
    return found


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


@pytest.mark.parametrize("kind", ["right", "random", "raises"])
def test_everything_is_as_it_was(kind: str):
    model, port = make(kind)
    x = X.copy()
    before = state_of(model, port, x)
    if kind == "raises":
        with pytest.raises(ZeroDivisionError):
            diagnose(model, port, x)
    else:
        report = diagnose(model, port, x, gradients=True)
        assert (report.verdict == "cannot tell") == (kind == "random"), str(report)
    after = state_of(model, port, x)
    assert {name for name in before if before[name] != after[name]} == set()


def test_a_debugger_and_a_user_with_other_settings_keep_theirs():
    def trace(*_: Any) -> None:
        return None

    with other_settings():
        sys.settrace(trace)
        try:
            report = diagnose(lambda x: torch.tanh(x), lambda x: jnp.tanh(x), X)
            assert sys.gettrace() is trace
        finally:
            sys.settrace(None)
        assert torch.get_default_dtype() == torch.float16
        assert not torch.is_grad_enabled()
        assert jax.config.jax_enable_x64
    assert report.verdict == "same function", str(report)


@contextmanager
def other_settings() -> Iterator[None]:
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    try:
        with torch.no_grad(), jax.enable_x64(True):
            yield
    finally:
        torch.set_default_dtype(dtype)


def writes_torch(x):
    return torch.mul(x, 2, out=x)


def writes_numpy(x):
    x *= 2
    return x


@pytest.mark.parametrize("left", [writes_torch, writes_numpy])
def test_a_program_that_writes_into_its_input_writes_into_a_copy(left: Callable):
    x = X.copy()
    given = x if left is writes_numpy else torch.from_numpy(x)
    report = diagnose(left, lambda x: jnp.multiply(x, 2), given)
    assert report.verdict == "same function", str(report)
    assert np.array_equal(x, X)


def test_a_function_that_keeps_state_in_its_closure_gives_it_back():
    held = {"weight": torch.ones(3, 5), "calls": 0}
    before = pickle.dumps(held["weight"])

    def program(x):
        held["calls"] += 1
        held["weight"] += 1
        return x @ held["weight"]

    def port(x):
        return x @ np.full((3, 5), 2.0)

    report = diagnose(program, port, X)
    assert report.verdict == "same function", str(report)
    assert pickle.dumps(held["weight"]) == before
    assert held["calls"] == 0
