"""Training in several processes in PyTorch, line for line beside jax_impl/distributed.py.

Every process holds the whole model and takes its own rows of each batch. They exchange one thing
in a step, the mean of their gradients, and so all stay the same and as one process alone would be.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from pytorch_impl.model import Images, SelfAttentionModel
from pytorch_impl.train import train as train_alone
from pytorch_impl.train import train_steps
from shared.config import Config
from shared.data import Dataset
from shared.training.processes import Place, check_share
from shared.training.records import Epoch, StateWatcher, TrainingState, ignore_state


def join(place: Place, device: str) -> None:
    """Meet the other processes; each takes the GPU of its place on its machine."""
    if device == "cuda":
        torch.cuda.set_device(place.local_rank)
    backend = {"cpu": "gloo", "cuda": "nccl"}[device]
    dist.init_process_group(backend, rank=place.rank, world_size=place.size)


def leave() -> None:
    """Part from the other processes, once all have come so far."""
    dist.barrier()
    dist.destroy_process_group()


def count_devices(device: str) -> int:
    """Count the devices that share every batch: one in each process."""
    return dist.get_world_size()


def steps_together(
    model: SelfAttentionModel, optimizer: Optimizer, images: Images, labels: Tensor
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Give what train_steps would do, done on this process's rows of every batch."""
    rank, size = dist.get_rank(), dist.get_world_size()
    # Its backward pass ends with the mean of all processes' gradients, in every one of them.
    replica = DistributedDataParallel(model)

    def take_steps(batches: Tensor) -> tuple[Tensor, Tensor]:
        rows = batches.chunk(size, dim=1)[rank]  # [steps, batch / processes]
        losses, logits = train_steps(replica, optimizer, images, labels, rows)
        dist.all_reduce(losses)
        parts = [torch.empty_like(logits) for _ in range(size)]
        dist.all_gather(parts, logits)
        return losses / size, torch.cat(parts, dim=1)  # [steps], [steps, batch, outputs]

    return take_steps


def train(
    params: Mapping[str, np.ndarray],
    data: Dataset,
    config: Config,
    on_steps: Callable[[int, Tensor], None] = lambda number, loss: None,
    on_state: StateWatcher = ignore_state,
    start: TrainingState | None = None,
) -> Iterator[Epoch]:
    """Train as one process alone does, to the same result; raises UserError for an uneven share.

    Process 0 evaluates, once for all: the others give a single image's validation.
    """
    check_share(config.batch_size, count_devices(config.device))
    if dist.get_rank() > 0:
        data = replace(data, validation=data.validation.first(1))
    return train_alone(params, data, config, on_steps, on_state, start, steps_together)
