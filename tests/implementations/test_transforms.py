"""The frameworks' transformations of a model work with the handwritten forms.

Each transform of each form is held against that of the vectorized form, which is plain code.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from conftest import PACKAGES, import_or_skip

from compare.expected.problems import make_problem
from shared.data.levels import LevelImages
from shared.errors import UserError

PROBLEM = make_problem(5, 7, 3, 5)
TOLERANCE = 1e-12  # relative, in float64: far above rounding, far below any error of method


@cache
def let_torch_export_levels() -> None:
    """Do what torch.export asks for where it is given LevelImages: once in a process."""
    import torch

    torch.export.register_dataclass(LevelImages)


class Torch:
    """A model of PyTorch in float64, a batch, and its mean loss as a function of parameters."""

    def __init__(self, form: str) -> None:
        import torch

        from pytorch_impl.convert import from_params, to_batch

        let_torch_export_levels()
        self.model = from_params(PROBLEM.params, form, "float64")
        self.x, self.labels = to_batch(self.model, PROBLEM.images, PROBLEM.labels)
        self.params = dict(self.model.named_parameters())
        self.K = self.params["K"].detach()
        self.ones = torch.ones_like(self.K)
        self.twice = torch.stack([self.K, 2 * self.K])

    def loss(self, K: Any) -> Any:
        return self.loss_of(K, self.x, self.labels)

    def loss_of(self, K: Any, x: Any, labels: Any) -> Any:
        import torch

        logits = torch.func.functional_call(self.model, self.params | {"K": K}, (x,))
        return torch.nn.functional.cross_entropy(logits, labels)

    def differentiate_twice(self) -> Any:
        import torch

        K = self.K.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(self.loss(K), K, create_graph=True)
        return torch.autograd.grad(gradient.sum(), K)[0]

    def differentiate_forward(self) -> Any:
        from torch.autograd import forward_ad

        with forward_ad.dual_level():
            dual = forward_ad.make_dual(self.K, self.ones)
            return forward_ad.unpack_dual(self.loss(dual)).tangent

    def compile(self) -> Any:
        import torch

        logits = torch.compile(self.model, backend="aot_eager")(self.x)
        loss = torch.nn.functional.cross_entropy(logits, self.labels)
        return torch.autograd.grad(loss, self.params["K"])[0]

    def gradient_of_each_sample(self) -> Any:
        import torch

        def loss(K: Any, x: Any, label: Any) -> Any:
            return self.loss_of(K, x[None], label[None])

        return torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(self.K, self.x, self.labels)


def torch_transforms() -> dict[str, Callable[[Torch], Any]]:
    import torch
    from torch import func

    return {
        "func.grad": lambda t: func.grad(t.loss)(t.K),
        "func.vmap": lambda t: func.vmap(t.loss)(t.twice),
        "func.grad of vmap": lambda t: func.grad(lambda K: func.vmap(t.loss)(K).sum())(t.twice),
        "func.vmap of grad": lambda t: func.vmap(func.grad(t.loss))(t.twice),
        "func.jvp": lambda t: func.jvp(t.loss, (t.K,), (t.ones,))[1],
        "func.hessian": lambda t: func.hessian(t.loss)(t.K),
        "func.jacrev twice": lambda t: func.jacrev(func.jacrev(t.loss))(t.K),
        "func.hessian of vmap": lambda t: func.hessian(lambda K: func.vmap(t.loss)(K).sum())(
            t.twice
        ),
        "func.jacfwd twice": lambda t: func.jacfwd(func.jacfwd(t.loss))(t.K),
        "func.jacrev of jacfwd": lambda t: func.jacrev(func.jacfwd(t.loss))(t.K),
        "func.jvp of vmap": lambda t: func.jvp(func.vmap(t.loss), (t.twice,), (t.twice,))[1],
        "func.vmap of jvp": lambda t: func.vmap(lambda K: func.jvp(t.loss, (K,), (t.ones,))[1])(
            t.twice
        ),
        "autograd.functional.hessian": lambda t: torch.autograd.functional.hessian(t.loss, t.K),
        "double backward": Torch.differentiate_twice,
        "forward mode": Torch.differentiate_forward,
        "export": lambda t: torch.export.export(t.model, (t.x,)).module()(t.x),
        "strict export": lambda t: torch.export.export(t.model, (t.x,), strict=True).module()(t.x),
        "compile": Torch.compile,
        "jit.trace": lambda t: torch.jit.trace(t.model, (t.x,))(t.x),
        "jit.script": lambda t: torch.jit.script(t.model)(t.x),
        "vmap over samples": lambda t: func.vmap(lambda x: t.model(x[None])[0])(t.x),
        "vmap over batches": lambda t: func.vmap(t.model)(torch.stack([t.x, 2 * t.x])),
        "gradient of each sample": Torch.gradient_of_each_sample,
    }


@cache
def pytorchs(form: str, transform: str) -> np.ndarray:
    """Return what PyTorch makes of a form."""
    return torch_transforms()[transform](Torch(form)).detach().numpy()


FORWARD = ("func.jvp", "func.jacfwd twice", "func.hessian", "func.jacrev of jacfwd")
FORWARD = (*FORWARD, "func.vmap of jvp", "forward mode")
# These take tensors alone, and no images by their grey levels.
OF_TENSORS = ("jit.trace", "jit.script", "vmap over samples", "vmap over batches")
OF_TENSORS = (*OF_TENSORS, "gradient of each sample")
OTHERS = (
    "func.grad",
    "func.vmap",
    "func.grad of vmap",
    "func.vmap of grad",
    "func.hessian of vmap",
)
OTHERS = (*OTHERS, "func.jvp of vmap", "func.jacrev twice", "autograd.functional.hessian")
OTHERS = (*OTHERS, "double backward", "export", "strict export", "compile")


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    size = np.abs(expected).max()
    assert size > 0.01
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * size)


@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated, and warns of every branch
@pytest.mark.parametrize(
    ("form", "transform"),
    [
        *(("blocked", transform) for transform in (*OTHERS, *OF_TENSORS)),
        *(("histogram", transform) for transform in (*OTHERS, *FORWARD)),
    ],
)
def test_pytorch_transforms_a_form_like_the_vectorized_one(form: str, transform: str):
    import_or_skip("pytorch")
    assert_same(pytorchs(form, transform), pytorchs("vectorized", transform))


@pytest.mark.parametrize("transform", FORWARD)
def test_pytorchs_blocked_form_refuses_forward_mode_in_a_sentence(transform: str):
    import_or_skip("pytorch")
    with pytest.raises(UserError, match=r"blocked form has no .* forward mode: use the vectorized"):
        torch_transforms()[transform](Torch("blocked"))


class Jax:
    """A model of JAX in float64, a batch, and its mean loss as a function of K."""

    def __init__(self, form: str) -> None:
        import jax.numpy as jnp
        from flax import nnx

        from jax_impl.convert import from_params, to_batch

        self.model = from_params(PROBLEM.params, form, "float64")
        self.x, self.labels = to_batch(self.model, PROBLEM.images, PROBLEM.labels)
        self.graph, self.state = nnx.split(self.model)
        self.K = jnp.asarray(PROBLEM.params["K"])
        self.ones = jnp.ones_like(self.K)
        self.twice = jnp.stack([self.K, 2 * self.K])

    def loss(self, K: Any) -> Any:
        import jax
        from flax import nnx

        from jax_impl.train import mean_loss

        state = jax.tree.map(lambda array: array, self.state)
        nnx.replace_by_pure_dict(state, nnx.to_pure_dict(state) | {"K": K})
        return mean_loss(nnx.merge(self.graph, state), self.x, self.labels)[0]


def jax_transforms() -> dict[str, Callable[[Jax], Any]]:
    import jax

    def summed(function: Callable) -> Callable:
        return lambda K: function(K).sum()

    return {
        "grad": lambda j: jax.grad(j.loss)(j.K),
        "jit of grad": lambda j: jax.jit(jax.grad(j.loss))(j.K),
        "vmap": lambda j: jax.vmap(j.loss)(j.twice),
        "vmap of grad": lambda j: jax.vmap(jax.grad(j.loss))(j.twice),
        "grad of vmap": lambda j: jax.grad(summed(jax.vmap(j.loss)))(j.twice),
        "hessian": lambda j: jax.hessian(j.loss)(j.K),
        "grad of grad": lambda j: jax.grad(summed(jax.grad(j.loss)))(j.K),
        "grad of hessian": lambda j: jax.grad(summed(jax.hessian(j.loss)))(j.K),
        "grad of checkpoint": lambda j: jax.grad(jax.checkpoint(j.loss))(j.K),
        "jvp": lambda j: jax.jvp(j.loss, (j.K,), (j.ones,))[1],
        "jacfwd twice": lambda j: jax.jacfwd(jax.jacfwd(j.loss))(j.K),
        "jit of jvp": lambda j: jax.jit(lambda K: jax.jvp(j.loss, (K,), (j.ones,))[1])(j.K),
    }


@cache
def jaxs(form: str, transform: str) -> np.ndarray:
    """Return what JAX makes of a form: as one compiled program, but for `grad` and `jvp`."""
    import jax

    from jax_impl.convert import computing_in

    with computing_in("float64"):
        apply, model = jax_transforms()[transform], Jax(form)
        if transform in ("grad", "jvp"):  # operation by operation, each compiled by itself: slow
            return np.asarray(apply(model))
        return np.asarray(jax.jit(lambda: apply(model))())


JAX_FORWARD = ("jvp", "jacfwd twice", "jit of jvp")
JAX_OTHERS = ("grad", "jit of grad", "vmap", "vmap of grad", "grad of vmap", "hessian")
JAX_OTHERS = (*JAX_OTHERS, "grad of grad", "grad of hessian", "grad of checkpoint")


@pytest.mark.parametrize(
    ("form", "transform"),
    [
        *(("blocked", transform) for transform in JAX_OTHERS),
        *(("histogram", transform) for transform in (*JAX_OTHERS, *JAX_FORWARD)),
    ],
)
def test_jax_transforms_a_form_like_the_vectorized_one(form: str, transform: str):
    import_or_skip("jax")
    assert_same(jaxs(form, transform), jaxs("vectorized", transform))


@pytest.mark.parametrize("transform", JAX_FORWARD)
def test_jax_refuses_forward_mode_of_the_blocked_form(transform: str):
    """In JAX's own sentence: where it is raised, nothing of ours is running."""
    import_or_skip("jax")
    from jax_impl.convert import computing_in

    with computing_in("float64"), pytest.raises(TypeError, match=r"forward-mode .* custom_vjp"):
        jax_transforms()[transform](Jax("blocked"))


@pytest.mark.parametrize("name", PACKAGES)
def test_the_histogram_form_refuses_plain_images_in_a_sentence(name: str):
    module = import_or_skip(name)
    model = module.from_params(PROBLEM.params, "histogram")
    calls: list[tuple[Callable[..., Any], Any]] = [(model, PROBLEM.images)]
    if name == "pytorch":
        import torch

        x = torch.tensor(PROBLEM.images)
        calls = [
            (model, x),
            (torch.func.vmap(model), x[None]),
            (torch.func.grad(lambda x: model(x).sum()), x),
            (lambda x: torch.export.export(model, (x,)), x),
            (lambda x: torch.jit.trace(model, (x,)), x),
            (torch.compile(model, backend="eager"), x),
        ]
    if name == "jax":
        import jax

        x = jax.numpy.asarray(PROBLEM.images)
        calls = [
            (model, x),
            (jax.vmap(model), x[None]),
            (jax.grad(lambda x: model(x).sum()), x),
            (jax.jit(model), x),
        ]
    for call, given in calls:
        with pytest.raises(
            UserError, match=r"takes images by their grey levels: .* such as vector"
        ):
            call(given)
