"""Divergences of gradients: ties, kinks, norms of nothing, and gradients of several batches."""

import numpy as np

from compare.catalogue.divergences.records import Divergence

GRADIENTS = (
    Divergence(
        name="gradient_at_a_kink",
        title="At a kink the libraries choose different gradients",
        what="At 0, the gradients of |x| and max(x, 0) are 0 and 1 in PyTorch, 1 and 0.5 in JAX. "
        "Black pixels and inactive units are exactly 0.",
        pytorch="x = torch.zeros(2, requires_grad=True)\n"
        "(x[0].abs() + x[1].clamp(min=0)).backward()\nx.grad",
        jax="f = lambda x: jnp.abs(x[0]) + jnp.clip(x[1], min=0)\njax.grad(f)(jnp.zeros(2))",
        expect=lambda r: list(r.pytorch) == [0, 1] and list(r.jax) == [1, 0.5],
        size=lambda r: (
            f"{r.pytorch[0]:g} and {r.pytorch[1]:g} against {r.jax[0]:g} and {r.jax[1]:g}"
        ),
        detect="Compute the gradient at exactly 0.",
        fix="Use `relu`, whose gradient at 0 is 0 in both, or choose the side with `jnp.where`.",
        sources=(
            "https://github.com/jax-ml/jax/issues/37821",
            "https://github.com/jax-ml/jax/issues/37820",
        ),
        symptoms=("loss the same, gradients not", "training drifts: the loss or its gradient"),
        calls=("torch.abs", "torch.clamp", "jnp.abs", "jnp.clip", "F.relu", "jax.nn.relu"),
    ),
    Divergence(
        name="gradient_at_a_tie",
        title="A maximum passes its gradient to one of several equal elements, or to all",
        what="`x.max(dim=0)` passes the gradient to one element. `x.amax(dim=0)` and JAX's max "
        "distribute it equally.",
        pytorch="x = torch.zeros(2, requires_grad=True)\nx.max(dim=0).values.backward()\nx.grad",
        jax="jax.grad(lambda x: x.max(axis=0))(jnp.zeros(2))",
        expect=lambda r: sorted(r.pytorch) == [0, 1] and list(r.jax) == [0.5, 0.5],
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}",
        detect="Compute the gradient of a maximum over equal numbers.",
        fix="Use `torch.amax`.",
        sources=("https://github.com/jax-ml/jax/issues/13600",),
        symptoms=("loss the same, gradients not", "training drifts: the loss or its gradient"),
        calls=("torch.max", "torch.amax", "jnp.max"),
    ),
    Divergence(
        name="gradient_of_a_norm",
        title="In JAX the gradient of a norm or standard deviation of 0 is NaN",
        what="PyTorch returns 0, JAX computes 0 / 0. A single constant pixel can make all "
        "gradients NaN.",
        pytorch="x = torch.zeros(2, requires_grad=True)\n(x.norm() + x.std()).backward()\nx.grad",
        jax="jax.grad(lambda x: jnp.linalg.norm(x) + x.std())(jnp.zeros(2))",
        expect=lambda r: list(r.pytorch) == [0, 0] and bool(np.isnan(r.jax).all()),
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}",
        detect="Test with a constant image.",
        fix="Use `jnp.where` twice: for the argument of the root, and for the result.",
        sources=(
            "https://github.com/jax-ml/jax/issues/21723",
            "https://github.com/jax-ml/jax/pull/39792",
        ),
        symptoms=("NaN gradients", "NaN or infinity", "loss the same, gradients not"),
        calls=("torch.std", "torch.linalg.norm", "jnp.std", "jnp.linalg.norm"),
        bugs=("dead_pixels_divided_by_epsilon",),
    ),
    Divergence(
        name="accumulated_gradients",
        title="PyTorch adds the gradients of several batches, optax averages them",
        what="backward() adds gradients. optax.MultiSteps computes the mean over the batches, so "
        "a batch of one sample has the same weight as a batch of three. In the example the mean "
        "over the four samples is 2:",
        pytorch="w = torch.zeros(1, requires_grad=True)\nfor batch in ([1.0, 1.0, 1.0], [5.0]):\n"
        "    (w * torch.tensor(batch)).mean().backward()\nw.grad",
        jax="sgd = optax.MultiSteps(optax.sgd(1.0), every_k_schedule=2)\n"
        "w = jnp.zeros(1)\nstate = sgd.init(w)\nfor batch in ([1.0, 1.0, 1.0], [5.0]):\n"
        "    step, state = sgd.update(jnp.array([np.mean(batch)]), state, w)\nresult = -step",
        expect=lambda r: r.pytorch == 6 and r.jax == 3,
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}, where the samples' mean is 2",
        detect="Test with two batches of different sizes.",
        fix="Weight the loss of each batch by its number of samples, divided by the total number.",
        sources=(
            "https://github.com/ml-explore/mlx-lm/issues/1413",
            "https://github.com/huggingface/transformers/issues/34242",
        ),
        symptoms=("loss the same, gradients not", "training drifts: the loss or its gradient"),
        calls=("loss.backward", "zero_grad", "jax.grad", "optax.MultiSteps"),
        libraries=("torch", "jax", "optax"),
    ),
)
