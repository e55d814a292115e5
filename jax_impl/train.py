"""Training and evaluation in JAX, line for line beside pytorch_impl/train.py."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from shared.training.records import (
    AdamState,
    Epoch,
    Evaluation,
    StateWatcher,
    TrainingState,
    begin_next_epoch,
    begin_training,
    ignore_state,
)


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
    on_state: StateWatcher = ignore_state,
    start: TrainingState | None = None,
    prepare_steps: Callable[..., Callable[[Array], tuple[Array, Array]]] = steps_alone,
) -> Iterator[Epoch]:
    """Train from `params`, or go on from `start`, and yield every finished epoch.

    `on_steps` hears, now and then, how many steps were taken and the loss of the last; `on_state`
    hears how many, and gets a function that copies out the state to go on from;
    `prepare_steps` says who takes them, see distributed.py.
    """
    start = start or begin_training(params, config)
    params = start.params
    device = find_device(config.device)
    check_labels(data.train.labels, len(params["out.bias"]))
    model = from_params(params, config.attention, config.dtype, config.device)
    optimizer = nnx.Optimizer(model, adam(config.learning_rate), wrt=nnx.Param)
    set_adam_state(model, optimizer, start.adam)
    place(optimizer, device)
    images = as_input(data.train.in_form(config.attention), config.attention, model.K[...])
    images = jax.device_put(images, device)
    labels = jax.device_put(data.train.labels, device)  # [n]
    take_steps = prepare_steps(model, optimizer, images, labels)
    for number in range(start.epoch, config.epochs + 1):
        batches = epoch_batches(
            len(labels),
            config.batch_size,
            sampling=config.sampling,
            seed=config.seed,
            epoch=number,
        )  # [batches, batch]
        losses = [jax.device_put(start.step_losses, device)]
        logits = [jax.device_put(start.logits, device)]
        began = time.perf_counter() - start.seconds
        for part in in_parts(batches, len(start.step_losses), config.checkpoint_every):
            rows = jax.device_put(part, device)  # [steps, batch]
            results = take_steps(rows)
            losses.append(results[0])
            logits.append(results[1])
            on_steps(len(part), losses[-1][-1])
            so_far = (number, losses, logits, began)
            on_state(len(part), partial(to_training_state, model, optimizer, *so_far))
        step_losses = np.asarray(jnp.concat(losses))  # [batches]
        seconds = time.perf_counter() - began
        loss, accuracy = measure(
            jnp.concat(losses), jnp.concat(logits), labels[batches], config.accuracy
        )
        epoch = Epoch(
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
        yield epoch
        start = begin_next_epoch(epoch, config)


def to_adam_state(model: SelfAttentionModel, optimizer: nnx.Optimizer) -> AdamState:
    """Copy out what Adam keeps for every parameter, by name."""
    kept, like = optimizer.opt_state[0], nnx.graphdef(model)
    return AdamState(
        step=int(kept.count[...]),
        first_moment=to_params(nnx.merge(like, kept.mu)),
        second_moment=to_params(nnx.merge(like, kept.nu)),
    )


def set_adam_state(model: SelfAttentionModel, optimizer: nnx.Optimizer, adam: AdamState) -> None:
    """Let Adam go on from what it kept for every parameter, by name."""
    kept, dtype = optimizer.opt_state[0], model.K.dtype.name
    kept.count[...] = adam.step
    nnx.update(kept.mu, nnx.state(from_params(adam.first_moment, dtype=dtype)))
    nnx.update(kept.nu, nnx.state(from_params(adam.second_moment, dtype=dtype)))


def to_training_state(
    model: SelfAttentionModel,
    optimizer: nnx.Optimizer,
    epoch: int,
    losses: Sequence[Array],
    logits: Sequence[Array],
    began: float,
) -> TrainingState:
    """Copy out all that training needs to go on, within an epoch that began then."""
    return TrainingState(
        epoch=epoch,
        params=to_params(model),
        adam=to_adam_state(model, optimizer),
        step_losses=np.concatenate([np.asarray(part) for part in losses]),
        logits=np.concatenate([np.asarray(part) for part in logits]),
        seconds=time.perf_counter() - began,
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


@nnx.jit
def differentiate(
    model: SelfAttentionModel, images: Images, labels: Array
) -> tuple[Array, nnx.State]:
    """Differentiate a batch's mean loss: compiled once for every shape of batch."""
    (loss, _), gradients = nnx.value_and_grad(mean_loss, has_aux=True)(model, images, labels)
    return loss, gradients


def loss_and_gradients(
    model: SelfAttentionModel, images: np.ndarray, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Compute a batch's mean loss (nats) and its gradient by every parameter, by name."""
    check_labels(labels, model.out.out_features)
    targets = jnp.asarray(labels)  # [batch]
    loss, gradients = differentiate(model, in_form(images, model.attention), targets)
    return float(loss), to_params(nnx.merge(nnx.graphdef(model), gradients))
