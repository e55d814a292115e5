"""The accuracy of training and evaluation, from TorchMetrics."""

from typing import Any

from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy


def measure_accuracy(logits: Tensor, labels: Tensor, accuracy: Any) -> Tensor:
    """Compute the accuracy of each of several batches, 0 to 1: [batches].

    Takes logits [batches, batch, outputs] and labels [batches, batch]. "micro" is the fraction of
    samples that are right, "macro" the mean over the classes that occur as label or prediction.
    """
    average, num_classes = accuracy, logits.shape[-1]
    return multiclass_accuracy(
        logits.mT, labels, num_classes, average, multidim_average="samplewise"
    )
