"""Judge every intermediate of a model: its error over its rounding bound.

Each is judged twice. By itself (`local`): from the values that the model computed just before, so
that an error is reported where it was made. And accumulated since the start (`carried`): from the
exact values, which the verdict of a run uses. See compare/expected/exact.py for both.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType, ModuleType
from typing import NamedTuple

import numpy as np

from compare.expected.bounds import ARITHMETIC, Bounded, error_ratio, exact
from compare.expected.exact import expect_intermediates, expect_loss, hold, stack
from compare.parity.capture import PROJECTIONS, capture_by_value, capture_intermediates
from compare.parity.hints import find_hint
from shared.data.levels import in_form

COMPILED = (
    "only the compiled program differs: run eagerly, these logits are within their bound (see "
    "docs/divergences.md, a softmax that cannot overflow)"
)
INTERMEDIATES = ("query", "key", "value", "scores", "weights", "attended", "logits", "loss")


@dataclass(frozen=True)
class Case:
    """One implementation in one form, dtype and device."""

    implementation: str
    form: str
    dtype: str
    device: str = "cpu"

    def __str__(self) -> str:
        return f"{self.implementation} {self.form} in {self.dtype} on {self.device}"


class Batch(NamedTuple):
    """A batch, and parameters that are exact in the judged dtype."""

    params: Mapping[str, np.ndarray]
    images: np.ndarray  # float32 [batch, steps, channels]
    labels: np.ndarray  # int64 [batch]

    def held_in(self, dtype: str) -> "Batch":
        """Return the batch rounded to the numbers of a dtype: float32's, or bfloat16's."""
        in_float32 = {name: array.astype(np.float32) for name, array in self.params.items()}
        if dtype != "bfloat16":
            return self._replace(params=in_float32)
        params = {name: round_to_bfloat16(array) for name, array in in_float32.items()}
        return self._replace(params=params, images=round_to_bfloat16(self.images))


@dataclass(frozen=True)
class Judged:
    """The largest error of an intermediate relative to its bound, and its place."""

    name: str
    local: float | None  # error / bound, from the model's own previous values; NaN if those are
    carried: float  # error / bound, from the exact values since the start
    index: tuple[int, ...]  # where the larger of the two ratios is largest
    found: float
    expected: float
    error: float
    hint: str | None  # what the error looks like, if it has a known pattern

    @property
    def is_wrong_by_itself(self) -> bool:
        """Whether the intermediate itself is wrong, whatever came before; NaN is."""
        return self.local is not None and not self.local <= 1

    @property
    def passed(self) -> bool:
        """Whether the error is within both bounds; NaN is not."""
        return self.carried <= 1 and not self.is_wrong_by_itself


def judge(
    case: Case, implementation: ModuleType, batch: Batch, carried: Mapping[str, Bounded]
) -> list[Judged]:
    """Run a case and judge every intermediate that could be seen, in order.

    `carried` is what `bound_intermediates` returns for the batch and the case's dtype.
    """
    model = implementation.from_params(batch.params, case.form, case.dtype, case.device)
    images = in_form(batch.images, case.form)
    seen = capture_intermediates(implementation, model, images)
    is_named = hasattr(implementation, "intermediates") or seen.keys() & set(PROJECTIONS)
    if not is_named:  # its functions or variables have other names
        expected = {name: bounded.value for name, bounded in carried.items()}
        seen = capture_by_value(implementation, model, images, expected) | seen
    result = implementation.evaluate(
        model, images, batch.labels, batch_size=len(images), accuracy="micro"
    )
    local = bound_intermediates(batch, case.dtype, seen)
    judged = {
        name: judge_intermediate(name, seen[name], local[name], carried, case.dtype)
        for name in INTERMEDIATES
        if name in seen
    }
    # The code may have been compiled, and so rounded differently: its logits are judged too.
    logits = judge_intermediate("logits", result.logits, None, carried, case.dtype)
    if result.logits.shape != carried["logits"].value.shape:  # so they have no loss
        return [*judged.values(), logits]
    if (looked_at := judged.pop("logits", None)) is not None:
        is_further = not logits.carried <= looked_at.carried  # also if it is NaN
        if is_further and looked_at.passed and not logits.passed:
            logits = replace(logits, hint=COMPILED)
        logits = replace(logits, local=looked_at.local) if is_further else looked_at
    loss = judge_loss(result.logits, result.loss, carried["logits"], batch, case.dtype)
    return [*judged.values(), logits, loss]


def bound_intermediates(
    batch: Batch, dtype: str, seen: Mapping[str, np.ndarray] = MappingProxyType({})
) -> dict[str, Bounded]:
    """Return every intermediate [batch, ...] with its bound: carried, or local to `seen` values."""
    samples = [
        expect_intermediates(
            hold(batch.params),
            exact(image),
            ARITHMETIC[dtype],
            {name: array[index] for name, array in seen.items()},
        )
        for index, image in enumerate(batch.images)
    ]
    return {name: stack([sample[name] for sample in samples]) for name in samples[0]}


def judge_intermediate(
    name: str,
    found: np.ndarray,
    local: Bounded | None,
    expected: Mapping[str, Bounded],
    dtype: str,
) -> Judged:
    """Compare an intermediate of a model with both bounds, `local` and the one in `expected`."""
    carried = expected[name]
    if (shape := found.shape) != (wanted := carried.value.shape):
        hint = f"its shape is {list(shape)} and should be {list(wanted)}"
        return Judged(name, None, math.inf, (), math.nan, math.nan, math.inf, hint)
    values = found.astype(np.float64)
    carried_ratio = error_ratio(values, carried)
    local_ratio = None if local is None else error_ratio(values, local)
    # If it is wrong by itself, show that error; or else the largest accumulated error, also after
    # a NaN, which has no local bound.
    ratio, against, is_local = carried_ratio, carried, False
    if local is not None and local_ratio is not None and not np.max(local_ratio) <= 1:
        is_local = True
        if np.isfinite(local.value).all():
            ratio, against = local_ratio, local
    index = np.unravel_index(np.argmax(ratio), ratio.shape)  # NaN counts as the largest
    passed = bool(np.max(carried_ratio) <= 1) and not is_local
    others = {other: bounded.value for other, bounded in expected.items()}
    return Judged(
        name,
        local=None if local_ratio is None else float(np.max(local_ratio)),
        carried=float(np.max(carried_ratio)),
        index=tuple(int(i) for i in index),
        found=float(values[index]),
        expected=float(against.value[index]),
        error=float(np.abs(values[index] - against.value[index])),
        hint=None if passed else find_hint(name, values, against.value, dtype, others),
    )


def judge_loss(
    logits: np.ndarray, loss: float, carried: Bounded, batch: Batch, dtype: str
) -> Judged:
    """Judge the mean loss of a batch from the model's own logits, and from the exact ones."""
    arithmetic = ARITHMETIC[dtype]
    expected = {"loss": expect_loss(carried, batch.labels, arithmetic)}
    local = None
    if np.isfinite(logits).all():  # no bound follows from NaN
        local = expect_loss(exact(logits), batch.labels, arithmetic)
    return judge_intermediate("loss", np.array([loss]), local, expected, dtype)


def round_to_bfloat16(array: np.ndarray) -> np.ndarray:
    """Round float32 numbers to bfloat16's 8 significant bits, to even; they stay float32."""
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
    to_even = 0x7FFF + ((bits >> 16) & 1)
    return ((bits + to_even) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def first_break(judged: Sequence[Judged]) -> Judged | None:
    """Return the first intermediate that is wrong by itself, or else by its accumulated error."""
    broken = [found for found in judged if not found.passed]
    alone = [found for found in broken if found.is_wrong_by_itself]
    return next(iter(alone or broken), None)
