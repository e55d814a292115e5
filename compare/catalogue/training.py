"""Bugs of a training step: the loss and its gradient."""

from compare.catalogue.records import Bug

TRAINING = (
    Bug(
        name="loss_summed",
        title="The loss is summed over the batch instead of averaged",
        package="jax_impl",
        file="train.py",
        right="loss = cross_entropy(logits, labels).mean()",
        wrong="loss = cross_entropy(logits, labels).sum()",
        why="PyTorch's cross_entropy averages, optax's returns one loss per sample. Any reduction "
        "to a scalar runs. Adam divides out the factor and hides the bug.",
        sources=(
            "https://github.com/ai-safety-foundation/sparse_autoencoder/issues/63",
            "https://optax.readthedocs.io/en/latest/api/losses.html",
        ),
        check="gradients",
    ),
    Bug(
        name="gradient_of_the_sum",
        title="The gradient is that of the summed loss instead of the mean",
        package="pytorch_impl",
        file="train.py",
        right="gradients = torch.autograd.grad(loss, parameters)",
        wrong="gradients = torch.autograd.grad(loss * len(labels), parameters)",
        why="Loss and gradient are reduced in two places, and only the loss is checked.",
        sources=("https://github.com/WongKinYiu/yolov7/issues/1713",),
        check="gradients",
    ),
    Bug(
        name="mean_taken_twice",
        title="The mean loss is divided by the batch size again",
        package="pytorch_impl",
        file="train.py",
        right="loss = cross_entropy(logits, labels)  # []",
        wrong="loss = cross_entropy(logits, labels) / len(labels)  # []",
        why="A loss that is already a mean is averaged again, by hand or by gradient "
        "accumulation. Adam's steps hardly change.",
        sources=("https://github.com/zsyOAOA/ResShift/pull/25",),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="softmax_before_the_loss",
        title="The loss function gets probabilities instead of logits",
        package="jax_impl",
        file="train.py",
        right="loss = cross_entropy(logits, labels).mean()",
        wrong="loss = cross_entropy(jax.nn.softmax(logits), labels).mean()",
        why="The cross-entropy expects probabilities in some libraries and logits in others. The "
        "accuracy still rises, but the loss cannot fall below 1.46 for ten classes.",
        sources=(
            "https://github.com/ariecattan/SciCo/issues/2",
            "https://github.com/NVIDIA/DeepLearningExamples/issues/468",
        ),
        check="gradients",
    ),
    Bug(
        name="label_smoothing_left_on",
        title="Labels are smoothed in training",
        package="pytorch_impl",
        file="train.py",
        right="loss = cross_entropy(logits, labels)  # []",
        wrong="loss = cross_entropy(logits, labels, label_smoothing=0.1)  # []",
        why="A recipe for larger models uses label smoothing, and the port copied the recipe.",
        sources=("https://github.com/pytorch/pytorch/issues/129050",),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="weights_detached",
        title="The attention weights have no gradient",
        package="jax_impl",
        file="model.py",
        right="weights = softmax(scores, -1)",
        wrong="weights = jax.lax.stop_gradient(softmax(scores, -1))",
        why="The weights were detached for plotting or storing, and the detached array was used "
        "afterwards. K and Q do not change, but the other parameters learn, and the loss falls.",
        sources=(
            "https://github.com/bboylyg/NAD/issues/8",
            "https://github.com/facebookresearch/fairseq2/pull/731",
        ),
        check="gradients",
    ),
    Bug(
        name="gradient_without_the_row_dot",
        title="The hand-written gradient of the softmax lacks a term",
        package="jax_impl",
        file="blocks.py",
        right="by_scores = weights * (by_weights - shift)",
        wrong="by_scores = weights * by_weights",
        why="The derivative of a softmax with respect to its own score is well known. The terms "
        "for the other scores, from the common denominator, are forgotten.",
        sources=(
            "https://arxiv.org/abs/2205.14135",
            "https://github.com/huggingface/candle/pull/3724",
        ),
        check="gradients",
        form="blocked",
    ),
    Bug(
        name="gradient_by_key_not_turned",
        title="The gradient with respect to the keys lacks a transpose",
        package="pytorch_impl",
        file="blocks.py",
        right="by_key[block] = thin_product(by_scores.mT, query[block])",
        wrong="by_key[block] = thin_product(by_scores, query[block])",
        why="The gradient of the scores is a square array, and one of the three products needs "
        "its transpose.",
        sources=("https://arxiv.org/abs/2205.14135",),
        check="gradients",
        form="blocked",
    ),
    Bug(
        name="gradients_not_zeroed",
        title="Gradients of earlier steps accumulate",
        package="pytorch_impl",
        file="train.py",
        right="optimizer.zero_grad()",
        wrong="pass  # optimizer.zero_grad() is forgotten",
        why="backward() adds to the existing gradients. JAX has no such state, so a port to "
        "PyTorch misses the line that resets them. The first step is right.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/47175",
            "https://github.com/facebookresearch/nwm/issues/16",
        ),
        check="adam",
        form="histogram",
    ),
    Bug(
        name="log_of_a_softmax",
        title="The loss computes the logarithm of a softmax in two steps",
        package="pytorch_impl",
        file="train.py",
        right="loss=cross_entropy(logits, targets).item(),",
        wrong="loss=-logits.softmax(-1).log()[range(len(targets)), targets].mean().item(),",
        why="This is the definition. If a logit is hundreds below the maximum, its softmax is 0 "
        "and the loss is infinite.",
        sources=(
            "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html",
        ),
        check="loss",
        form="histogram",
    ),
    Bug(
        name="gradients_that_add_up",
        title="The second call for gradients adds them to those of the first call",
        package="pytorch_impl",
        file="train.py",
        right="gradients = torch.autograd.grad(loss, parameters)",
        wrong="loss.backward()\n    gradients = [parameter.grad for parameter in parameters]",
        why="backward() adds to the existing gradients, and those of an earlier call are still "
        "there. The first result is right.",
        sources=(
            "https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html",
        ),
        check="repeat",
        form="histogram",
    ),
)
