"""Every option of every command, once: its name, its default and its help."""

from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

from shared.errors import UserError

LARGEST = 10**9  # number of anything: more channels are no size of an array
Attention = Literal["looped", "vectorized", "blocked", "builtin", "histogram"]
Accuracy = Literal["micro", "macro"]
ACCURACIES: tuple[str, ...] = get_args(Accuracy)
# The groups in which --help lists the options; what stands in none comes first.
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
    """The options of an evaluation; training needs the rest of Config too."""

    data: Literal["sample", "mnist"] = "sample"
    """The digits: "sample", 5,000 that come with the project, or "mnist", all 70,000."""
    mnist_dir: Path | None = None
    """A folder with MNIST's four original files, for --data mnist without a download; where
    it is not given, the environment variable MNIST_DIR counts."""
    normalization: Literal["global", "per-pixel", "original"] = "global"
    """How pixels are scaled: by one mean and deviation for all ("global"), by each pixel's own
    ("per-pixel"), or as the original does ("original")."""
    attention: Attention = "histogram"
    """The form of attention; all compute the same function (NumPy has no "builtin"). "histogram"
    is by far the fastest, and holds for --normalization global alone."""
    eval_batch_size: int = 32
    """Images per batch when evaluating: bounds the memory, never changes the result."""
    accuracy: Accuracy = "micro"
    """"micro": the fraction of images that are right. "macro": the mean over the classes, taken
    batch by batch in training, as the original does."""
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
                f"--attention histogram does not hold for --normalization {self.normalization}: "
                "it computes once per grey level, so a level must become the same number at every "
                "pixel; give another --attention, such as blocked."
            )


@dataclass(frozen=True)
class Config(EvaluationConfig):
    """The options of a training run."""

    preset: Literal["default", "original"] = "default"
    """"original": the settings and quirks of the script that this project grew from, on all of
    MNIST, which is downloaded; options given beside it still count."""
    num_channels: int = 1
    """Channels per pixel; above 1 every pixel is repeated over the channels."""
    epochs: int = 3
    """Number of passes over the training split."""
    batch_size: int = 16
    """Images per training step."""
    sampling: Literal["shuffle", "replacement"] = "shuffle"
    """How batches are drawn: each image once an epoch, or with replacement."""
    learning_rate: float = 0.003
    """The learning rate of Adam."""
    tested_params: Literal["best", "last"] = "best"
    """Which parameters are tested: those of the epoch with the lowest validation loss, or the
    last epoch's."""
    nats_per_bit: float = field(default=log(2))
    """Nats per bit, to report losses in bits (exactly: ln 2)."""
    seed: int = 0
    """Decides the initial parameters and the order of the batches."""
    runs_dir: Path = Path("runs")
    """The folder that run folders are written into."""
    checkpoint_every: int = 1000
    """Steps from one checkpoint to the next within an epoch; each epoch's end is one too."""
    resume: Path | None = None
    """Continue the run in this folder, with the options that it was started with."""
    resume_from: str | None = None
    """With --resume: continue from the checkpoint of this implementation."""

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
            raise UserError("--resume-from needs --resume: give the run folder to go on with.")


AnyConfig = TypeVar("AnyConfig", bound=Config)


def bad_option(name: str, found: object, expected: str) -> str:
    """Return, in one sentence, what is wrong with the option for the field `name`."""
    return f"--{name.replace('_', '-')} is {found}: give {expected}."


def check_count(name: str, found: int, least: int = 1) -> None:
    """Raise UserError unless the field `name` holds a number of things that there can be."""
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
