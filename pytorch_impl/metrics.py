"""The metrics of training and evaluation, from TorchMetrics."""

from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.functional.classification import multiclass_accuracy


class MicroAccuracy(MulticlassAccuracy):
    """The fraction of samples that are right; TorchMetrics averages by class unless told."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, average="micro", sync_on_compute=False)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count the samples of logits [batches, batch, outputs] and labels [batches, batch]."""
        super().update(preds.flatten(0, 1), target.flatten())


class BatchMacroAccuracy(MeanMetric):
    """The seed's quirk: the mean over batches of each batch's accuracy averaged by class."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(sync_on_compute=False)
        self.num_classes = num_classes

    def update(self, preds: Tensor, target: Tensor) -> None:  # type: ignore[override]
        """Count each batch of logits [batches, batch, outputs] and labels [batches, batch]."""
        for logits, labels in zip(preds, target, strict=True):
            super().update(multiclass_accuracy(logits, labels, self.num_classes, average="macro"))


def measure(losses: Tensor, logits: Tensor, labels: Tensor, accuracy: str) -> tuple[float, float]:
    """Give the mean loss and the accuracy, of the kind asked for, over several batches.

    Takes the batches' losses [batches] in nats, logits [batches, batch, outputs] and labels
    [batches, batch]; measuring them together spares each training step the cost.
    """
    kinds = {"micro": MicroAccuracy, "macro": BatchMacroAccuracy}
    # Unless told not to sync, a metric among several processes waits for all and merges theirs.
    metrics = MetricCollection(
        {
            "loss": MeanMetric(nan_strategy="disable", sync_on_compute=False),
            "accuracy": kinds[accuracy](logits.shape[-1]),
        },
        compute_groups=False,
    ).to(logits.device)
    metrics.update(value=losses, preds=logits, target=labels)
    means = metrics.compute()
    return float(means["loss"]), float(means["accuracy"])
