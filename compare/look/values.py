"""Arrays by their contents: each is stored once, and found again in any order of its numbers."""

import hashlib
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

FLOAT32_U, FLOAT64_U = 2.0**-24, 2.0**-53
# A difference in float64 counts as rounding up to this multiple of float32's rounding: halfway, on
# a logarithmic scale, between float32's rounding and float64's.
HALFWAY = (FLOAT64_U / FLOAT32_U) ** 0.5
QUANTILES = np.linspace(0, 1, 31)
IN_MEMORY = 512 * 2**20  # bytes of arrays that are kept in memory; further ones go to the disk


class Store:
    """Arrays by a digest of their contents, the first ones in memory and the others in files."""

    def __init__(self) -> None:
        self.folder: tempfile.TemporaryDirectory | None = None
        self.arrays: dict[str, np.ndarray | Path] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.size = 0

    def put(self, array: np.ndarray) -> str:
        """Store an array; return its digest, equal for equal numbers in the same shape."""
        array = np.asarray(array, order="C")  # ascontiguousarray turns 0 axes into 1
        digest = hashlib.blake2b(array.tobytes(), digest_size=16)
        digest.update(str(array.shape).encode())
        key = digest.hexdigest()
        if key not in self.arrays:
            self.size += array.nbytes
            self.shapes[key] = array.shape
            self.arrays[key] = array if self.size <= IN_MEMORY else self._write(key, array)
        return key

    def get(self, digest: str) -> np.ndarray:
        """Return the array of a digest."""
        kept = self.arrays[digest]
        return np.load(kept) if isinstance(kept, Path) else kept

    def _write(self, key: str, array: np.ndarray) -> Path:
        self.folder = self.folder or tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / f"{key}.npy"
        np.save(path, array)
        return path


@dataclass(eq=False)
class Value:
    """An array that a program computed, with every name and place where it was seen."""

    digest: str
    shape: tuple[int, ...]
    dtype: str
    order: int
    store: Store = field(repr=False)
    sightings: list[tuple[str, str, str]] = field(default_factory=list)  # kind, name, where
    keys: list[tuple[str, str, int]] = field(default_factory=list, repr=False)
    parents: set["Value"] = field(default_factory=set, repr=False)
    is_param: bool = False
    from_input: bool = False
    pieces: tuple["Value", ...] = field(default=(), repr=False)

    @property
    def array(self) -> np.ndarray:
        """The numbers in float64, whatever dtype they were computed in."""
        return self.store.get(self.digest)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))

    @cached_property
    def signature(self) -> np.ndarray:
        """Quantiles, mean and root mean square, which no transpose or reshape changes."""
        return signature_of(self.array)

    @cached_property
    def is_plain(self) -> bool:
        """Whether the numbers are too uniform to identify an array: a mask, zeros."""
        array = self.array
        finite = array[np.isfinite(array)]
        sample = finite[:10_000]
        if array.size <= 2:
            return bool((sample == sample.astype(np.float16)).all())
        return len(np.unique(sample)) <= 2 or bool((sample == np.round(sample)).all())

    @property
    def name(self) -> str:
        """The most informative name: a variable's, or else a module's, or else a call's text."""
        return self._best[1]

    @property
    def where(self) -> str:
        """The place of the name: file and line, or a module's class."""
        return self._best[2]

    @property
    def _best(self) -> tuple[str, str, str]:
        ranks = ("local", "module", "call", "input", "output", "parameter")
        return min(self.sightings, key=lambda seen: ranks.index(seen[0]))

    def __str__(self) -> str:
        return f"{self.name} ({self.where})"


def signature_of(array: np.ndarray) -> np.ndarray:
    """Return the non-finite count, quantiles, mean and root mean square of an array."""
    flat = np.sort(array, axis=None)
    finite = flat[np.isfinite(flat)]
    bad = float(flat.size - finite.size)
    if not finite.size:
        return np.array([bad])
    places = np.round(QUANTILES * (finite.size - 1)).astype(np.int64)
    scale = max(abs(finite[0]), abs(finite[-1]))
    scaled = finite / scale if scale else finite
    rms = scale * np.sqrt(np.mean(scaled**2))
    return np.array([bad, *finite[places], scale * np.mean(scaled), rms])


def scale_of(array: np.ndarray) -> float:
    """Return the largest finite magnitude of an array, or 0."""
    finite = array[np.isfinite(array)]
    return float(np.abs(finite).max()) if finite.size else 0.0


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference of two arrays of one shape, relative to the largest magnitude.

    NaN against NaN, or infinity against the same infinity, counts as no difference; against
    anything else, as an infinite one.
    """
    if a.shape != b.shape:
        return float("inf")
    if not a.size:
        return 0.0
    finite = np.isfinite(a) & np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not (finite | same).all():
        return float("inf")
    scale = max(scale_of(a), scale_of(b))
    if not scale:
        return 0.0
    return float((np.abs(np.where(finite, a, 0) - np.where(finite, b, 0)).max(initial=0)) / scale)


def to_numpy(value: Any) -> np.ndarray | None:
    """Copy a framework's array into a NumPy array of float64; None if it has no values."""
    for _ in range(8):  # a tracer of vmap or grad holds the batch, or the primal value
        inner = getattr(value, "val", None) if type(value).__name__ == "BatchTracer" else None
        if type(value).__name__ in ("JVPTracer", "LinearizeTracer"):
            inner = getattr(value, "primal", None)
        if inner is None:
            break
        value = inner
    try:
        if hasattr(value, "detach"):
            value = value.detach()
            if getattr(value, "is_complex", bool)():
                value = value.resolve_conj()
            elif value.dtype.is_floating_point:
                value = value.double()
            value = value.numpy(force=True)
        array = np.asarray(value)
        if array.dtype.kind == "c":
            array = np.stack([array.real, array.imag], axis=-1)
        return np.array(array, dtype=np.float64)
    except Exception:  # whatever a framework raises for a tracer, a key or a sparse tensor
        return None


def dtype_of(value: Any) -> str:
    """Return the name of an array's dtype, such as float32, in NumPy's words."""
    return str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
