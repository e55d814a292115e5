"""Training in several processes in JAX, line for line beside pytorch_impl/distributed.py.

Every device holds the whole model and takes its own rows of each batch. They exchange one thing
in a step, the mean of their gradients, and so all stay the same and as one device alone would be.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jax_impl.model import Images, SelfAttentionModel
from jax_impl.train import mean_loss as mean_loss_of_rows
from jax_impl.train import train as train_alone
from shared.config import Config
from shared.data import Dataset
from shared.processes import Place, check_share
from shared.records import Epoch

SECONDS_TO_WAIT = 1800  # for the others, at the end: PyTorch's default


def join(place: Place, device: str) -> None:
    """Meet the other processes; each takes the GPU of its place on its machine, or all of them."""
    jax.config.update("jax_enable_preemption_service", False)  # or SIGTERM would end nothing
    own = place.local_rank if device == "cuda" and place.local_size > 1 else None
    jax.distributed.initialize(
        *(place.address, place.size, place.rank, own),
        cluster_detection_method="deactivate",
        shutdown_timeout_seconds=SECONDS_TO_WAIT,
    )


def leave() -> None:
    """Part from the other processes, once all have come so far."""
    jax.distributed.shutdown()


def count_devices(device: str) -> int:
    """Count the devices that share every batch: all of all processes."""
    return jax.device_count(device)


def mean_loss(model: SelfAttentionModel, images: Images, labels: Array) -> tuple[Array, Array]:
    """Compute the mean loss of all devices' rows, in nats, and the logits of this one's."""
    loss, logits = mean_loss_of_rows(model, images, labels)  # [], [batch / devices, outputs]
    return jax.lax.pmean(loss, "devices"), logits


def train_step(
    model: SelfAttentionModel, optimizer: nnx.Optimizer, images: Images, labels: Array
) -> tuple[Array, Array]:
    """Take one step of Adam on a batch, of which these are this device's rows."""
    # Of a mean over devices, by parameters that all of them hold: the mean of all gradients.
    (loss, logits), gradients = nnx.value_and_grad(mean_loss, has_aux=True)(model, images, labels)
    optimizer.update(model, gradients)
    return loss, logits


def steps_together(
    model: SelfAttentionModel, optimizer: nnx.Optimizer, images: Images, labels: Array
) -> Callable[[Array], tuple[Array, Array]]:
    """Give what train_steps would do, done on each device's rows of every batch."""
    platform = labels.device.platform
    mesh = jax.make_mesh((jax.device_count(platform),), ("devices",), devices=jax.devices(platform))
    everywhere, by_column = NamedSharding(mesh, P()), NamedSharding(mesh, P(None, "devices"))
    graph = nnx.graphdef((model, optimizer))

    @partial(jax.jit, out_shardings=everywhere)
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

    to_all = partial(jax.tree.map, partial(jax.make_array_from_process_local_data, everywhere))
    images, labels = to_all(jax.device_get((images, labels)))

    def take_steps(batches: Array) -> tuple[Array, Array]:
        rows = np.asarray(batches)
        columns = jax.make_array_from_callback(rows.shape, by_column, lambda own: rows[own])
        state = to_all(jax.device_get(nnx.state((model, optimizer))))
        results = train_steps(state, images, labels, columns)
        # All of them stand on every device whole: this process goes on with its own.
        state, losses, logits = jax.tree.map(lambda array: array.addressable_data(0), results)
        nnx.update((model, optimizer), state)
        return losses, logits  # [steps], [steps, batch, outputs]

    return take_steps


def train(
    params: Mapping[str, np.ndarray],
    data: Dataset,
    config: Config,
    on_steps: Callable[[int, Array], None] = lambda number, loss: None,
) -> Iterator[Epoch]:
    """Train as one device alone does, to the same result; raises UserError for an uneven share.

    Process 0 evaluates, once for all: the others give a single image's validation.
    """
    check_share(config.batch_size, count_devices(config.device))
    if jax.process_index() > 0:
        data = replace(data, validation=data.validation.first(1))
    return train_alone(params, data, config, on_steps, steps_together)
