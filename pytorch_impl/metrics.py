"""The metrics of training and evaluation, from TorchMetrics."""

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.functional.classification import multiclass_accuracy


class BatchMacroAccuracy(MeanMetric):
    """The seed's quirk: the mean over batches of each batch's accuracy averaged by class."""

    def update(self, preds: Tensor, target: Tensor) -> None:  # type: ignore[override]
        """Count one batch: its logits [batch, outputs] and labels [batch]."""
        num_classes = preds.shape[-1]
        super().update(multiclass_accuracy(preds, target, num_classes, average="macro"))


def make_metrics(accuracy: str, num_outputs: int, device: torch.device) -> MetricCollection:
    """Make the metrics of one pass: mean loss, and accuracy of the kind asked for."""
    # TorchMetrics averages by class unless told otherwise; "micro" counts samples.
    kinds = {
        "micro": MulticlassAccuracy(num_outputs, average="micro"),
        "macro": BatchMacroAccuracy(),
    }
    metrics: dict[str, Metric | MetricCollection] = {
        "loss": MeanMetric(),
        "accuracy": kinds[accuracy],
    }
    return MetricCollection(metrics, compute_groups=False).to(device)
