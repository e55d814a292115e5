"""The exact value of each intermediate and gradient, and its rounding bound.

Exact values follow the definition in float64, operation by operation, together with their bounds
(see bounds.py). The gradient is derived by hand; tests compare it with the complex-step derivative
of the NumPy reference (Squire and Trapp, SIAM Review 40, 1998).
"""

from collections.abc import Callable, Mapping
from math import sqrt
from types import MappingProxyType

import numpy as np

from compare.expected.bounds import (
    EXP_ROUNDINGS,
    SCALE_ROUNDINGS,
    Arithmetic,
    Bounded,
    exact,
    gamma,
    stored,
)

Intermediates = dict[str, Bounded]


def expect_intermediates(
    params: Mapping[str, Bounded],
    image: Bounded,
    arithmetic: Arithmetic,
    seen: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Intermediates:
    """Return value and bound of every intermediate of an image [steps, channels], by name.

    If nothing is `seen`, values are exact and errors accumulate from the start. If `seen` holds
    values that a model computed, the next intermediate starts from them instead: each then has a
    bound of its own, and the first that exceeds it is the one that is wrong.
    """
    intermediates: Intermediates = {}

    def record(name: str, bounded: Bounded) -> Bounded:
        intermediates[name] = bounded
        return exact(seen[name]) if name in seen else stored(bounded)

    attended = _attend(params, image, image, arithmetic, record)
    record("logits", _read_out(params, attended, arithmetic))
    return intermediates


def _attend(
    params: Mapping[str, Bounded],
    pixels: Bounded,
    image: Bounded,
    arithmetic: Arithmetic,
    record: Callable[[str, Bounded], Bounded],
) -> Bounded:
    """Compute the attention of some pixels to all of an image, passing each step to `record`."""
    matmul = arithmetic.matmul
    query = record("query", matmul(pixels, params["Q"]))
    key = record("key", matmul(image, params["K"]))
    value = record("value", matmul(image, params["V"]))
    scale = 1 / sqrt(image.value.shape[-1])
    scores = record("scores", arithmetic.scale(matmul(query, key.mT), scale, SCALE_ROUNDINGS))
    weights = record("weights", arithmetic.softmax(scores))
    return record("attended", matmul(weights, value))


def _read_out(params: Mapping[str, Bounded], attended: Bounded, arithmetic: Arithmetic) -> Bounded:
    """Return the logits [outputs] from the attended values of all pixels."""
    summed = arithmetic.matmul(attended.reshape(1, -1), params["out.weight"].mT)
    return arithmetic.add(summed.reshape(-1), params["out.bias"])


def expect_logits(
    params: Mapping[str, np.ndarray], images: np.ndarray, arithmetic: Arithmetic
) -> Bounded:
    """Return the exact logits [batch, outputs] of float32 images, and their bounds.

    `params` are exactly those of the judged model; images are [batch, steps, channels].
    """
    held = hold(params)
    logits = []
    for image in images:
        # Equal pixels have equal queries, and most pixels of a digit are equal: compute each once.
        distinct, where = np.unique(image, axis=0, return_inverse=True)
        attended = _attend(
            *(held, exact(distinct), exact(image), arithmetic), lambda _, bounded: stored(bounded)
        )
        logits.append(_read_out(held, attended.take(where.reshape(-1)), arithmetic))
    return stack(logits)


def expect_loss(logits: Bounded, labels: np.ndarray, arithmetic: Arithmetic) -> Bounded:
    """Return the mean cross-entropy (nats) [1] of logits [batch, outputs], and its bound.

    An error in the logits changes a sample's loss by at most twice its size; then come the
    roundings of the log of a sum of exponentials, of a difference, and of a mean over the batch.
    """
    u, (batch, outputs) = arithmetic.stored, logits.value.shape
    largest = logits.value.max(axis=-1)
    log_sum = largest + np.log(np.exp(logits.value - largest[:, None]).sum(axis=-1))
    losses = log_sum - logits.value[np.arange(batch), labels]
    size = np.abs(logits.value).max(axis=-1) + logits.bound.max(axis=-1)
    highest = 2 * size + np.log(outputs)
    rounded = gamma(outputs, arithmetic.summed) + 2 * EXP_ROUNDINGS * u + 8 * u * highest
    bound = (2 * logits.bound.max(axis=-1) + rounded).mean()
    bound += (gamma(batch, arithmetic.summed) + u) * highest.mean()
    return Bounded(losses.mean(keepdims=True), np.array([bound]), highest.mean(keepdims=True))


def expect_gradients(
    params: Mapping[str, np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    arithmetic: Arithmetic,
) -> dict[str, Bounded]:
    """Return the gradient of the batch's mean loss (nats) by every parameter, and its bound.

    The bound holds for every order of the sums over pixels, grey levels, channels and samples, even
    if cancelling terms are added before others: it is relative to `size`, in which nothing cancels.
    """
    held = hold(params)
    by_sample = [
        _sample_gradients(held, exact(image), int(label), len(labels), arithmetic)
        for image, label in zip(images, labels, strict=True)
    ]
    return {name: stack([sample[name] for sample in by_sample]).sum(0) for name in params}


def _sample_gradients(
    params: Mapping[str, Bounded], image: Bounded, label: int, batch: int, arithmetic: Arithmetic
) -> Intermediates:
    """Return a sample's part of the gradients: `d_x` is the derivative of the loss by `x`."""
    matmul, multiply, scaled_by = arithmetic.matmul, arithmetic.multiply, arithmetic.scale
    found = expect_intermediates(params, image, arithmetic)
    found = {name: stored(each) for name, each in found.items()}
    query, key, value, weights = (found[name] for name in ("query", "key", "value", "weights"))
    num_steps, num_channels = image.value.shape
    scale = 1 / sqrt(num_channels)

    probabilities = arithmetic.softmax(found["logits"].reshape(1, -1))
    is_label = exact(-(np.arange(probabilities.value.size) == label)[None].astype(float))
    d_logits = scaled_by(arithmetic.add(probabilities, is_label), 1 / batch, 2)  # [1, outputs]
    d_attended = matmul(d_logits, params["out.weight"]).reshape(num_steps, num_channels)
    d_value = matmul(weights.mT, d_attended)  # [steps, channels]
    d_weights = matmul(d_attended, value.mT)  # [queries, keys]
    # Of the softmax: each row minus its mean. Fused calls take the mean as d_attended * attended.
    along = multiply(weights, d_weights).sum(-1, keepdims=True)
    across = multiply(d_attended, found["attended"]).sum(-1, keepdims=True)
    mean = Bounded(along.value, np.maximum(along.bound, across.bound), along.reach + across.reach)
    d_mean = scaled_by(mean, -1, num_steps + num_channels)
    # The histogram form sums over samples before it multiplies: that many more roundings.
    d_scores = multiply(weights, scaled_by(arithmetic.add(d_weights, d_mean), 1, batch + 6))
    d_query = scaled_by(matmul(d_scores, key), scale, SCALE_ROUNDINGS)  # [steps, channels]
    d_key = scaled_by(matmul(d_scores.mT, query), scale, SCALE_ROUNDINGS)  # [steps, channels]

    def by_matrix(d_projected: Bounded) -> Bounded:
        return matmul(image.mT, d_projected, terms=num_steps * batch)  # [channels, channels]

    features = found["attended"].reshape(1, -1)
    return {
        "K": by_matrix(d_key),
        "Q": by_matrix(d_query),
        "V": by_matrix(d_value),
        "out.weight": matmul(d_logits.mT, features, terms=batch),
        "out.bias": scaled_by(d_logits, 1, batch).reshape(-1),
    }


def hold(params: Mapping[str, np.ndarray]) -> Intermediates:
    """Return parameters as exact values."""
    return {name: exact(array) for name, array in params.items()}


def stack(bounded: list[Bounded]) -> Bounded:
    """Stack samples along a new first axis."""
    return Bounded(
        np.stack([sample.value for sample in bounded]),
        np.stack([sample.bound for sample in bounded]),
        np.stack([sample.size for sample in bounded]),
    )
