"""MNIST's four original files, in the IDX format, read and checked.

The format is described at http://yann.lecun.com/exdb/mnist/: a big-endian magic number (two
zeros, the type of the data, the number of axes), the length of every axis, then the data.
"""

import gzip
import hashlib
import struct
import zlib
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shared.errors import UserError


class Original(NamedTuple):
    """The required contents of an original file."""

    shape: tuple[int, ...]
    sha256: str  # of the compressed file, as registered by TensorFlow Datasets


LARGEST = 4 + 4 * 3 + 60_000 * 28 * 28  # bytes, unpacked: the training images
UNSIGNED_BYTE = 8  # the type of the data in the magic number
ORIGINALS = {
    "train-images-idx3-ubyte.gz": Original(
        (60_000, 28, 28), "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "train-labels-idx1-ubyte.gz": Original(
        (60_000,), "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "t10k-images-idx3-ubyte.gz": Original(
        (10_000, 28, 28), "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    "t10k-labels-idx1-ubyte.gz": Original(
        (10_000,), "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes; raise UserError if it is not one."""
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{path} is truncated or not a gzip file ({error}): download it again."
        ) from error
    if len(content) > LARGEST:
        raise UserError(f"{path} holds more than MNIST's largest file: download it again.")
    if len(content) < 4:
        raise UserError(f"{path} ends within its magic number: download it again.")
    zeros, kind, num_axes = struct.unpack(">HBB", content[:4])
    if zeros != 0 or kind != UNSIGNED_BYTE:
        raise UserError(
            f"{path} has the magic number 0x{content[:4].hex()}, not that of an IDX file of "
            "unsigned bytes: download it again."
        )
    if num_axes > 3:
        raise UserError(f"{path} has {num_axes} axes, more than images have: download it again.")
    start = 4 + 4 * num_axes
    shape = struct.unpack(f">{num_axes}I", content[4:start]) if len(content) >= start else None
    if shape is None or len(content) - start != prod(shape):
        raise UserError(
            f"{path} holds {len(content) - start} bytes of data, not those of the shape {shape}: "
            "download it again."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def check_mnist_dir(folder: Path) -> None:
    """Raise UserError unless `folder` holds MNIST's four original files."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: give MNIST's four files with --mnist-dir.")
    missing = [name for name in ORIGINALS if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder} lacks {', '.join(missing)}: it must hold MNIST's four original files."
        )
    for name, original in ORIGINALS.items():
        shape = read_idx(folder / name).shape
        if shape != original.shape:
            raise UserError(
                f"{folder / name} holds an array {list(shape)}, not {list(original.shape)}: "
                "download it again."
            )
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != original.sha256:
            raise UserError(
                f"{folder / name} has the SHA-256 {found[:12]}..., not "
                f"{original.sha256[:12]}...: download it again."
            )
