"""The code on the page: the implementations in columns, and the values of one real digit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

import numpy_reference
from compare.code.aligned import align
from compare.code.highlight import Cell, highlight
from compare.code.landmarks import find_locations
from compare.code.sources import Source, read_source
from compare.page.encode import make_picture
from compare.parity.capture import capture_intermediates
from compare.parity.intermediates import INTERMEDIATES, Batch, Case, bound_intermediates, judge
from compare.registry.contract import dtypes_of
from compare.registry.implementations import PACKAGES

FILES = ("model.py", "forms.py")
DTYPES = ("float32", "float64")
FORM = "vectorized"  # all of whose intermediates can be seen
MOST_CHANNELS = 4  # of a picture
# Where each implementation computes the mean loss of a batch, outside its model.
LOSS_FILES = {"pytorch": "train.py", "jax": "train.py", "numpy": "evaluate.py"}
LOSS_CALL = "cross_entropy(logits, "
AXES = {"scores": ("queries", "keys"), "weights": ("queries", "keys"), "logits": ("outputs",)}


@dataclass(frozen=True)
class CodeRow:
    """A row of the columns."""

    part: str  # "attend", a form of attention, "forward", "loss", or "rest"
    intermediate: str | None  # the one that it computes
    kind: str  # "same", "renamed" or "different"
    cells: list[Cell | None]  # in the order of the implementations


def code_rows() -> list[CodeRow]:
    """Return the models, forms and loss lines of all implementations side by side."""
    rows = [row for file in FILES for row in _rows_of([read_source(n, file) for n in PACKAGES])]
    return [*rows, _loss_row()]


def _rows_of(sources: list[Source]) -> Iterator[CodeRow]:
    rows = align(sources)
    locations = {source.implementation: find_locations(source.text) for source in sources}
    for row, cells in zip(rows, highlight(rows, sources), strict=True):
        name, line = next((name, line) for name, line in row.lines.items() if line)
        location = locations[name].get(line.number)
        where = "" if location is None else location.landmark or location.scope
        part = _part_of(where if where else "")
        last = (row.landmark or "").rpartition(".")[2]
        # The model's `attended = attend(...)` is a call; the value is computed elsewhere.
        is_intermediate = last in INTERMEDIATES and (
            part not in ("forward", "rest") or last == "logits"
        )
        yield CodeRow(part, last if is_intermediate else None, row.kind, list(cells))


def _part_of(where: str) -> str:
    """Return the part of the page for a location such as "attend_looped.attended"."""
    function = where.split(".")[0]
    if function in ("attend", "attend_vectorized"):  # which is `attend`, on the whole batch
        return "attend"
    if function.startswith("attend_"):
        return function.removeprefix("attend_")
    if function.startswith("average_by_"):
        return "histogram"
    return "forward" if f"{where}.".startswith("SelfAttentionModel.forward.") else "rest"


def _loss_row() -> CodeRow:
    """Return the line of each implementation that computes the loss."""
    cells = []
    for name, file in LOSS_FILES.items():
        source = read_source(name, file)
        line = next(line for line in source.lines if LOSS_CALL in line.text)
        only = Source(name, source.path, source.text, (line,))
        cells += next(iter(highlight(align([only]), [only])))
    return CodeRow("loss", "loss", "different", cells)


def intermediates_data(
    implementations: Mapping[str, ModuleType], batch: Batch, params_of: str
) -> dict[str, Any]:
    """Trace one digit and describe each intermediate: its shape, values and error ratios.

    `batch` holds one image. The values are NumPy's in float64; the errors are those of the form
    "vectorized".
    """
    exact = batch.held_in("float64")
    model = numpy_reference.from_params(exact.params, FORM, "float64")
    seen = capture_intermediates(numpy_reference, model, exact.images)
    result = numpy_reference.evaluate(model, exact.images, exact.labels, batch_size=1)
    seen |= {"logits": result.logits, "loss": np.array([result.loss])}
    errors = trace_errors(implementations, batch)
    return {
        "label": int(batch.labels[0]),
        "params_of": params_of,
        "intermediates": [
            {"name": name, **describe_intermediate(name, seen[name]), "errors": errors[name]}
            for name in INTERMEDIATES
        ],
    }


def describe_intermediate(name: str, values: np.ndarray) -> dict[str, Any]:
    """Describe an intermediate: its shape, axes, range, and its numbers or a picture."""
    axes = () if name == "loss" else ("batch", *AXES.get(name, ("steps", "channels")))
    found: dict[str, Any] = {
        "shape": list(values.shape) if axes else [],
        "axes": axes,
        "low": float(values.min()),
        "high": float(values.max()),
    }
    if values.size <= 10:
        return found | {"values": values.reshape(-1).tolist(), "picture": None}
    return found | {"values": None, "picture": make_picture(as_image(name, values[0]))}


def as_image(name: str, values: np.ndarray) -> np.ndarray:
    """Return [steps, steps] unchanged, and [steps, channels] as images in a row."""
    if name in AXES:
        return values
    side = int(len(values) ** 0.5)
    channels = values.T[:MOST_CHANNELS].reshape(-1, side, side)
    return np.hstack(list(channels))


def trace_errors(
    implementations: Mapping[str, ModuleType], batch: Batch
) -> dict[str, dict[str, dict[str, Any]]]:
    """Judge every implementation in both dtypes: by intermediate, implementation and dtype.

    `local` is the error ratio of the intermediate by itself, `carried` the one accumulated since
    the start.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in INTERMEDIATES}
    for dtype in DTYPES:
        held = batch.held_in(dtype)
        carried = bound_intermediates(held, dtype)
        for name, implementation in implementations.items():
            if FORM not in implementation.ATTENTION or dtype not in dtypes_of(implementation):
                continue
            for judged in judge(Case(name, FORM, dtype), implementation, held, carried):
                found[judged.name].setdefault(name, {})[dtype] = {
                    "local": judged.local,
                    "carried": judged.carried,
                    "passed": judged.passed,
                }
    return found
