"""The command that writes docs/results.md: its plan, its numbers, and the page."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PACKAGES, import_or_skip

import numpy_reference
from compare.parity.capture import capture_intermediates
from compare.run.command import RunConfig
from compare.studies import results
from compare.studies.results import controls, plan
from compare.studies.results.controls import nudge, remap
from compare.studies.results.figures import draw_curves
from compare.studies.results.page import write_page
from compare.studies.results.plan import (
    ABLATIONS,
    BOTH,
    Planned,
    ResultsConfig,
    make_plan,
    run_plan,
)
from compare.studies.results.records import NUMBERS, read_run
from compare.studies.results.spread import Spread, differences, follow, student_quantile
from compare.studies.results.tables import SCRIPT_EPOCHS, commands_table, first_epochs, first_table
from shared.cli import make_console, parse_config
from shared.config import Config
from shared.data.load import load_data
from shared.errors import UserError
from shared.params import initial_params
from shared.training.runs import config_to_json

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_every_planned_command_is_one_that_its_program_takes():
    planned = make_plan(ResultsConfig())
    for one in planned:
        kind = RunConfig if one.module == BOTH else Config
        config = parse_config(kind, one.options, prog="x", description="x")
        assert config.data == "mnist"
        assert (config.seed, config.epochs) == (one.seed, int(one.option("--epochs")))
        assert config.preset == ("original" if one.part in ("original", "first") else "default")
    homes = [one.home(Path("runs")) for one in planned]
    assert len(set(homes)) == len(planned)
    own = [one for one in planned if one.part == "original"]
    assert [(one.label, one.seed) for one in own] == [("pytorch", 46525), ("jax", 46525)]
    assert {one.label for one in planned if one.part == "ablations"} == set(ABLATIONS)
    only = make_plan(ResultsConfig(parts=("first",), seeds=2, data="sample"))
    assert len(only) == 2 * 3
    assert all("--data sample" in one.command for one in only)


@pytest.mark.parametrize("count", [3, 4])
def test_an_interval_holds_one_more_run_95_times_of_100(count: int):
    draws = np.random.default_rng(0).normal(5, 2, size=(20_000, count + 1))
    held = [Spread(tuple(row[:-1])).holds(row[-1]) for row in draws.tolist()]
    assert np.mean(held) == pytest.approx(0.95, abs=0.005)


def test_students_quantile_is_that_of_the_tables():
    table = {1: 12.7062047, 2: 4.3026527, 3: 3.1824463, 4: 2.7764451, 10: 2.2281389, 99: 1.9842170}
    found = {freedom: student_quantile(freedom) for freedom in table}
    assert found == pytest.approx(table, abs=1e-7)


def test_differences_are_taken_seed_by_seed():
    found = differences([0.9, 0.8, 0.7], [0.8, 0.6, 0.4])
    assert found.values == pytest.approx((0.1, 0.2, 0.3))
    assert (found.mean, found.deviation) == pytest.approx((0.2, 0.1))


def test_two_trainings_are_followed_over_all_their_steps():
    a = np.full(1000, 2.0)
    b = a + np.where(np.arange(1000) == 700, 1.0, 2e-6)
    found = follow(a, b)
    assert found["step"][0] == 1
    assert found["step"][-1] == 1000
    assert max(found["largest"]) == 0.5
    assert max(found["median"]) == pytest.approx(1e-6)
    (where,) = [
        (low, high)
        for low, high, largest in zip(
            [0, *found["step"]], found["step"], found["largest"], strict=False
        )
        if largest == 0.5
    ]
    assert where[0] <= 700 < where[1]


def test_the_nudge_is_one_unit_in_the_last_place_of_one_number():
    params = initial_params(num_channels=1, seed=0)
    nudged = nudge(params)
    changed = {name: np.count_nonzero(nudged[name] != params[name]) for name in params}
    assert changed == {"K": 1, "Q": 0, "V": 0, "out.weight": 0, "out.bias": 0}
    ulp = np.spacing(np.abs(np.float32(params["K"].item())))
    assert abs(nudged["K"].item() - params["K"].item()) == pytest.approx(float(ulp), rel=0.5)


@pytest.mark.parametrize(("k", "q", "v"), [(0.7, 1.3, -0.9), (-1.1, 0.8, 0.4)])
def test_attention_at_one_channel_is_one_monotone_curve_per_image(k: float, q: float, v: float):
    split = load_data().test
    params = initial_params(num_channels=1, seed=3)
    params |= {name: np.array([[value]]) for name, value in zip("KQV", (k, q, v), strict=True)}
    model = numpy_reference.from_params(params, "vectorized")
    attended = capture_intermediates(numpy_reference, model, split.images[:4])["attended"]
    levels = split.levels[:, 0].astype(np.float64)
    for pixels, found in zip(split.pixels[:4], attended[:, :, 0], strict=True):
        curve = remap(levels, np.bincount(pixels, minlength=256), params)
        np.testing.assert_allclose(curve[pixels], found, rtol=1e-12)
        assert (np.sign(v * k * q) * np.diff(curve) > 0).all()


def fake_run(part: str, label: str, seed: int, value: float) -> dict[str, Any]:
    epochs = {key: [value, value, value] for key in (*SCRIPT_EPOCHS, "train_seconds")}
    one = {"epochs": epochs, "test": {"loss": value, "accuracy": value}}
    return {
        "part": part,
        "label": label,
        "command": f"{part} {label} {seed}",
        "seed": seed,
        "nats_per_bit": 0.5,
        "finished": True,
        "implementations": {label: one},
    }


def test_the_scripts_numbers_are_held_against_the_spread_of_ours():
    runs = [
        fake_run("first", name, seed, 0.87 + 0.01 * seed)
        for name in ("pytorch", "jax")
        for seed in range(3)
    ]
    compared = {label: (value, spreads) for label, value, spreads in first_epochs(runs)}
    assert len(compared) == 3 * 4 + 2
    value, spreads = compared["epoch 0, validation accuracy"]
    assert value == 87.8
    assert spreads["jax"].values == pytest.approx((87, 88, 89))
    assert spreads["jax"].holds(value)
    value, spreads = compared["test loss"]
    assert value == 0.466
    assert spreads["pytorch"].values == pytest.approx((1.74, 1.76, 1.78))  # bits of 0.5 nats
    assert not spreads["pytorch"].holds(value)
    rows = first_table(runs).splitlines()
    assert "**outside**" in next(row for row in rows if row.startswith("| test loss"))
    assert "**outside**" not in next(row for row in rows if "epoch 0, validation acc" in row)


def test_a_page_of_nothing_says_so_everywhere():
    planned = [one.command for one in make_plan(ResultsConfig())]
    page = write_page(
        {
            "runs": [],
            "planned": planned,
            "settings": {"epochs": 128, "ablation_epochs": 10, "own_seed": 46525},
            "versions": {"numpy": "1"},
            "trajectories": {},
            "linear": {},
            "memory": {"batches": 1, "one_call": 2},
        }
    )
    assert page.count("*Not run yet.*") == 6
    assert f"**0 of the {len(planned)} runs are finished**" in page
    assert page.count("| not run yet |") == len(planned)


def test_the_page_in_docs_is_made_from_the_numbers_beside_it():
    numbers = json.loads((DOCS / "results.json").read_text())
    assert (DOCS / "results.md").read_text() == write_page(numbers)
    assert {run["command"] for run in numbers["runs"]} <= set(numbers["planned"])
    # What the text says about the frameworks and about quirks that change no parameter.
    largest = {label: max(found["largest"]) for label, found in numbers["trajectories"].items()}
    assert largest["PyTorch and JAX, float64"] < 1e-9
    (nudged,) = (value for label, value in largest.items() if "one ulp" in label)
    assert largest["PyTorch and JAX, float32"] < 10 * nudged
    losses = {
        quirk: [
            run["implementations"]["pytorch"]["epochs"]["train_loss"]
            for run in numbers["runs"]
            if run["label"] == quirk
        ]
        for quirk in ABLATIONS
    }
    alike = [quirk for quirk, found in losses.items() if found == losses["none"]]
    assert len(alike) == 1 + 4


def test_a_run_that_fails_ends_all_with_a_sentence_and_nothing_is_hidden(tmp_path: Path):
    wrong = Planned("original", ("numpy_reference",), ("--seed", "1"))
    with pytest.raises(UserError, match=r"numpy_reference --seed 1` ended with status 2"):
        run_plan([wrong], ResultsConfig(runs=tmp_path), make_console())


def test_options_that_cannot_be_get_a_sentence():
    with pytest.raises(UserError, match="--seeds is 1: give 2 or more"):
        ResultsConfig(seeds=1)
    with pytest.raises(UserError, match="--epochs is 0: give 1 or more"):
        ResultsConfig(epochs=0)


@pytest.mark.soak
def test_it_runs_what_is_missing_goes_on_with_what_was_stopped_and_repeats_nothing(
    tmp_path: Path, monkeypatch
):
    for name in PACKAGES:
        import_or_skip(name)
    monkeypatch.setattr(controls, "MEMORY_IMAGES", 20)
    monkeypatch.setattr(controls, "linear_classifiers", lambda data: {})
    started = []

    def run(words, **how):
        started.append(words)
        return subprocess_run(words, **how)

    subprocess_run = subprocess.run
    monkeypatch.setattr(plan.subprocess, "run", run)
    options = ["--data", "sample", "--parts", "default", "--epochs", "1", "--seeds", "2"]
    where = ["--runs", str(tmp_path / "runs"), "--docs", str(tmp_path / "docs")]

    def trainings() -> list[list[str]]:
        found = [words[3:] for words in started if words[1:3] == ["-m", "compare"]]
        started.clear()
        return found

    assert results.main([*options, *where]) == 0
    assert {words[-3] for words in trainings()} == {"0", "1"}  # --seed 0 --runs-dir ...
    page = (tmp_path / "docs" / "results.md").read_text()
    numbers = json.loads((tmp_path / "docs" / "results.json").read_text())
    assert page == write_page(numbers)
    assert "All 2 runs are finished." in page
    assert set(numbers["trajectories"]) == {
        "PyTorch and JAX, float32",
        "JAX and JAX with one number of K changed by one ulp, float32",
    }
    for run_ in numbers["runs"]:
        metrics = run_["implementations"]["pytorch"]
        assert metrics["tests"]["best"] == metrics["tests"]["final"]  # one epoch is both
        assert metrics["tests"]["best"]["accuracy"] == pytest.approx(metrics["test"]["accuracy"])
    for name in ("curves", "trajectories", "remap"):
        assert (tmp_path / "docs" / f"results_{name}.png").stat().st_size > 10_000
    stopped = next((tmp_path / "runs").glob("*seed_1/*-*/result.json"))
    stopped.unlink()
    assert results.main([*options, *where]) == 0
    (again,) = trainings()
    assert again == ["run", "--resume", str(stopped.parent)]
    assert json.loads((tmp_path / "docs" / "results.json").read_text()) == numbers


def test_an_unfinished_run_of_both_says_how_far_it_is(tmp_path: Path):
    planned = make_plan(ResultsConfig(parts=("default",)))[0]
    folder = planned.home(tmp_path) / "20260101-000000-compare"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config_to_json(Config())))
    line = {"implementation": "jax", "epoch": 1, "samples_per_second": 9.0}
    line |= dict.fromkeys(NUMBERS, 0.5)
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    record = read_run(planned, tmp_path)
    assert record is not None
    assert not record["finished"]
    assert record["implementations"]["jax"]["epochs"]["val_loss"] == [0.5]
    assert "**1 of 128 epochs**" in commands_table([planned.command], [record])
    (folder / "metrics.jsonl").unlink()
    assert read_run(planned, tmp_path) is None
    (folder / "config.json").write_text('{"batch_size": "16"}')
    with pytest.raises(UserError, match=r"config\.json cannot be read: .*\$\.batch_size.*; remove"):
        read_run(planned, tmp_path)


def test_the_curves_name_each_framework_and_each_seed_once():
    runs = [fake_run("original", name, 7, 0.5) for name in ("pytorch", "jax")]
    legends = [axes.get_legend() for axes in draw_curves(runs).axes]
    assert len(legends) == 2
    for legend in legends:
        assert [text.get_text() for text in legend.get_texts()] == ["pytorch", "jax"]
        assert legend.get_title().get_text() == "seed 7"
