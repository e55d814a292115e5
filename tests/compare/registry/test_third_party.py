"""Third-party implementations: traced, run and timed beside the project's own."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_attention
from conftest import import_or_skip
from tiny import trace_tiny

from compare.bench import command as bench
from compare.expected.problems import make_problem
from compare.parity.capture import capture_intermediates
from compare.parity.intermediates import INTERMEDIATES
from compare.records.bench import read_bench
from compare.registry.contract import config_for, is_file_of
from compare.registry.third_party import import_third_party
from compare.run import command as run
from shared.config import Config
from shared.errors import UserError


def test_trace_judges_every_intermediate_of_it_and_says_what_it_has_not(make_tiny, capsys):
    name = make_tiny()
    assert trace_tiny(name, "--json", "trace.json", "--figure", "trace.png") == 0
    out = capsys.readouterr().out
    assert f"{name} has no looped, blocked, builtin, histogram, bfloat16." in out
    assert "Every intermediate is within its rounding bound" in out
    found = json.loads(Path("trace.json").read_text())
    assert [case["dtype"] for case in found["cases"]] == ["float32", "float64"]
    for case in found["cases"]:
        names = [each["name"] for each in case["intermediates"]]
        assert names == list(INTERMEDIATES)
        assert all(each["local"] is not None for each in case["intermediates"])
    assert "rich" in found["versions"]


def test_tensorflow_would_be_quiet_when_it_is_imported(make_tiny, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")  # and so once more after the test
    name = make_tiny(also='import os\nLEVEL = os.environ["TF_CPP_MIN_LOG_LEVEL"]')
    assert import_third_party([name])[name].LEVEL == "2"


def test_trace_finds_intermediates_by_their_numbers(make_tiny):
    """The functions have other names than `attend...`."""
    name = make_tiny(("def forward(", "def mix("), ("[forward(", "[mix("))
    assert trace_tiny(name, "--json", "trace.json") == 0
    for case in json.loads(Path("trace.json").read_text())["cases"]:
        assert [each["name"] for each in case["intermediates"]] == list(INTERMEDIATES)


def test_trace_says_that_it_saw_nothing_on_the_way(make_tiny, capsys):
    """The implementation shows no intermediates: only logits and loss are judged."""
    name = make_tiny(also="def intermediates(model, images):\n    return {}\n")
    assert trace_tiny(name) == 0
    out = capsys.readouterr().out
    assert "Every intermediate" not in out
    assert f"Only logits and loss were judged in {name} vectorized in float32 on cpu, " in out
    assert "no intermediate was seen" in out


def test_trace_finds_the_intermediate_that_is_wrong_in_it(make_tiny, capsys):
    name = make_tiny((" / x.shape[-1] ** 0.5", ""))
    assert trace_tiny(name) == 1
    assert f"scores breaks first, in {name} vectorized in float32 on cpu" in capsys.readouterr().out


def test_a_dtype_that_it_has_not_is_left_out(make_tiny, capsys):
    name = make_tiny(also='DTYPES = ("float32",)')
    assert trace_tiny(name, "--dtypes", "float32", "float64") == 0
    assert f"{name} has no looped, blocked, builtin, histogram, float64." in (
        capsys.readouterr().out
    )
    with pytest.raises(UserError, match="Nothing is left to trace"):
        trace_tiny(name, "--dtypes", "float64")


def test_a_run_evaluates_and_judges_it_but_trains_it_not(make_tiny, capsys):
    import_or_skip("pytorch")
    name = make_tiny()
    args = "--implementations pytorch --epochs 1 --batch-size 400 --json out.json"
    assert run.main([*args.split(), "--implementation", name]) == 0
    out = capsys.readouterr().out
    assert f"{name} has no histogram: it runs vectorized instead." in out
    assert f"{name} is forward only: it is evaluated and judged, not trained." in out
    assert "Only pytorch trains: its training is not compared with another." in out
    result = json.loads(Path("out.json").read_text())
    found = result["implementations"]
    assert found[name]["epochs"] == []
    own, pytorch = found[name]["tests"]["pytorch"], found["pytorch"]["tests"]["pytorch"]
    assert own["test_accuracy"] == pytest.approx(pytorch["test_accuracy"], abs=0.0021)
    assert own["test_loss"] == pytest.approx(pytorch["test_loss"], rel=1e-5)
    judged = {check["where"] for check in result["parity"]["checks"]}
    assert f"{name} on pytorch's parameters" in judged
    assert "rich" in result["versions"]


def test_a_run_leaves_out_what_has_not_its_dtype(make_tiny, capsys):
    import_or_skip("pytorch")
    name = make_tiny(also='DTYPES = ("float32",)')
    args = "--implementations pytorch --batch-size 4001 --dtype float64"
    with pytest.raises(UserError, match="The batch size is 4001"):  # and so nothing is run
        run.main([*args.split(), "--implementation", name])
    assert f"{name} is left out: it has no float64." in capsys.readouterr().out


def test_a_benchmark_times_and_weighs_it(make_tiny, capsys):
    import_or_skip("pytorch")
    name = make_tiny()
    args = "--implementations --batch-sizes 16 --rounds 1 --images 16 --implementation"
    assert bench.main([*args.split(), name]) == 0
    assert f"{name} is forward only: no training step of it is timed." in capsys.readouterr().out
    rows = {(row.implementation, row.phase): row for row in read_bench(Path("bench.json")).rows}
    assert rows.keys() == {(name, "forward"), ("pytorch", "forward"), ("pytorch", "step")}
    assert rows[name, "forward"].ms_per_sample > 0
    assert rows[name, "forward"].peak_bytes > 16 * 784 * 784 * 4, "the weights alone are more"
    assert Path("bench.png").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("'query': images @ model['Q'] + 1", None),
        ("'keys': images", "The function intermediates returned 'keys' of shape"),
        ("'key': images[0]", r"The function intermediates returned 'key' of shape \(784, 3\)"),
    ],
)
def test_intermediates_that_it_gives_itself_are_judged(
    make_tiny, capsys, given: str, sentence: str | None
):
    name = make_tiny(also=f"def intermediates(model, images):\n    return {{{given}}}")
    if sentence is not None:
        with pytest.raises(UserError, match=sentence):
            trace_tiny(name)
        return
    assert trace_tiny(name) == 1
    assert f"query breaks first, in {name} vectorized" in capsys.readouterr().out


def test_nothing_is_known_of_a_model_but_that_it_can_be_evaluated():
    """A dict can be a model, and its intermediates are seen."""
    problem = make_problem()
    model = tiny_attention.from_params(problem.params, "vectorized", "float64", "cpu")
    seen = capture_intermediates(tiny_attention, model, problem.images)
    assert seen.keys() == set(INTERMEDIATES) - {"loss"}
    np.testing.assert_array_equal(seen["query"], problem.images @ problem.params["Q"])


def test_a_config_is_fitted_to_the_form_and_the_device_that_it_has():
    config = Config(attention="histogram", device="cuda", epochs=7)
    assert config_for(tiny_attention, config) == Config(
        attention="vectorized", device="cpu", epochs=7
    )
    every = SimpleNamespace(ATTENTION=("histogram",), DEVICES=("cpu", "cuda"))
    assert config_for(every, config) == config


def test_steps_are_looked_for_in_the_files_of_an_implementation_alone():
    package = SimpleNamespace(__file__="/here/package/__init__.py")
    assert is_file_of(package, "/here/package/model.py")
    assert is_file_of(package, "/here/package/layers/attention.py")
    assert not is_file_of(package, "/here/other.py")
    module = SimpleNamespace(__file__="/here/module.py")
    assert is_file_of(module, "/here/module.py")
    assert not is_file_of(module, "/here/other.py")
    assert not is_file_of(SimpleNamespace(), "/here/module.py")
