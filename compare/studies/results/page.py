"""docs/results.md, from the numbers in docs/results.json."""

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from compare.studies.results.plan import FIRST_EPOCHS, ORIGINAL_FORMS, RATE_EPOCHS
from compare.studies.results.tables import (
    ablations_table,
    best_rates,
    commands_table,
    done,
    first_epochs,
    first_table,
    nats,
    percent,
    preset_table,
    rates_table,
    select,
)

TEMPLATE = Path(__file__).with_name("template.md")
NOT_YET = "*Not run yet.*"


def write_page(results: Mapping[str, Any]) -> str:
    """Fill the template; a part that was not run says so."""
    runs, planned, settings = results["runs"], results["planned"], results["settings"]
    default, original = done(select(runs, "default")), done(select(runs, "original"))
    first = [done(select(runs, "first", name)) for name in ORIGINAL_FORMS]
    ablations = done(select(runs, "ablations", "none"))
    memory = results["memory"]
    numbers = {
        "state": _say_state(planned, runs),
        "versions": ", ".join(f"{name} {it}" for name, it in sorted(results["versions"].items())),
        "epochs": settings["epochs"],
        "seeds": ", ".join(str(run["seed"]) for run in default) or "none",
        "default": preset_table(default) if default else NOT_YET,
        "default_parity": _say_parity(default),
        "own_seed": settings["own_seed"],
        "original_forms": " and ".join(
            f"`{form}` in {name}" for name, form in ORIGINAL_FORMS.items()
        ),
        "original": _say_original(original, runs),
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
        "rate_epochs": RATE_EPOCHS,
        "rates": _say_rates(runs, results["linear"]),
        "commands": commands_table(planned, runs),
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(numbers)


def _say_state(planned: list[str], runs: list[dict[str, Any]]) -> str:
    finished = len(done(runs))
    if finished == len(planned):
        return f"All {finished} runs are finished."
    return (
        f"**{finished} of the {len(planned)} runs are finished**. Missing results are marked in "
        "the tables and in the list at the end."
    )


def _say_original(finished: list[dict[str, Any]], runs: list[dict[str, Any]]) -> str:
    """Show the original preset's finished runs, and say of those under way how far they are."""
    said = []
    for run in select(runs, "original"):
        for name, one in {} if run["finished"] else run["implementations"].items():
            losses, accuracies = one["epochs"]["val_loss"], one["epochs"]["val_accuracy"]
            said.append(
                f"*Not finished:* {name} is at epoch {len(losses)} of {run['epochs_asked']}. Its "
                f"validation loss is {nats(losses[-1])}, its accuracy {percent(accuracies[-1])}."
            )
    tables = [preset_table(finished)] if finished else []
    return "\n\n".join([*tables, *said]) or NOT_YET


def _say_parity(default: list[dict[str, Any]]) -> str:
    if not default:
        return ""
    failed = [run for run in default if not run["parity"]["passed"]]
    if failed:
        return f"**Parity fails for seed {failed[0]['seed']}**: {failed[0]['parity']['verdict']}"
    drift = [run["parity"]["drift"] for run in default]
    apart = ", ".join(f"{key} {max(one[key] for one in drift):.1e}" for key in sorted(drift[0]))
    return (
        "With the final parameters of each training, all three implementations are within their "
        f"rounding bounds. The largest differences between the two trainings in float32: {apart}."
    )


def _say_first(runs: list[dict[str, Any]]) -> str:
    compared = first_epochs(runs)
    inside = {
        f"{name}'s {label}": spread.holds(value)
        for label, value, spreads in compared
        for name, spread in spreads.items()
    }
    outside = [label for label, is_inside in inside.items() if not is_inside]
    said = f"{len(inside) - len(outside)} of {len(inside)} values are inside their interval."
    if outside:
        said += f" Outside: {', '.join(outside)}."
    ends = [f"epoch {epoch}, validation accuracy" for epoch in (0, FIRST_EPOCHS - 1)]
    first, last = (
        next(iter(spreads.values())).values for label, _, spreads in compared if label in ends
    )
    return (
        f"{said} An interval is wide if the seeds differ much: their validation accuracy is "
        f"{min(first):.1f} to {max(first):.1f} % after the first epoch, and "
        f"{min(last):.1f} to {max(last):.1f} % after the last."
    )


def _say_trajectories(followed: Mapping[str, Any]) -> str:
    if not followed:
        return NOT_YET
    lines = []
    for label, found in followed.items():
        last = found["step"][-1]
        lines.append(
            f"- {label}: relative difference of the losses {found['largest'][0]:.1e} at the first "
            f"step and at most {max(found['largest']):.1e} in {last:,} steps; median "
            f"{found['median'][-1]:.1e} at the end."
        )
    return "\n".join(lines)


def _say_rates(runs: list[dict[str, Any]], linear: Mapping[str, Any]) -> str:
    """Hold the model against its last layer alone."""
    if not done(select(runs, "rates")):
        return NOT_YET
    attention, alone = best_rates(runs, linear)
    apart = 100 * (attention - alone)
    return (
        f"{rates_table(runs, linear)}\n\nEach with the learning rate that is best in validation, "
        f"the model reaches a test accuracy of **{percent(attention)}** and its last layer alone "
        f"**{percent(alone)}**. Attention makes it {abs(apart):.2f} percentage points "
        f"{'better' if apart >= 0 else 'worse'}."
    )
