"""The gradients of both programs, by their inputs and parameters, matched by value."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from compare.diagnose.execute import Inputs, Side, bind, cast, computing, input_for
from compare.diagnose.params import group_params, params_of
from compare.look.match import aligned, layout_of, tolerance
from compare.look.rebuild import arrays_of, holds_floats, rebuild
from compare.look.values import FLOAT32_U, apart, to_numpy
from compare.look.watch import leaves

Gradients = tuple[dict[str, np.ndarray], list[np.ndarray | None]]


def compare_gradients(left: Side, right: Side, inputs: Inputs) -> tuple[list[str], bool]:
    """Return the findings about the gradients, and whether some differ.

    They are the gradients of the output, or of a random projection of it with a fixed seed.
    """
    for side in (left, right):
        if side.framework == "numpy":
            return [f"not compared: {side.name} is in NumPy, which has no gradients"], False
    ours, theirs = (
        {dtype: _gradients(side, inputs, dtype) for dtype in ("float64", "float32")}
        for side in (left, right)
    )
    said = []
    for name in ours["float64"][0]:
        found = _judge(
            [(g["float64"][0][name], g["float32"][0][name]) for g in (ours,)],
            [(g["float64"][0][name], g["float32"][0][name]) for g in (theirs,)],
        )
        if found is not None:
            said.append(f"by {name} differs: {found}")
    mine, yours = params_of(left), params_of(right)
    compared = 0
    for places, equal in group_params(mine, yours):
        if not equal:
            continue
        of = [
            [(g["float64"][1][n], g["float32"][1][n]) for n in at if g["float64"][1][n] is not None]
            for g, at in ((ours, places), (theirs, equal))
        ]
        if not of[0] or not of[1]:
            continue
        compared += len(places)
        found = _judge(of[0], of[1])
        if found is not None:
            name = " or ".join(mine[n].name for n in places[:3])
            said.append(f"by {name} of {left.name} differs: {found}")
    if said:
        return said, True
    return [
        f"the same (inputs: {len(ours['float64'][0])}; parameters: {compared} of {len(mine)})"
    ], False


Pair = tuple[Any, Any]  # in float64 and in float32


def _judge(left: list[Pair], right: list[Pair]) -> str | None:
    """Return how far a gradient of the left is from the nearest one of the right; None if equal."""
    for exact, rounded in left:
        gaps = []
        for other, other32 in right:
            if other.size != exact.size:
                continue
            noise = max(apart(exact, rounded), apart(other, other32), FLOAT32_U)
            turned = aligned(exact, other)
            assert turned is not None
            gaps.append((apart(exact, turned), turned))
            if gaps[-1][0] <= tolerance(noise) or layout_of(exact, other, tolerance(noise)) in (
                "same",
                "axes",
            ):
                break
        else:
            if not gaps:
                return "the other side has no gradient of its size"
            gap, turned = min(gaps, key=lambda pair: pair[0])
            factor = float((turned * exact).sum() / (exact**2).sum()) if (exact**2).sum() else 0.0
            scaled = (
                f", {factor:.6g} times as large" if apart(turned, factor * exact) < 1e-6 else ""
            )
            return f"{gap:.2g} of the largest{scaled}"
    return None


def _gradients(side: Side, inputs: Inputs, dtype: str) -> Gradients:
    with computing(side.framework, dtype, 0, gradients=True):
        given = {name: input_for(array, dtype, side.framework) for name, array in inputs.items()}
        floating = {name: array for name, array in given.items() if holds_floats(array)}
        compute = _by_torch if side.framework == "torch" else _by_jax
        return compute(side, given, floating, dtype)


def _project(outputs: Any, ones: Callable[[np.ndarray], Any]) -> Any:
    """Return a seeded random projection of outputs; a single number is returned unchanged."""
    found = [leaf for _, leaf in leaves(outputs) if holds_floats(leaf)]
    rng = np.random.default_rng(0)
    if len(found) == 1 and not found[0].shape:
        return found[0]
    weights = (
        ones(rng.standard_normal([n for n in leaf.shape if n != 1])).reshape(leaf.shape)
        for leaf in found
    )
    return sum(((leaf * its).sum() for leaf, its in zip(found, weights, strict=True)), start=0.0)


def _by_torch(
    side: Side, given: Mapping[str, Any], floating: Mapping[str, Any], dtype: str
) -> Gradients:
    torch = sys.modules["torch"]
    original = arrays_of(side.program)
    only = any(isinstance(array, torch.nn.Parameter) for array in original)
    copies: dict[int, Any] = {}

    def change(array: Any) -> Any:
        changed = cast(array, dtype, "torch")
        if not isinstance(changed, torch.Tensor):
            return changed
        if isinstance(array, torch.nn.Parameter) or not only:
            changed = torch.nn.Parameter(changed)
            copies[id(array)] = changed
        return changed

    following = iter(original)  # the copy of a module has others
    program = rebuild(side.program, lambda _: change(next(following)))
    for array in floating.values():
        array.requires_grad_()
    total = _project(
        bind(program, given)(), lambda a: torch.from_numpy(a).to(getattr(torch, dtype))
    )
    if getattr(total, "requires_grad", False):  # or all gradients would be zero
        total.backward()
    params = [copies.get(id(array)) for array in original]
    return (
        {name: _of(array.grad, array) for name, array in floating.items()},
        [None if p is None else _of(p.grad, p) for p in params],
    )


def _of(gradient: Any, array: Any) -> Any:
    return np.zeros(tuple(array.shape)) if gradient is None else to_numpy(gradient)


def _by_jax(
    side: Side, given: Mapping[str, Any], floating: Mapping[str, Any], dtype: str
) -> Gradients:
    jax = sys.modules["jax"]
    held = [jax.numpy.asarray(cast(array, dtype, "jax")) for array in arrays_of(side.program)]

    def whole(arrays: list[Any], its: Mapping[str, Any]) -> Any:
        following = iter(arrays)
        program = rebuild(side.program, lambda _: next(following))
        return _project(bind(program, {**given, **its})(), lambda a: jax.numpy.asarray(a, dtype))

    params, by_input = jax.grad(whole, argnums=(0, 1))(held, dict(floating))
    return ({name: to_numpy(g) for name, g in by_input.items()}, [to_numpy(g) for g in params])  # type: ignore[misc]
