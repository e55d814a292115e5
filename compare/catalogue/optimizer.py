"""Bugs of the optimiser: what it steps, how far, and what it forgets."""

from compare.catalogue.records import Bug

OPTIMIZER = (
    Bug(
        name="optimizer_of_a_stale_copy",
        title="The optimiser updates a copy of the model that is not used",
        package="jax_impl",
        file="train.py",
        right="optimizer.update(model, gradients)",
        wrong="optimizer.update(nnx.clone(model), gradients)",
        why="A functional update returns new parameters; if they are dropped, nothing is trained. "
        "In PyTorch the same happens if the model is rebuilt or reloaded after the optimiser was "
        "created. The moments change, the parameters do not, and there is no error.",
        sources=(
            "https://github.com/microsoft/nni/issues/4521",
            "https://github.com/spro/practical-pytorch/issues/9",
        ),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="optimizer_new_every_epoch",
        title="Adam restarts in every epoch",
        package="pytorch_impl",
        file="train.py",
        right="rows = torch.tensor(batches, device=self.labels.device)",
        wrong="self.optimizer.state.clear()\n"
        "        rows = torch.tensor(batches, device=self.labels.device)",
        why="The optimiser is created in the function that trains one epoch, or it is not "
        "restored from a checkpoint. Moments and step count are lost. The first epoch is right.",
        sources=(
            "https://github.com/alan-turing-institute/deepsensor/issues/47",
            "https://github.com/OpenNMT/OpenNMT-py/issues/617",
        ),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="gradient_clipping_left_on",
        title="The gradient is clipped to norm 1",
        package="pytorch_impl",
        file="train.py",
        right="loss.backward()",
        wrong="loss.backward()\n    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
        why="Many recipes clip gradients, and some trainers do so by default. It changes nothing "
        "if gradients are small.",
        sources=("https://github.com/clab/dynet/pull/1511",),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="adam_epsilon_inside_the_root",
        title="Adam's epsilon is inside the square root",
        package="jax_impl",
        file="train.py",
        right="optax.adam(learning_rate)",
        wrong="optax.adam(learning_rate, eps=0.0, eps_root=1e-8)",
        why="optax has two epsilons, eps and eps_root, and papers use both places. With ordinary "
        "gradients the steps differ in the seventh digit, with gradients near 1e-4 by half.",
        sources=(
            "https://github.com/google-deepmind/optax/issues/440",
            "https://github.com/google-deepmind/optax/issues/1414",
        ),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="adam_epsilon_of_keras",
        title="Adam's epsilon is 1e-7",
        package="pytorch_impl",
        file="train.py",
        right="lr=config.learning_rate",
        wrong="lr=config.learning_rate, eps=1e-7",
        why="This is the default of Keras. PyTorch and optax use 1e-8.",
        sources=(
            "https://keras.io/api/optimizers/adam/",
            "https://github.com/google-deepmind/optax/issues/571",
        ),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="adam_without_bias_correction",
        title="Adam has no bias correction",
        package="jax_impl",
        file="train.py",
        right="return optax.adam(learning_rate)",
        wrong="right, late = optax.adam(learning_rate), 10**6  # its correction is 1\n"
        "\n"
        "    def update(gradients, state, params=None):\n"
        "        moments, *rest = state\n"
        "        state = (moments._replace(count=moments.count + late), *rest)\n"
        "        updates, (moments, *rest) = right.update(gradients, state, params)\n"
        "        return updates, (moments._replace(count=moments.count - late), *rest)\n"
        "\n"
        "    return optax.GradientTransformation(right.init, update)",
        why="BERT's optimiser omitted it by mistake, and others copied this. The first steps are "
        "three times as large, and the effect vanishes after some thousand steps.",
        sources=(
            "https://github.com/google-research/bert/issues/153",
            "https://github.com/ml-explore/mlx/pull/1640",
        ),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="adam_beta2_of_others",
        title="Adam's beta2 is 0.99 instead of 0.999",
        package="jax_impl",
        file="train.py",
        right="optax.adam(learning_rate)",
        wrong="optax.adam(learning_rate, b2=0.99)",
        why="Both values are defaults of some libraries. The first step does not depend on the "
        "value.",
        sources=(
            "https://github.com/LoganBooker/prodigy-plus-schedule-free/issues/9",
            "https://github.com/google/flax/pull/239",
        ),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="weight_decay_coupled",
        title="Adam uses a weight decay that is added to the gradient",
        package="pytorch_impl",
        file="train.py",
        right="lr=config.learning_rate",
        wrong="lr=config.learning_rate, weight_decay=1e-4",
        why="In torch.optim.Adam, weight_decay is an L2 penalty that changes the moments. In "
        "AdamW, and in optax, it is subtracted from the weights separately.",
        sources=(
            "https://github.com/google-deepmind/optax/issues/417",
            "https://github.com/pytorch/pytorch/issues/48793",
        ),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="weight_decay_of_pytorchs_adamw",
        title="AdamW replaces Adam, with PyTorch's default decay of 1e-2",
        package="pytorch_impl",
        file="train.py",
        right="from torch.optim import Adam, Optimizer",
        wrong="from torch.optim import AdamW as Adam, Optimizer",
        why="AdamW is considered an improved Adam, but its default decay is not 0.",
        sources=(
            "https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html",
            "https://github.com/TransformerLensOrg/TransformerLens/pull/81",
        ),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="weight_decay_of_optaxs_adamw",
        title="AdamW replaces Adam, with optax's default decay of 1e-4",
        package="jax_impl",
        file="train.py",
        right="optax.adam(learning_rate)",
        wrong="optax.adamw(learning_rate)",
        why="A port replaces AdamW by AdamW, but optax's default is a hundredth of PyTorch's.",
        sources=("https://github.com/google-deepmind/optax/issues/1414",),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="schedule_off_by_one",
        title="A warm-up of one step gives the first step a learning rate of 0",
        package="jax_impl",
        file="train.py",
        right="optax.adam(learning_rate)",
        wrong="optax.adam(lambda count: learning_rate * jnp.minimum(count, 1))",
        why="Schedules count from 0, so step / warm-up is 0 in the first step. This step only "
        "updates the moments.",
        sources=(
            "https://github.com/google-research/bert/issues/1293",
            "https://github.com/verl-project/verl/issues/3674",
        ),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="learning_rate_in_float32",
        title="The learning rate of a float64 run is rounded to float32",
        package="jax_impl",
        file="train.py",
        right="optax.adam(learning_rate)",
        wrong="optax.adam(jnp.float32(learning_rate))",
        why="A learning rate that changes without recompilation must be an array, and an array "
        "has a dtype.",
        sources=(
            "https://github.com/google-deepmind/optax/issues/1414",
            "https://github.com/google-deepmind/optax/issues/1532",
        ),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="adam_counts_anew_after_a_resume",
        title="On resume Adam's moments are restored, but not its step count",
        package="pytorch_impl",
        file="train.py",
        right='"step": torch.tensor(adam.step),',
        wrong='"step": torch.tensor(0),',
        why="A hand-written checkpoint contains the arrays but not the step count. The bias "
        "correction of the first steps is then applied again.",
        sources=("https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html",),
        check="resume",
        form="histogram",
    ),
)
