"""The data that the page computes with: digits, their normalization, and parameters."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from compare.page.encode import encode_array
from compare.page.run_result import Run
from compare.registry.implementations import display
from shared.data.digits import NUM_CLASSES
from shared.data.load import Dataset, Split
from shared.data.normalization import fit_normalization
from shared.errors import UserError
from shared.params import initial_params

DIGITS_PER_CLASS = 2
UNTRAINED = "before training"
# Characters that all parameters may take, to leave room for the rest in a page of 5 MB.
MOST_CHARACTERS = 3_500_000


def choose_digits(split: Split) -> Split:
    """Return the first two digits of every class, in the order of the classes."""
    chosen = [np.flatnonzero(split.labels == label) for label in range(NUM_CLASSES)]
    indices = np.concatenate([found[:DIGITS_PER_CLASS] for found in chosen])
    return Split(split.pixels[indices], split.images[indices], split.labels[indices], split.levels)


def model_data(run: Run, data: Dataset) -> dict[str, Any]:
    """Return parameters, digits as grey levels, and the normalization of each pixel.

    A level becomes float32((level - shift) / scale), where shift and scale are float64, one for
    all pixels or one per pixel; see shared/data/normalization.py.
    """
    fitted = fit_normalization(data.train.pixels, run.result.config.normalization)
    digits = choose_digits(data.test)
    return {
        "checkpoints": checkpoints(run),
        "shift": encode_array(fitted.shift),
        "scale": encode_array(np.asarray(fitted.scale, dtype=np.float64)),
        "digits": encode_array(digits.pixels),
        "labels": [int(label) for label in digits.labels],
    }


def checkpoints(run: Run) -> list[dict[str, Any]]:
    """Return the parameters that the page offers: the best of each implementation, and the initial.

    Raises UserError if not even one set fits into a page.
    """
    named = {f"{display(name)}, best": params for name, params in run.params.items()}
    first = next(iter(named.values()))
    channels = run.result.config.num_channels
    start = initial_params(num_channels=channels, seed=run.result.config.seed)
    named[UNTRAINED] = {name: start[name].astype(first[name].dtype) for name in first}
    size = sum(array.nbytes for array in first.values()) * 4 / 3
    fitting = int(MOST_CHARACTERS // size)
    if fitting < 1:
        raise UserError(
            f"The parameters in {run.path}, with {channels} channels, take {size / 1e6:.0f} MB of "
            "a page's 5 MB: choose a run with fewer channels."
        )
    return [
        {"name": name, "params": encode_params(params)}
        for name, params in list(named.items())[:fitting]
    ]


def encode_params(params: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Encode every parameter in its own dtype."""
    return {name: encode_array(array) for name, array in params.items()}
