"""Bugs that were ported along: planted in every framework at once, which then agree.

No comparison of two frameworks shows these. What does is NumPy, a formula, or a number worked out
by hand.
"""

from compare.catalogue.records import Bug, Place

SOFTMAX = "weights = softmax(scores, -1)"
LAST = "logits[batches[-1]], targets[batches[-1]]"

PORTED = (
    Bug(
        name="softmax_over_the_queries_in_both",
        title="In both frameworks, the softmax is computed over the axis of the queries",
        package="jax_impl",
        file="model.py",
        right=SOFTMAX,
        wrong="weights = softmax(scores, -2)",
        why="A model is ported line by line, including its bugs. The agreement of both versions "
        "is then taken as a proof.",
        sources=(
            "https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
            "https://github.com/nerminnuraydogan/vision-transformer/issues/1",
        ),
        check="intermediates",
        intermediate="weights",
        ported=(Place("pytorch_impl", "model.py", SOFTMAX, "weights = softmax(scores, -2)"),),
    ),
    Bug(
        name="weight_decay_in_both",
        title="In both frameworks, AdamW with a decay of 1e-2 replaces Adam",
        package="jax_impl",
        file="train.py",
        right="return optax.adam(learning_rate)",
        wrong="return optax.adamw(learning_rate, weight_decay=1e-2)",
        why="If the defaults of two libraries differ, a port sets them to the same value. Nobody "
        "checks that there should be no decay, especially not for biases.",
        sources=(
            "https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html",
            "https://optax.readthedocs.io/en/latest/api/optimizers.html#optax.adamw",
        ),
        check="adam",
        form="histogram",
        ported=(
            Place(
                "pytorch_impl",
                "train.py",
                "from torch.optim import Adam, Optimizer",
                "from torch.optim import AdamW as Adam, Optimizer",
            ),
        ),
    ),
    Bug(
        name="adam_one_step_ahead_in_both",
        title="In both frameworks, Adam's step count starts one too high",
        package="jax_impl",
        file="train.py",
        right="kept.count[...] = adam.step",
        wrong="kept.count[...] = adam.step + 1",
        why="The paper counts steps from 1, and libraries add this 1 themselves. The first step "
        "then has the bias correction of the second. After a hundred steps the effect is not "
        "visible.",
        sources=(
            "https://github.com/Oneflow-Inc/oneflow/pull/5960",
            "https://arxiv.org/abs/1412.6980",
        ),
        check="adam",
        form="histogram",
        ported=(
            Place(
                "pytorch_impl",
                "train.py",
                '"step": torch.tensor(adam.step),',
                '"step": torch.tensor(adam.step + 1),',
            ),
        ),
    ),
    Bug(
        name="loss_of_the_last_batch_in_both",
        title="In both frameworks, the evaluation reports the loss of its last batch",
        package="jax_impl",
        file="train.py",
        right="loss=cross_entropy(logits, targets).mean().item(),",
        wrong=f"loss=cross_entropy({LAST}).mean().item(),",
        why="After the loop, the loop variable contains the last batch, and its mean looks like "
        "the mean of all batches.",
        sources=(
            "https://github.com/keras-team/keras/issues/13780",
            "https://github.com/google/prettytensor/issues/35",
        ),
        check="loss",
        form="histogram",
        ported=(
            Place(
                "pytorch_impl",
                "train.py",
                "loss=cross_entropy(logits, targets).item(),",
                f"loss=cross_entropy({LAST}).item(),",
            ),
        ),
    ),
    Bug(
        name="accuracy_after_the_step_in_both",
        title="In both frameworks, training accuracy is measured after the step on the same batch",
        package="jax_impl",
        file="train.py",
        right="    optimizer.update(model, gradients)\n    return loss, logits",
        wrong="    optimizer.update(model, gradients)\n    return loss, model(images)",
        why="The loss is measured before the step and the accuracy after it, on images that were "
        "just trained on. It is slightly too high in both frameworks.",
        sources=("https://github.com/hunto/image_classification_sota/pull/1",),
        check="epochs",
        form="histogram",
        ported=(
            Place(
                "pytorch_impl",
                "train.py",
                "return loss.detach(), logits.detach()",
                "return loss.detach(), model(images).detach()",
            ),
        ),
    ),
    Bug(
        name="macro_over_what_is_meant_in_all",
        title="In all three, the mean over classes ignores classes that occur only as predictions",
        package="numpy_reference",
        file="metrics.py",
        right="return float(recall.sum() / np.count_nonzero(meant + guessed))",
        wrong="return float(recall.sum() / np.count_nonzero(meant))",
        why="scikit-learn defines the mean in this way. TorchMetrics, which the original uses, "
        "counts a class that is only predicted as wrong. The bug is also in the NumPy reference "
        "that checks the accuracy.",
        sources=(
            "https://scikit-learn.org/stable/modules/generated/"
            "sklearn.metrics.balanced_accuracy_score.html",
            "https://github.com/scikit-learn/scikit-learn/issues/6747",
        ),
        check="accuracy",
        ported=(
            Place(
                "jax_impl",
                "metrics.py",
                "return recall.sum() / jnp.count_nonzero(meant + guessed)",
                "return recall.sum() / jnp.count_nonzero(meant)",
            ),
            Place(
                "pytorch_impl",
                "metrics.py",
                "    average, num_classes = accuracy, logits.shape[-1]\n",
                "    average, num_classes = accuracy, logits.shape[-1]\n"
                '    if average == "macro":\n'
                "        meant = labels[..., None] == labels.new_tensor(range(num_classes))\n"
                "        right = meant & (logits.argmax(-1) == labels)[..., None]\n"
                "        recall = right.sum(-2) / meant.sum(-2).clamp(min=1)\n"
                "        return recall.sum(-1) / meant.any(-2).sum(-1)\n",
            ),
        ),
    ),
)
