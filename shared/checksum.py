"""The checksum by which a damaged file is found."""

import hashlib
from collections.abc import Mapping

import numpy as np


def checksum(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> str:
    """Give the SHA-256 of names, dtypes, shapes and bytes, and of the metadata, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    for key, text in sorted((metadata or {}).items()):
        digest.update(f"{key} {len(text)} {text}".encode())
    return digest.hexdigest()
