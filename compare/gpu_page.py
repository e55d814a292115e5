"""docs/gpu.md from the result of `python -m compare gpu`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from compare.markdown import table

TEMPLATE = Path(__file__).with_name("gpu_template.md")


def write_page(result: Mapping[str, Any]) -> str:
    """Fill the template with a result."""
    versions = result["versions"]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        device=result["device"],
        cpu=result["machine"]["cpu"] or "an unknown processor",
        platform=result["machine"]["platform"],
        versions=", ".join(f"{name} {versions[name]}" for name in sorted(versions)),
        claims=claims_table(result["claims"]),
        verdict=say_claims(result["claims"]),
        trace=say_trace(result["trace"]),
        tf32=tf32_table(result["tf32"]),
        bench=bench_table(result["bench"]),
        winners=say_winners(result["bench"]),
        run=run_table(result["run"]),
        run_verdict=result["run"]["verdict"],
        data=result["run"]["data"],
        epochs=result["run"]["epochs"],
    )


def claims_table(claims: Sequence[Mapping[str, Any]]) -> str:
    """List every case: how many checks, what failed, and how close to its bound it came."""
    return table(
        ("implementation", "form", "dtype", "checks", "failed", "largest error / bound"),
        [
            (
                *(case["implementation"], f"`{case['form']}`", case["dtype"], case["checks"]),
                ", ".join(case["failed"]) or "none",
                _say(case["error_over_bound"]),
            )
            for case in claims
        ],
        text=3,
    )


def say_claims(claims: Sequence[Mapping[str, Any]]) -> str:
    """Say in a sentence whether all claims hold."""
    failed = [case for case in claims if case["failed"]]
    if not failed:
        return f"All {sum(case['checks'] for case in claims):,} checks hold."
    cases = "; ".join(
        f"{', '.join(case['failed'])} in {case['implementation']} {case['form']} {case['dtype']}"
        for case in failed
    )
    return f"**Not everything holds**: {cases}."


def say_trace(trace: Mapping[str, Any]) -> str:
    """Say in a sentence what the trace found."""
    if trace["passed"]:
        return "Every named step is within what rounding allows, in every form and dtype."
    return f"**A step breaks**: {trace['first_break']}"


def tf32_table(tf32: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]) -> str:
    """Set the error with TF32 off beside that with it on, over either bound."""
    headings = ["implementation", "form"]
    for setting in ("off", "on"):
        headings += [f"error, {setting}", f"/ float32's bound, {setting}", f"/ tf32's, {setting}"]
    rows = [
        (
            *(name, f"`{form}`"),
            *(
                _say(settings[setting][form][key])
                for setting in ("off", "on")
                for key in ("error", "float32", "tf32")
            ),
        )
        for name, settings in tf32.items()
        for form in settings["off"]
    ]
    return table(headings, rows, text=2)


def bench_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """List every case that was timed."""
    return table(
        ("implementation", "form", "phase", "batch", "ms/sample", "samples/s"),
        [
            (
                *(row["implementation"], f"`{row['form']}`", row["phase"], row["batch_size"]),
                *(f"{row['ms_per_sample']:.3g}", f"{row['samples_per_second']:,.0f}"),
            )
            for row in rows
        ],
        text=3,
    )


def say_winners(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say which form was the fastest, for each implementation, phase and batch size."""
    groups: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        key = (row["implementation"], row["phase"], row["batch_size"])
        groups.setdefault(key, []).append(row)
    winners = [
        (name, phase, batch, min(group, key=lambda row: row["ms_per_sample"])["form"])
        for (name, phase, batch), group in groups.items()
        if len(group) > 1
    ]
    return "\n".join(
        f"- {name}, {phase}, batch {batch}: `{form}`" for name, phase, batch, form in winners
    )


def run_table(run: Mapping[str, Any]) -> str:
    """Say how the training went, an implementation a line."""
    return table(
        ("implementation", "training, s", "samples/s", "test accuracy", "test loss, nats"),
        [
            (
                *(name, f"{ran['train_seconds']:.1f}", f"{ran['samples_per_second']:,.0f}"),
                *(f"{ran['test_accuracy']:.2%}", f"{ran['test_loss']:.4f}"),
            )
            for name, ran in run["implementations"].items()
        ],
    )


def _say(number: float | None) -> str:
    return "NaN" if number is None else f"{number:.2g}"
