"""The help and the errors of a command line: for a person, at the width of a terminal."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest

from compare.__main__ import VERBS, list_verbs, main, say_no_verb
from compare.run.command import RunConfig
from shared.config import GROUPS
from shared.errors import UserError
from shared.options import read_helps, say_unknown

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = pytest.mark.parametrize("width", [80, 160])


@pytest.mark.parametrize("asked", ["--help", "-h", "help"])
def test_the_help_is_the_verbs_on_one_screen(asked: str, capsys: pytest.CaptureFixture):
    assert main([asked]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out == f"{list_verbs()}\n"
    lines = shown.out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert all(any(line.startswith(f"  {verb} ") for line in lines) for verb in VERBS)


@pytest.fixture(params=VERBS)
def options_of(request, monkeypatch, capsys):
    """Return a function of the width: the lines of a verb's --help."""

    def read(width: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit) as exited:
            import_module(f"compare.{request.param}.command").main(["--help"])
        assert exited.value.code == 0
        return capsys.readouterr().out.splitlines()

    return read


@WIDTHS
def test_a_verbs_help_is_wrapped_by_its_width_and_names_no_none(options_of, width: int):
    lines = options_of(width)
    # tyro does not wrap its line of usage.
    assert max(len(line) for line in lines if not line.startswith("usage: ")) <= width
    text = "\n".join(lines)
    assert "None" not in text
    assert "PATH" in text


def test_every_group_of_options_fits_one_screen(options_of):
    text = "\n".join(options_of(80))
    _, *groups = re.split(r"^\W*\w+ options\W*$", text, flags=re.MULTILINE)
    assert "PATH" in groups[-1]
    assert max(group.count("\n") for group in groups) < 24


def test_a_help_does_without_the_libraries_that_are_slow_to_import():
    code = f"""
import importlib, sys
for verb in {list(VERBS)}:
    importlib.import_module(f"compare.{{verb}}.command")
print(*{{"matplotlib", "torch", "jax", "tensorflow"}} & sys.modules.keys())
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("\n", "")


@WIDTHS
def test_a_text_goes_on_to_the_edge(width: int, monkeypatch, capsys):
    """The line breaks of the source are not shown."""
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit):
        import_module("compare.run.command").main(["--help"])
    text = capsys.readouterr().out
    words = " ".join(text.replace("│", " ").replace("|", " ").split())
    assert (
        "--mnist-dir PATH A folder with MNIST's four original files, so that --data mnist" in words
    )
    longest = max(len(line.strip("│| ")) for line in text.splitlines() if "--" not in line)
    assert longest > 0.8 * width


def test_every_option_of_a_run_has_a_help_text_and_groups_name_options_that_there_are():
    helps = read_helps(RunConfig)
    assert set(helps) == set(RunConfig.__dataclass_fields__)
    assert not any("\n" in text for text in helps.values())
    grouped = {name for group in ("data", "model", "training") for name in GROUPS[group]}
    assert grouped <= set(helps)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--lr", "did you mean --learning-rate?"),
        ("--epoch", "did you mean --epochs?"),
        ("--lerning_rate=3", "did you mean --learning-rate?"),
        ("--eval", "did you mean --eval-batch-size?"),
        ("--xyzzy", "see it --help."),
        ("stray", "see it --help."),
    ],
)
def test_an_unknown_option_names_the_one_that_is_meant(given: str, meant: str):
    assert say_unknown(given, list(RunConfig.__dataclass_fields__), "it").endswith(meant)


@pytest.mark.parametrize(
    ("verb", "meant"), [("difff", "did you mean diff?"), ("xyzzy", "choose run or diff or page")]
)
def test_an_unknown_verb_names_the_one_that_is_meant(verb: str, meant: str):
    assert meant in say_no_verb(verb)
    with pytest.raises(UserError, match="compare has no verb"):
        main([verb])


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--lr", "1"), "error: python -m compare run has no option --lr: did you mean"),
        (("--epochs", "0"), "error: --epochs is 0: give 1 or more.\n"),
        (("--seed", "1", "--epochs", "x"), "error: --epochs is x: give a whole number.\n"),
        (("--epochs=x",), "error: --epochs is x: give a whole number.\n"),
        (("--data", "foo"), "error: --data is foo: give sample or mnist.\n"),
        (("--attention",), "error: --attention is empty: give looped or vectorized or"),
        (("--implementations", "numpy", "x"), "error: --implementations is numpy x: give pytorch"),
        (("diagnose", "--params", "x.npz"), "error: --params is x.npz: give a path, then a path."),
    ],
)
def test_a_wrong_option_is_one_sentence_without_a_box(args, sentence: str, tmp_path: Path):
    check_refused(["compare", *args], sentence, tmp_path)


def test_an_unknown_option_before_a_value_that_is_no_path_is_named(tmp_path: Path):
    # tyro reads the value as the positional path, given twice, and does not come to the option.
    sentence = "error: python -m numpy_reference has no option --seed: see"
    check_refused(["numpy_reference", "--seed", "1"], sentence, tmp_path)


def check_refused(args: Sequence[str], sentence: str, folder: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *args]
    ran = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith(sentence)
    assert ran.stderr.count("\n") == 1
