"""The training on the page: the curves of all implementations, and their differences."""

from typing import Any

import numpy as np

from compare.page.run_result import Run

EPOCH_NUMBERS = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
POINTS = 500  # of a curve: more cannot be distinguished on a screen


def training_data(run: Run) -> dict[str, Any] | None:
    """Return epochs, thinned losses of steps, and their differences; None if nothing trained."""
    implementations = run.result.implementations
    trained = {name: found.epochs for name, found in implementations.items() if found.epochs}
    if not trained:
        return None
    return {
        "epochs": {
            name: {key: [getattr(epoch, key) for epoch in epochs] for key in EPOCH_NUMBERS}
            for name, epochs in trained.items()
        },
        "steps": step_curves(run.step_losses, {name: len(e) for name, e in trained.items()}),
        "tests": {
            name: {"accuracy": found.test_accuracy, "loss": found.test_loss}
            for name, found in implementations.items()
        },
    }


def step_curves(losses: dict[str, np.ndarray], epochs: dict[str, int]) -> dict[str, Any] | None:
    """Thin the losses of steps [steps] to POINTS windows; return None if there are none.

    Each window has the mean loss, and the largest difference of a step's loss from the first
    implementation's. `x` is the end of the window, in epochs.
    """
    if not losses:
        return None
    first = next(iter(losses))
    size = min(len(array) for array in losses.values())
    window = max(1, -(-size // POINTS))
    # A mean over too few steps is noisy; a twentieth of an epoch, as in loss.png, is not.
    smooth = max(window, size // max(1, epochs[first]) // 20)
    starts = np.arange(0, size, window)
    ends = np.minimum(starts + window, size)
    differences = {
        name: np.maximum.reduceat(np.abs(array[:size] - losses[first][:size]), starts)
        for name, array in losses.items()
        if name != first
    }
    return {
        "x": (ends * epochs[first] / len(losses[first])).tolist(),
        "smooth": smooth,
        "window": window,
        "first": first,
        "losses": {
            name: trailing_means(array[:size], ends, smooth).tolist()
            for name, array in losses.items()
        },
        "differences": {name: array.tolist() for name, array in differences.items()},
    }


def trailing_means(values: np.ndarray, ends: np.ndarray, width: int) -> np.ndarray:
    """Return the mean of the `width` values [n] before each end, or of as many as there are."""
    return np.array([values[max(0, end - width) : end].mean() for end in ends])
