"""One job of a benchmark: a form of an implementation, in the forward pass or in training steps."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from compare.records.bench import Phase
from compare.registry.contract import Implementation, Trainer
from shared.config import LARGEST, Config
from shared.data.load import Dataset, Split
from shared.training.alone import draw_config_params
from shared.training.loop import train

# Runs a job once; returns the seconds it took and the number of images it computed.
Run = Callable[[], tuple[float, int]]
# So small that the parameters do not change: every round does the same work.
LEARNING_RATE = 1e-9


@dataclass(frozen=True)
class Job:
    """An implementation in a form, the number of images it computes, and the batch size."""

    implementation: str
    form: str
    batch_size: int
    phase: Phase
    num_images: int  # in one pass
    dtype: str = "float32"
    device: str = "cpu"
    num_channels: int = 1
    module: str | None = None  # of a third party; None for this project's own

    def __str__(self) -> str:
        return f"{self.implementation} {self.form}, {self.phase}, batch {self.batch_size}"

    @property
    def config(self) -> Config:
        """The training config of the job."""
        settings: dict[str, Any] = {
            "attention": self.form,
            "batch_size": self.batch_size,
            "dtype": self.dtype,
            "device": self.device,
            "num_channels": self.num_channels,
        }
        return Config(epochs=LARGEST, learning_rate=LEARNING_RATE, **settings)


def prepare(job: Job, implementation: ModuleType, data: Dataset) -> Run:
    """Build the model and the data of a job, from the digits of the training split.

    The function returned runs the job once and waits for the device. Its first call also compiles.
    """
    if job.phase == "step":
        return _prepare_step(job, implementation, data)
    return _prepare_forward(job, implementation, data)


def repeat_digits(split: Split, count: int) -> Split:
    """Return the first `count` digits, repeating the split if it has fewer."""
    if count <= len(split.labels):
        return split.first(count)
    rows = np.arange(count) % len(split.labels)
    return Split(split.pixels[rows], split.images[rows], split.labels[rows], split.levels)


def _prepare_forward(job: Job, implementation: Implementation, data: Dataset) -> Run:
    split = repeat_digits(data.train, job.num_images)
    images = split.in_form(job.form)
    params = draw_config_params(job.config)
    model = implementation.from_params(params, job.form, job.dtype, job.device)

    def run() -> tuple[float, int]:
        start = time.perf_counter()
        implementation.evaluate(
            model, images, split.labels, batch_size=job.batch_size, accuracy="micro"
        )
        return time.perf_counter() - start, job.num_images

    return run


def _prepare_step(job: Job, implementation: Trainer, data: Dataset) -> Run:
    few = Dataset(
        train=repeat_digits(data.train, job.num_images),
        validation=data.validation.first(1),
        test=data.test.first(1),
    )
    training = train(implementation, draw_config_params(job.config), few, job.config)

    def run() -> tuple[float, int]:
        epoch = next(training)
        return epoch.train_seconds, epoch.samples

    return run
