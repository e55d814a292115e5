"""Training in several processes in JAX, line for line beside pytorch_impl/distributed.py.

Every device holds the whole model and takes its own rows of each batch. Per step they
exchange only the mean of their gradients, so all models stay equal to that of one device alone.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jax_impl import train
from jax_impl.convert import Images, computing_in
from jax_impl.model import SelfAttentionModel
from jax_impl.train import evaluate, mean_loss
from shared.config import Config
from shared.data.load import Split
from shared.training.processes import (
    SECONDS_OF_SILENCE,
    SECONDS_TO_MEET,
    Process,
    check_share,
    meeting,
    try_port,
)
from shared.training.records import AdamState

__all__ = ["Training", "count_devices", "evaluate", "join", "leave"]

SECONDS_TO_WAIT = 1800  # for the others at the end; PyTorch's default


def join(process: Process, device: str) -> None:
    """Connect to the other processes; each takes its rank's GPU on its machine, or all GPUs."""
    jax.config.update("jax_enable_preemption_service", False)  # or SIGTERM would have no effect
    own = process.local_rank if device == "cuda" and process.local_size > 1 else None
    # torchrun listens on its port, and the next one may be in use. Half of it is below the ports
    # that systems choose for connections (32768 and up), and the same in every process.
    port = process.port // 2
    with meeting(process, port):
        if process.is_first:
            try_port(port)  # if it is in use, JAX sometimes crashes
        jax.distributed.initialize(
            *(f"{process.host}:{port}", process.size, process.rank, own),
            cluster_detection_method="deactivate",
            initialization_timeout=SECONDS_TO_MEET,
            heartbeat_timeout_seconds=SECONDS_OF_SILENCE,
            shutdown_timeout_seconds=SECONDS_TO_WAIT,
        )


def leave() -> None:
    """Disconnect from the other processes, once all have reached this point."""
    jax.distributed.shutdown()


def count_devices(device: str) -> int:
    """Return the number of devices that share every batch: all devices of all processes."""
    return jax.device_count(device)


def train_step(
    model: SelfAttentionModel, optimizer: nnx.Optimizer, images: Images, labels: Array
) -> tuple[Array, Array]:
    """Train on one batch by one step of Adam; this device has these rows and their logits."""
    # Marked as different per device, so that JAX does not sum over devices by itself.
    own = jax.tree.map(lambda array: jax.lax.pcast(array, "devices", to="varying"), model)
    (loss, logits), gradients = nnx.value_and_grad(mean_loss, has_aux=True)(own, images, labels)
    # In one message: the latency of a message far exceeds the time for a few kilobytes.
    message, unravel = ravel_pytree((loss, gradients))
    loss, gradients = unravel(jax.lax.pmean(message, "devices"))
    optimizer.update(model, gradients)
    return loss, logits


class Training(train.Training):
    """A training on one device of several, with the same result as on one device alone."""

    def __init__(
        self, params: Mapping[str, np.ndarray], adam: AdamState, data: Split, config: Config
    ) -> None:
        """Start as on one device; raise UserError if the devices cannot share a batch evenly."""
        check_share(config.batch_size, count_devices(config.device))
        super().__init__(params, adam, data, config)
        devices = jax.devices(config.device)
        mesh = jax.make_mesh((len(devices),), ("devices",), devices=devices)
        self.everywhere = NamedSharding(mesh, P())
        self.by_column = NamedSharding(mesh, P(None, "devices"))
        with computing_in(self.dtype):
            self.data = self.to_all((self.images, self.labels))  # on every device
        graph = nnx.graphdef((self.model, self.optimizer))

        @partial(jax.jit, out_shardings=self.everywhere)
        @partial(
            jax.shard_map,
            mesh=mesh,
            in_specs=(P(), P(), P(), P(None, "devices")),
            out_specs=(P(), P(), P(None, "devices")),
        )
        def train_steps(state: Any, images: Images, labels: Array, batches: Array) -> Any:
            @nnx.scan(in_axes=(nnx.Carry, 0))
            def step(carry: tuple[SelfAttentionModel, nnx.Optimizer], rows: Array) -> Any:
                return carry, train_step(*carry, images[rows], labels[rows])

            carry, (losses, logits) = step(nnx.merge(graph, state), batches)
            return nnx.state(carry), losses, logits

        self.train_steps_together = train_steps

    def to_all(self, arrays: Any) -> Any:
        """Copy a tree of arrays, the same in every process, to all devices."""
        to_one = partial(jax.make_array_from_process_local_data, self.everywhere)
        return jax.tree.map(to_one, jax.device_get(arrays))

    def train_steps(self, batches: Array) -> tuple[Array, Array]:
        """Train on each device's rows of every batch; exchange losses and logits."""
        rows = np.asarray(batches)  # [steps, batch]
        columns = jax.make_array_from_callback(rows.shape, self.by_column, lambda own: rows[own])
        state = self.to_all(nnx.state((self.model, self.optimizer)))
        results = self.train_steps_together(state, *self.data, columns)
        # Every device has all of them; this process continues with its own.
        state, losses, logits = jax.tree.map(lambda array: array.addressable_data(0), results)
        nnx.update((self.model, self.optimizer), state)
        return losses, logits  # [steps], [steps, batch, outputs]
