"""The comparison of two programs: run both in float64 and float32, and judge the differences."""

import numpy as np

from compare.diagnose.execute import Inputs, Side, run
from compare.diagnose.gradients import compare_gradients
from compare.diagnose.narrow import find_narrow
from compare.diagnose.observed import (
    CannotTell,
    Observed,
    Pairs,
    check_not_random,
    observe,
    pair_outputs,
)
from compare.diagnose.params import explain_params, mark_params
from compare.diagnose.parting import Parting, find_parting
from compare.diagnose.replay import find_further
from compare.diagnose.report import Output, Report, Verdict
from compare.diagnose.rows import list_rows
from compare.diagnose.suspects.recognise import explain, explain_noise
from compare.look.match import layout_of, match_values, squeeze, tolerance
from compare.look.values import FLOAT32_U, Store, Value, apart

LESS_EXACT = 8.0  # times as far from its own float64 as the other side: reported and examined
AS_FLOAT32_ROUNDS = 16.0  # times float32's rounding, if no array shows its dtype
OF_FLOAT32_SIZE = 300.0  # times float32's rounding: the most that float32 within float64 causes


def judge_programs(
    left: Side, right: Side, inputs: Inputs, look: tuple[str, ...] = (), *, gradients: bool = False
) -> Report:
    """Return the report on two programs; raise whatever they raise."""
    names = (left.name, right.name)
    try:
        first, second = (observe(side, inputs, look) for side in (left, right))
        outputs = pair_outputs(first, second)
        for observed in (first, second):
            check_not_random(observed, inputs)
    except CannotTell as reason:
        return Report("cannot tell", str(reason), names)
    with np.errstate(all="ignore"):
        return Judgement(first, second, outputs, inputs).report(gradients)


class Judgement:
    """Two observed sides, and the verdict on them."""

    def __init__(self, left: Observed, right: Observed, pairs: Pairs, inputs: Inputs):
        self.left, self.right, self.inputs = left, right, inputs
        self.pairs = pairs
        self.cache: dict[int, float] = {}
        self.matches = match_values(left.values, right.values, self.noise)
        self.outputs = tuple(self._output(*pair) for pair in pairs)
        self.remarks: list[str] = []

    def noise(self, value: Value) -> float:
        """Return how far float32 is from float64 in an array of either side."""
        if id(value) not in self.cache:
            side = self.left if value.store is self._store(self.left) else self.right
            self.cache[id(value)] = side.noise(value)
        return self.cache[id(value)]

    @staticmethod
    def _store(side: Observed) -> Store:
        assert side.float64.look is not None
        return side.float64.look.store

    def _output(self, ours: str, theirs: str) -> Output:
        left64, right64 = self.left.float64.outputs[ours], self.right.float64.outputs[theirs]
        left32, right32 = self.left.float32.outputs[ours], self.right.float32.outputs[theirs]
        noises = apart(left64, left32), apart(right64, right32)
        return Output(
            ours,
            (left64.shape, right64.shape),
            apart(squeeze(left64), squeeze(right64)),
            apart(squeeze(left32), squeeze(right32)),
            *noises,
        )

    def report(self, gradients: bool) -> Report:
        """Return the verdict and the evidence for it."""
        verdict, sentence = self._verdict()
        parting = None
        hints: list[str] = []
        further: list[str] = []
        if verdict in ("bug", "other order", "float32 within float64"):
            parting = self._parting()
            verdict, sentence, hints = self._explain(verdict, sentence, parting)
            further = find_further(self.left, self.right, parting, self.noise)
        less_exact = self._less_exact() if verdict in ("same function", "not finite") else None
        said_gradients: list[str] = []
        if gradients and verdict == "same function":
            said_gradients, differ = compare_gradients(self.left.side, self.right.side, self.inputs)
            if differ:
                verdict, sentence = "bug", "the outputs are the same, the gradients are not"
        looks = self.left.float64.look, self.right.float64.look
        blind = [f"{text}" for look in looks if look for text in look.blind]
        if blind and verdict != "same function":
            self.remarks.append(f"not seen, within a compiled part: {', '.join(blind[:3])}")
        return Report(
            verdict,
            sentence,
            (self.left.side.name, self.right.side.name),
            self.outputs,
            parting,
            less_exact,
            tuple(hints),
            tuple(self.remarks),
            tuple(further),
            tuple(said_gradients),
            tuple(
                list_rows(self.left.values, self.right.values, self.matches, parting, self.noise)
            ),
            (len(self.left.values), len(self.right.values)),
            len([match for match in self.matches if match.is_solid]),
        )

    def _verdict(self) -> tuple[Verdict, str]:
        ours, theirs = self.left.float64.outputs, self.right.float64.outputs
        if len(ours) != len(theirs):
            return "bug", f"the left returns {len(ours)} arrays and the right {len(theirs)}"
        worst = max(self.outputs, key=lambda output: output.float64)
        orders, plain = [], []
        for (a, b), output in zip(self.pairs, self.outputs, strict=True):
            allowed = tolerance(max(output.left_noise, output.right_noise))
            if ours[a].size != theirs[b].size:
                shapes = " and ".join(str(list(shape)) for shape in output.shapes)
                return "bug", f"{output.name} has the shapes {shapes}"
            if output.float64 <= allowed:
                plain += [f"{output.name} {said}" for said in _say_plain(ours[a])]
                continue
            layout = _layout(ours[a], theirs[b], allowed)
            if layout == "axes":
                self.remarks.append(f"the axes of {output.name} are in another order")
            elif layout in ("turned", "order"):
                orders.append(output.name)
            else:
                return (
                    "bug",
                    f"in float64 it does not shrink as rounding does: {output.say_gaps()}",
                )
        if orders:
            return "other order", f"{', '.join(orders)} holds the same numbers in another order"
        if len(plain) == len(self.outputs):
            return "cannot tell", f"{plain[0]}: choose inputs and parameters that show something"
        self.remarks += [f"{said}, which shows nothing" for said in plain]
        return self._verdict_in_float32(worst)

    def _verdict_in_float32(self, worst: Output) -> tuple[Verdict, str]:
        """Judge two sides that agree in float64: finite in float32, and the same when compiled?"""
        for side in (self.left, self.right):
            for name, array in side.float32.outputs.items():
                if np.isfinite(side.float64.outputs[name]).all() and not np.isfinite(array).all():
                    return "not finite", self._say_not_finite(side, name)
        for side in (self.left, self.right):
            if side.side.framework == "jax" and (said := self._compiled(side)):
                return "only compiled", said
        return "same function", (
            f"{worst.say_gaps()}; the float32 and float64 results differ by "
            f"{worst.left_noise:.1e} on the left and {worst.right_noise:.1e} on the right"
        )

    def _say_not_finite(self, side: Observed, name: str) -> str:
        look32 = side.float32.look
        assert look32 is not None
        first = next(
            (v for v in look32.values.values() if not np.isfinite(v.array).all() and v.parents),
            None,
        )
        place = f", first in {first}" if first is not None else ""
        return (
            f"the same function in float64, but in float32 {name} of {side.side.name} holds NaN "
            f"or infinity{place}"
        )

    def _compiled(self, side: Observed) -> str | None:
        """Return how a compiled program differs from the same program run line by line."""
        compiled = {}
        for dtype, eager in (("float64", side.float64), ("float32", side.float32)):
            try:
                compiled[dtype] = run(side.side, self.inputs, dtype, compiled=True).outputs
            except Exception:  # a program that depends on values cannot be compiled
                self.remarks.append(f"{side.side.name} cannot be compiled by jax.jit as a whole")
                return None
            for name, array in eager.outputs.items():
                bad = ~np.isfinite(compiled[dtype][name]) & np.isfinite(array)
                if bad.any():
                    return (
                        f"{side.side.name} under jax.jit gives {int(bad.sum())} of {bad.size} "
                        f"numbers of {name} that are not finite in {dtype}; line by line all are"
                    )
        for name, array in side.float64.outputs.items():
            allowed = tolerance(apart(array, side.float32.outputs[name]))
            gap = apart(array, compiled["float64"][name])
            if gap > allowed:
                return (
                    f"{name} of {side.side.name} under jax.jit is {gap:.2g} from the same program "
                    "run line by line, both in float64"
                )
        return None

    def _parting(self) -> Parting:
        sides = (self.left, self.right)
        outputs = [
            [v for v in side.values if any(kind == "output" for kind, _, _ in v.sightings)]
            for side in sides
        ]
        for side in sides:
            mark_params(side.values, side.params)
        params = [[p.array for p in side.params] for side in sides]
        return find_parting(
            self.left.values,
            self.right.values,
            self.matches,
            (outputs[0], outputs[1]),
            (params[0], params[1]),
        )

    def _explain(
        self, verdict: Verdict, sentence: str, parting: Parting
    ) -> tuple[Verdict, str, list[str]]:
        """Refine a verdict by what is known of the place, and add what the error looks like."""
        hints: list[str] = []
        found = parting.difference()
        if parting.left is not None and parting.right is not None and found is not None:
            both = {id(parting.left), id(parting.right)}
            turned = [m for m in self.matches if {id(m.left), id(m.right)} == both]
            if turned and verdict == "bug":
                verdict, sentence = (
                    "other order",
                    f"{parting.right} holds the numbers of {parting.left}",
                )
            hints = explain(parting, self.matches, self.left, self.right)
            if verdict == "bug":
                noise = max(self.noise(parting.left), self.noise(parting.right))
                if not hints and found[0] < AS_FLOAT32_ROUNDS * FLOAT32_U:
                    hints = ["as large as float32's rounding: is a constant or a step in float32?"]
                said = self._say_float32(found[0], noise, is_explained=bool(hints))
                verdict, sentence = (
                    ("float32 within float64", said) if said else (verdict, sentence)
                )
        hints += explain_params(
            self.left.side, self.right.side, self.left.params, self.right.params
        )
        return verdict, sentence, hints

    def _say_float32(self, gap: float, noise: float, *, is_explained: bool) -> str | None:
        """Return the sentence that a difference in float64 comes from float32, if it does."""
        if gap < OF_FLOAT32_SIZE * noise:
            narrow = find_narrow((self.right, self.left), self.matches, dict(self.inputs))
            if narrow and not (is_explained and gap > OF_FLOAT32_SIZE * FLOAT32_U):
                return f"in a float64 run {narrow}, and the difference, {gap:.1e}, is of that size"
        return None

    def _less_exact(self) -> str | None:
        """Return which side is less accurate in float32, and where it first is."""
        worst = max(self.outputs, key=lambda o: max(o.left_noise, o.right_noise))
        noises = (max(worst.left_noise, FLOAT32_U), max(worst.right_noise, FLOAT32_U))
        is_left = noises[0] > noises[1]
        ratio = max(noises) / min(noises)
        if not ratio >= LESS_EXACT:
            return None
        side, other = (self.left, self.right) if is_left else (self.right, self.left)
        said = f"{side.side.name} has {ratio:.3g} times the float32 error of {other.side.name}"
        for match in self.matches:
            if match.is_solid and not match.left.is_plain:
                worse, better = (match.left, match.right) if is_left else (match.right, match.left)
                if self.noise(worse) >= LESS_EXACT * self.noise(better):
                    why = explain_noise(worse, side)
                    end = f": {why}" if why else ""
                    return f"{said}; it first arises in {worse}{end}"
        return said


def _layout(a: np.ndarray, b: np.ndarray, allowed: float) -> str | None:
    """Return how two arrays are arranged; None if their numbers differ."""
    if apart(np.sort(a, axis=None), np.sort(b, axis=None)) > allowed or a.size < 2:
        return None
    return layout_of(a, b, allowed)


def _say_plain(array: np.ndarray) -> list[str]:
    """Return why an output that is equal on both sides proves nothing."""
    if not array.size:
        return ["holds no number"]
    if np.isnan(array).all():
        return ["is NaN in float64"]
    return [f"is {array.flat[0]:.6g} everywhere"] if array.size > 1 and not np.ptp(array) else []
