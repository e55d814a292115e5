"""Bugs around the training step: which batches there are, and what is reported of them."""

from compare.catalogue.records import Bug

EPOCHS = (
    Bug(
        name="epochs_off_by_one",
        title="Every epoch uses the batches of the previous epoch",
        package="shared",
        file="training/loop.py",
        right="draw_batches(num_samples, state.epoch, config)",
        wrong="draw_batches(num_samples, state.epoch - 1, config)",
        why="Epochs count from 0 in one place and from 1 in another, or the count starts again "
        "after a restart.",
        sources=(
            "https://github.com/huggingface/accelerate/pull/4203",
            "https://github.com/huggingface/accelerate/pull/4071",
        ),
        check="epochs",
        form="histogram",
    ),
    Bug(
        name="same_order_every_epoch",
        title="Every epoch uses the batches in the same order",
        package="shared",
        file="training/loop.py",
        right="draw_batches(num_samples, state.epoch, config)",
        wrong="draw_batches(num_samples, 1, config)",
        why="A seeded shuffle does not change unless it gets the number of the epoch "
        "(sampler.set_epoch in PyTorch).",
        sources=(
            "https://github.com/pytorch/pytorch/issues/31771",
            "https://github.com/facebookresearch/ClassyVision/pull/118",
        ),
        check="epochs",
        form="histogram",
    ),
    Bug(
        name="batches_with_replacement",
        title="Batches are drawn with replacement instead of shuffled",
        package="shared",
        file="training/loop.py",
        right="sampling=config.sampling",
        wrong='sampling="replacement"',
        why="Random indices are the simplest way to draw a batch. About a third of the images "
        "then do not occur in an epoch.",
        sources=(
            "https://github.com/mnielsen/neural-networks-and-deep-learning/issues/50",
            "https://github.com/fchollet/deep-learning-with-python-notebooks/pull/68",
        ),
        check="trajectory",
        form="histogram",
    ),
    Bug(
        name="mean_of_batch_means",
        title="The loss is the mean over batches, with a short last batch",
        package="pytorch_impl",
        file="train.py",
        right="loss=cross_entropy(logits, targets).item(),",
        wrong="loss=torch.stack([cross_entropy(logits[rows], targets[rows]) for rows in "
        "batches])\n"
        "        .mean()\n"
        "        .item(),",
        why="The mean of the batch means is right if all batches have the same size. In a shorter "
        "last batch, every sample has a larger weight.",
        sources=(
            "https://github.com/catalyst-team/catalyst/issues/799",
            "https://github.com/dnouri/nolearn/issues/247",
        ),
        check="loss",
    ),
    Bug(
        name="last_batch_dropped",
        title="The evaluation drops a short last batch",
        package="jax_impl",
        file="train.py",
        right="batches = batches_in_order(len(targets), batch_size)\n",
        wrong="batches = [rows for rows in batches_in_order(len(targets), batch_size)][: "
        "len(targets) // batch_size]\n"
        "        targets = targets[: len(batches) * batch_size]\n",
        why="drop_last=True is useful in training, where all batches should have the same shape. "
        "It was copied to the evaluation.",
        sources=(
            "https://github.com/thuml/Autoformer/issues/104",
            "https://github.com/NVIDIA-NeMo/RL/issues/958",
        ),
        check="logits",
    ),
    Bug(
        name="validation_of_the_start",
        title="Every epoch validates the initial weights",
        package="shared",
        file="training/loop.py",
        right="            training.model,\n",
        wrong="            implementation.from_params(params, config.attention, "
        "config.dtype, config.device),\n",
        why="A compiled function keeps captured weights as constants from its first call.",
        sources=(
            "https://github.com/jax-ml/jax/issues/1426",
            "https://github.com/reservoirpy/reservoirpy/issues/235",
        ),
        check="epochs",
        form="histogram",
    ),
    Bug(
        name="loss_of_the_last_step",
        title="An epoch reports the loss of its last step as its mean",
        package="shared",
        file="training/loop.py",
        right="train_loss=float(epoch.losses.mean(dtype=np.float64)),",
        wrong="train_loss=float(epoch.losses[-1]),",
        why="The loop variable still contains a loss after the loop.",
        sources=(
            "https://github.com/numaproj/numalogic/issues/53",
            "https://github.com/nntrainer/nntrainer/pull/435",
        ),
        check="epochs",
        form="histogram",
    ),
    Bug(
        name="loss_in_bits",
        title="The loss is in bits instead of nats",
        package="jax_impl",
        file="train.py",
        right="loss=cross_entropy(logits, targets).mean().item(),",
        wrong="loss=(cross_entropy(logits, targets).mean() / jnp.log(2.0)).item(),",
        why="Papers use both units and rarely state the base of the logarithm.",
        sources=("https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.entropy.html",),
        check="loss",
        intermediate="loss",
    ),
    Bug(
        name="macro_for_micro",
        title="Accuracy is averaged over classes instead of samples",
        package="pytorch_impl",
        file="metrics.py",
        right="average, num_classes = accuracy, logits.shape[-1]",
        wrong='average, num_classes = "macro", logits.shape[-1]',
        why="This is the default of TorchMetrics' MulticlassAccuracy, but not of its Accuracy. "
        "For balanced classes both are nearly equal.",
        sources=(
            "https://github.com/Lightning-AI/torchmetrics/issues/2320",
            "https://github.com/microsoft/hi-ml/pull/671",
        ),
        check="accuracy",
    ),
    Bug(
        name="absent_classes_count",
        title="In the mean over classes, absent classes count as wrong",
        package="jax_impl",
        file="metrics.py",
        right="return recall.sum() / jnp.count_nonzero(meant + guessed)",
        wrong="return recall.mean()",
        why="A mean over all classes is the shorter code. In a batch of 16, some of the ten "
        "digits are usually absent.",
        sources=(
            "https://github.com/Lightning-AI/torchmetrics/issues/1664",
            "https://github.com/Lightning-AI/torchmetrics/issues/2418",
        ),
        check="accuracy",
    ),
    Bug(
        name="ties_to_the_last",
        title="Among equal logits, the last one wins",
        package="numpy_reference",
        file="metrics.py",
        right="return float((logits.argmax(-1) == labels).mean())",
        wrong='order = logits.argsort(-1, kind="stable")\n'
        "    return float((order[:, -1] == labels).mean())",
        why="The best k elements are the last k of a sorted row. For k = 1 this differs from "
        "argmax, which returns the first of several equal elements. With bfloat16 logits, ties "
        "are frequent.",
        sources=(
            "https://github.com/vllm-project/tpu-inference/pull/3580",
            "https://github.com/blue-oil/blueoil/pull/58",
        ),
        check="accuracy",
        small="Without ties the result is the same; `accuracy` uses equal logits.",
    ),
    Bug(
        name="labels_not_checked",
        title="A label out of range raises no error",
        package="jax_impl",
        file="convert.py",
        right="from shared.params import PARAM_NAMES, check_batch, read_params\n",
        wrong="from shared.params import PARAM_NAMES, read_params\n"
        "\n"
        "\n"
        "def check_batch(images_shape, labels, image_shape, outputs):\n"
        "    return np.asarray(labels)  # any label, as optax does\n"
        "\n"
        "\n",
        why="PyTorch raises an error, so a port from it has no check. In JAX an index past the "
        "end gives NaN or the last element, and -1 counts from the end.",
        sources=("https://github.com/google-deepmind/optax/issues/1185",),
        check="labels",
        form="histogram",
    ),
    Bug(
        name="validated_on_the_test_split",
        title="Every epoch is validated on the test split",
        package="shared",
        file="training/loop.py",
        right="data.validation.in_form(config.attention), data.validation.labels",
        wrong="data.test.in_form(config.attention), data.test.labels",
        why="Many scripts have only two splits and call the second validation or test. The best "
        "parameters are then selected on the data that they are tested on.",
        sources=("https://scikit-learn.org/stable/common_pitfalls.html#data-leakage",),
        check="epochs",
        form="histogram",
    ),
    Bug(
        name="validation_accuracy_always_micro",
        title="Validation uses the default accuracy instead of the requested one",
        package="shared",
        file="training/loop.py",
        right="            accuracy=config.accuracy,\n",
        wrong="",
        why="The option reaches the metric of the training, but the metric of the validation is "
        "created elsewhere with a default.",
        sources=("https://github.com/IGNF/myria3d/issues/130",),
        check="epochs",
        form="histogram",
    ),
    Bug(
        name="jax_timed_without_waiting",
        title="JAX's steps are timed without waiting for their results",
        package="jax_impl",
        file="train.py",
        right="return to_numpy(losses), to_numpy(accuracies)",
        wrong="return losses, accuracies",
        why="JAX computes asynchronously and returns at once. The benchmark then measures only "
        "the time of the call.",
        sources=(
            "https://github.com/gchq/coreax/issues/470",
            "https://github.com/gbionics/jaxsim/pull/344",
            "https://docs.jax.dev/en/latest/async_dispatch.html",
        ),
        check="epochs",
        form="histogram",
    ),
    Bug(
        name="seconds_of_the_last_part",
        title="The duration of an epoch is that of its last part",
        package="shared",
        file="training/loop.py",
        right="self.seconds += time.perf_counter() - began",
        wrong="self.seconds = time.perf_counter() - began",
        why="In small tests an epoch has only one part, so the bug does not show.",
        sources=("https://github.com/NVIDIA/DeepLearningExamples/pull/879",),
        check="reports",
        form="histogram",
    ),
    Bug(
        name="samples_are_batches",
        title="Samples per second are batches per second",
        package="shared",
        file="training/loop.py",
        right="samples=batches.size,",
        wrong="samples=len(batches),",
        why="The loop counts batches. Both frameworks have the same bug, so the ratio of their "
        "speeds is right.",
        sources=(
            "https://github.com/apache/mxnet/issues/431",
            "https://github.com/instructlab/training/issues/392",
        ),
        check="epochs",
        form="histogram",
    ),
)
