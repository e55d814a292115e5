"""Training and evaluation in PyTorch, line for line beside jax_impl/train.py."""

import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Adam, Optimizer
from torchmetrics import MetricCollection

from pytorch_impl.metrics import make_metrics
from pytorch_impl.model import SelfAttentionModel, find_device, from_params, to_params
from shared.batches import epoch_batches
from shared.config import Config
from shared.data import Dataset
from shared.records import Epoch, Evaluation


def train_step(
    model: SelfAttentionModel,
    optimizer: Optimizer,
    metrics: MetricCollection,
    images: Tensor,
    labels: Tensor,
) -> Tensor:
    """Take one step of Adam on a batch and return its mean loss, in nats."""
    logits = model(images)  # [batch, outputs]
    loss = cross_entropy(logits, labels)  # []
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    metrics.update(value=loss.detach(), preds=logits.detach(), target=labels)
    return loss.detach()


def train(
    params: Mapping[str, np.ndarray],
    data: Dataset,
    config: Config,
    on_step: Callable[[Tensor], None] = lambda loss: None,
) -> Iterator[Epoch]:
    """Train from `params` and yield every finished epoch; `on_step` hears of every step."""
    device = find_device(config.device)
    model = from_params(params, config.attention, config.dtype, config.device)
    optimizer = Adam(model.parameters(), lr=config.learning_rate)
    num_outputs = model.out.out_features
    images = torch.tensor(data.train.images, device=device)  # [n, steps, channels]
    labels = torch.tensor(data.train.labels, device=device)  # [n]
    for number in range(1, config.epochs + 1):
        batches = epoch_batches(
            len(labels),
            config.batch_size,
            sampling=config.sampling,
            seed=config.seed,
            epoch=number,
        )  # [batches, batch]
        losses = []
        metrics = make_metrics(config.accuracy, num_outputs, device)
        start = time.perf_counter()
        for indices in batches:
            loss = train_step(model, optimizer, metrics, images[indices], labels[indices])
            losses.append(loss)
            on_step(loss)
        step_losses = torch.stack(losses).numpy(force=True)  # [batches]
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


@torch.inference_mode()
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
    logits = torch.cat([model(images[i : i + batch_size]) for i in starts])  # [n, outputs]
    targets = torch.as_tensor(labels, device=logits.device)  # [n]
    loss = cross_entropy(logits, targets)  # []
    metrics = make_metrics(accuracy, logits.shape[-1], logits.device)
    metrics.update(value=loss, preds=logits, target=targets)
    return Evaluation(
        loss=float(loss),
        accuracy=float(metrics.compute()["accuracy"]),
        logits=logits.numpy(force=True),
    )


def loss_and_gradients(
    model: SelfAttentionModel, images: np.ndarray, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Compute a batch's mean loss (nats) and its gradient by every parameter, by name."""
    logits = model(images)  # [batch, outputs]
    loss = cross_entropy(logits, torch.as_tensor(labels, device=logits.device))  # []
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters)
    return loss.item(), {
        name: gradient.numpy(force=True) for name, gradient in zip(names, gradients, strict=True)
    }
