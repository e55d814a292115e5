"""Training in several processes in PyTorch, line for line beside jax_impl/distributed.py.

Every process holds the whole model and takes its own rows of each batch. Per step they
exchange only the mean of their gradients, so all models stay equal to that of one process alone.
"""

from collections.abc import Mapping
from datetime import timedelta
from threading import Event, Thread

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from pytorch_impl import train
from pytorch_impl.train import evaluate, train_steps
from shared.config import Config
from shared.data.load import Split
from shared.training.heartbeats import watch_others
from shared.training.processes import SECONDS_TO_MEET, Process, check_share, meeting
from shared.training.records import AdamState

__all__ = ["Training", "count_devices", "evaluate", "join", "leave"]

leaving = Event()  # set when no process needs the others any more


def join(process: Process, device: str) -> None:
    """Connect to the other processes; each takes the GPU of its rank on its machine."""
    if device == "cuda":
        torch.cuda.set_device(process.local_rank)
    backend = {"cpu": "gloo", "cuda": "nccl"}[device]
    timeout = timedelta(seconds=SECONDS_TO_MEET)
    with meeting(process, process.port):
        store, rank, size = next(rendezvous("env://", timeout=timeout))
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    own = store.clone()  # a separate connection for the heartbeats' thread
    Thread(target=watch_others, args=(process, own.add, leaving), daemon=True).start()


def leave() -> None:
    """Disconnect from the other processes, once all have reached this point."""
    dist.barrier()
    leaving.set()
    dist.destroy_process_group()


def count_devices(device: str) -> int:
    """Return the number of devices that share every batch: one per process."""
    return dist.get_world_size()


class Training(train.Training):
    """A training in one process of several, with the same result as in one process alone."""

    def __init__(
        self, params: Mapping[str, np.ndarray], adam: AdamState, data: Split, config: Config
    ) -> None:
        """Start as in one process; raise UserError if the processes cannot share a batch evenly."""
        check_share(config.batch_size, count_devices(config.device))
        super().__init__(params, adam, data, config)
        # Its backward pass gives every process the mean of all processes' gradients.
        self.replica = DistributedDataParallel(self.model)

    def train_steps(self, batches: Tensor) -> tuple[Tensor, Tensor]:
        """Train on this process's rows of every batch; exchange losses and logits."""
        rank, size = dist.get_rank(), dist.get_world_size()
        rows = batches.chunk(size, dim=1)[rank]  # [steps, batch / processes]
        losses, logits = train_steps(self.replica, self.optimizer, self.images, self.labels, rows)
        dist.all_reduce(losses)
        parts = [torch.empty_like(logits) for _ in range(size)]
        dist.all_gather(parts, logits)
        return losses / size, torch.cat(parts, dim=1)  # [steps], [steps, batch, outputs]
