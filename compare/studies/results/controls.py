"""The controls of the runs: one ulp of change, no attention, one call for all images.

Each is measured once, and kept beside the runs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from compare.bench.memory import measure_evaluation
from compare.studies.results.plan import RATE_EPOCHS, RATES, ResultsConfig
from compare.studies.results.records import load
from shared.config import Config
from shared.data.batches import epoch_batches
from shared.data.load import Dataset
from shared.files import make_folder, read_json, write_json
from shared.training.alone import draw_config_params
from shared.training.loop import train
from shared.training.metrics import read_step_losses, save_step_losses

MEMORY_IMAGES = 10_000  # as many as the original validates in one call
MEMORY_FORM = "looped"  # the original's own
T = TypeVar("T")


def nudge(params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a copy in float32, with the first number of K larger by one unit in the last place."""
    nudged = {name: np.array(array, np.float32) for name, array in params.items()}
    nudged["K"].flat[0] = np.nextafter(nudged["K"].flat[0], np.float32(np.inf))
    return nudged


def nudged_losses(config: ResultsConfig) -> np.ndarray:
    """Train JAX in float32 from the nudged start; return the loss of every step, [steps].

    @@ in the default preset's run of seed 0.
    """
    folder = config.runs / f"nudged_jax_impl_data_{config.data}_epochs_{config.epochs}"
    kept = read_step_losses(folder)
    if not kept:
        training = Config(data=config.data, epochs=config.epochs)
        start = nudge(draw_config_params(training))
        epochs = train(import_module("jax_impl"), start, load(config), training)
        kept = {"jax": np.concatenate([epoch.step_losses for epoch in epochs])}
        make_folder(folder)
        save_step_losses(folder, kept)
    return kept["jax"]


def measure_controls(config: ResultsConfig) -> dict[str, Any]:
    """Return the controls that need no run, measured or read from where they are kept."""
    linear, name = dict[str, dict[str, float]], f"linear_{config.data}"
    return {
        "linear": _kept(config, name, linear, lambda: linear_classifiers(load(config))),
        "memory": _kept(config, "memory", dict[str, float], evaluation_memory),
    }


def _kept(config: ResultsConfig, name: str, kind: type[T], measure: Callable[[], T]) -> T:
    path = config.runs / f"{name}.json"
    if not path.exists():
        make_folder(config.runs)
        write_json(path, measure())
    return read_json(path, kind, "remove it to have it measured again")


def evaluation_memory() -> dict[str, float]:
    """Measure the memory, in MiB, that evaluating 10,000 images adds, batched and in one call."""
    sizes = {"batches": Config.eval_batch_size, "one_call": MEMORY_IMAGES}
    return {
        name: measure_evaluation("pytorch", MEMORY_FORM, MEMORY_IMAGES, batch_size=size) / 2**20
        for name, size in sizes.items()
    }


def linear_classifiers(
    data: Dataset, rates: Sequence[float] = RATES, num_epochs: int = RATE_EPOCHS
) -> dict[str, dict[str, float]]:
    """Train the last layer alone, in PyTorch, at several learning rates.

    Its inputs are the images; batches, start and choice of parameters are the default preset's.
    Returns, by rate, the epoch that is best in validation, its validation and test loss (nats),
    and its test accuracy.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for so small a product, threads cost more time than they save
    try:
        epochs = {str(rate): list(_train_linear(data, rate, num_epochs)) for rate in rates}
    finally:
        torch.set_num_threads(threads)
    return {rate: min(of, key=lambda epoch: epoch["val_loss"]) for rate, of in epochs.items()}


def _train_linear(data: Dataset, rate: float, num_epochs: int) -> Iterator[dict[str, float]]:
    import torch
    from torch.nn import functional as F

    def tensors(split: str) -> tuple[torch.Tensor, torch.Tensor]:
        one = getattr(data, split)
        return torch.from_numpy(one.images[:, :, 0]), torch.from_numpy(one.labels)

    def evaluate(split: str) -> tuple[float, float]:
        images, labels = tensors(split)
        with torch.no_grad():
            logits = out(images)
        is_right = logits.argmax(dim=1) == labels
        return F.cross_entropy(logits, labels).item(), is_right.double().mean().item()

    config = Config()
    params = draw_config_params(config)
    out = torch.nn.Linear(*reversed(params["out.weight"].shape))
    out.load_state_dict({key: torch.from_numpy(params[f"out.{key}"]) for key in ("weight", "bias")})
    adam = torch.optim.Adam(out.parameters(), lr=rate)
    images, labels = tensors("train")
    for number in range(1, num_epochs + 1):
        batches = epoch_batches(len(labels), config.batch_size, epoch=number)
        for batch in map(torch.from_numpy, batches):
            adam.zero_grad()
            F.cross_entropy(out(images[batch]), labels[batch]).backward()
            adam.step()
        loss, accuracy = evaluate("test")
        val_loss = evaluate("validation")[0]
        yield {"epoch": number, "val_loss": val_loss, "loss": loss, "accuracy": accuracy}


def remap(levels: np.ndarray, counts: np.ndarray, params: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the attended value of every grey level in an image of one channel: float64 [levels].

    `levels` [levels] are the normalised grey levels, `counts` [levels] the number of pixels that
    have each. A pixel x attends to pixel y with weight exp(k q x y) / sum, so its attended value is
    v times a mean of all pixels, in which brighter ones count more the larger k q x is.
    """
    k, q, v = (params[name].astype(np.float64).item() for name in "KQV")
    scores = k * q * np.outer(levels, levels)
    weights = counts * np.exp(scores - scores.max(axis=1, keepdims=True))
    return v * (weights @ levels) / weights.sum(axis=1)
