"""The commands, run as a user does: each in a new process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from conftest import import_or_skip

from shared.cli import make_console, parse_config, run_main
from shared.config import Config
from shared.params import load_params

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("compare", "pytorch_impl", "jax_impl", "numpy_reference")
FAST = ("--epochs", "1", "--batch-size", "50")


def run(*args: str, cwd: Path, **kwargs) -> subprocess.CompletedProcess:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *args]
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=200, **kwargs
    )


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """Run the main command once, small; return its folder and its output."""
    for name in ("pytorch", "jax"):
        import_or_skip(name)
    folder = tmp_path_factory.mktemp("compare")
    return folder, run("compare", *FAST, "--json", "out.json", cwd=folder)


def test_compare_trains_both_and_parity_holds(compared):
    _, process = compared
    assert process.returncode == 0, process.stderr
    assert "Parity holds" in process.stdout
    assert process.stderr == ""
    assert "\x1b" not in process.stdout, "no colours and no bars where there is no terminal"


def test_the_result_says_what_happened(compared):
    folder, _ = compared
    result = json.loads((folder / "out.json").read_text())
    assert result == json.loads((folder / "runs" / "latest" / "result.json").read_text())
    assert result["parity"]["passed"] is True
    errors = result["parity"]["max_error"]
    assert {"logits", "loss", "parameters", "trajectory_loss", "stepped K"} <= set(errors)
    assert 0 < errors["logits"] < 1e-3
    assert result["config"]["batch_size"] == 50
    assert result["device"] == "cpu"
    assert result["threads"] >= 1
    assert {"numpy", "torch", "jax", "flax", "optax"} <= result["versions"].keys()
    assert result["implementations"].keys() == {"pytorch", "jax", "numpy"}
    for name in ("pytorch", "jax"):
        found = result["implementations"][name]
        assert len(found["epochs"]) == 1
        assert found["train_seconds"] > 0
        assert found["samples_per_second"] > 0
        assert found["val_accuracy"] > 0.6
        assert found["test_accuracy"] > 0.6
        assert 0 < found["test_loss"] < 1.5
    numpy_tests = result["implementations"]["numpy"]["tests"]
    for name in ("pytorch", "jax"):
        own = result["implementations"][name]
        assert numpy_tests[name]["test_accuracy"] == pytest.approx(own["test_accuracy"], abs=0.0021)
        assert numpy_tests[name]["test_loss"] == pytest.approx(own["test_loss"], rel=1e-5)


def test_the_run_folder_is_complete(compared):
    folder, _ = compared
    latest = folder / "runs" / "latest"
    assert latest.is_symlink()
    assert {path.name for path in latest.iterdir()} == {
        "config.json",
        "metrics.jsonl",
        "result.json",
        "report.txt",
        "loss.png",
        "loss.svg",
        ".lock",
        *(
            f"{name}-{which}.safetensors"
            for name in ("pytorch", "jax")
            for which in ("best", "final", "checkpoint", "checkpoint-previous")
        ),
        "page.html",
        "step-losses.safetensors",
    }
    lines = [json.loads(line) for line in (latest / "metrics.jsonl").read_text().splitlines()]
    assert [line["implementation"] for line in lines[:2]] == ["pytorch", "jax"]
    assert lines[0]["val_loss"] == pytest.approx(lines[1]["val_loss"], rel=1e-3)
    assert (latest / "loss.png").read_bytes().startswith(b"\x89PNG")
    a, b = (load_params(latest / f"{n}-best.safetensors")[0] for n in ("pytorch", "jax"))
    for name, array in a.items():
        np.testing.assert_allclose(array, b[name], atol=1e-3)


def test_numpy_evaluates_a_checkpoint_of_another_run(compared):
    folder, _ = compared
    result = json.loads((folder / "out.json").read_text())
    process = run("numpy_reference", "runs/latest/jax-best.safetensors", cwd=folder)
    assert process.returncode == 0, process.stderr
    tested = result["implementations"]["numpy"]["tests"]["jax"]
    assert f"{tested['test_loss']:.4f} nats" in process.stdout
    assert f"{tested['test_accuracy']:.1%}" in process.stdout


@pytest.mark.parametrize("name", ["pytorch", "jax"])
def test_an_implementation_trains_alone_as_it_does_beside_the_other(
    name: str, compared, tmp_path: Path
):
    folder, _ = compared
    process = run(f"{name}_impl", *FAST, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "epoch 1/1: training" in process.stdout
    assert "bits" in process.stdout
    assert "test (parameters of epoch 1):" in process.stdout
    alone, beside = (
        load_params(home / "runs" / latest / f"{name}-best.safetensors")[0]
        for home, latest in ((tmp_path, f"latest-{name}"), (folder, "latest"))
    )
    assert {key: array.tobytes() for key, array in alone.items()} == {
        key: array.tobytes() for key, array in beside.items()
    }


@pytest.fixture
def answer(tmp_path: Path, monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """Run a command in this process; return its exit status and what it wrote to stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run_here(package: str, *args: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [package, *args])
        with pytest.raises(SystemExit) as exited:
            run_main(import_module(f"{package}.__main__").main)
        return int(exited.value.code or 0), capsys.readouterr().err

    return run_here


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_for_a_person_and_names_the_same_options(command: str, tmp_path: Path):
    if command != "compare":
        import_or_skip(command.split("_")[0])
    verb = ["run"] if command == "compare" else []
    process = run(command, *verb, "--help", cwd=tmp_path)
    assert process.returncode == 0
    for option in ("--data", "--attention", "--dtype", "--device", "--normalization"):
        assert option in process.stdout
    if command != "numpy_reference":
        for option in ("--epochs", "--batch-size", "--learning-rate", "--num-channels", "--seed"):
            assert option in process.stdout
    assert "Batch" in process.stdout or "Images per batch" in process.stdout


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--epochs", "0"), "--epochs is 0: give 1 or more."),
        (("--batch-size", "4001"), "The batch size is 4001: choose 1 to 4000"),
        (("--learning-rate", "-1"), "--learning-rate is -1.0: give a positive number."),
        (("--data", "mnist", "--mnist-dir", "nowhere"), "There is no folder nowhere"),
        (("--runs-dir", "/proc/runs"), "Could not create a run folder in /proc/runs"),
        (("--implementations",), "--implementations is empty: give pytorch or jax or numpy."),
        (("--implementations", "numpy"), "Nothing here can train: choose pytorch or jax"),
        (("--name", "sub/dir"), "--name is 'sub/dir': give a name without a folder."),
        (("--num-channels", "100000000"), "error: Out of memory (Unable to allocate"),
        (("trace", "--num-channels", "100000000"), "give a smaller --num-channels or batch size."),
        (("trace", "--num-channels", "9" * 30), "give 1000000000 or less"),
        (("trace", "--figure", "x.xyz"), "--figure is x.xyz: give a name that ends in .png or"),
        (("train",), "compare has no verb 'train'"),
    ],
)
def test_bad_options_get_one_sentence_and_status_2(
    args, sentence: str, tmp_path: Path, answer: Callable[..., tuple[int, str]]
):
    import_or_skip("pytorch")
    status, errors = answer("compare", *args)
    assert status == 2
    assert sentence in errors
    assert "Preparing" not in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "runs").exists()


def test_a_reader_that_leaves_is_no_failure_of_parity(tmp_path: Path):
    command = f"{sys.executable} -m compare diff | head -1; exit ${{PIPESTATUS[0]}}"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100
    )
    assert ran.returncode == 141
    assert ran.stderr == ""


def test_a_bad_checkpoint_gets_one_sentence_and_status_2(
    tmp_path: Path, answer: Callable[..., tuple[int, str]]
):
    (tmp_path / "bad.safetensors").write_bytes(b"not weights")
    status, errors = answer("numpy_reference", "bad.safetensors")
    assert status == 2
    assert errors.startswith("error: bad.safetensors is not a readable safetensors file")
    assert errors.count("\n") == 1


def block(*libraries: str) -> str:
    """Write the start of a program in which these libraries are not installed."""
    return f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in {libraries!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def test_numpy_alone_runs_without_torch_and_jax(compared):
    folder, _ = compared
    code = block("torch", "jax", "flax", "optax", "torchmetrics") + (
        "from numpy_reference.__main__ import main\n"
        "sys.exit(main(['runs/latest/pytorch-best.safetensors']))"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, timeout=100)
    assert process.returncode == 0


def test_a_framework_that_is_not_installed_is_named_and_left_out(tmp_path: Path):
    import_or_skip("pytorch")
    args = ["--epochs", "1", "--batch-size", "400"]
    code = block("jax") + f"from compare.run.command import main\nsys.exit(main({args!r}))"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=env,
        timeout=100,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert "jax is left out: jax is not installed." in process.stdout
    result = json.loads((tmp_path / "runs" / "latest" / "result.json").read_text())
    assert result["implementations"].keys() == {"pytorch", "numpy"}


def test_ctrl_c_keeps_what_was_finished_and_says_where(tmp_path: Path):
    import_or_skip("pytorch")
    command = [sys.executable, "-m", "pytorch_impl", "--epochs", "1000"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # If the tests run in the background, it is ignored, also by their child processes.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    weights = tmp_path / "runs" / "latest-pytorch" / "pytorch-final.safetensors"
    deadline = time.monotonic() + 100
    while not weights.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "are kept in runs/" in out
    assert "python -m pytorch_impl --resume runs/" in out
    assert "Traceback" not in err
    load_params(weights)
    assert json.loads((weights.parent / "metrics.jsonl").read_text().splitlines()[0])["epoch"] == 1


def test_what_a_user_names_is_printed_as_it_is(capsys):
    make_console().print("runs/a[/b] [v2]: [bold]")
    assert capsys.readouterr().out == "runs/a[/b] [v2]: [bold]\n"


def test_the_original_preset_is_the_originals_settings():
    args = ["--preset", "original", "--epochs", "2"]
    found = parse_config(Config, args, prog="x", description="")
    assert (found.normalization, found.sampling) == ("original", "replacement")
    assert (found.learning_rate, found.epochs) == (0.01, 2), "an option beside it counts"
    assert (found.nats_per_bit, found.data) == (0.693, "mnist")
