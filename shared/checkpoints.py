"""Arrays on disk as safetensors: one file, readable by every framework, nothing unpickled."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from shared.checksum import checksum
from shared.errors import UserError
from shared.files import replacing
from shared.params import check_params

SHA256 = "sha256"  # the key of the metadata that holds the checksum of all else in the file


def save_params(
    path: Path, params: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write the parameters, once checked, and `metadata` to `path`; UserError says what failed."""
    check_params(params)
    save_arrays(path, params, metadata)


def load_params(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read parameters and metadata; UserError says what is wrong with the file."""
    params, metadata = load_arrays(path)
    try:
        check_params(params)
    except UserError as error:
        raise UserError(f"The checkpoint {path} does not fit: {error}") from error
    return params, metadata


def save_arrays(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
    *,
    previous: Path | None = None,
) -> None:
    """Write arrays, metadata and a checksum of both to `path`; see shared.files.replacing."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    texts = dict(metadata or {})
    content = save(arrays, metadata=texts | {SHA256: checksum(arrays, texts)})
    with replacing(Path(path), previous=previous) as temporary:
        temporary.write_bytes(content)


def load_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read arrays and metadata, the checksum held against them; a file from elsewhere has none.

    Raises UserError, which names the file and what is wrong with it.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: give a .safetensors file of a run folder.")
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, TypeError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}.") from error
    expected = metadata.pop(SHA256, None)
    if expected is not None and checksum(arrays, metadata) != expected:
        raise UserError(f"The checkpoint {path} is damaged: its checksum is not that of its data.")
    return arrays, metadata
