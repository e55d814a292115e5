"""Loss and accuracy in plain NumPy, and the evaluation of a whole split in bounded memory."""

import numpy as np

from numpy_reference.model import SelfAttentionModel
from shared.levels import LevelImages, in_form
from shared.params import check_labels
from shared.training.records import Evaluation


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute each sample's -log(probability of its label), in nats: [batch]."""
    shifted = logits - logits.max(axis=-1, keepdims=True)  # [batch, outputs]
    log_sum = np.log(np.exp(shifted).sum(axis=-1))  # [batch]
    return log_sum - shifted[np.arange(len(labels)), labels]  # [batch]


def micro_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Count the fraction of samples whose largest logit is their label's."""
    return float((logits.argmax(axis=-1) == labels).mean())


def macro_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Average the accuracy by class: over the classes that were meant or guessed."""
    guesses = logits.argmax(axis=-1)  # [batch]
    seen = np.union1d(labels, guesses)  # [classes]
    right = [((guesses == label) & (labels == label)).sum() for label in seen]
    meant = [(labels == label).sum() for label in seen]
    return float(np.mean(np.array(right) / np.maximum(meant, 1)))


def evaluate(
    model: SelfAttentionModel,
    images: np.ndarray | LevelImages,
    labels: np.ndarray,
    *,
    batch_size: int = 32,
    accuracy: str = "micro",
) -> Evaluation:
    """Compute the loss (nats), the accuracy and the logits of a whole split, batch by batch."""
    check_labels(labels, len(model.out_bias))
    images = in_form(images, model.attention)
    starts = range(0, len(images), batch_size)
    logits = np.concat([model(images[i : i + batch_size]) for i in starts])  # [n, outputs]
    measure = {"micro": micro_accuracy, "macro": macro_accuracy}[accuracy]
    return Evaluation(
        loss=float(cross_entropy(logits, labels).mean()),
        accuracy=measure(logits, labels),
        logits=logits,
    )
