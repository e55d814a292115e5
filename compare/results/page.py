"""docs/results.md, from the numbers in docs/results.json."""

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from compare.results.plan import SEED_FORMS
from compare.results.tables import (
    ablations_table,
    commands_table,
    done,
    first_epochs,
    first_table,
    nats,
    percent,
    preset_table,
    say,
    select,
)

TEMPLATE = Path(__file__).with_name("template.md")
NOT_YET = "*Not run yet.*"


def write_page(results: Mapping[str, Any]) -> str:
    """Fill the template; a part that was not run says so."""
    runs, planned, settings = results["runs"], results["planned"], results["settings"]
    default, seed = done(select(runs, "default")), done(select(runs, "seed"))
    first = [done(select(runs, "first", name)) for name in SEED_FORMS]
    ablations = done(select(runs, "ablations", "none"))
    linear, memory = results["linear"], results["memory"]
    numbers = {
        "state": _say_state(planned, runs),
        "versions": ", ".join(f"{name} {it}" for name, it in sorted(results["versions"].items())),
        "epochs": settings["epochs"],
        "seeds": ", ".join(str(run["seed"]) for run in default) or "none",
        "default": preset_table(default) if default else NOT_YET,
        "default_parity": _say_parity(default),
        "own_seed": settings["own_seed"],
        "seed_forms": " and ".join(f"`{form}` in {name}" for name, form in SEED_FORMS.items()),
        "seed": f"{preset_table(seed)}\n\n{_say_unfinished(runs)}".strip() if seed else NOT_YET,
        "first_seeds": min(map(len, first)),
        "first_list": ", ".join(str(run["seed"]) for run in first[0]),
        "first": first_table(runs) if min(map(len, first)) > 1 else NOT_YET,
        "first_verdict": _say_first(runs) if min(map(len, first)) > 1 else "",
        "trajectories": _say_trajectories(results["trajectories"]),
        "ablation_epochs": settings["ablation_epochs"],
        "seeds_count": len(ablations),
        "ablations": ablations_table(runs) if len(ablations) > 1 else NOT_YET,
        "memory_batches": f"{memory['batches']:.0f}",
        "memory_one_call": f"{memory['one_call']:.0f}",
        "linear_epochs": linear["epochs"],
        "linear_accuracy": percent(linear["accuracy"]),
        "linear_loss": nats(linear["loss"]),
        "commands": commands_table(planned, runs),
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        numbers, **_say_attention(default, linear)
    )


def _say_state(planned: list[str], runs: list[dict[str, Any]]) -> str:
    finished = len(done(runs))
    if finished == len(planned):
        return f"All {finished} runs are finished."
    return (
        f"**{finished} of the {len(planned)} runs are finished**; what is missing is named where "
        "it would stand, and at the end."
    )


def _say_unfinished(runs: list[dict[str, Any]]) -> str:
    """Say of the seed preset's runs that are under way how far they are."""
    said = []
    for run in select(runs, "seed"):
        for name, one in {} if run["finished"] else run["implementations"].items():
            losses, accuracies = one["epochs"]["val_loss"], one["epochs"]["val_accuracy"]
            said.append(
                f"{name} is at epoch {len(losses)} of {run['epochs_asked']}: validation loss "
                f"{nats(losses[-1])}, accuracy {percent(accuracies[-1])}."
            )
    return " ".join(said)


def _say_parity(default: list[dict[str, Any]]) -> str:
    if not default:
        return ""
    failed = [run for run in default if not run["parity"]["passed"]]
    if failed:
        return f"**Parity fails for seed {failed[0]['seed']}**: {failed[0]['parity']['verdict']}"
    drift = [run["parity"]["drift"] for run in default]
    apart = ", ".join(f"{key} {max(one[key] for one in drift):.1e}" for key in sorted(drift[0]))
    return (
        "On the weights that each of these trainings ended with, all three implementations are "
        f"within their rounding bounds. The two trainings ended apart, in float32, by: {apart}."
    )


def _say_first(runs: list[dict[str, Any]]) -> str:
    compared = [
        (f"{name}'s {label}", spread.holds(value))
        for label, value, spreads in first_epochs(runs)
        for name, spread in spreads.items()
    ]
    outside = [label for label, inside in compared if not inside]
    said = f"{len(compared) - len(outside)} of {len(compared)} are inside their interval."
    return f"{said} Outside: {', '.join(outside)}." if outside else said


def _say_trajectories(followed: Mapping[str, Any]) -> str:
    if not followed:
        return NOT_YET
    lines = []
    for label, found in followed.items():
        last = found["step"][-1]
        lines.append(
            f"- {label}: {found['largest'][0]:.1e} apart at the first step, at most "
            f"{max(found['largest']):.1e} in all of {last:,} steps; the median of the last window "
            f"of steps is {found['median'][-1]:.1e}."
        )
    return "\n".join(lines)


def _say_attention(default: list[dict[str, Any]], linear: Mapping[str, float]) -> dict[str, str]:
    """Hold the default preset's test accuracy against that of a linear classifier."""
    if not default:
        return {"default_accuracy": "(not run yet)", "linear_verdict": ""}
    found = [
        one["tests"]["best"]["accuracy"]
        for run in default
        for one in run["implementations"].values()
    ]
    gain = sum(found) / len(found) - linear["accuracy"]
    better = "better" if gain > 0 else "worse"
    verdict = f"That is {abs(100 * gain):.2f} percentage points {better} than without attention."
    return {"default_accuracy": say(found, percent), "linear_verdict": verdict}
