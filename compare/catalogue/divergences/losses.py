"""Divergences of regression losses, and of optimisers other than Adam."""

import numpy as np

from compare.catalogue.divergences.records import TORCH_DOCS, Divergence

OPTAX_LOSSES = "https://optax.readthedocs.io/en/latest/api/losses.html"
OPTAX_OPTIMIZERS = "https://optax.readthedocs.io/en/latest/api/optimizers.html"

LOSSES = (
    Divergence(
        name="half_the_square",
        title="optax.l2_loss is half the square that F.mse_loss is",
        what="optax.squared_error is the whole square. None of optax's takes the mean.",
        pytorch="F.mse_loss(torch.tensor([3.0]), torch.tensor([1.0]))",
        jax="optax.l2_loss(jnp.array([3.0]), jnp.array([1.0])).mean()",
        expect=lambda r: r.pytorch == 4 and r.jax == 2,
        size=lambda r: f"{r.pytorch:g} against {r.jax:g}",
        detect="One number.",
        fix="`optax.squared_error(...).mean()`.",
        sources=(TORCH_DOCS + "nn.MSELoss.html", OPTAX_LOSSES),
        symptoms=("loss differs by a factor", "training drifts: the loss or its gradient"),
        calls=("F.mse_loss", "nn.MSELoss", "optax.l2_loss", "optax.squared_error"),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="smooth_l1",
        title="smooth_l1_loss with beta is huber_loss divided by beta",
        what="optax has only Huber's loss. At the default of 1 both are the same; at 4:",
        pytorch="F.smooth_l1_loss(torch.tensor([2.0]), torch.zeros(1), beta=4.0)",
        jax="optax.huber_loss(jnp.array([2.0]), jnp.zeros(1), delta=4.0).mean()",
        expect=lambda r: r.pytorch == 0.5 and r.jax == 2,
        size=lambda r: f"{r.pytorch:g} against {r.jax:g}",
        detect="A beta other than 1.",
        fix="`F.huber_loss(x, y, delta=beta)`, or divide optax's by beta.",
        sources=(TORCH_DOCS + "nn.SmoothL1Loss.html", OPTAX_LOSSES),
        symptoms=("loss differs by a factor",),
        calls=("F.smooth_l1_loss", "nn.SmoothL1Loss", "F.huber_loss", "optax.huber_loss"),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="kl_divergence",
        title="F.kl_div is a mean over elements, optax.kl_divergence a sum over classes",
        what="'mean' divides by samples times classes; only 'batchmean' is the divergence. Of "
        "[1/2, 1/2] from [1/4, 3/4]:",
        pytorch="log_q, p = torch.tensor([[0.25, 0.75]]).log(), torch.tensor([[0.5, 0.5]])\n"
        "F.kl_div(log_q, p)",
        jax="log_q, p = jnp.log(jnp.array([[0.25, 0.75]])), jnp.array([[0.5, 0.5]])\n"
        "optax.kl_divergence(log_q, p).mean()",
        expect=lambda r: bool(np.isclose(2 * r.pytorch, r.jax)) and r.jax > 0.1,
        size=lambda r: f"{r.pytorch:.3g} against {r.jax:.3g}, a factor of the number of classes",
        detect="Two classes against four.",
        fix='`F.kl_div(..., reduction="batchmean")`.',
        sources=(TORCH_DOCS + "nn.KLDivLoss.html", OPTAX_LOSSES),
        symptoms=("loss differs by a factor", "training drifts: the loss or its gradient"),
        calls=("F.kl_div", "nn.KLDivLoss", "optax.kl_divergence"),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="rmsprop",
        title="RMSprop decays by 0.99 in PyTorch, by 0.9 in optax",
        what="And its epsilon stands beside the root in PyTorch, inside it in optax (`eps_in_sqrt` "
        "is True). The first step at rate 1, for a gradient of 1:",
        pytorch="w = torch.zeros(1, requires_grad=True)\nw.grad = torch.ones(1)\n"
        "torch.optim.RMSprop([w], lr=1.0).step()\nw",
        jax="rms = optax.rmsprop(1.0)\nrms.update(jnp.ones(1), rms.init(jnp.zeros(1)))[0]",
        expect=lambda r: bool(
            np.isclose(r.pytorch, -10, rtol=1e-3) and np.isclose(r.jax, -(10**0.5), rtol=1e-3)
        ),
        size=lambda r: f"{r.pytorch[0]:.3g} against {r.jax[0]:.3g}",
        detect="The first step.",
        fix="`optax.rmsprop(rate, decay=0.99, eps_in_sqrt=False)`.",
        sources=(
            "https://github.com/google-deepmind/optax/issues/532",
            TORCH_DOCS + "optim.RMSprop.html",
            OPTAX_OPTIMIZERS,
        ),
        symptoms=("training drifts: the optimiser",),
        calls=("torch.optim.RMSprop", "optax.rmsprop"),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="adagrad",
        title="Adagrad's sum of squares starts at 0 in PyTorch, at 0.1 in optax",
        what="Small gradients take far smaller first steps in optax. The first step at rate 1, "
        "for a gradient of 0.01:",
        pytorch="w = torch.zeros(1, requires_grad=True)\nw.grad = torch.full((1,), 0.01)\n"
        "torch.optim.Adagrad([w], lr=1.0).step()\nw",
        jax="adagrad = optax.adagrad(1.0)\n"
        "adagrad.update(jnp.full(1, 0.01), adagrad.init(jnp.zeros(1)))[0]",
        expect=lambda r: r.pytorch[0] < -0.99 and -0.04 < r.jax[0] < -0.03,
        size=lambda r: f"{r.pytorch[0]:.3g} against {r.jax[0]:.3g}",
        detect="The first step.",
        fix="`optax.adagrad(rate, initial_accumulator_value=0.0, eps=1e-10)`.",
        sources=(TORCH_DOCS + "optim.Adagrad.html", OPTAX_OPTIMIZERS),
        symptoms=("training drifts: the optimiser",),
        calls=("torch.optim.Adagrad", "optax.adagrad"),
        libraries=("torch", "jax", "optax"),
    ),
)
