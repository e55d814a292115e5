"""Parameters on disk as safetensors: one file, readable by every framework, nothing unpickled."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from shared.errors import UserError
from shared.files import replacing
from shared.params import check_params


def save_params(
    path: Path, params: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write the parameters, once checked, and `metadata` to `path`; UserError says what failed."""
    check_params(params)
    arrays = {name: np.ascontiguousarray(array) for name, array in params.items()}
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(save(arrays, metadata=dict(metadata or {})))


def load_params(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read parameters and metadata; UserError says what is wrong with the file."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: give a .safetensors file of a run folder.")
    try:
        with safe_open(path, framework="numpy") as file:
            params = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, TypeError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}.") from error
    try:
        check_params(params)
    except UserError as error:
        raise UserError(f"The checkpoint {path} does not fit: {error}") from error
    return params, metadata
