"""Divergences of losses, optimisers and schedules."""

import numpy as np

from compare.catalogue.divergences.records import Divergence, Raised

TRAINING = (
    Divergence(
        name="mean_of_the_loss",
        title="PyTorch's cross_entropy returns the mean, optax's one number per sample",
        what="If you sum the values from optax, the gradient is larger by a factor of the batch "
        "size. Adam hides this, because it normalises the gradient.",
        pytorch="F.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]))",
        jax="loss = optax.softmax_cross_entropy_with_integer_labels\n"
        "loss(jnp.zeros((2, 3)), jnp.array([0, 1]))",
        port="x, y = np.random.default_rng(0).normal(size=(3, 4)).astype('f4'), np.eye(3, 4)\n"
        "right = F.binary_cross_entropy_with_logits(torch.tensor(x), torch.tensor(y))\n"
        "right, optax.sigmoid_binary_cross_entropy(jnp.array(x), y).mean()",
        expect=lambda r: r.pytorch.shape == () and r.jax.shape == (2,),
        size=lambda r: f"shape {r.pytorch.shape} against {r.jax.shape}",
        detect="Compare the loss of a batch with the loss of the same batch repeated twice.",
        fix="Call `.mean()` on optax's losses. nn.BCEWithLogitsLoss is "
        "`optax.sigmoid_binary_cross_entropy(...).mean()`.",
        sources=(
            "https://optax.readthedocs.io/en/latest/api/losses.html",
            "https://github.com/ai-safety-foundation/sparse_autoencoder/issues/63",
        ),
        symptoms=(
            "losses differ by a factor",
            "training drifts: the loss or its gradient",
            "first loss too large",
        ),
        calls=(
            *("F.cross_entropy", "nn.CrossEntropyLoss", "nn.BCEWithLogitsLoss"),
            "optax.softmax_cross_entropy_with_integer_labels",
            "optax.sigmoid_binary_cross_entropy",
        ),
        bugs=("loss_summed", "gradient_of_the_sum", "mean_taken_twice"),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="label_out_of_range",
        title="A label out of range gives an error, NaN, or the loss of another label",
        what="PyTorch raises an error. optax returns NaN for a label that is too large, and a "
        "label of -1 counts from the end. jax.nn.one_hot returns zeros.",
        pytorch="F.cross_entropy(torch.zeros(1, 3), torch.tensor([3]))",
        jax="loss = optax.softmax_cross_entropy_with_integer_labels\n"
        "logits = jnp.array([[0.0, 0.0, 5.0]])\n"
        "losses = loss(logits, jnp.array([3])), loss(logits, jnp.array([-1]))\n"
        "*losses, jax.nn.one_hot(jnp.array([3]), 3)",
        expect=lambda r: (
            isinstance(r.pytorch, Raised)
            and bool(np.isnan(r.jax[0][0]))
            and 0 < r.jax[1][0] < 0.1
            and not r.jax[2].any()
        ),
        size=lambda r: f"an error against {r.jax[0][0]:g} and {r.jax[1][0]:.2g}",
        detect="Test with label 10 of ten classes.",
        fix="Check the labels once in NumPy, before training.",
        sources=("https://github.com/google-deepmind/optax/issues/1185",),
        symptoms=("NaN or infinity", "an error in one framework only"),
        calls=(
            *("F.cross_entropy", "nn.CrossEntropyLoss"),
            *("optax.softmax_cross_entropy_with_integer_labels", "jax.nn.one_hot"),
        ),
        bugs=("labels_not_checked",),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="label_to_be_ignored",
        title="Only PyTorch ignores the label -100",
        what="-100 is the default of `ignore_index` in PyTorch and is often used to mark padding. "
        "optax returns NaN for it.",
        pytorch="F.cross_entropy(torch.zeros(2, 3), torch.tensor([0, -100]))",
        jax="loss = optax.softmax_cross_entropy_with_integer_labels\n"
        "loss(jnp.zeros((2, 3)), jnp.array([0, -100])).mean()",
        expect=lambda r: bool(np.isclose(r.pytorch, np.log(3)) and np.isnan(r.jax)),
        size=lambda r: f"{r.pytorch:.3g} against {r.jax:g}",
        detect="Test with one padded label.",
        fix="Use `jnp.where(labels >= 0, loss, 0)` and divide by the number of valid labels.",
        sources=(
            "https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html",
            "https://github.com/google-deepmind/optax/issues/1185",
        ),
        symptoms=("NaN or infinity", "differs only with padding", "NaN gradients"),
        calls=(
            *("F.cross_entropy", "nn.CrossEntropyLoss", "ignore_index"),
            "optax.softmax_cross_entropy_with_integer_labels",
        ),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="adam_epsilon",
        title="optax's Adam has two epsilons",
        what="The defaults agree: eps 1e-8, eps_root 0, betas 0.9 and 0.999. `eps` is added to the "
        "square root, as in PyTorch. `eps_root` is added inside the root. With gradients of "
        "ordinary size both agree. In the example the gradient is as small as the "
        "epsilon, and JAX uses a wrong `eps_root`.",
        pytorch="w = torch.zeros(1, requires_grad=True)\nw.grad = torch.tensor([1e-8])\n"
        "torch.optim.Adam([w], lr=1.0, eps=1e-8).step()\nw",
        jax="adam = optax.adam(1.0, eps=0.0, eps_root=1e-16)\n"
        "adam.update(jnp.array([1e-8]), adam.init(jnp.zeros(1)))[0]",
        port="w = torch.zeros(1, requires_grad=True)\nw.grad = torch.tensor([1e-8])\n"
        "torch.optim.Adam([w], lr=1.0, betas=(0.8, 0.9), eps=1e-7).step()\n"
        "adam = optax.adam(1.0, b1=0.8, b2=0.9, eps=1e-7, eps_root=0.0)\n"
        "w, adam.update(jnp.array([1e-8]), adam.init(jnp.zeros(1)))[0]",
        expect=lambda r: bool(
            np.isclose(r.pytorch, -1 / 2, rtol=1e-3) and np.isclose(r.jax, -(0.5**0.5), rtol=1e-3)
        ),
        size=lambda r: f"{r.jax[0] / r.pytorch[0] - 1:.0%}",
        detect="Look for gradients near the epsilon, for example of unused parameters or after a "
        "saturated softmax.",
        fix="Pass PyTorch's eps as `eps`, and `eps_root=0.0`. Keras's default eps is 1e-7.",
        sources=(
            "https://github.com/google-deepmind/optax/issues/440",
            "https://github.com/google-deepmind/optax/issues/571",
        ),
        symptoms=("training drifts: the optimiser",),
        calls=("torch.optim.Adam", "optax.adam"),
        bugs=("adam_epsilon_inside_the_root", "adam_epsilon_of_keras"),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="adam_bias_correction",
        title="optax computes Adam's bias correction in float32",
        what="`1 - decay**count` loses digits if decay is near 1. PyTorch computes it in Python, "
        "in float64. In this project it is the largest difference between two float32 trainings. "
        "In the example, the first step of Adam with learning rate 1 should be -1; the code adds "
        "1 to show the error:",
        pytorch="w = torch.zeros(1, requires_grad=True)\nw.grad = torch.ones(1)\n"
        "torch.optim.Adam([w], lr=1.0, eps=0.0).step()\nw + 1",
        jax="adam = optax.adam(1.0, eps=0.0)\n"
        "step = adam.update(jnp.ones(1), adam.init(jnp.zeros(1)))[0]\nstep + 1",
        port="from unittest.mock import patch\n\n"
        "def correct(moment, decay, count):\n"
        "    one_less_power = -jnp.expm1(count.astype('float32') * np.float32(np.log(decay)))\n"
        "    return jax.tree.map(lambda x: x / one_less_power.astype(x.dtype), moment)\n\n"
        "with patch('optax.tree.bias_correction', correct):\n"
        "    adam = optax.adam(1.0, eps=0.0)\n"
        "    step = adam.update(jnp.ones(1), adam.init(jnp.zeros(1)))[0]\n"
        "w = torch.zeros(1, requires_grad=True)\nw.grad = torch.ones(1)\n"
        "torch.optim.Adam([w], lr=1.0, eps=0.0).step()\nw + 1, step + 1",
        expect=lambda r: abs(r.pytorch[0]) < 2e-7 and 1e-6 < abs(r.jax[0]) < 1e-4,
        size=lambda r: f"{abs(r.jax[0]):.1g} against {abs(r.pytorch[0]):.1g}",
        detect="Check the first step, whose size is known.",
        fix="Set `jax_enable_x64`, or replace optax's correction by the exact one in the code, "
        "before the step is compiled. Or allow for the difference: it is not a bug of your "
        "port.",
        sources=("https://github.com/google-deepmind/optax/issues/1532",),
        symptoms=("training drifts: the optimiser", "differs in the last digits"),
        calls=("torch.optim.Adam", "torch.optim.AdamW", "optax.adam", "optax.adamw"),
        bugs=("adam_without_bias_correction",),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="weight_decay",
        title="Adam's weight decay changes the moments in PyTorch",
        what="torch.optim.Adam adds the weight decay to the gradient. AdamW, in PyTorch and in "
        "optax, subtracts it from the weights separately. Three steps with learning rate 0.1:",
        pytorch="w = torch.ones(1, requires_grad=True)\n"
        "adam = torch.optim.Adam([w], lr=0.1, weight_decay=0.5)\n"
        "for _ in range(3):\n    w.grad = torch.ones(1)\n    adam.step()\nresult = w",
        jax="w, adam = jnp.ones(1), optax.adamw(0.1, weight_decay=0.5)\nstate = adam.init(w)\n"
        "for _ in range(3):\n    step, state = adam.update(jnp.ones(1), state, w)\n    w += step\n"
        "result = w",
        port="w = torch.ones(1, requires_grad=True)\n"
        "adam = torch.optim.Adam([w], lr=0.1, weight_decay=0.5)\n"
        "v = jnp.ones(1)\n"
        "chain = optax.chain(optax.add_decayed_weights(0.5), optax.adam(0.1))\n"
        "state = chain.init(v)\n"
        "for _ in range(3):\n"
        "    w.grad = torch.ones(1)\n    adam.step()\n"
        "    step, state = chain.update(jnp.ones(1), state, v)\n    v += step\n"
        "result = w, v",
        expect=lambda r: 0.69 < r.pytorch[0] < 0.71 and 0.56 < r.jax[0] < 0.58,
        size=lambda r: f"{r.pytorch[0]:.3f} against {r.jax[0]:.3f}",
        detect="Compare three steps of one weight.",
        fix="torch.optim.AdamW is optax.adamw with the same `weight_decay`; their defaults differ. "
        "torch.optim.Adam with weight_decay is the chain in "
        "the code. Both libraries also decay biases and norms, unless you pass `mask=` to "
        "optax or parameter groups to PyTorch.",
        sources=(
            "https://github.com/google-deepmind/optax/issues/417",
            "https://github.com/pytorch/pytorch/issues/48793",
        ),
        symptoms=("training drifts: the optimiser",),
        calls=("torch.optim.Adam", "torch.optim.AdamW", "optax.adamw"),
        bugs=("weight_decay_coupled",),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="weight_decay_default",
        title="The default weight decay of AdamW is 1e-2 in PyTorch, 1e-4 in optax",
        what="The defaults of `weight_decay` differ.",
        pytorch='torch.optim.AdamW([torch.zeros(1)]).defaults["weight_decay"]',
        jax='import inspect\ninspect.signature(optax.adamw).parameters["weight_decay"].default',
        expect=lambda r: r.pytorch == 1e-2 and r.jax == 1e-4,
        size=lambda r: f"a factor of {r.pytorch / r.jax:.0f}",
        detect="Test a weight whose gradient is 0.",
        fix="Set the weight decay explicitly.",
        sources=(
            "https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html",
            "https://github.com/google-deepmind/optax/issues/1414",
        ),
        symptoms=("training drifts: the optimiser",),
        calls=("torch.optim.AdamW", "optax.adamw"),
        bugs=("weight_decay_of_pytorchs_adamw", "weight_decay_of_optaxs_adamw"),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="gradient_clipping",
        title="PyTorch adds 1e-6 to the norm when it clips gradients",
        what="The example clips a gradient of norm 1e-6 to a norm of 1e-7. PyTorch divides by the "
        "norm plus 1e-6, which is twice the norm. For a norm of 1 the relative difference is 1e-6.",
        pytorch="w = torch.zeros(1, requires_grad=True)\nw.grad = torch.tensor([1e-6])\n"
        "torch.nn.utils.clip_grad_norm_([w], 1e-7)\nw.grad",
        jax="clip = optax.clip_by_global_norm(1e-7)\n"
        "clip.update(jnp.array([1e-6]), clip.init(None))[0]",
        expect=lambda r: bool(
            np.isclose(r.pytorch, 5e-8, rtol=1e-3) and np.isclose(r.jax, 1e-7, rtol=1e-3)
        ),
        size=lambda r: f"{r.pytorch[0]:.1g} against {r.jax[0]:.1g}",
        detect="Test with a small gradient and a small maximum norm.",
        fix="No fix is needed unless gradient norms are near 1e-6.",
        sources=("https://github.com/goodfire-ai/spd/issues/643",),
        symptoms=("training drifts: the optimiser",),
        calls=("clip_grad_norm_", "optax.clip_by_global_norm"),
        bugs=("gradient_clipping_left_on",),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="cosine_after_its_end",
        title="A cosine schedule increases again in PyTorch",
        what="After T_max, CosineAnnealingLR continues the cosine and returns to the initial "
        "rate. optax stays at the final rate. The rates of steps 4 to 8 for a schedule of 4 steps:",
        pytorch="sgd = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)\n"
        "cosine, rates = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=4), []\n"
        "for _ in range(9):\n"
        '    rates.append(sgd.param_groups[0]["lr"])\n'
        "    sgd.step(), cosine.step()\n"
        "result = np.array(rates[4:])",
        jax="cosine = optax.cosine_decay_schedule(1.0, 4)\n"
        "jnp.array([cosine(step) for step in range(4, 9)])",
        expect=lambda r: bool(r.pytorch[-1] > 0.99 and np.allclose(r.jax, 0)),
        size=lambda r: f"{r.pytorch[-1]:.2g} against {r.jax[-1]:.2g} after eight steps",
        detect="Print the rates after the end of the schedule.",
        fix="Stop calling the scheduler at T_max.",
        sources=("https://github.com/ivadomed/ivadomed/issues/57",),
        symptoms=("training drifts: the optimiser",),
        calls=("CosineAnnealingLR", "optax.cosine_decay_schedule"),
        bugs=("schedule_off_by_one",),
        libraries=("torch", "jax", "optax"),
    ),
    Divergence(
        name="warm_up",
        title="A linear warm-up starts at a third in PyTorch, at 0 in optax",
        what="LinearLR starts with a factor of 1/3 by default. A schedule that starts at 0 has a "
        "first step with learning rate 0, which only updates Adam's moments.",
        pytorch="sgd = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)\n"
        "torch.optim.lr_scheduler.LinearLR(sgd, total_iters=4)\n"
        'sgd.param_groups[0]["lr"]',
        jax="optax.linear_schedule(0.0, 1.0, 4)(0)",
        expect=lambda r: bool(np.isclose(r.pytorch, 1 / 3) and r.jax == 0),
        size=lambda r: f"{r.pytorch:.2f} against {float(r.jax):g} in the first step",
        detect="Print the first learning rates.",
        fix="Set both ends of the schedule explicitly, and document whether steps count from 0 or "
        "1.",
        sources=(
            "https://github.com/google-research/bert/issues/1293",
            "https://github.com/meta-pytorch/torchtune/issues/2010",
        ),
        symptoms=("training drifts: the optimiser",),
        calls=("LinearLR", "optax.linear_schedule"),
        bugs=("schedule_off_by_one",),
        libraries=("torch", "jax", "optax"),
    ),
)
