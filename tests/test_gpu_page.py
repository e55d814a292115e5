"""The command that makes docs/gpu.md: without a GPU it says so; its parts, with the CPU put in."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import import_or_skip

from compare import gpu, parity
from compare.gpu_page import say_claims, say_trace, say_winners, tf32_table, write_page
from compare.tf32 import let_jax_use_tf32, measure_tf32
from shared.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("--forms", "histogram", "--data", "sample", "--epochs", "1", "--quick")


def test_without_a_gpu_it_says_so_and_leaves_the_page_alone(tmp_path: Path):
    for name in ("pytorch", "jax"):
        module = import_or_skip(name)
        try:
            module.find_device("cuda")
        except UserError:
            continue
        pytest.skip("there is a GPU")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "gpu.md").write_text("as it was")
    process = subprocess.run(
        [sys.executable, "-m", "compare", "gpu"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert process.returncode == 2
    assert process.stderr.startswith("error: There is no GPU to measure: PyTorch finds no 'cuda'")
    assert process.stderr.count("\n") == 1
    assert (docs / "gpu.md").read_text() == "as it was"


def test_with_the_cpu_put_in_it_measures_all_and_writes_the_page(
    tmp_path: Path, monkeypatch, request
):
    import_or_skip("pytorch")
    torch = importlib.import_module("torch")
    threads = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    torch.set_num_threads(1)  # several wait for each other, long where others compute too
    monkeypatch.chdir(tmp_path)
    few = [claim for claim in gpu.CLAIMS if claim.name in ("logits", "adam")]
    monkeypatch.setattr(gpu, "CLAIMS", few)  # all of them: tests/test_parity_claims.py
    monkeypatch.setattr(parity, "JUDGED_IMAGES", 3)
    status = gpu.main([*QUICK, "--implementations", "pytorch", "--docs", "docs"], device="cpu")
    result = json.loads(Path("docs/gpu.json").read_text())
    assert status == 0
    assert [case["dtype"] for case in result["claims"]] == ["float32", "float64"]
    assert all(0 < case["error_over_bound"] <= 1 for case in result["claims"])
    assert result["trace"]["passed"]
    assert result["run"]["implementations"]["pytorch"]["test_accuracy"] > 0.8
    assert {row["phase"] for row in result["bench"]} == {"forward", "step"}
    page = Path("docs/gpu.md").read_text()
    assert page == write_page(result)
    assert "$" not in page
    for said in (result["device"], f"torch {result['versions']['torch']}", "All ", "`histogram`"):
        assert said in page


@pytest.mark.parametrize("name", ["pytorch", "jax"])
def test_tf32_is_measured_over_both_bounds(name: str):
    import_or_skip(name)
    measured = measure_tf32(name, "cpu", "on")
    assert {"looped", "histogram"} <= measured.keys()
    for found in measured.values():  # no CPU has TF32: the error is float32's
        assert 0 < found["tf32"] < found["float32"] <= 1
        assert 0 < found["error"] < 1e-4


def test_tf32_can_be_let_into_the_jax_model():
    jax_impl = import_or_skip("jax")
    original = jax_impl.SelfAttentionModel.__call__
    try:
        let_jax_use_tf32(jax_impl)
        assert jax_impl.SelfAttentionModel.__call__ is original.__wrapped__
    finally:
        jax_impl.SelfAttentionModel.__call__ = original


def test_a_failure_is_told():
    failed = {"implementation": "jax", "form": "looped", "dtype": "float32", "checks": 9}
    failed |= {"failed": ["logits"], "error_over_bound": 812.0}
    assert say_claims([failed]) == "**Not everything holds**: logits in jax looped float32."
    assert say_claims([failed | {"failed": []}]) == "All 9 checks hold."
    broken = {"passed": False, "first_break": "scores breaks first, in jax."}
    assert say_trace(broken) == "**A step breaks**: scores breaks first, in jax."


def test_the_table_and_the_winners_come_from_the_numbers():
    off = {"looped": {"error": 2e-6, "float32": 0.25, "tf32": 0.001}}
    on = {"looped": {"error": 3e-3, "float32": 375.0, "tf32": 0.5}}
    *_, row = tf32_table({"jax": {"off": off, "on": on}}).splitlines()
    assert row == "| jax | `looped` | 2e-06 | 0.25 | 0.001 | 0.003 | 3.8e+02 | 0.5 |"
    rows = [
        {"implementation": "jax", "phase": "step", "batch_size": 16, "form": form}
        | {"ms_per_sample": ms}
        for form, ms in (("looped", 2.0), ("builtin", 0.5), ("histogram", 0.6))
    ]
    assert say_winners(rows) == "- jax, step, batch 16: `builtin`"
