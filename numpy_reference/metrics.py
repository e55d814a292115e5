"""Loss and accuracy in plain NumPy."""

import numpy as np


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute each sample's -log(probability of its label), in nats: [batch]."""
    shifted = logits - logits.max(axis=-1, keepdims=True)  # [batch, outputs]
    log_sum = np.log(np.exp(shifted).sum(axis=-1))  # [batch]
    return log_sum - shifted[np.arange(len(labels)), labels]  # [batch]


def measure_accuracy(logits: np.ndarray, labels: np.ndarray, accuracy: str) -> float:
    """Compute the accuracy of a batch, 0 to 1, from logits [batch, outputs] and labels [batch].

    "micro" is the fraction of samples that are right, "macro" the mean over the classes that occur
    as label or prediction.
    """
    return {"micro": micro_accuracy, "macro": macro_accuracy}[accuracy](logits, labels)


def micro_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Compute the fraction of samples whose largest logit is their label's."""
    return float((logits.argmax(-1) == labels).mean())


def macro_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Average the accuracy by class, over the classes that occur as label or prediction."""
    num_classes = logits.shape[-1]
    guesses = logits.argmax(-1)  # [batch]
    meant = np.bincount(labels, minlength=num_classes)  # [outputs]
    guessed = np.bincount(guesses, minlength=num_classes)  # [outputs]
    right = np.bincount(labels[guesses == labels], minlength=num_classes)  # [outputs]
    recall = right / np.maximum(meant, 1)  # [outputs]
    return float(recall.sum() / np.count_nonzero(meant + guessed))
