"""The metrics of training and evaluation, from Flax NNX."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array


def macro_accuracy(logits: Array, labels: Array) -> Array:
    """Average a batch's accuracy by class: over the classes that were meant or guessed."""
    num_classes = logits.shape[-1]
    guesses = logits.argmax(-1)  # [batch]
    meant = jnp.bincount(labels, length=num_classes)  # [classes]
    guessed = jnp.bincount(guesses, length=num_classes)  # [classes]
    is_right = (guesses == labels).astype(jnp.float32)  # [batch]
    right = jnp.bincount(labels, weights=is_right, length=num_classes)  # [classes]
    recall = right / jnp.maximum(meant, 1)  # [classes]
    return recall.sum() / jnp.count_nonzero(meant + guessed)


class MeanLoss(nnx.metrics.Average):
    """The mean of the batches' losses; like TorchMetrics', it adds up in float32."""

    def update(self, **batches: Any) -> None:  # type: ignore[override]
        """Count the `losses` [batches], in nats."""
        super().update(values=batches["losses"].astype(jnp.float32))


class BatchMacroAccuracy(nnx.metrics.Average):
    """The seed's quirk: the mean over batches of each batch's accuracy averaged by class."""

    def update(self, **batches: Any) -> None:  # type: ignore[override]
        """Count each batch of `logits` [batches, batch, outputs] and `labels` [batches, batch]."""
        accuracies = jax.vmap(macro_accuracy)(batches["logits"], batches["labels"])  # [batches]
        super().update(values=accuracies.astype(jnp.float32))


def measure(losses: Array, logits: Array, labels: Array, accuracy: str) -> tuple[float, float]:
    """Give the mean loss and the accuracy, of the kind asked for, over several batches.

    Takes the batches' losses [batches] in nats, logits [batches, batch, outputs] and labels
    [batches, batch]; measuring them together spares each training step the cost.
    """
    kinds = {"micro": nnx.metrics.Accuracy, "macro": BatchMacroAccuracy}
    metrics = nnx.MultiMetric(loss=MeanLoss(), accuracy=kinds[accuracy]())
    metrics.update(losses=losses, logits=logits, labels=labels)
    means = metrics.compute()
    return float(means["loss"]), float(means["accuracy"])
