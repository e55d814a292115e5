"""Divergences of gradients where there is none: ties, kinks, norms of nothing."""

import numpy as np

from compare.catalogue.divergences.records import Divergence

GRADIENTS = (
    Divergence(
        name="gradient_at_a_kink",
        title="At a kink the gradient is a matter of taste",
        what="|x| and max(x, 0) at 0: PyTorch says 0 and 1, JAX 1 and a half. Black pixels and "
        "dead units are exactly there.",
        pytorch="x = torch.zeros(2, requires_grad=True)\n"
        "(x[0].abs() + x[1].clamp(min=0)).backward()\nx.grad",
        jax="f = lambda x: jnp.abs(x[0]) + jnp.clip(x[1], min=0)\njax.grad(f)(jnp.zeros(2))",
        expect=lambda r: list(r.pytorch) == [0, 1] and list(r.jax) == [1, 0.5],
        size=lambda r: (
            f"{r.pytorch[0]:g} and {r.pytorch[1]:g} against {r.jax[0]:g} and {r.jax[1]:g}"
        ),
        detect="The gradient at exactly 0.",
        fix="`relu` is 0 at 0 in both; `jnp.where` says which side is meant.",
        sources=(
            "https://github.com/jax-ml/jax/issues/37821",
            "https://github.com/jax-ml/jax/issues/37820",
        ),
    ),
    Divergence(
        name="gradient_at_a_tie",
        title="A maximum gives its gradient to one of equals, or to all",
        what="`x.max(dim=0)` gives it to one element, `x.amax(dim=0)` and JAX's max share it out.",
        pytorch="x = torch.zeros(2, requires_grad=True)\nx.max(dim=0).values.backward()\nx.grad",
        jax="jax.grad(lambda x: x.max(axis=0))(jnp.zeros(2))",
        expect=lambda r: sorted(r.pytorch) == [0, 1] and list(r.jax) == [0.5, 0.5],
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}",
        detect="The gradient of a maximum over equal numbers.",
        fix="`torch.amax`.",
        sources=("https://github.com/jax-ml/jax/issues/13600",),
    ),
    Divergence(
        name="gradient_of_a_norm",
        title="The gradient of a norm or a deviation at nothing is NaN in JAX",
        what="PyTorch says 0, JAX 0 / 0. One pixel that never varies makes every gradient NaN.",
        pytorch="x = torch.zeros(2, requires_grad=True)\n(x.norm() + x.std()).backward()\nx.grad",
        jax="jax.grad(lambda x: jnp.linalg.norm(x) + x.std())(jnp.zeros(2))",
        expect=lambda r: list(r.pytorch) == [0, 0] and bool(np.isnan(r.jax).all()),
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}",
        detect="A constant image.",
        fix="`jnp.where` twice: once around what is under the root, once around the result.",
        sources=(
            "https://github.com/jax-ml/jax/issues/21723",
            "https://github.com/jax-ml/jax/pull/39792",
        ),
        bugs=("dead_pixels_divided_by_epsilon",),
    ),
)
