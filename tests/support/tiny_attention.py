"""The smallest third-party implementation, for the tests: forward only, in NumPy."""

import numpy as np

from shared.params import check_batch, check_params
from shared.training.records import Evaluation

ATTENTION = ("vectorized",)
LIBRARIES = ("rich",)


def from_params(params, attention, dtype, device):
    check_params(params)
    if attention != "vectorized" or device != "cpu":
        raise ValueError("It has vectorized on the CPU alone.")
    return {name: np.array(array, dtype) for name, array in params.items()}


def to_params(model):
    return {name: array.copy() for name, array in model.items()}


def forward(model, x):
    query, key, value = (x @ model[name] for name in ("Q", "K", "V"))
    scores = query @ key.mT / x.shape[-1] ** 0.5
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exponentials / exponentials.sum(axis=-1, keepdims=True)
    attended = weights @ value
    logits = attended.reshape(len(x), -1) @ model["out.weight"].T + model["out.bias"]
    return logits


def evaluate(model, images, labels, *, batch_size, accuracy):
    channels, weight = len(model["K"]), model["out.weight"]
    check_batch(images.shape, labels, (weight.shape[1] // channels, channels), len(weight))
    starts = range(0, len(images), batch_size)
    x = images.astype(weight.dtype)
    logits = np.concat([forward(model, x[start : start + batch_size]) for start in starts])
    shifted = logits - logits.max(axis=-1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=-1)) - shifted[np.arange(len(labels)), labels]
    guesses = logits.argmax(axis=-1)
    seen = np.union1d(labels, guesses)
    kinds = {
        "micro": [np.mean(guesses == labels)],
        "macro": [np.mean(guesses[labels == c] == c) if c in labels else 0.0 for c in seen],
    }
    return Evaluation(float(losses.mean()), float(np.mean(kinds[accuracy])), logits)
