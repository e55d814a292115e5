"""The exact step of Adam and its rounding bound: Kingma and Ba (2015), algorithm 1.

Each quantity is judged by itself, from the values that the implementation held just before, so that
no error is carried from step to step: the moments from the parameters and moments before the step,
and the parameters from the moments after it.
"""

from collections.abc import Mapping

import numpy as np

from compare.expected.bounds import Arithmetic, Bounded, gamma
from shared.training.records import AdamState

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # the paper's, and both libraries' defaults
# Two products, a difference, a sum, and the storage of each; or an interpolation.
MOMENT_ROUNDINGS = 8
# Two quotients, a root, a sum, a product with the learning rate, and their operands.
UPDATE_ROUNDINGS = 10

Arrays = Mapping[str, np.ndarray]


def start_of_adam(params: Arrays) -> AdamState:
    """Return Adam's state before the first step: both moments are zero."""
    zeros = {name: np.zeros(np.shape(array)) for name, array in params.items()}
    return AdamState(0, zeros, zeros)


def expect_moments(
    before: AdamState, gradients: Mapping[str, Bounded], arithmetic: Arithmetic
) -> tuple[dict[str, Bounded], dict[str, Bounded]]:
    """Return both moments after a step with these gradients, and their bounds."""
    rounded = gamma(MOMENT_ROUNDINGS, arithmetic.stored)
    first, second = {}, {}
    for name, gradient in gradients.items():
        mean, square = (
            np.asarray(moment[name], dtype=np.float64)
            for moment in (before.first_moment, before.second_moment)
        )
        reach = np.abs(gradient.value) + gradient.bound
        value = BETA_1 * mean + (1 - BETA_1) * gradient.value
        size = np.abs(mean) + (1 - BETA_1) * reach
        bound = (1 - BETA_1) * gradient.bound + rounded * size + arithmetic.tiny
        first[name] = Bounded(value, bound, size)
        value = BETA_2 * square + (1 - BETA_2) * gradient.value**2
        size = square + (1 - BETA_2) * reach**2
        carried = (1 - BETA_2) * gradient.bound * (np.abs(gradient.value) + reach)
        second[name] = Bounded(value, carried + rounded * size + arithmetic.tiny, size)
    return first, second


def expect_params(
    before: Arrays, after: AdamState, learning_rate: float, arithmetic: Arithmetic
) -> dict[str, Bounded]:
    """Return the parameters after a step that led to Adam's state `after`, and their bounds."""
    u, params = arithmetic.stored, {}
    corrections = [1 - beta**after.step for beta in (BETA_1, BETA_2)]
    # 1 - beta^t, if computed in the dtype itself, as in optax: the roundings of the power, and the
    # cancellation that follows.
    relative = gamma(UPDATE_ROUNDINGS, u) + sum(
        gamma(after.step + 2, u) / correction for correction in corrections
    )
    for name, array in before.items():
        held = np.asarray(array, dtype=np.float64)
        mean = np.asarray(after.first_moment[name], dtype=np.float64) / corrections[0]
        square = np.asarray(after.second_moment[name], dtype=np.float64) / corrections[1]
        update = learning_rate * mean / (np.sqrt(square) + EPSILON)
        size = np.abs(held) + np.abs(update)
        bound = relative * np.abs(update) + u * size + arithmetic.tiny
        params[name] = Bounded(held - update, bound, size)
    return params
