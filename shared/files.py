"""Write files atomically, and read them: JSON into types, and arrays as safetensors.

Nothing is unpickled.
"""

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from safetensors import deserialize, safe_open
from safetensors.numpy import save

from shared.errors import UserError

T = TypeVar("T")
SHA256 = "sha256"  # the metadata key of the checksum of everything else in the file
# The names of dtypes in safetensors and in NumPy, such as F32 and f4.
DTYPES = {f"{kind}{8 * size}": f"{kind.lower()}{size}" for kind in "FIU" for size in (1, 2, 4, 8)}
DTYPES["BOOL"] = "bool"
# Integers in a file, at most as large as float64, and so JavaScript, represents exactly.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
CountFrom1 = Annotated[int, msgspec.Meta(ge=1, le=2**53)]


@contextmanager
def replacing(path: Path, *, previous: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds.

    The temporary name has the suffix of `path`, since many writers take the format from it. Links
    are followed, and the new file keeps the mode of the old one. If `path` is not a regular file,
    such as /dev/stdout, it is written directly. With `previous`, the old file is kept there, and
    the new one is on the disk before it is renamed, so that a power cut leaves one of the two.
    Raises UserError if the file cannot be written.
    """
    temporary = None
    try:
        check_writable(path)
        if is_device(path):
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder) / f"output{path.suffix}"
                with path.open("wb") as device:
                    device.write((Path(folder) / f"output{path.suffix}").read_bytes())
            return
        target = Path(os.path.realpath(path))
        temporary = target.with_name(f".{os.getpid()}-{target.name}")
        yield temporary
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        if previous is not None:
            _flush(temporary)
            if target.exists():
                os.replace(target, previous)
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"Could not write {path}: {error.strerror or error}.") from error
    finally:
        if temporary is not None:
            with suppress(OSError):  # or this error would hide the first one
                temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise UserError unless a file can be written to `path`."""
    if not path.name:
        raise UserError(f"Could not write {str(path)!r}: give the name of a file.")
    try:
        folder = path.parent
        if not folder.is_dir():
            raise UserError(f"Could not write {path}: there is no folder {folder}.")
        if path.is_dir():
            raise UserError(f"Could not write {path}: it is a folder.")
        place = path if is_device(path) else Path(os.path.realpath(path)).parent
        if not os.access(place, os.W_OK):
            raise UserError(f"Could not write {path}: Permission denied.")
    except OSError as error:
        raise UserError(f"Could not write {path}: {error.strerror}.") from error


def is_device(path: Path) -> bool:
    """Check whether a path is a device, pipe or socket, which must not be replaced."""
    under_kernel = path.absolute().parts[1:2] in (("dev",), ("proc",))
    return path.exists() and (under_kernel or not path.is_file())


def make_folder(path: Path) -> None:
    """Make a folder and its parents, if they do not exist; raise UserError if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"Could not make the folder {path}: {error.strerror}.") from error


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes; no other process may be writing."""
    for path in folder.glob(".*-*"):
        if re.match(r"\.\d+-", path.name) and path.is_file():  # as `replacing` names them
            path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def to_json(value: Any, indent: int | None = None) -> str:
    """Return `value` as JSON text, in which NaN and infinity are null."""
    return json.dumps(_without_nan(value), indent=indent, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as indented JSON, whole or not at all."""
    write_text(path, to_json(value, indent=2) + "\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def read_json(path: Path, kind: type[T], advice: str) -> T:
    """Read a JSON file into a type; raise UserError with the problem, its place, and `advice`."""
    return decode_json(read_file(path, advice), kind, str(path), advice)


def read_file(path: Path, advice: str) -> bytes:
    """Read a regular file; raise UserError with `advice` if that fails."""
    try:
        if path.exists() and not path.is_file():  # reading a pipe would block
            raise UserError(f"Could not read {path}: it is not a regular file; {advice}.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"Could not read {path}: {error.strerror}; {advice}.") from error


def decode_json(content: bytes, kind: type[T], where: str, advice: str) -> T:
    """Decode JSON into a type, as read_json does; `where` names its source in errors.

    Fields that the type does not have are ignored: a later version may have written them.
    """
    try:
        return msgspec.json.decode(content, type=kind, dec_hook=_decode_path)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} cannot be read: {error}; {advice}.") from error


def _decode_path(kind: type, found: Any) -> Any:
    if kind is Path and isinstance(found, str):
        return Path(found)
    raise ValueError("Expected a path")


def save_arrays(
    path: Path,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
    *,
    previous: Path | None = None,
) -> None:
    """Write arrays, metadata and a checksum of both to `path`; see `replacing`."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    texts = dict(metadata or {})
    content = save(arrays, metadata=texts | {SHA256: checksum(arrays, texts)})
    with replacing(Path(path), previous=previous) as temporary:
        temporary.write_bytes(content)


def load_arrays(
    path: Path, *, from_elsewhere: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read arrays and metadata, and check the checksum; a file from elsewhere has none.

    Raises UserError, which names the file and the problem.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise FileNotFoundError
        path.open("rb").close()  # safetensors gives no reason if a file cannot be opened
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
        tensors = deserialize(path.read_bytes())
        arrays = {name: _to_numpy(name, **tensor) for name, tensor in sorted(tensors)}
    except FileNotFoundError as error:
        raise UserError(
            f"There is no checkpoint {path}: give a .safetensors file of a run folder."
        ) from error
    except OSError as error:
        raise UserError(f"Could not read {path}: {error.strerror}; make it readable.") from error
    except Exception as error:  # safetensors and NumPy raise many errors for a crafted header
        raise UserError(f"{path} is not a readable safetensors file: {error}.") from error
    expected = metadata.pop(SHA256, None)
    if expected is None and from_elsewhere:
        return arrays, metadata
    if checksum(arrays, metadata) != expected:
        raise UserError(f"The checkpoint {path} is damaged: its checksum is not that of its data.")
    return arrays, metadata


def _to_numpy(name: str, dtype: str, shape: list[int], data: bytearray) -> np.ndarray:
    """Return a tensor of a file as an array; bfloat16, which NumPy lacks, becomes float32."""
    if dtype == "BF16":  # the first 16 bits of a float32
        bits = np.frombuffer(data, np.uint16).astype(np.uint32) << 16
        return bits.view(np.float32).reshape(shape)
    if dtype not in DTYPES:
        raise TypeError(f"{name} has dtype {dtype}, which cannot be read")
    return np.frombuffer(data, DTYPES[dtype]).reshape(shape)


def checksum(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> str:
    """Return the SHA-256 of names, dtypes, shapes, bytes and metadata, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    for key, text in sorted((metadata or {}).items()):
        digest.update(f"{key} {len(text)} {text}".encode())
    return digest.hexdigest()
