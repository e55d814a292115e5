"""Divergences of regression losses, and of optimisers other than Adam."""

import numpy as np

from compare.catalogue.divergences.records import TORCH_DOCS, Divergence

OPTAX_LOSSES = "https://optax.readthedocs.io/en/latest/api/losses.html"
OPTAX_OPTIMIZERS = "https://optax.readthedocs.io/en/latest/api/optimizers.html"

LOSSES = (
    Divergence(
        name="half_the_square",
        title="optax.l2_loss is half of F.mse_loss",
        what="optax.squared_error is the full square. Neither optax function computes the mean.",
        pytorch="F.mse_loss(torch.tensor([3.0]), torch.tensor([1.0]))",
        jax="optax.l2_loss(jnp.array([3.0]), jnp.array([1.0])).mean()",
        expect=lambda r: r.pytorch == 4 and r.jax == 2,
        size=lambda r: f"{r.pytorch:g} against {r.jax:g}",
        detect="Compare a single value.",
        fix="Use `optax.squared_error(...).mean()`.",
        sources=(TORCH_DOCS + "nn.MSELoss.html", OPTAX_LOSSES),
        symptoms=("losses differ by a factor", "training drifts: the loss or its gradient"),
        calls=("F.mse_loss", "nn.MSELoss", "optax.l2_loss", "optax.squared_error"),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="smooth_l1",
        title="smooth_l1_loss with beta is huber_loss divided by beta",
        what="optax has only the Huber loss. With beta = 1, the default, both are equal. With "
        "beta = 4:",
        pytorch="F.smooth_l1_loss(torch.tensor([2.0]), torch.zeros(1), beta=4.0)",
        jax="optax.huber_loss(jnp.array([2.0]), jnp.zeros(1), delta=4.0).mean()",
        expect=lambda r: r.pytorch == 0.5 and r.jax == 2,
        size=lambda r: f"{r.pytorch:g} against {r.jax:g}",
        detect="Test with a beta other than 1.",
        fix="Use `F.huber_loss(x, y, delta=beta)`, or divide optax's loss by beta.",
        sources=(TORCH_DOCS + "nn.SmoothL1Loss.html", OPTAX_LOSSES),
        symptoms=("losses differ by a factor",),
        calls=("F.smooth_l1_loss", "nn.SmoothL1Loss", "F.huber_loss", "optax.huber_loss"),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="kl_divergence",
        title="F.kl_div averages over elements, optax.kl_divergence sums over classes",
        what="The reduction 'mean' divides by samples times classes. Only 'batchmean' is the KL "
        "divergence. Divergence of [1/2, 1/2] from [1/4, 3/4]:",
        pytorch="log_q, p = torch.tensor([[0.25, 0.75]]).log(), torch.tensor([[0.5, 0.5]])\n"
        "F.kl_div(log_q, p)",
        jax="log_q, p = jnp.log(jnp.array([[0.25, 0.75]])), jnp.array([[0.5, 0.5]])\n"
        "optax.kl_divergence(log_q, p).mean()",
        expect=lambda r: bool(np.isclose(2 * r.pytorch, r.jax)) and r.jax > 0.1,
        size=lambda r: f"{r.pytorch:.3g} against {r.jax:.3g}, a factor of the number of classes",
        detect="Compare results for two and for four classes.",
        fix='Pass `reduction="batchmean"` to F.kl_div.',
        sources=(TORCH_DOCS + "nn.KLDivLoss.html", OPTAX_LOSSES),
        symptoms=("losses differ by a factor", "training drifts: the loss or its gradient"),
        calls=("F.kl_div", "nn.KLDivLoss", "optax.kl_divergence"),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="rmsprop",
        title="RMSprop decays by 0.99 in PyTorch, by 0.9 in optax",
        what="The epsilon differs too: PyTorch adds it to the root, optax inside the root "
        "(`eps_in_sqrt` is True). The first step with learning rate 1, for a gradient of 1:",
        pytorch="w = torch.zeros(1, requires_grad=True)\nw.grad = torch.ones(1)\n"
        "torch.optim.RMSprop([w], lr=1.0).step()\nw",
        jax="rms = optax.rmsprop(1.0)\nrms.update(jnp.ones(1), rms.init(jnp.zeros(1)))[0]",
        expect=lambda r: bool(
            np.isclose(r.pytorch, -10, rtol=1e-3) and np.isclose(r.jax, -(10**0.5), rtol=1e-3)
        ),
        size=lambda r: f"{r.pytorch[0]:.3g} against {r.jax[0]:.3g}",
        detect="Compare the first step.",
        fix="Use `optax.rmsprop(rate, decay=0.99, eps_in_sqrt=False)`.",
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
        what="With small gradients, the first steps are much smaller in optax. The first step "
        "with learning rate 1, for a gradient of 0.01:",
        pytorch="w = torch.zeros(1, requires_grad=True)\nw.grad = torch.full((1,), 0.01)\n"
        "torch.optim.Adagrad([w], lr=1.0).step()\nw",
        jax="adagrad = optax.adagrad(1.0)\n"
        "adagrad.update(jnp.full(1, 0.01), adagrad.init(jnp.zeros(1)))[0]",
        expect=lambda r: r.pytorch[0] < -0.99 and -0.04 < r.jax[0] < -0.03,
        size=lambda r: f"{r.pytorch[0]:.3g} against {r.jax[0]:.3g}",
        detect="Compare the first step.",
        fix="Use `optax.adagrad(rate, initial_accumulator_value=0.0, eps=1e-10)`.",
        sources=(TORCH_DOCS + "optim.Adagrad.html", OPTAX_OPTIMIZERS),
        symptoms=("training drifts: the optimiser",),
        calls=("torch.optim.Adagrad", "optax.adagrad"),
        libraries=("torch", "jax", "optax"),
    ),
)
