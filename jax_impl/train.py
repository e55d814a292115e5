"""Training and evaluation in JAX, line for line beside pytorch_impl/train.py."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from optax import adam
from optax import softmax_cross_entropy_with_integer_labels as cross_entropy

from jax_impl.metrics import measure
from jax_impl.model import (
    Images,
    SelfAttentionModel,
    as_input,
    find_device,
    from_params,
    to_params,
)
from shared.batches import epoch_batches, in_parts
from shared.config import Config
from shared.data import Dataset
from shared.levels import LevelImages, in_form
from shared.params import check_labels
from shared.records import AdamState, Epoch, Evaluation


def place(module: nnx.Pytree, device: jax.Device) -> None:
    """Commit all that a module holds to a device, in place, as PyTorch's `module.to` does.

    What is not committed is, once a jitted function has returned it: that function would then be
    compiled a second time, for its own result.
    """
    nnx.update(module, jax.device_put(nnx.state(module), device))


def mean_loss(model: SelfAttentionModel, images: Images, labels: Array) -> tuple[Array, Array]:
    """Compute a batch's mean loss, in nats, and its logits."""
    logits = model(images)  # [batch, outputs]
    loss = cross_entropy(logits, labels).mean()  # []
    return loss, logits


def train_step(
    model: SelfAttentionModel, optimizer: nnx.Optimizer, images: Images, labels: Array
) -> tuple[Array, Array]:
    """Take one step of Adam on a batch; return its mean loss, in nats, and its logits."""
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
    """Take a step on every batch of row numbers [steps, batch]: one compiled loop, lax.scan."""

    @nnx.scan(in_axes=(nnx.Carry, 0))
    def step(carry: tuple[SelfAttentionModel, nnx.Optimizer], rows: Array) -> Any:
        return carry, train_step(*carry, images[rows], labels[rows])

    _, (losses, logits) = step((model, optimizer), batches)
    return losses, logits  # [steps], [steps, batch, outputs]


def steps_alone(
    model: SelfAttentionModel, optimizer: nnx.Optimizer, images: Images, labels: Array
) -> Callable[[Array], tuple[Array, Array]]:
    """Give what takes steps on batches of row numbers: here, in this process."""
    return partial(train_steps, model, optimizer, images, labels)


def train(
    params: Mapping[str, np.ndarray],
    data: Dataset,
    config: Config,
    on_steps: Callable[[int, Array], None] = lambda number, loss: None,
    prepare_steps: Callable[..., Callable[[Array], tuple[Array, Array]]] = steps_alone,
) -> Iterator[Epoch]:
    """Train from `params` and yield every finished epoch.

    `on_steps` hears, now and then, how many steps were taken and the loss of the last;
    `prepare_steps` says who takes them: distributed.py has another answer.
    """
    device = find_device(config.device)
    check_labels(data.train.labels, len(params["out.bias"]))
    model = from_params(params, config.attention, config.dtype, config.device)
    optimizer = nnx.Optimizer(model, adam(config.learning_rate), wrt=nnx.Param)
    place(optimizer, device)
    images = as_input(data.train.in_form(config.attention), config.attention, model.K[...])
    images = jax.device_put(images, device)
    labels = jax.device_put(data.train.labels, device)  # [n]
    take_steps = prepare_steps(model, optimizer, images, labels)
    for number in range(1, config.epochs + 1):
        batches = epoch_batches(
            len(labels),
            config.batch_size,
            sampling=config.sampling,
            seed=config.seed,
            epoch=number,
        )  # [batches, batch]
        losses, logits = [], []
        start = time.perf_counter()
        for part in in_parts(batches):
            rows = jax.device_put(part, device)  # [steps, batch]
            results = take_steps(rows)
            losses.append(results[0])
            logits.append(results[1])
            on_steps(len(part), losses[-1][-1])
        step_losses = np.asarray(jnp.concat(losses))  # [batches]
        seconds = time.perf_counter() - start
        loss, accuracy = measure(
            jnp.concat(losses), jnp.concat(logits), labels[batches], config.accuracy
        )
        yield Epoch(
            number=number,
            train_loss=loss,
            train_accuracy=accuracy,
            validation=evaluate(
                model,
                data.validation.in_form(config.attention),
                data.validation.labels,
                batch_size=config.eval_batch_size,
                accuracy=config.accuracy,
            ),
            train_seconds=seconds,
            samples=batches.size,
            step_losses=step_losses,
            params=to_params(model),
            adam=to_adam_state(model, optimizer),
        )


def to_adam_state(model: SelfAttentionModel, optimizer: nnx.Optimizer) -> AdamState:
    """Copy out what Adam keeps for every parameter, by name."""
    kept, like = optimizer.opt_state[0], nnx.graphdef(model)
    return AdamState(
        step=int(kept.count[...]),
        first_moment=to_params(nnx.merge(like, kept.mu)),
        second_moment=to_params(nnx.merge(like, kept.nu)),
    )


@nnx.jit
def predict(model: SelfAttentionModel, images: Images) -> Array:
    """Compute the logits of a batch: compiled once for every shape of batch."""
    return model(images)


def evaluate(
    model: SelfAttentionModel,
    images: np.ndarray | LevelImages,
    labels: np.ndarray,
    *,
    batch_size: int = 32,
    accuracy: str = "micro",
) -> Evaluation:
    """Compute the loss (nats), the accuracy and the logits of a whole split, batch by batch."""
    check_labels(labels, model.out.out_features)
    images = in_form(images, model.attention)
    starts = range(0, len(images), batch_size)
    logits = jnp.concat(
        [predict(model, images[i : i + batch_size]) for i in starts]
    )  # [n, outputs]
    targets = jnp.asarray(labels)  # [n]
    loss = cross_entropy(logits, targets).mean()  # []
    _, fraction = measure(loss[None], logits[None], targets[None], accuracy)
    return Evaluation(
        loss=float(loss),
        accuracy=fraction,
        logits=np.asarray(logits),
    )


def loss_and_gradients(
    model: SelfAttentionModel, images: np.ndarray, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Compute a batch's mean loss (nats) and its gradient by every parameter, by name."""
    check_labels(labels, model.out.out_features)
    (loss, _), gradients = nnx.value_and_grad(mean_loss, has_aux=True)(model, images, labels)
    return float(loss), to_params(nnx.merge(nnx.graphdef(model), gradients))
