"""Divergences of which parameters a step moves, and of rates that fall with the steps."""

import numpy as np

from compare.catalogue.divergences.records import TORCH_DOCS, Divergence

UPDATES = (
    Divergence(
        name="unused_parameters",
        title="A parameter without a gradient stays in PyTorch and moves in optax",
        what="zero_grad() sets gradients to None, and PyTorch's optimisers skip such parameters. "
        "jax.grad returns 0 instead, so optax still decays the parameter and moves it by its "
        "moments. The example takes three steps of AdamW at rate 0.1 with decay 0.5; the "
        "gradient is 1 in the first step only:",
        pytorch="w = torch.ones(1, requires_grad=True)\n"
        "adam = torch.optim.AdamW([w], lr=0.1, weight_decay=0.5)\n"
        "for gradient in (torch.ones(1), None, None):\n"
        "    w.grad = gradient\n    adam.step()\nresult = w",
        jax="w, adam = jnp.ones(1), optax.adamw(0.1, weight_decay=0.5)\n"
        "state = adam.init(w)\n"
        "for gradient in (1.0, 0.0, 0.0):\n"
        "    step, state = adam.update(jnp.full(1, gradient), state, w)\n    w += step\n"
        "result = w",
        port="w = torch.ones(1, requires_grad=True)\n"
        "right = torch.optim.AdamW([w], lr=0.1, weight_decay=0.5)\n"
        "v, adam = jnp.ones(1), optax.adamw(0.1, weight_decay=0.5)\n"
        "state = adam.init(v)\n"
        "for gradient in (1.0, 0.0, 0.0):\n"
        "    right.zero_grad(set_to_none=False)  # 0 where there was a gradient before\n"
        "    w.grad = torch.full((1,), gradient)\n    right.step()\n"
        "    step, state = adam.update(jnp.full(1, gradient), state, v)\n    v += step\n"
        "result = w, v",
        expect=lambda r: 0.849 < r.pytorch[0] < 0.851 and 0.651 < r.jax[0] < 0.653,
        size=lambda r: f"{r.pytorch[0]:.3f} against {r.jax[0]:.3f}",
        detect="Print a parameter that not every batch uses, such as one of an expert or a branch, "
        "before and after a step.",
        fix="In PyTorch, use `zero_grad(set_to_none=False)`: a parameter that has had a gradient "
        "then keeps one of 0. In optax, freeze parameters that are never used with "
        "`optax.multi_transform` and `optax.set_to_zero()`.",
        sources=(
            TORCH_DOCS + "optim.Optimizer.zero_grad.html",
            "https://optax.readthedocs.io/en/latest/api/combining_optimizers.html",
        ),
        symptoms=("training drifts: the optimiser",),
        calls=(
            *("torch.optim.Adam", "torch.optim.AdamW", "torch.optim.SGD", "zero_grad"),
            *("optax.adam", "optax.adamw", "optax.sgd", "jax.grad", "loss.backward"),
        ),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="stairs",
        title="StepLR decays in stairs, optax.exponential_decay smoothly",
        what="Pass `staircase=True` to optax for stairs. StepLR counts the calls of "
        "`scheduler.step()`, usually one per epoch; an optax schedule counts updates. The "
        "example shows the rates of five steps, with a factor of 0.1 every two:",
        pytorch="sgd = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)\n"
        "stairs, rates = torch.optim.lr_scheduler.StepLR(sgd, step_size=2, gamma=0.1), []\n"
        "for _ in range(5):\n"
        '    rates.append(sgd.param_groups[0]["lr"])\n'
        "    sgd.step(), stairs.step()\n"
        "result = np.array(rates)",
        jax="decay = optax.exponential_decay(1.0, transition_steps=2, decay_rate=0.1)\n"
        "jnp.array([decay(step) for step in range(5)])",
        port="updates = 3  # of an epoch\n"
        "sgd = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)\n"
        "stairs, rates = torch.optim.lr_scheduler.StepLR(sgd, step_size=2, gamma=0.1), []\n"
        "for epoch in range(5):\n"
        "    for _ in range(updates):\n"
        '        rates.append(sgd.param_groups[0]["lr"])\n'
        "        sgd.step()\n"
        "    stairs.step()\n"
        "decay = optax.exponential_decay(1.0, 2 * updates, decay_rate=0.1, staircase=True)\n"
        "rates, [decay(step) for step in range(5 * updates)]",
        expect=lambda r: bool(
            np.allclose(r.pytorch, [1, 1, 0.1, 0.1, 0.01]) and np.isclose(r.jax[1], 0.1**0.5)
        ),
        size=lambda r: f"{r.pytorch[1]:.2g} against {r.jax[1]:.2g} in the second step",
        detect="Print the learning rates of the first epochs.",
        fix="Pass `staircase=True`, and multiply `transition_steps` by the number of updates per "
        "epoch.",
        sources=(
            TORCH_DOCS + "optim.lr_scheduler.StepLR.html",
            "https://optax.readthedocs.io/en/latest/api/optimizer_schedules.html",
        ),
        symptoms=("training drifts: the optimiser",),
        calls=("StepLR", "ExponentialLR", "optax.exponential_decay"),
        libraries=("torch", "jax", "optax"),
    ),
)
