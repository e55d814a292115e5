"""Training and evaluation in JAX, line for line beside pytorch_impl/train.py."""

import time
from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import ArrayLike
from optax import adam
from optax import softmax_cross_entropy_with_integer_labels as cross_entropy

from jax_impl.metrics import make_metrics
from jax_impl.model import SelfAttentionModel, find_device, from_params, place, to_params
from shared.batches import epoch_batches
from shared.config import Config
from shared.data import Dataset
from shared.records import Epoch, Evaluation


def mean_loss(model: SelfAttentionModel, images: Array, labels: Array) -> tuple[Array, Array]:
    """Compute a batch's mean loss, in nats, and its logits."""
    logits = model(images)  # [batch, outputs]
    loss = cross_entropy(logits, labels).mean()  # []
    return loss, logits


@nnx.jit
def train_step(
    model: SelfAttentionModel,
    optimizer: nnx.Optimizer,
    metrics: nnx.MultiMetric,
    images: Array,
    labels: Array,
) -> Array:
    """Take one step of Adam on a batch and return its mean loss, in nats."""
    (loss, logits), gradients = nnx.value_and_grad(mean_loss, has_aux=True)(model, images, labels)
    optimizer.update(model, gradients)
    metrics.update(loss=loss, logits=logits, labels=labels)
    return loss


def train(
    params: Mapping[str, np.ndarray],
    data: Dataset,
    config: Config,
    on_step: Callable[[Array], None] = lambda loss: None,
) -> Iterator[Epoch]:
    """Train from `params` and yield every finished epoch; `on_step` hears of every step."""
    device = find_device(config.device)
    model = from_params(params, config.attention, config.dtype, config.device)
    optimizer = nnx.Optimizer(model, adam(config.learning_rate), wrt=nnx.Param)
    place(optimizer, device)
    images = jax.device_put(data.train.images, device)  # [n, steps, channels]
    labels = jax.device_put(data.train.labels, device)  # [n]
    for number in range(1, config.epochs + 1):
        batches = epoch_batches(
            len(labels),
            config.batch_size,
            sampling=config.sampling,
            seed=config.seed,
            epoch=number,
        )  # [batches, batch]
        losses = []
        metrics = make_metrics(config.accuracy, device)
        start = time.perf_counter()
        for indices in batches:
            loss = train_step(model, optimizer, metrics, images[indices], labels[indices])
            losses.append(loss)
            on_step(loss)
        step_losses = np.array(losses)  # [batches]
        seconds = time.perf_counter() - start
        means = metrics.compute()
        yield Epoch(
            number=number,
            train_loss=float(means["loss"]),
            train_accuracy=float(means["accuracy"]),
            validation=evaluate(
                model,
                data.validation.images,
                data.validation.labels,
                batch_size=config.eval_batch_size,
                accuracy=config.accuracy,
            ),
            train_seconds=seconds,
            samples=batches.size,
            step_losses=step_losses,
            params=to_params(model),
        )


@nnx.jit
def predict(model: SelfAttentionModel, images: ArrayLike) -> Array:
    """Compute the logits of a batch: compiled once for every shape of batch."""
    return model(images)


def evaluate(
    model: SelfAttentionModel,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    batch_size: int = 100,
    accuracy: str = "micro",
) -> Evaluation:
    """Compute the loss (nats), the accuracy and the logits of a whole split, batch by batch."""
    starts = range(0, len(images), batch_size)
    logits = jnp.concat(
        [predict(model, images[i : i + batch_size]) for i in starts]
    )  # [n, outputs]
    targets = jnp.asarray(labels)  # [n]
    loss = cross_entropy(logits, targets).mean()  # []
    metrics = make_metrics(accuracy, logits.device)
    metrics.update(loss=loss, logits=logits, labels=targets)
    return Evaluation(
        loss=float(loss),
        accuracy=float(metrics.compute()["accuracy"]),
        logits=np.asarray(logits),
    )


def loss_and_gradients(
    model: SelfAttentionModel, images: np.ndarray, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Compute a batch's mean loss (nats) and its gradient by every parameter, by name."""
    (loss, _), gradients = nnx.value_and_grad(mean_loss, has_aux=True)(model, images, labels)
    return float(loss), to_params(nnx.merge(nnx.graphdef(model), gradients))
