"""Training and evaluation in PyTorch, step by step as in jax_impl/train.py."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Adam, Optimizer

from pytorch_impl.convert import Images, from_params, to_batch, to_numpy, to_params
from pytorch_impl.metrics import measure_accuracy
from pytorch_impl.model import SelfAttentionModel
from shared.config import ACCURACIES, Config
from shared.data.batches import batches_in_order, check_rows
from shared.data.levels import LevelImages
from shared.data.load import Split
from shared.errors import check_choice
from shared.training.records import AdamState, Evaluation


def train_step(
    model: nn.Module, optimizer: Optimizer, images: Images, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Train on one batch by one step of Adam; return its mean loss, in nats, and logits."""
    logits = model(images)  # [batch, outputs]
    loss = cross_entropy(logits, labels)  # []
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach(), logits.detach()


def train_steps(
    model: nn.Module, optimizer: Optimizer, images: Images, labels: Tensor, batches: Tensor
) -> tuple[Tensor, Tensor]:
    """Train on every batch of sample indices [steps, batch]; return losses and logits."""
    # Allocated beforehand: small results between the [steps, steps] tables of successive steps
    # fragment the C library's heap, which then grows by a gigabyte.
    *_, bias = model.parameters()
    losses = bias.new_empty(len(batches))  # [steps]
    logits = bias.new_empty(*batches.shape, len(bias))  # [steps, batch, outputs]
    for step, rows in enumerate(batches):
        losses[step], logits[step] = train_step(model, optimizer, images[rows], labels[rows])
    return losses, logits  # [steps], [steps, batch, outputs]


class Training:
    """A training: the model, its optimizer and its data on a device."""

    def __init__(
        self, params: Mapping[str, np.ndarray], adam: AdamState, data: Split, config: Config
    ) -> None:
        """Start from parameters and Adam's state, with a copy of the data."""
        self.accuracy = config.accuracy
        self.model = from_params(params, config.attention, config.dtype, config.device)
        self.optimizer = Adam(self.model.parameters(), lr=config.learning_rate, fused=True)
        set_adam_state(self.model, self.optimizer, adam)
        images = data.in_form(config.attention)
        self.images, self.labels = to_batch(self.model, images, data.labels)

    def take_steps(self, batches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Train on every batch of sample indices [steps, batch].

        Returns the loss, in nats, and the accuracy of each before its step: [steps].
        """
        batches = check_rows(batches, len(self.labels))
        rows = torch.tensor(batches, device=self.labels.device)  # [steps, batch]
        losses, logits = self.train_steps(rows)
        accuracies = measure_accuracy(logits, self.labels[rows], self.accuracy)  # [steps]
        return to_numpy(losses), to_numpy(accuracies)

    def train_steps(self, batches: Tensor) -> tuple[Tensor, Tensor]:
        """Train in this process alone."""
        return train_steps(self.model, self.optimizer, self.images, self.labels, batches)

    def state(self) -> tuple[dict[str, np.ndarray], AdamState]:
        """Return a copy of the parameters and of Adam's state."""
        return to_params(self.model), to_adam_state(self.model, self.optimizer)


def to_adam_state(model: SelfAttentionModel, optimizer: Optimizer) -> AdamState:
    """Return a copy of Adam's state of every parameter, by name."""
    kept = {name: optimizer.state[array] for name, array in model.named_parameters()}
    return AdamState(
        step=int(kept["K"]["step"]),
        first_moment={name: to_numpy(state["exp_avg"]).copy() for name, state in kept.items()},
        second_moment={name: to_numpy(state["exp_avg_sq"]).copy() for name, state in kept.items()},
    )


def set_adam_state(model: SelfAttentionModel, optimizer: Optimizer, adam: AdamState) -> None:
    """Load a copy of Adam's state of every parameter, by name."""
    state = {
        index: {
            "step": torch.tensor(adam.step),
            "exp_avg": torch.tensor(adam.first_moment[name]),
            "exp_avg_sq": torch.tensor(adam.second_moment[name]),
        }
        for index, (name, _) in enumerate(model.named_parameters())
    }
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


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
    check_choice("accuracy", accuracy, ACCURACIES)
    x, targets = to_batch(model, images, labels)
    batches = batches_in_order(len(targets), batch_size)
    logits = model.out.bias.new_empty(len(targets), model.out.out_features)  # [n, outputs]
    for rows in batches:
        logits[rows] = model(x[rows])
    return Evaluation(
        loss=cross_entropy(logits, targets).item(),
        accuracy=measure_accuracy(logits[None], targets[None], accuracy).item(),
        logits=to_numpy(logits),
    )


def loss_and_gradients(
    model: SelfAttentionModel, images: np.ndarray | LevelImages, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Compute a batch's mean loss (nats) and its gradient by every parameter, by name."""
    x, targets = to_batch(model, images, labels)
    loss = cross_entropy(model(x), targets)  # []
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters)
    return loss.item(), dict(zip(names, map(to_numpy, gradients), strict=True))


if __name__ == "__main__":
    raise SystemExit("This file only defines the training: run `python -m pytorch_impl`.")
