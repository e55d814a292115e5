"""The digits that come with the project: 5,000 of MNIST, in sample.npz (see SAMPLE.md)."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np

from shared.data.digits import NUM_CLASSES, Digits, check_digits
from shared.errors import UserError

SAMPLE_PATH = Path(__file__).with_name("sample.npz")
SAMPLE_SHA256 = "acd04a817f1300edc3c3fd9b0d2f8cc29bb1c2af4836206323923992d773729c"
# The classes alternate (0, 1, ..., 9, 0, 1, ...), so a split at a multiple of ten has equally many
# digits of each.
SPLITS = {"train": (0, 4000), "validation": (4000, 4500), "test": (4500, 5000)}


def load_sample(path: Path = SAMPLE_PATH) -> dict[str, Digits]:
    """Read the sample and check its checksum: 4,000 / 500 / 500 digits, classes balanced."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"Could not read the sample {path}: {error.strerror}.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != SAMPLE_SHA256:
        raise UserError(
            f"The sample {path} is damaged: its SHA-256 is {found[:12]}..., not "
            f"{SAMPLE_SHA256[:12]}...; restore it with `git checkout -- shared/data/sample.npz`."
        )
    with np.load(BytesIO(content), allow_pickle=False) as file:
        digits = Digits(file["pixels"], file["labels"].astype(np.int64))
    check_digits(digits, "the sample")
    return {
        name: Digits(digits.pixels[start:stop], digits.labels[start:stop])
        for name, (start, stop) in SPLITS.items()
    }


def order_by_turns(digits: Digits) -> Digits:
    """Reorder digits so that the classes alternate, keeping the order within each."""
    turns = [np.flatnonzero(digits.labels == label) for label in range(NUM_CLASSES)]
    order = np.stack(turns, axis=1).reshape(-1)
    return Digits(digits.pixels[order], digits.labels[order])
