"""Training and evaluation in JAX, step by step as in pytorch_impl/train.py."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from optax import softmax_cross_entropy_with_integer_labels as cross_entropy

from jax_impl.convert import Images, computing_in, from_params, to_batch, to_numpy, to_params
from jax_impl.metrics import measure_accuracy
from jax_impl.model import SelfAttentionModel
from shared.config import ACCURACIES, Config
from shared.data.batches import batches_in_order, check_rows
from shared.data.levels import LevelImages
from shared.data.load import Split
from shared.errors import check_choice
from shared.training.records import AdamState, Evaluation


def mean_loss(model: SelfAttentionModel, images: Images, labels: Array) -> tuple[Array, Array]:
    """Compute a batch's mean loss, in nats, and its logits."""
    logits = model(images)  # [batch, outputs]
    loss = cross_entropy(logits, labels).mean()  # []
    return loss, logits


def train_step(
    model: SelfAttentionModel, optimizer: nnx.Optimizer, images: Images, labels: Array
) -> tuple[Array, Array]:
    """Train on one batch by one step of Adam; return its mean loss, in nats, and logits."""
    (loss, logits), gradients = nnx.value_and_grad(mean_loss, has_aux=True)(model, images, labels)
    optimizer.update(model, gradients)
    return loss, logits


@nnx.jit
def train_steps(
    model: SelfAttentionModel,
    optimizer: nnx.Optimizer,
    images: Images,
    labels: Array,
    batches: Array,
) -> tuple[Array, Array]:
    """Train on every batch of sample indices [steps, batch]; return losses and logits."""

    @nnx.scan(in_axes=(nnx.Carry, 0))
    def step(carry: tuple[SelfAttentionModel, nnx.Optimizer], rows: Array) -> Any:
        return carry, train_step(*carry, images[rows], labels[rows])

    _, (losses, logits) = step((model, optimizer), batches)
    return losses, logits  # [steps], [steps, batch, outputs]


class Training:
    """A training: the model, its optimizer and its data on a device."""

    def __init__(
        self, params: Mapping[str, np.ndarray], adam: AdamState, data: Split, config: Config
    ) -> None:
        """Start from parameters and Adam's state, with a copy of the data."""
        self.accuracy, self.dtype = config.accuracy, config.dtype
        self.model = from_params(params, config.attention, config.dtype, config.device)
        with computing_in(self.dtype):
            updates = adam_at(config.learning_rate)
            self.optimizer = nnx.Optimizer(self.model, updates, wrt=nnx.Param)
            set_adam_state(self.model, self.optimizer, adam)
            images = data.in_form(config.attention)
            self.images, self.labels = to_batch(self.model, images, data.labels)

    def take_steps(self, batches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Train on every batch of sample indices [steps, batch].

        Returns the loss, in nats, and the accuracy of each before its step: [steps].
        """
        with computing_in(self.dtype):
            batches = check_rows(batches, len(self.labels))
            rows = jnp.array(batches, device=self.labels.device)  # [steps, batch]
            losses, logits = self.train_steps(rows)
            accuracies = measure_accuracy(logits, self.labels[rows], self.accuracy)  # [steps]
            return to_numpy(losses), to_numpy(accuracies)

    def train_steps(self, batches: Array) -> tuple[Array, Array]:
        """Train in this process alone."""
        return train_steps(self.model, self.optimizer, self.images, self.labels, batches)

    def state(self) -> tuple[dict[str, np.ndarray], AdamState]:
        """Return a copy of the parameters and of Adam's state."""
        return to_params(self.model), to_adam_state(self.model, self.optimizer)


@cache
def adam_at(learning_rate: float) -> optax.GradientTransformation:
    """Return the same Adam for the same rate, so that train_steps is not compiled again."""
    return optax.adam(learning_rate)


def to_adam_state(model: SelfAttentionModel, optimizer: nnx.Optimizer) -> AdamState:
    """Return a copy of Adam's state of every parameter, by name."""
    kept, like = optimizer.opt_state[0], nnx.graphdef(model)
    return AdamState(
        step=int(kept.count[...]),
        first_moment=to_params(nnx.merge(like, kept.mu)),
        second_moment=to_params(nnx.merge(like, kept.nu)),
    )


def set_adam_state(model: SelfAttentionModel, optimizer: nnx.Optimizer, adam: AdamState) -> None:
    """Load a copy of Adam's state of every parameter, by name."""
    kept, dtype = optimizer.opt_state[0], model.K.dtype.name
    kept.count[...] = adam.step
    nnx.update(kept.mu, nnx.state(from_params(adam.first_moment, dtype=dtype)))
    nnx.update(kept.nu, nnx.state(from_params(adam.second_moment, dtype=dtype)))
    # Committed to the model's device, like the results of a jitted function; otherwise it would be
    # compiled again for its own result.
    nnx.update(optimizer, jax.device_put(nnx.state(optimizer), model.K.device))


@nnx.jit
def predict(model: SelfAttentionModel, images: Images, rows: np.ndarray) -> Array:
    """Compute the logits of a batch; compiled once per shape of batch."""
    return model(images[rows])


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
    with computing_in(model.K.dtype.name):
        x, targets = to_batch(model, images, labels)
        batches = batches_in_order(len(targets), batch_size)
        every = np.arange(len(targets))  # as indices: JAX would compile for each slice
        logits = jnp.concat([predict(model, x, every[rows]) for rows in batches])  # [n, outputs]
        return Evaluation(
            loss=cross_entropy(logits, targets).mean().item(),
            accuracy=measure_accuracy(logits[None], targets[None], accuracy).item(),
            logits=to_numpy(logits),
        )


@nnx.jit
def differentiate(
    model: SelfAttentionModel, images: Images, labels: Array
) -> tuple[Array, nnx.State]:
    """Differentiate a batch's mean loss; compiled once per shape of batch."""
    (loss, _), gradients = nnx.value_and_grad(mean_loss, has_aux=True)(model, images, labels)
    return loss, gradients


def loss_and_gradients(
    model: SelfAttentionModel, images: np.ndarray | LevelImages, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Compute a batch's mean loss (nats) and its gradient by every parameter, by name."""
    with computing_in(model.K.dtype.name):
        loss, gradients = differentiate(model, *to_batch(model, images, labels))
        return loss.item(), to_params(nnx.merge(nnx.graphdef(model), gradients))


if __name__ == "__main__":
    raise SystemExit("This file only defines the training: run `python -m jax_impl`.")
