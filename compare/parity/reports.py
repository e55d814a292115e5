"""The checks of reported numbers: times, rates, medians, ratios, bits, drift.

They are compared with NumPy's results for the same inputs, or with results worked out by hand.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from io import StringIO
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
from rich.console import Console

from compare.expected.bounds import ARITHMETIC, Bounded, gamma
from compare.expected.problems import make_dataset, make_problem
from compare.parity.common import Comparisons
from compare.parity.comparison import Comparison, hold_against, must
from compare.parity.saved import finish_epoch
from shared.config import Config
from shared.training.records import Epoch, Evaluation

MODULES = ("alone", "loop", "records")  # of shared.training
ROUNDS = 7


def check_reports(
    compare: ModuleType, changed: Mapping[str, ModuleType], seed: int = 0
) -> Comparisons:
    """Check the reports of a package `compare`, planted or real, and of modules of `shared`.

    It uses the package's modules `bench.command`, `bench.rows`, `parity.verdict` and `run.report`.
    """
    names = {f"training.{name}": f"shared.training.{name}" for name in MODULES}
    training = {name: import_module(path) for name, path in names.items()} | dict(changed)
    rng = np.random.default_rng(seed)
    yield from _check_rows(compare, rng)
    yield from _check_rounds(compare)
    yield from _check_result(compare, rng)
    yield from _check_verdict(compare, rng)
    yield from _check_clock(training["training.loop"])
    yield from _check_bits(training["training.alone"])


def _is(quantity: str, where: str, found: float, expected: float) -> Comparison:
    """Compare a number with one computed by a few float64 operations."""
    allowed = gamma(64, ARITHMETIC["float64"].stored) * abs(expected)
    bounded = Bounded(np.array([expected]), np.array([allowed]), np.array([expected]))
    return hold_against(quantity, where, np.array([found]), bounded)


def _check_rows(compare: ModuleType, rng: np.random.Generator) -> Comparisons:
    """Check the medians over rounds, and the speed-ups over the loop of the same round."""
    loop, fast = (rng.lognormal(mean, size=ROUNDS) for mean in (1, 0))
    Job, Timing = compare.bench.jobs.Job, compare.bench.rows.Timing
    jobs = Job("pytorch", "looped", 16, "step", 64), Job("jax", "histogram", 256, "step", 512)
    timings = (Timing(90.0, 64, loop.tolist()), Timing(9.0, 512, fast.tolist()))
    times = dict(zip(jobs, timings, strict=True))
    speed = compare.bench.rows.Speed(matrix_rate=1e9, copy_bandwidth=1e9)
    _, row = compare.bench.rows.summarise(times, speed, {})
    middle = float(np.median(fast))
    yield _is("median of the rounds", "bench", row.ms_per_sample, middle)
    yield _is("samples per second", "bench", row.samples_per_second, 1000 / middle)
    yield _is("ratio to the loop", "bench", row.ratio_to_loop, float(np.median(loop / fast)))
    yield _is("compilation", "bench", row.compile_seconds, (9.0 - middle) * 512 / 1000)


def _check_rounds(compare: ModuleType) -> Comparisons:
    """Check that rounds are timed after a first pass, which compiles and is reported separately."""
    bench = compare.bench.command
    job = compare.bench.jobs.Job("jax", "histogram", 256, "step", 100)
    passes = iter([(60.0, 100), *[(2.0, 100)] * ROUNDS])
    config = compare.bench.plan.BenchConfig(rounds=ROUNDS)
    speed = compare.bench.rows.Speed(matrix_rate=1e9, copy_bandwidth=1e9)
    with (
        patch.object(bench, "prepare", lambda *_: lambda: next(passes)),
        patch.object(bench, "measure_speed", lambda *_: speed),
    ):
        quiet = Console(file=StringIO())
        timings, _ = bench.time_jobs([job], {"jax": None}, None, config, quiet)
    yield must("the first pass", "bench", timings[job].first == 600.0)
    yield must("the rounds", "bench", timings[job].rounds == [20.0] * ROUNDS)


def _check_result(compare: ModuleType, rng: np.random.Generator) -> Comparisons:
    """Check that each implementation has its own test, and the rate of all its images."""
    epochs = {
        name: [
            replace(finish_epoch(n, 0.3, 0.3, 0.5), train_seconds=float(rng.uniform(1, 9)))
            for n in (1, 2, 3)
        ]
        for name in ("one", "other")
    }
    drawn = rng.uniform(size=(2, 2)).tolist()
    tests = {
        name: {
            of: Evaluation(value, value / 2, np.ones(1))
            for of, value in zip(epochs, values, strict=True)
        }
        for name, values in zip(epochs, drawn, strict=True)
    }
    parity = compare.parity.verdict.Parity([must("all", "here", True)])
    result = compare.run.report.result_to_json({"device": "cpu"}, epochs, tests, parity)
    for place, name in enumerate(epochs):
        found, own = result["implementations"][name], drawn[place][place]
        yield _is("test loss", f"{name}, a run's result", found["test_loss"], own)
        yield _is("test accuracy", f"{name}, a run's result", found["test_accuracy"], own / 2)
        seconds = sum(epoch.train_seconds for epoch in epochs[name])
        rate = found["samples_per_second"]
        yield _is("samples per second", f"{name}, a run's result", rate, 30 / seconds)


def _check_verdict(compare: ModuleType, rng: np.random.Generator) -> Comparisons:
    """Check that the largest error of each quantity and the largest drift are reported."""
    verdict, kind = compare.parity.verdict, compare.parity.comparison.Comparison
    errors = (0.1, 0.9, 0.5, 0.3)  # the largest is neither the first nor the last
    several = [kind("logits", f"place {error}", error, 10 * error) for error in errors]
    said = verdict.Parity(several).to_json()
    yield _is("largest error", "a verdict", said["max_error"]["logits"], 0.9)
    yield _is("largest error ratio", "a verdict", said["max_error_ratio"]["logits"], 9.0)
    logits = {name: rng.normal(size=(3, 5)) for name in ("a", "b", "c")}
    logits["b"] += 7  # from both others; the last pair excludes it
    last = {
        name: replace(
            finish_epoch(1, float(array[0, 0]), 0.3, 0.5),
            validation=Evaluation(float(array[0, 0]), 0.5, array),
        )
        for name, array in (("b", logits["b"]), ("a", logits["a"]), ("c", logits["c"]))
    }
    found = verdict.measure_drift(last)
    apart = [np.abs(a - b) for a in logits.values() for b in logits.values()]
    yield _is("drift of the logits", "a verdict", found["logits"], max(map(np.max, apart)))
    yield _is("drift of the loss", "a verdict", found["loss"], max(gap[0, 0] for gap in apart))


def _check_clock(loop: ModuleType) -> Comparisons:
    """Check that seconds count all steps and nothing else, and rates count images, not batches."""
    now = 0.0

    def spend(seconds: float, result: Any) -> Callable[..., Any]:
        def work(*_: Any, **__: Any) -> Any:
            nonlocal now
            now += seconds
            return result

        return work

    problem = make_problem(batch=23)
    part = np.ones(2, np.float32), np.ones(2)
    training = SimpleNamespace(model=None, take_steps=spend(3.0, part))
    training.state = spend(100.0, (problem.params, finish_epoch(1, 0.3, 0.3, 0.5).adam))
    begun = SimpleNamespace(
        Training=lambda *_: training,
        evaluate=spend(1000.0, Evaluation(0.3, 0.5, np.ones((1, 5)))),
    )
    config = Config(epochs=2, batch_size=5, checkpoint_every=2, attention="looped")
    with patch.object(time, "perf_counter", lambda: now):
        epochs: list[Epoch] = list(loop.train(begun, problem.params, make_dataset(problem), config))
    for epoch in epochs:  # four steps of five images, in two parts of three seconds each
        where = f"a training, epoch {epoch.number}"
        yield _is("seconds", where, epoch.train_seconds, 6.0)
        yield _is("samples per second", where, epoch.samples_per_second, 20 / 6)


def _check_bits(alone: ModuleType) -> Comparisons:
    """Check losses in bits: ln 2 nats are one bit; the original divides by 0.693."""
    for nats, per_bit, bits in ((np.log(2), np.log(2), 1.0), (1.386, 0.693, 2.0)):
        said = alone.describe_numbers(nats, 0.25, per_bit)
        found = re.search(r"([\d.]+) nats \(([\d.]+) bits\), 25.0%", said)
        same = found is not None and float(found[1]) == round(nats, 4) and float(found[2]) == bits
        yield must("a loss in bits", said, same)
