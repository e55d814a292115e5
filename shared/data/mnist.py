"""Full MNIST from TensorFlow Datasets, cached in a file that NumPy reads.

The first time, `tfds.builder("mnist")` downloads the four original files, or reads them from a
folder, and prepares them (https://www.tensorflow.org/datasets/catalog/mnist). The result is
cached as one .npz with a checksum; from then on TensorFlow is not needed.
"""

import contextlib
import io
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from filelock import FileLock
from numpy.lib.npyio import NpzFile
from platformdirs import user_cache_path

from shared.data.digits import NUM_PIXELS, Digits, check_digits
from shared.data.idx import check_mnist_dir
from shared.errors import UserError
from shared.files import checksum, replacing

# The original's numbers: 5/6 of the 60,000 train, the rest validates. The original permutes them
# with PyTorch's generator, which NumPy cannot reproduce, so the two parts have other images.
SPLIT_SEED = 46525
NUM_TRAIN = 50_000
# One of the files that TFDS downloads.
SOURCE = "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz"
TFDS_SPLITS = {"train": 60_000, "test": 10_000}
LARGEST_CACHE = 2 * 70_000 * NUM_PIXELS  # bytes, uncompressed: twice the size of the pixels


def load_mnist(mnist_dir: Path | None = None) -> dict[str, Digits]:
    """Load 50,000 / 10,000 / 10,000 digits; the first time, prepare and cache them.

    `mnist_dir`, or else the environment variable MNIST_DIR, is a folder with the four original
    files; without either they are downloaded. Raises UserError if that fails.
    """
    path = cache_path()
    if not path.exists():
        prepare_cache(path, mnist_dir)
    original = read_cache(path)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(original["train"].labels))
    pixels, labels = original["train"]
    return {
        "train": Digits(pixels[order[:NUM_TRAIN]], labels[order[:NUM_TRAIN]]),
        "validation": Digits(pixels[order[NUM_TRAIN:]], labels[order[NUM_TRAIN:]]),
        "test": original["test"],
    }


def cache_path() -> Path:
    """Return the path of the cache: in the user's cache folder (XDG_CACHE_HOME on Linux)."""
    return user_cache_path("attention-side-by-side") / "mnist.npz"


def prepare_cache(path: Path, mnist_dir: Path | None = None) -> None:
    """Prepare MNIST and write the cache; one of several processes prepares, the others wait."""
    folder = mnist_dir or os.environ.get("MNIST_DIR")
    manual_dir = Path(folder) if folder else None
    if manual_dir is not None:
        check_mnist_dir(manual_dir)
    else:
        check_reachable()
    print("Preparing MNIST with TensorFlow Datasets: about a minute, once.", file=sys.stderr)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                write_cache(path, read_through_tfds(manual_dir))
    except OSError as error:
        raise UserError(f"Could not prepare MNIST in {path.parent}: {error}.") from error


def check_reachable(url: str = SOURCE, seconds: float = 3) -> None:
    """Raise UserError if MNIST cannot be downloaded; TFDS would retry for minutes.

    It runs in a thread, since no timeout of Python ends a name look-up.
    """
    import urllib.request  # slow to import, and hardly ever needed

    problems: list[str] = ["no answer"]

    def ask() -> None:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, method="HEAD"), timeout=seconds
            ):
                problems.clear()
        except OSError as error:
            problems[:] = [str(getattr(error, "reason", error))]

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds + 1)
    if problems:
        raise UserError(
            f"MNIST is not on this computer and cannot be downloaded from {url} ({problems[0]}): "
            "connect to the network, or give a folder with the four original files with "
            "--mnist-dir."
        )


def write_cache(path: Path, original: dict[str, Digits]) -> None:
    """Write MNIST's two original splits and their checksum, whole or not at all."""
    arrays = {
        f"{split}_{name}": array
        for split, digits in original.items()
        for name, array in digits._asdict().items()
    }
    with replacing(path) as temporary:
        # Uncompressed, 55 MB: loading takes a tenth of the time.
        np.savez(temporary, sha256=np.array(checksum(arrays)), **arrays)


def read_cache(path: Path) -> dict[str, Digits]:
    """Read the cache; raise UserError unless its checksum is right."""
    advice = "delete it, and it is made again"
    try:
        if not path.is_file():  # reading a pipe would block
            raise ValueError("it is not a regular file")
        # Opened here, since NumPy does not close a file that it cannot read; and as a zip file,
        # since np.load also accepts a single array or a pickle.
        with path.open("rb") as raw, NpzFile(raw, allow_pickle=False) as file:
            if sum(member.file_size for member in ZipFile(raw).infolist()) > LARGEST_CACHE:
                raise ValueError("it holds more than MNIST has")
            arrays = {name: file[name] for name in file.files}
        expected = str(arrays.pop("sha256"))
        found = checksum(arrays)
        original = {
            split: Digits(arrays[f"{split}_pixels"], arrays[f"{split}_labels"])
            for split in TFDS_SPLITS
        }
    except Exception as error:  # zipfile and NumPy raise many errors for a damaged archive
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"The MNIST cache {path} cannot be read ({reason}): {advice}.") from error
    if found != expected:
        raise UserError(f"The MNIST cache {path} has a wrong checksum: {advice}.")
    for split, digits in original.items():
        check_digits(digits, f"the {split} split in {path}")
    return original


def read_through_tfds(manual_dir: Path | None) -> dict[str, Digits]:
    """Prepare MNIST as ArrayRecord with TensorFlow Datasets and read it.

    TFDS has its own fixed order of the samples, not that of the original files.
    """
    tfds = _import_tfds()
    with tempfile.TemporaryDirectory() as data_dir:
        try:
            builder = tfds.builder(
                "mnist", data_dir=data_dir, file_format="array_record", try_gcs=False
            )
            config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
            with contextlib.redirect_stdout(io.StringIO()):  # its message names a temporary folder
                builder.download_and_prepare(download_config=config)
        except Exception as error:  # TFDS raises many errors: a failed download, a wrong checksum
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"TensorFlow Datasets could not prepare MNIST ({type(error).__name__}: {reason}): "
                "give a folder with the four original files with --mnist-dir."
            ) from error
        return {split: _read_split(builder, split) for split in TFDS_SPLITS}


def _import_tfds() -> Any:
    """Import TensorFlow Datasets, and TensorFlow with it, without their log messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # it logs before it reads the level
    try:
        import tensorflow  # noqa: F401  TFDS needs it to prepare, and says so less clearly
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UserError(
            f"Preparing MNIST the first time needs {error.name}, which is not installed: "
            "run `pip install -c constraints.txt -e '.[mnist]'`."
        ) from error
    tfds.disable_progress_bar()
    return tfds


def _read_split(builder: Any, split: str) -> Digits:
    source = builder.as_data_source(split=split)
    pixels = np.empty((len(source), NUM_PIXELS), dtype=np.uint8)
    labels = np.empty(len(source), dtype=np.int64)
    for index, example in enumerate(source):
        pixels[index] = example["image"].reshape(-1)
        labels[index] = example["label"]
    if len(labels) != TFDS_SPLITS[split]:
        raise UserError(f"MNIST's {split} split has {len(labels)} digits: it should have more.")
    digits = Digits(pixels, labels)
    check_digits(digits, f"MNIST's {split} split")
    return digits
