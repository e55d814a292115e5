"""The options that several commands share, each with its name, default and help."""

from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

from shared.errors import UserError

LARGEST = 10**9  # of any count: no array can have more channels
Attention = Literal["looped", "vectorized", "blocked", "builtin", "histogram"]
Accuracy = Literal["micro", "macro"]
ACCURACIES: tuple[str, ...] = get_args(Accuracy)
# The groups of options in --help; options in none of them come first.
GROUPS = {
    "data": ("data", "mnist_dir", "normalization"),
    "model": ("attention", "num_channels", "dtype", "device"),
    "training": ("preset", "epochs", "batch_size", "sampling", "learning_rate", "seed"),
    "evaluation": ("eval_batch_size", "tested_params", "accuracy", "nats_per_bit"),
    "resume": ("checkpoint_every", "resume", "resume_from"),
    "output": ("runs_dir", "name", "json", "figure", "html", "output", "svg", "verbose"),
}


@dataclass(frozen=True)
class EvaluationConfig:
    """The options of an evaluation; Config adds those of a training."""

    data: Literal["sample", "mnist"] = "sample"
    """The digits: "sample", 5,000 that come with the project, or "mnist", all 70,000."""
    mnist_dir: Path | None = None
    """A folder with MNIST's four original files, so that --data mnist downloads nothing
    (default: the environment variable MNIST_DIR)."""
    normalization: Literal["global", "per-pixel", "original"] = "global"
    """How pixels are normalised: "global", with one mean and standard deviation for all pixels;
    "per-pixel", with one of each per pixel; "original", as the original script does."""
    attention: Attention = "histogram"
    """The form of attention. All compute the same function; NumPy has no "builtin". "histogram" is
    by far the fastest, and needs --normalization global."""
    eval_batch_size: int = 32
    """Images per batch in evaluations; affects memory, not results."""
    accuracy: Accuracy = "micro"
    """"micro": the fraction of images that are right. "macro": the mean of the fractions of
    the classes; in training, computed per batch."""
    dtype: Literal["float32", "float64"] = "float32"
    """The dtype of all computations."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where PyTorch and JAX compute; NumPy always computes on the CPU."""

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            if get_origin(kind) is Literal and getattr(self, name) not in get_args(kind):
                raise UserError(bad_option(name, getattr(self, name), " or ".join(get_args(kind))))
        check_count("eval_batch_size", self.eval_batch_size)
        if self.attention == "histogram" and self.normalization != "global":
            raise UserError(
                f"--attention histogram does not support --normalization {self.normalization}: it "
                "computes once per grey level, so a level must become the same number at every "
                "pixel. Give another --attention, such as blocked."
            )


@dataclass(frozen=True)
class Config(EvaluationConfig):
    """The options of a training run."""

    preset: Literal["default", "original"] = "default"
    """"original": the settings of the script that this project started from, see docs/original.md,
    on all of MNIST, which is downloaded. Options that are given override them."""
    num_channels: int = 1
    """Channels per pixel; every channel repeats the pixel."""
    epochs: int = 3
    """Number of passes over the training split."""
    batch_size: int = 16
    """Images per training step."""
    sampling: Literal["shuffle", "replacement"] = "shuffle"
    """How batches are drawn: "shuffle", each image once per epoch; or with "replacement"."""
    learning_rate: float = 0.003
    """Adam's learning rate."""
    tested_params: Literal["best", "last"] = "best"
    """The parameters to test: of the epoch with the lowest validation loss ("best"), or of the
    "last" epoch."""
    nats_per_bit: float = field(default=log(2))
    """Nats per bit, for losses in bits: ln 2, or 0.693 in the original script."""
    seed: int = 0
    """The seed of the initial parameters and of the batches."""
    runs_dir: Path = Path("runs")
    """The folder for run folders."""
    checkpoint_every: int = 1000
    """Training steps between checkpoints; one is also written after each epoch."""
    resume: Path | None = None
    """Continue the run in this folder, with its options."""
    resume_from: str | None = None
    """With --resume: continue every implementation from the checkpoint of this one
    (default: each from its own)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_channels", "epochs", "batch_size", "checkpoint_every"):
            check_count(name, getattr(self, name))
        for name in ("learning_rate", "nats_per_bit"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(bad_option(name, getattr(self, name), "a positive number"))
        if self.seed < 0:
            raise UserError(bad_option("seed", self.seed, "0 or more"))
        if self.resume_from is not None and self.resume is None:
            raise UserError("--resume-from needs --resume: give the run folder to continue.")


AnyConfig = TypeVar("AnyConfig", bound=Config)


def bad_option(name: str, found: object, expected: str) -> str:
    """Return the error sentence for a wrong value of the option of field `name`."""
    return f"--{name.replace('_', '-')} is {found}: give {expected}."


def check_count(name: str, found: int, least: int = 1) -> None:
    """Raise UserError unless the count in field `name` is from `least` to LARGEST."""
    if not least <= found <= LARGEST:
        expected = f"{least} or more" if found < least else f"{LARGEST} or less"
        raise UserError(bad_option(name, found, expected))


PRESETS = {
    "default": Config(),
    "original": Config(
        preset="original",
        data="mnist",
        normalization="original",
        attention="looped",
        sampling="replacement",
        learning_rate=0.01,
        epochs=128,
        eval_batch_size=10_000,
        accuracy="macro",
        tested_params="last",
        nats_per_bit=0.693,
        seed=46525,
    ),
}
