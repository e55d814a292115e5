"""The accuracy of training and evaluation."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array


@partial(jax.jit, static_argnames="accuracy")
def measure_accuracy(logits: Array, labels: Array, accuracy: str) -> Array:
    """Compute the accuracy of each of several batches, 0 to 1: [batches].

    Takes logits [batches, batch, outputs] and labels [batches, batch]. "micro" is the fraction of
    samples that are right, "macro" the mean over the classes that occur as label or prediction.
    """
    measure = {"micro": micro_accuracy, "macro": macro_accuracy}[accuracy]
    return jax.vmap(measure)(logits, labels)


def micro_accuracy(logits: Array, labels: Array) -> Array:
    """Compute the fraction of samples whose largest logit is their label's: []."""
    return (logits.argmax(-1) == labels).mean(dtype=jnp.float32)


def macro_accuracy(logits: Array, labels: Array) -> Array:
    """Average the accuracy by class, over the classes that occur as label or prediction: []."""
    num_classes = logits.shape[-1]
    guesses = logits.argmax(-1)  # [batch]
    meant = jnp.bincount(labels, length=num_classes)  # [outputs]
    guessed = jnp.bincount(guesses, length=num_classes)  # [outputs]
    is_right = (guesses == labels).astype(jnp.float32)  # [batch]
    right = jnp.bincount(labels, weights=is_right, length=num_classes)  # [outputs]
    recall = right / jnp.maximum(meant, 1)  # [outputs]
    return recall.sum() / jnp.count_nonzero(meant + guessed)
