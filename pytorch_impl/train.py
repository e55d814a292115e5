"""Training and evaluation in PyTorch, line for line beside jax_impl/train.py."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Adam, Optimizer

from pytorch_impl.metrics import measure
from pytorch_impl.model import (
    Images,
    SelfAttentionModel,
    as_input,
    find_device,
    from_params,
    to_numpy,
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


def train_step(
    model: nn.Module, optimizer: Optimizer, images: Images, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Take one step of Adam on a batch; return its mean loss, in nats, and its logits."""
    logits = model(images)  # [batch, outputs]
    loss = cross_entropy(logits, labels)  # []
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach(), logits.detach()


def train_steps(
    model: nn.Module,
    optimizer: Optimizer,
    images: Images,
    labels: Tensor,
    batches: Tensor,
) -> tuple[Tensor, Tensor]:
    """Take a step on every batch of row numbers [steps, batch]; losses and logits stay there."""
    losses, logits = [], []
    for rows in batches:
        loss, batch_logits = train_step(model, optimizer, images[rows], labels[rows])
        losses.append(loss)
        logits.append(batch_logits)
    return torch.stack(losses), torch.stack(logits)  # [steps], [steps, batch, outputs]


def steps_alone(
    model: SelfAttentionModel, optimizer: Optimizer, images: Images, labels: Tensor
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Give what takes steps on batches of row numbers: here, in this process."""
    return partial(train_steps, model, optimizer, images, labels)


def train(
    params: Mapping[str, np.ndarray],
    data: Dataset,
    config: Config,
    on_steps: Callable[[int, Tensor], None] = lambda number, loss: None,
    on_state: StateWatcher = ignore_state,
    start: TrainingState | None = None,
    prepare_steps: Callable[..., Callable[[Tensor], tuple[Tensor, Tensor]]] = steps_alone,
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
    optimizer = Adam(model.parameters(), lr=config.learning_rate, fused=True)
    set_adam_state(model, optimizer, start.adam)
    images = as_input(data.train.in_form(config.attention), config.attention, model.K.detach())
    labels = torch.tensor(data.train.labels, device=device)  # [n]
    take_steps = prepare_steps(model, optimizer, images, labels)
    for number in range(start.epoch, config.epochs + 1):
        batches = epoch_batches(
            len(labels),
            config.batch_size,
            sampling=config.sampling,
            seed=config.seed,
            epoch=number,
        )  # [batches, batch]
        losses = [torch.as_tensor(start.step_losses, device=device)]
        logits = [torch.as_tensor(start.logits, device=device)]
        began = time.perf_counter() - start.seconds
        for part in in_parts(batches, len(start.step_losses), config.checkpoint_every):
            rows = torch.as_tensor(part, device=device)  # [steps, batch]
            results = take_steps(rows)
            losses.append(results[0])
            logits.append(results[1])
            on_steps(len(part), losses[-1][-1])
            so_far = (number, losses, logits, began)
            on_state(len(part), partial(to_training_state, model, optimizer, *so_far))
        step_losses = torch.cat(losses).numpy(force=True)  # [batches]
        seconds = time.perf_counter() - began
        loss, accuracy = measure(
            torch.cat(losses), torch.cat(logits), labels[batches], config.accuracy
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


def to_adam_state(model: SelfAttentionModel, optimizer: Optimizer) -> AdamState:
    """Copy out what Adam keeps for every parameter, by name."""
    kept = {name: optimizer.state[array] for name, array in model.named_parameters()}
    return AdamState(
        step=int(kept["K"]["step"]),
        first_moment={name: to_numpy(state["exp_avg"]).copy() for name, state in kept.items()},
        second_moment={name: to_numpy(state["exp_avg_sq"]).copy() for name, state in kept.items()},
    )


def set_adam_state(model: SelfAttentionModel, optimizer: Optimizer, adam: AdamState) -> None:
    """Let Adam go on from what it kept for every parameter, by name."""
    state = {
        index: {
            "step": torch.tensor(adam.step),
            "exp_avg": torch.tensor(adam.first_moment[name]),
            "exp_avg_sq": torch.tensor(adam.second_moment[name]),
        }
        for index, (name, _) in enumerate(model.named_parameters())
    }
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def to_training_state(
    model: SelfAttentionModel,
    optimizer: Optimizer,
    epoch: int,
    losses: Sequence[Tensor],
    logits: Sequence[Tensor],
    began: float,
) -> TrainingState:
    """Copy out all that training needs to go on, within an epoch that began then."""
    return TrainingState(
        epoch=epoch,
        params=to_params(model),
        adam=to_adam_state(model, optimizer),
        step_losses=np.concatenate([to_numpy(part) for part in losses]),
        logits=np.concatenate([to_numpy(part) for part in logits]),
        seconds=time.perf_counter() - began,
    )


@torch.inference_mode()
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
    logits = torch.cat([model(images[i : i + batch_size]) for i in starts])  # [n, outputs]
    targets = torch.as_tensor(labels, device=logits.device)  # [n]
    loss = cross_entropy(logits, targets)  # []
    _, fraction = measure(loss[None], logits[None], targets[None], accuracy)
    return Evaluation(
        loss=float(loss),
        accuracy=fraction,
        logits=to_numpy(logits),
    )


def loss_and_gradients(
    model: SelfAttentionModel, images: np.ndarray, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Compute a batch's mean loss (nats) and its gradient by every parameter, by name."""
    check_labels(labels, model.out.out_features)
    logits = model(images)  # [batch, outputs]
    loss = cross_entropy(logits, torch.as_tensor(labels, device=logits.device))  # []
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters)
    return loss.item(), {
        name: to_numpy(gradient) for name, gradient in zip(names, gradients, strict=True)
    }
