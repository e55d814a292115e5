"""The tables of docs/results.md, in Markdown, from the numbers of the runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import log
from typing import Any

from compare.markdown import table
from compare.studies.results.plan import ABLATIONS, FIRST_EPOCHS, ORIGINAL_FORMS
from compare.studies.results.records import Record
from compare.studies.results.spread import Spread, differences

# What the original printed on full MNIST, measured once by running it as it is, with its own
# split: losses in its bits (nats / 0.693), accuracies in percent.
SCRIPT_EPOCHS = {
    "train_loss": (2.410, 0.525, 0.479),
    "train_accuracy": (37.3, 87.4, 88.7),
    "val_loss": (0.615, 0.506, 0.476),
    "val_accuracy": (87.8, 90.2, 91.0),
}
SCRIPT_TEST = {"loss": 0.466, "accuracy": 91.4}  # after these three epochs
NAMES = {"train": "training", "val": "validation"}


def select(runs: Iterable[Record], part: str, label: str | None = None) -> list[Record]:
    """Choose the runs of a part, and of a label within it."""
    return [run for run in runs if run["part"] == part and label in (None, run["label"])]


def done(runs: Iterable[Record]) -> list[Record]:
    """Choose the runs that came to their end."""
    return [run for run in runs if run["finished"]]


def say(values: Sequence[float], form: Callable[[float], str]) -> str:
    """Say the mean and the standard deviation of several values, or the only one."""
    if len(values) == 1:
        return form(values[0])
    spread = Spread(tuple(values))
    return f"{form(spread.mean)} ± {form(spread.deviation)}"


def nats(value: float) -> str:
    """Say a loss."""
    return f"{value:.4f}"


def percent(value: float) -> str:
    """Say an accuracy, 0 to 1."""
    return f"{value:.2%}".replace("%", " %")


def preset_table(runs: Sequence[Record]) -> str:
    """Make the table of a preset's trainings: a row per framework and choice of parameters."""
    rows = []
    for name in ORIGINAL_FORMS:
        found = [run["implementations"][name] for run in runs if name in run["implementations"]]
        found = [one for one in found if "tests" in one]
        for which, what in (("best", "best in validation"), ("final", "last")) if found else ():
            tests = [one["tests"][which] for one in found]
            reached = [
                {key: numbers[test["epoch"] - 1] for key, numbers in one["epochs"].items()}
                for one, test in zip(found, tests, strict=True)
            ]
            epochs = ", ".join(str(test["epoch"]) for test in tests)
            row = [name, f"{what} (epoch {epochs})"]
            row += [say([one[key] for one in reached], nats) for key in ("train_loss", "val_loss")]
            losses = [test["loss"] for test in tests]
            row += [say(losses, nats), say([loss / log(2) for loss in losses], nats)]
            rows.append([*row, say([test["accuracy"] for test in tests], percent)])
    heads = ("framework", "weights", "training loss", "validation loss", "test loss", "in bits")
    return table((*heads, "test accuracy"), rows, text=2)


def first_epochs(runs: Sequence[Record]) -> list[tuple[str, float, dict[str, Spread]]]:
    """Hold what the original measured against our runs of its preset, quantity by quantity.

    Gives, of each: its name, the script's value, and the spread of ours by framework, all in bits
    (of 0.693 nats) and percent.
    """
    found = {name: done(select(runs, "first", name)) for name in ORIGINAL_FORMS}

    def spreads(get: Callable[[Any], float], is_loss: bool) -> dict[str, Spread]:
        return {
            name: Spread(
                tuple(
                    get(run["implementations"][name])
                    * (1 / run["nats_per_bit"] if is_loss else 100)
                    for run in of_name
                )
            )
            for name, of_name in found.items()
        }

    compared = []
    for epoch in range(FIRST_EPOCHS):
        for quantity, script in SCRIPT_EPOCHS.items():
            split, kind = quantity.split("_")

            def of_epoch(one: Any, quantity: str = quantity, epoch: int = epoch) -> float:
                return one["epochs"][quantity][epoch]

            label = f"epoch {epoch}, {NAMES[split]} {kind}"
            compared.append((label, script[epoch], spreads(of_epoch, kind == "loss")))
    for kind, value in SCRIPT_TEST.items():

        def of_test(one: Any, kind: str = kind) -> float:
            return one["test"][kind]

        compared.append((f"test {kind}", value, spreads(of_test, kind == "loss")))
    return compared


def first_table(runs: Sequence[Record]) -> str:
    """Make the table of the original's first epochs."""
    rows = []
    for label, value, spreads in first_epochs(runs):
        is_loss = label.endswith("loss")

        def form(number: float, is_loss: bool = is_loss) -> str:
            return f"{number:.3f}" if is_loss else f"{number:.1f}"

        cells = [f"{label} ({'bits' if is_loss else '%'})", form(value)]
        for spread in spreads.values():
            low, high = spread.prediction()
            low, high = max(low, 0), high if is_loss else min(high, 100)  # what there can be
            inside = "inside" if spread.holds(value) else "**outside**"
            cells += [say(spread.values, form), f"{form(low)} to {form(high)}: {inside}"]
        rows.append(cells)
    heads = ["", "the script"]
    for name in ORIGINAL_FORMS:
        heads += [name, "95 % interval"]
    return table(heads, rows)


def ablations_table(runs: Sequence[Record]) -> str:
    """Say what each quirk changes, seed by seed, against the default without any."""
    plain = done(select(runs, "ablations", "none"))
    rows = []
    for quirk, options in ABLATIONS.items():
        found = done(select(runs, "ablations", quirk))
        if len(found) != len(plain):
            continue
        ours, base = ([run["implementations"]["pytorch"] for run in of] for of in (found, plain))
        changed = differences(*([one["test"]["accuracy"] for one in of] for of in (ours, base)))
        row = [quirk, f"`{' '.join(options)}`" if options else ""]
        for quantity, form in (
            ("train_loss", nats),
            ("train_accuracy", percent),
            ("val_loss", nats),
            ("val_accuracy", percent),
        ):
            row.append(say([one["epochs"][quantity][-1] for one in ours], form))
        bits = [
            one["test"]["loss"] / run["nats_per_bit"] for one, run in zip(ours, found, strict=True)
        ]
        row += [say(bits, nats), say([one["test"]["accuracy"] for one in ours], percent)]
        row.append(say(changed.values, lambda x: f"{100 * x:.2f}") if options else "")
        rows.append(row)
    heads = ["quirk", "options", "training loss", "training accuracy", "validation loss"]
    heads += ["validation accuracy", "test loss (bits)", "test accuracy", "change, points"]
    return table(heads, rows, text=2)


def rates_table(runs: Sequence[Record], linear: Mapping[str, Mapping[str, float]]) -> str:
    """Hold the model against its last layer alone, at several learning rates."""
    rows = []
    for run in done(select(runs, "rates")):
        (one,) = run["implementations"].values()
        test, alone = one["tests"]["best"], linear[run["label"]]
        val_loss = one["epochs"]["val_loss"][test["epoch"] - 1]
        row = [run["label"], nats(val_loss), nats(test["loss"]), percent(test["accuracy"])]
        row += [nats(alone["val_loss"]), nats(alone["loss"]), percent(alone["accuracy"])]
        rows.append(row)
    heads = ["learning rate"]
    for who in ("with attention", "last layer alone"):
        heads += [f"{who}: validation loss", "test loss", "test accuracy"]
    return table(heads, rows)


def best_rates(
    runs: Sequence[Record], linear: Mapping[str, Mapping[str, float]]
) -> tuple[float, float]:
    """Give the test accuracy with attention and without, each at its best rate in validation."""

    def val_loss(run: Record) -> float:
        (one,) = run["implementations"].values()
        return min(one["epochs"]["val_loss"])

    (best,) = min(done(select(runs, "rates")), key=val_loss)["implementations"].values()
    alone = min(linear.values(), key=lambda found: found["val_loss"])
    return best["tests"]["best"]["accuracy"], alone["accuracy"]


def commands_table(planned: Sequence[str], runs: Sequence[Record]) -> str:
    """List every command, and how far it came."""
    by_command = {run["command"]: run for run in runs}
    rows = []
    for command in planned:
        run = by_command.get(command)
        if run is None:
            state = "not run yet"
        elif run["finished"]:
            state = "finished"
        else:
            reached = max(
                (len(one["epochs"]["val_loss"]) for one in run["implementations"].values()),
                default=0,
            )
            state = f"**{reached} of {run['epochs_asked']} epochs**"
        rows.append([f"`{command}`", state])
    return table(("command", "state"), rows, text=2)
