"""The parameters as a plain dict of NumPy arrays: names, shapes, start, checks, and files."""

from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from shared.arrays import is_floating, to_array, to_floats
from shared.errors import UserError
from shared.files import load_arrays, save_arrays

PARAM_NAMES = ("K", "Q", "V", "out.weight", "out.bias")


def param_shapes(num_steps: int, num_channels: int, num_outputs: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter, in the order of PARAM_NAMES."""
    square = (num_channels, num_channels)
    weight = (num_outputs, num_steps * num_channels)
    return dict(zip(PARAM_NAMES, (square, square, square, weight, (num_outputs,)), strict=True))


def initial_params(
    num_steps: int = 784, num_channels: int = 1, num_outputs: int = 10, *, seed: int = 0
) -> dict[str, np.ndarray]:
    """Draw the initial float64 parameters, the same for every implementation.

    Each is uniform in [-1 / sqrt(inputs), 1 / sqrt(inputs)], where `inputs` counts what one output
    sums over: channels for K, Q and V; steps * channels for the linear layer, its bias included,
    as `torch.nn.Linear` does by default.
    """
    rng = np.random.default_rng(seed)
    params = {}
    for name, shape in param_shapes(num_steps, num_channels, num_outputs).items():
        inputs = num_steps * num_channels if name.startswith("out.") else num_channels
        # Rounded to float32, so that float32 and float64 runs start from the same numbers.
        drawn = rng.uniform(-1 / sqrt(inputs), 1 / sqrt(inputs), shape).astype(np.float32)
        params[name] = drawn.astype(np.float64)
    return params


def check_params(params: Mapping[str, Any]) -> tuple[int, int, int]:
    """Check names, shapes, dtypes and values; return num_steps, num_channels and num_outputs.

    Raises UserError, which names the parameter.
    """
    _, sizes = read_params(params)
    return sizes


def read_params(params: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], tuple[int, int, int]]:
    """Check the parameters; return them as float32 or float64 arrays, and their sizes.

    Such arrays are not copied. Raises UserError, which names the parameter. The frameworks differ
    here: Flax's `nnx.update` accepts a wrong shape or an unknown name without an error.
    """
    names = list(params) if isinstance(params, Mapping) else []
    missing = [name for name in PARAM_NAMES if name not in names]
    unknown = [str(name) for name in names if name not in PARAM_NAMES]
    if missing or unknown:
        raise UserError(
            f"The parameters must be {', '.join(PARAM_NAMES)}; "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}."
        )
    arrays = {}
    for name in PARAM_NAMES:
        array = to_array(params[name], f"Parameter {name}")
        if not is_floating(array.dtype):
            raise UserError(
                f"Parameter {name} has dtype {array.dtype}: give floating-point numbers."
            )
        arrays[name] = to_floats(array)
        if not np.isfinite(arrays[name]).all():
            raise UserError(f"Parameter {name} holds NaN or infinity: it cannot be used.")
    return arrays, _check_shapes({name: array.shape for name, array in arrays.items()})


def _check_shapes(found: Mapping[str, tuple[int, ...]]) -> tuple[int, int, int]:
    """Read the sizes from K and out.weight, and compare every shape with them."""
    if len(found["K"]) != 2 or 0 in found["K"]:
        raise UserError(f"Parameter K has shape {found['K']}: it must be [channels, channels].")
    num_channels = found["K"][0]
    if len(found["out.weight"]) != 2 or 0 in found["out.weight"]:
        raise UserError(
            f"Parameter out.weight has shape {found['out.weight']}: "
            "it must be [outputs, steps * channels]."
        )
    num_outputs, features = found["out.weight"]
    if features % num_channels:
        raise UserError(
            f"Parameter out.weight has shape {found['out.weight']}: with {num_channels} channels "
            f"its second axis must be steps * {num_channels}."
        )
    sizes = (features // num_channels, num_channels, num_outputs)
    for name, expected in param_shapes(*sizes).items():
        if found[name] != expected:
            raise UserError(f"Parameter {name} has shape {found[name]}: it must be {expected}.")
    return sizes


def check_batch(
    images_shape: tuple[int, ...], labels: Any, image_shape: tuple[int, int], outputs: int
) -> np.ndarray:
    """Check that images [batch, steps, channels] fit a model, and labels [batch] are classes.

    Returns the labels as int64, without a copy if they are. Raises UserError. The frameworks differ
    here: PyTorch raises for most labels out of range but ignores -100, optax returns NaN for some,
    and JAX reads the last class for others.
    """
    if len(images_shape) != 3 or tuple(images_shape[1:]) != image_shape:
        expected = ", ".join(str(size) for size in image_shape)
        raise UserError(f"The images have shape {tuple(images_shape)}: give [batch, {expected}].")
    if not images_shape[0]:
        raise UserError("There are no images: give at least one.")
    labels = to_array(labels, "The labels")
    if labels.shape != (images_shape[0],):
        raise UserError(
            f"The labels have shape {labels.shape}: give [{images_shape[0]}], one per image."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"The labels have dtype {labels.dtype}: give whole numbers.")
    wrong = labels[(labels < 0) | (labels >= outputs)]
    if wrong.size:
        raise UserError(f"A label is {wrong[0]}: give labels from 0 to {outputs - 1}.")
    return labels.astype(np.int64, copy=False)


def save_params(
    path: Path, params: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Check the parameters and write them to `path` with `metadata`, or raise UserError."""
    arrays, _ = read_params(params)
    save_arrays(path, arrays, metadata)


def load_params(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read and check parameters and metadata; raise UserError if the file is wrong."""
    arrays, metadata = load_arrays(path, from_elsewhere=True)
    try:
        params, _ = read_params(arrays)
    except UserError as error:
        raise UserError(f"The checkpoint {path} does not fit: {error}") from error
    return params, metadata
