"""The planted bugs are caught, and the report shows when one is not."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import import_or_skip

import compare.bench.command
import compare.parity.checks
import compare.parity.comparison
import compare.parity.verdict
import compare.run.report
import compare.trace.command
from compare.catalogue import BUGS, Bug
from compare.mutants.command import draw_seeds, find_failures, main, say_false_alarms
from compare.mutants.report import Tried, find_headroom, merge, to_json
from compare.mutants.train import can_be_trained, measure_accuracy
from compare.mutants.trying import try_bug
from compare.parity.comparator import check_comparator
from compare.parity.data import check_data
from compare.parity.reports import check_reports
from compare.parity.saved import check_saved
from shared.data.load import Dataset, load_data
from shared.files import write_json

ROOT = Path(__file__).resolve().parents[3]
# One bug for each check, of those that need no framework; `make mutants` plants all.
QUICK = {
    bug.check: bug
    for bug in BUGS
    if bug.package in ("numpy_reference", "shared", "compare") and not bug.ported
}
SCALE = next(bug for bug in BUGS if bug.name == "scale_of_the_steps")


@pytest.mark.filterwarnings("ignore")  # wrong code also warns
@pytest.mark.parametrize("bug", QUICK.values(), ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug):
    assert find_failures([bug], [try_bug(bug)]) == []


def test_the_real_comparator_fails_what_is_wrong_and_passes_what_is_right():
    checks = list(check_comparator(compare))
    assert [check for check in checks if not check.passed] == []
    assert len(checks) > 30


@pytest.mark.parametrize("seed", [0, 5, 6, 7])
@pytest.mark.parametrize("check", [check_data, check_saved, partial(check_reports, compare)])
def test_what_is_shared_saved_and_reported_is_what_it_is_said_to_be(check, seed: int):
    comparisons = list(check({}, seed=seed))
    assert [each for each in comparisons if not each.passed] == []
    assert len(comparisons) > 20


def test_correct_code_drawn_from_seeds_raises_no_alarm():
    ratios = draw_seeds([3, 4, 5, 47])
    assert say_false_alarms(ratios) == []
    assert 0 < ratios["intermediates"] <= 1


def test_a_bug_that_is_not_caught_is_told_of():
    missed = Tried(SCALE.name, {"intermediates": 0.5, "logits": 2.0}, None)
    assert find_failures([SCALE], [missed]) == [
        f"{SCALE.name} is not caught by intermediates.",
        f"A trace of {SCALE.name} names None, not scores.",
    ]
    small = Tried(SCALE.name, {"intermediates": 20.0}, "scores")
    assert find_failures([SCALE], [small]) == [
        f"{SCALE.name} is caught by intermediates at only 20 bounds."
    ]
    assert find_failures([replace(SCALE, small="why")], [small]) == []
    assert find_failures([SCALE], [Tried(SCALE.name, {"intermediates": math.nan}, "scores")]) == []


def test_a_false_alarm_is_told_of():
    assert say_false_alarms({"intermediates": 0.9, "logits": math.nan, "loss": 1.1}) == [
        "Correct code fails the check logits: nan times its bound.",
        "Correct code fails the check loss: 1.1 times its bound.",
    ]


def test_headroom_is_the_smallest_bug_over_the_largest_honest_error():
    other = replace(SCALE, name="other")
    tried = [
        Tried(SCALE.name, {"intermediates": 300.0}, None),
        Tried("other", {"intermediates": math.inf}, None),
    ]
    room = find_headroom([SCALE, other], tried, {"intermediates": 0.5})["intermediates"]
    assert (room.smallest, room.bug, room.ratio) == (300.0, SCALE.name, 600.0)


@pytest.mark.filterwarnings("ignore")
def test_the_command_prints_the_matrix_and_ends_with_1_where_a_bug_escapes(
    monkeypatch, capsys, tmp_path
):
    file = tmp_path / "mutants.json"
    options = ["--seeds", "0", "--jobs", "1", "--bugs", SCALE.name, "--json", str(file)]
    assert main(options) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.endswith("1 of 1 planted bugs are caught by the check that should catch them.")
    assert "Headroom" not in out, "without seeds nothing is known of correct code"
    found = json.loads(file.read_text())
    assert found["passed"] is True
    assert found["bugs"][SCALE.name]["caught_by"][:2] == ["intermediates", "logits"]
    same = "from math import sqrt"
    harmless = replace(SCALE, right=same, wrong=f"{same}  # the same")
    monkeypatch.setattr("compare.mutants.command.BUGS", (harmless,))
    assert main(options) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert f"{SCALE.name} is not caught by intermediates." in out
    assert "0 of 1 planted bugs are caught" in out


def test_what_a_process_of_the_pool_compiles_another_finds(tmp_path):
    import_or_skip("jax")
    lines = (
        "import sys, jax",
        "heard = []",
        "jax.monitoring.register_event_listener(lambda event, **_: heard.append(event))",
        "jax.jit(lambda x: x * 3 + 4)(5.0)",
        "print(heard.count('/jax/compilation_cache/cache_hits'))",
    )
    begin = (
        f"from compare.mutants.command import begin_process; begin_process({str(tmp_path)!r}, 1)"
    )
    command = [sys.executable, "-c", "\n".join((begin, *lines))]
    hits = [
        int(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
        for _ in range(2)
    ]
    assert hits[0] == 0
    assert hits[1] > 0


def test_an_unknown_bug_is_one_sentence():
    with pytest.raises(ValueError, match="bug 'no_such' is unknown"):
        main(["--bugs", "no_such"])


def test_accuracy_is_measured_with_a_bug_and_without(monkeypatch):
    few = load_data("sample", num_channels=3)
    few = Dataset(*(split.first(64) for split in (few.train, few.validation, few.test)))
    monkeypatch.setattr("compare.mutants.train._load", lambda: few)
    bug = next(bug for bug in BUGS if bug.name == "softmax_over_the_queries")
    assert can_be_trained(bug)
    assert not can_be_trained(SCALE)
    real = import_or_skip("pytorch")

    def evaluate(*args, **options):
        return real.evaluate(*args, **options)._replace(accuracy=0.25)

    wrong = SimpleNamespace(**(vars(real) | {"evaluate": evaluate}))
    monkeypatch.setattr("compare.mutants.train.plant", lambda planted: {bug: wrong}[planted])
    found = measure_accuracy(bug, epochs=1)
    assert found.wrong == 0.25
    assert 0 < found.right <= 1
    assert found.right != 0.25


def test_some_bugs_anew_leave_what_a_file_holds_of_others(tmp_path):
    file = tmp_path / "mutants.json"
    tried = [Tried(SCALE.name, {"intermediates": 2.0}, None)]
    new = to_json([SCALE], tried, {}, 0, ["It failed."])
    assert merge(file, new) == new
    old = new | {
        "bugs": {"other": new["bugs"][SCALE.name]},
        "seeds": 7,
        "honest": {"intermediates": 0.5},
        "failures": [],
    }
    write_json(file, old)
    merged = merge(file, new)
    assert list(merged["bugs"]) == ["other", SCALE.name]
    assert (merged["seeds"], merged["honest"]) == (7, {"intermediates": 0.5})
    assert (merged["passed"], merged["failures"]) == (False, ["It failed."])
    mended = to_json([SCALE], tried, {}, 0, [])
    write_json(
        file, old | {"failures": [f"{SCALE.name} is not caught by intermediates."], "passed": False}
    )
    assert (merge(file, mended)["passed"], merge(file, mended)["failures"]) == (True, [])
    others = "other is not caught by intermediates."
    write_json(file, old | {"failures": [others], "passed": False})
    assert (merge(file, mended)["passed"], merge(file, mended)["failures"]) == (False, [others])
    write_json(file, old | {"versions": {"numpy": "1"}})
    with pytest.raises(ValueError, match="was made with other versions"):
        merge(file, new)
