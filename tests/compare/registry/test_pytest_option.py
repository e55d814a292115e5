"""`pytest --implementation package.module`: run the parity tests on one implementation."""

import subprocess
from pathlib import Path

import pytest
from tiny import ROOT, run_module


def judge(name: str, *args: str, cwd: Path) -> subprocess.CompletedProcess:
    tests = [str(ROOT / "tests"), "--implementation", name, "-p", "no:cacheprovider"]
    return run_module("pytest", *tests, *args, cwd=cwd)


NO_GPU = """
DEVICES = ("cpu", "cuda")

def find_device(name):
    if name != "cpu":
        raise ValueError("There is no GPU.")
"""
START = "    starts = range(0, len(images), batch_size)"
WARNING = "    import warnings\n    warnings.warn('as it happens', stacklevel=1)"


def assert_names_the_absent_device(out: str, name: str) -> None:
    line = f"cuda is absent here ({name}): its cases are not collected"
    assert out.splitlines().count(line) == 1
    assert out.count("cuda") == 1


def test_pytest_judges_it_alone_and_says_what_it_has_not(make_tiny, tmp_path: Path):
    name = make_tiny((START, f"{START}\n{WARNING}"), also=NO_GPU)
    process = judge(name, "-k", "test_check or where_they_meet", "-v", cwd=tmp_path)
    assert process.returncode == 0, process.stdout
    assert (
        f"judged: {name} (vectorized; float32, float64; cpu); it has no looped, blocked, builtin, "
        "histogram, loss_and_gradients, Training" in process.stdout
    )
    assert f"{name} has no Training: forward only" in process.stdout
    assert f"{name} has no histogram" in process.stdout
    assert "16 passed, 16 skipped" in process.stdout
    assert "numpy-vectorized" not in process.stdout
    assert "UserWarning: as it happens" in process.stdout, "a warning is no failure"
    assert_names_the_absent_device(process.stdout, name)


def test_pytest_takes_the_parity_tests_that_are_about_an_implementation_and_no_other(
    make_tiny, tmp_path: Path
):
    name = make_tiny()
    process = judge(name, "--collect-only", "-q", cwd=tmp_path)
    tests = [line for line in process.stdout.splitlines() if "::" in line]
    assert len(tests) > 50
    for test in tests:
        assert "test_parity_" in test
        assert name in test


def test_pytest_fails_where_it_is_wrong(make_tiny, tmp_path: Path):
    name = make_tiny((" / x.shape[-1] ** 0.5", ""))
    process = judge(name, "-k", "test_check and intermediates", cwd=tmp_path)
    assert process.returncode == 1
    assert "Comparison(quantity='scores'" in process.stdout


def test_nothing_judged_is_not_a_pass(make_tiny, tmp_path: Path):
    name = make_tiny()
    process = judge(name, "-k", "test_check and adam", cwd=tmp_path)
    assert process.returncode == 5
    assert "ERROR: nothing was judged: every test was skipped" in process.stdout
    assert "2 skipped" in process.stdout


def test_several_workers_judge_nothing_and_name_the_absent_device_once(make_tiny, tmp_path: Path):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    name = make_tiny(also=NO_GPU)
    process = judge(name, "-n", "2", "-k", "test_check and adam", cwd=tmp_path)
    assert process.returncode == 5, process.stdout
    assert "ERROR: nothing was judged: every test was skipped" in process.stdout
    assert_names_the_absent_device(process.stdout, name)


def test_pytest_refuses_what_does_not_meet_the_contract(make_tiny, tmp_path: Path):
    name = make_tiny(("def to_params", "def give_params"))
    process = judge(name, cwd=tmp_path)
    assert process.returncode == 4
    assert (
        process.stderr.strip() == f"ERROR: {name} lacks `to_params`: see docs/add_a_framework.md."
    )
