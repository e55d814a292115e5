"""Modules of both frameworks: parameters, gradients, and bugs behind the first."""

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from compare import diagnose
from compare.diagnose.load import with_params
from shared.errors import UserError

X = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
WEIGHT = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)
TORCH_WEIGHT, JAX_WEIGHT = torch.from_numpy(WEIGHT), jnp.asarray(WEIGHT)


class Torch(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


class Jax(nnx.Module):
    def __init__(self, act=jnp.tanh):
        self.a = nnx.Linear(3, 5, rngs=nnx.Rngs(0))
        self.b = nnx.Linear(5, 2, rngs=nnx.Rngs(0))
        self.act = act

    def __call__(self, tokens):
        return self.b(self.act(self.a(tokens)))


def params_of(model: nn.Module) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    ours = {name: array.detach().numpy() for name, array in model.state_dict().items()}
    names = {"first.weight": "a.kernel", "first.bias": "a.bias"}
    names |= {"second.weight": "b.kernel", "second.bias": "b.bias"}
    return ours, {names[name]: array.T for name, array in ours.items()}


def test_parameters_are_loaded_into_modules_by_name():
    ours, theirs = params_of(Torch())
    left = with_params(Torch(), ours, "mine.py:make")
    right = with_params(Jax(), theirs, "port.py:make")
    assert diagnose(left, right, X).verdict == "same function"
    for program, params, sentence in (
        (Torch(), theirs, "--params does not fit mine.py:make: RuntimeError"),
        (Jax(), ours, "--params does not fit mine.py:make: it has no 'first.bias'"),
        (Jax(), theirs | {"b.bias": np.zeros(7)}, "b.bias has the shape"),
    ):
        with pytest.raises(UserError, match=sentence) as refused:
            with_params(program, params, "mine.py:make")
        assert "\n" not in str(refused.value)


def test_a_bug_behind_the_first_is_seen_where_modules_match():
    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = Torch(), nn.Linear(2, 7)

        def forward(self, x):
            return self.two(self.one(x + 1))

    class Chain(nnx.Module):
        def __init__(self, act):
            self.uno, self.due = Jax(act), nnx.Linear(2, 7, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return self.due(self.uno(x + 1.5))

    model = Sequence()
    _, theirs = params_of(model.one)
    reports = []
    for act in (nnx.relu, jnp.tanh):
        chain = with_params(Chain(act), {f"uno.{n}": a for n, a in theirs.items()}, "port.py:make")
        chain.due.kernel[...] = jnp.asarray(model.two.weight.detach().numpy().T)
        chain.due.bias[...] = jnp.asarray(model.two.bias.detach().numpy())
        reports.append(diagnose(model, chain, X))
    assert [report.verdict for report in reports] == ["bug", "bug"]
    assert any(
        said.startswith("on the same input, uno of right differs") for said in reports[0].further
    )
    assert reports[1].further == ()


def stopped(tokens):
    hidden = jnp.tanh(tokens @ JAX_WEIGHT)
    return hidden + jax.lax.stop_gradient(hidden)


def doubled(x):
    hidden = torch.tanh(x @ TORCH_WEIGHT)
    return hidden + hidden


def doubled_gradient(x):
    hidden = torch.tanh(x @ TORCH_WEIGHT)
    return 4 * hidden - 2 * hidden.detach()


def in_numpy(a):
    return 2 * np.tanh(a @ WEIGHT)


def doubled_in_jax(tokens):
    return 2 * jnp.tanh(tokens @ JAX_WEIGHT)


@torch.no_grad()
def without_gradient(x):
    return doubled(x)


GRADIENTS = {
    "right": (doubled, doubled_in_jax, "same function", "the same (inputs: 1;"),
    "stopped": (doubled, stopped, "bug", "0.5 times as large"),
    "doubled": (doubled_in_jax, doubled_gradient, "bug", "2 times as large"),
    "none": (without_gradient, doubled_in_jax, "bug", "1 of the largest"),
    "indices": (
        lambda x: torch.argmax(x, -1),
        lambda x: jnp.argmax(x, -1),
        "same function",
        "inputs: 1;",
    ),
    "numpy": (doubled, in_numpy, "same function", "not compared: right is in NumPy"),
}


@pytest.mark.parametrize("kind", GRADIENTS)
def test_gradients_are_compared_when_asked(kind: str):
    left, right, verdict, said = GRADIENTS[kind]
    assert diagnose(left, right, X).verdict == "same function"
    report = diagnose(left, right, X, gradients=True)
    assert report.verdict == verdict, str(report)
    assert any(said in text for text in report.gradients), report.gradients


def test_a_linen_module_is_closed_over_its_variables():
    dense = flax.linen.Dense(5, use_bias=False)
    variables = {"params": {"kernel": JAX_WEIGHT}}
    report = diagnose(doubled, lambda x: 2 * jnp.tanh(dense.apply(variables, x)), X)
    assert report.verdict == "same function", str(report)


def test_the_less_exact_side_and_where_it_loses_is_named():
    right = nnx.LayerNorm(97, epsilon=1e-5, rngs=nnx.Rngs(0))
    x = (1000 + np.random.default_rng(0).standard_normal((5, 97))).astype(np.float32)
    report = diagnose(nn.LayerNorm(97), right, x)
    assert report.verdict == "same function", str(report)
    assert report.less_exact is not None
    assert report.less_exact.startswith("right has ")
    assert "use_fast_variance=False" in report.less_exact
