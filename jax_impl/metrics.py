"""The metrics of training and evaluation, from Flax NNX."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jax_impl.model import place


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

    def update(self, **batch: Any) -> None:  # type: ignore[override]
        """Count one batch; reads its `loss`, a scalar in nats."""
        super().update(values=batch["loss"].astype(jnp.float32))


class BatchMacroAccuracy(nnx.metrics.Average):
    """The seed's quirk: the mean over batches of each batch's accuracy averaged by class."""

    def update(self, **batch: Any) -> None:  # type: ignore[override]
        """Count one batch; reads its `logits` [batch, outputs] and `labels` [batch]."""
        accuracy = macro_accuracy(batch["logits"], batch["labels"])
        super().update(values=accuracy.astype(jnp.float32))


def make_metrics(accuracy: str, device: jax.Device) -> nnx.MultiMetric:
    """Make the metrics of one pass: mean loss, and accuracy of the kind asked for."""
    kinds = {"micro": nnx.metrics.Accuracy, "macro": BatchMacroAccuracy}
    metrics = nnx.MultiMetric(loss=MeanLoss(), accuracy=kinds[accuracy]())
    place(metrics, device)
    return metrics
