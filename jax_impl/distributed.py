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
from jax.flatten_util import ravel_pytree
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jax_impl.model import Images, SelfAttentionModel
from jax_impl.train import mean_loss
from jax_impl.train import train as train_alone
from shared.config import Config
from shared.data import Dataset
from shared.training.processes import Place, check_share
from shared.training.records import Epoch, StateWatcher, TrainingState, ignore_state

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


def train_step(
    model: SelfAttentionModel, optimizer: nnx.Optimizer, images: Images, labels: Array
) -> tuple[Array, Array]:
    """Take one step of Adam on a batch, of which this device has these rows and their logits."""
    # Told that devices differ, JAX sums nothing over them by itself, least of all large tables.
    own = jax.tree.map(lambda array: jax.lax.pcast(array, "devices", to="varying"), model)
    (loss, logits), gradients = nnx.value_and_grad(mean_loss, has_aux=True)(own, images, labels)
    # In one message: each costs far more time than the few kilobytes in it.
    message, unravel = ravel_pytree((loss, gradients))
    loss, gradients = unravel(jax.lax.pmean(message, "devices"))
    optimizer.update(model, gradients)
    return loss, logits


def steps_together(
    model: SelfAttentionModel, optimizer: nnx.Optimizer, images: Images, labels: Array
) -> Callable[[Array], tuple[Array, Array]]:
    """Give what train_steps would do, done on each device's rows of every batch."""
    devices = jax.devices(next(iter(labels.devices())).platform)
    mesh = jax.make_mesh((len(devices),), ("devices",), devices=devices)
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
    on_state: StateWatcher = ignore_state,
    start: TrainingState | None = None,
) -> Iterator[Epoch]:
    """Train as one device alone does, to the same result; raises UserError for an uneven share.

    Process 0 evaluates, once for all: the others give a single image's validation.
    """
    check_share(config.batch_size, count_devices(config.device))
    if jax.process_index() > 0:
        data = replace(data, validation=data.validation.first(1))
    return train_alone(params, data, config, on_steps, on_state, start, steps_together)
