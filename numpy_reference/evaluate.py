"""The evaluation of a whole split in plain NumPy, in bounded memory."""

import numpy as np

from numpy_reference.convert import to_batch
from numpy_reference.metrics import cross_entropy, measure_accuracy
from numpy_reference.model import SelfAttentionModel
from shared.config import ACCURACIES
from shared.data.batches import batches_in_order
from shared.data.levels import LevelImages
from shared.errors import check_choice
from shared.training.records import Evaluation


def evaluate(
    model: SelfAttentionModel,
    images: np.ndarray | LevelImages,
    labels: np.ndarray,
    *,
    batch_size: int = 32,
    accuracy: str = "micro",
) -> Evaluation:
    """Compute the loss (nats), the accuracy and the logits of a whole split, batch by batch."""
    check_choice("accuracy", accuracy, ACCURACIES)
    x, targets = to_batch(model, images, labels)
    batches = batches_in_order(len(targets), batch_size)
    logits = np.concat([model(x[rows]) for rows in batches])  # [n, outputs]
    return Evaluation(
        loss=float(cross_entropy(logits, targets).mean()),
        accuracy=measure_accuracy(logits, targets, accuracy),
        logits=logits,
    )
