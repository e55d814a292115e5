"""`python -m compare diagnose`, as a user runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny import ROOT

from compare.diagnose import command
from shared.errors import UserError

MINE = """
import numpy as np

W = np.random.default_rng(1).standard_normal((3, 5))
not_callable = 7


def make():
    def classify(x):
        hidden = np.maximum(x @ W, 0)
        return np.exp(hidden).sum(-1)

    return classify


def make_port():
    def forward(values):
        projected = values @ W
        active = projected * (projected > 0)
        return np.exp(active).sum(-1)

    return forward


def make_wrong():
    def forward(values):
        projected = values @ W
        leaky = np.where(projected > 0, projected, 0.01 * projected)  # <b>"</script>"</b>
        return np.exp(leaky).sum(-1)

    return forward


def make_random():
    return lambda x: x + np.random.normal(size=x.shape)


def make_loaded():
    return lambda params, x: np.tanh(x @ params["weight"])


def make_loaded_port():
    return lambda held, values: np.tanh((held["kernel"].T @ values.T).T)


def make_nothing():
    return None


def needs(width):
    return make()


def make_broken():
    raise ZeroDivisionError("while it was made")


def make_failing():
    def forward(x):
        return 1 / len(x[:0])

    return forward
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a file of programs and their input, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # the command adds the folder of a program
    (tmp_path / "mine.py").write_text(MINE)
    np.savez(tmp_path / "batch.npz", x=np.random.default_rng(0).standard_normal((7, 3)))
    yield tmp_path
    sys.modules.pop("mine", None)


def run(*args: str) -> int:
    return command.main(args)


def run_process(*args: str, columns: int = 80) -> subprocess.CompletedProcess:
    env = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": str(columns)}
    return subprocess.run(
        [sys.executable, "-m", "compare", "diagnose", *args],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("right", "status", "heading"),
    [
        ("make_port", 0, "SAME FUNCTION"),
        ("make_wrong", 1, "BUG"),
        ("make_random", 2, "CANNOT TELL"),
    ],
)
def test_the_exit_status_is_the_verdict_and_lines_fit_80_columns(folder, right, status, heading):
    ran = run_process("mine.py:make", f"mine.py:{right}", "--input", "batch.npz")
    assert ran.returncode == status, ran.stderr
    assert ran.stderr == ""
    lines = ran.stdout.splitlines()
    assert lines[:2] == ["left   mine.py:make", f"right  mine.py:{right}"]
    assert lines[2].startswith(heading)
    assert max(map(len, lines)) <= 80, ran.stdout


def test_a_bug_is_shown_with_both_places_its_numbers_and_what_it_looks_like(folder, capsys):
    assert run("mine.py:make", "mine.py:make_wrong", "--input", "batch.npz") == 1
    said = capsys.readouterr().out
    source = MINE.splitlines()
    for text, name in (
        ("hidden = ", "hidden in make.classify"),
        ("leaky = ", "leaky in make_wrong.forward"),
    ):
        line = next(n for n, found in enumerate(source, 1) if text in found)
        assert f"{name}  mine.py:{line}  [7, 5]" in said
    assert "largest difference" in said


WRONG = {
    "no_file": (("gone.py:make", "mine.py:make"), "'gone.py:make' is not a program: give file.py"),
    "no_colon": (("mine.py", "mine.py:make"), "'mine.py' is not a program: give file.py:function"),
    "no_function": (("mine.py:gone", "mine.py:make"), "mine.py defines no 'gone': give file.py"),
    "arguments": (("mine.py:needs", "mine.py:make"), "mine.py:needs takes arguments: give a func"),
    "no_maker": (("mine.py:not_callable", "mine.py:make"), "mine.py:not_callable is a int: give"),
    "not_callable": (
        ("mine.py:make_nothing", "mine.py:make"),
        "mine.py:make_nothing returns a NoneType, which cannot be called: return a module",
    ),
    "one_program": (("mine.py:make",), "Give two programs and --input FILE: compare diagnose"),
    "wrong_input": (("--input", "gone.npz"), "There is no file gone.npz"),
    "not_npz": (("--input", "text.npz"), "Could not read text.npz: "),
    "text": (("--input", "mine.py"), "mine.py: give a .npz or a .safetensors file."),
    "no_arrays": (("--input", "empty.npz"), "empty.npz holds no arrays: give"),
    "no_bytes": (("--input", "bytes.npz"), "Could not read bytes.npz: "),
    "pickled": (("--input", "pickled.npz"), "Could not read pickled.npz: "),
    "words": (("--input", "words.npz"), "The input 'x' has dtype <U3: give numbers."),
    "not_safetensors": (
        ("--input", "text.safetensors"),
        "text.safetensors is not a readable safetensors file",
    ),
    "a_folder": (("--input", "folder.npz"), "Could not read folder.npz: "),
    "look": (("--look", "no.such.library"), "--look no.such.library is not an installed module"),
    "json": (("--json", "gone/r.json"), "Could not write gone/r.json: there is no folder gone."),
    "html": (("--html", "gone/r.html"), "Could not write gone/r.html: there is no folder gone."),
    "no_params": (
        ("--params", "gone.npz", "batch.npz"),
        "There is no file gone.npz",
    ),
    "both": (("--dumps", "batch.npz", "batch.npz"), "Give two programs or --dumps, not both."),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(folder, wrong: str):
    (folder / "text.npz").write_text("no archive")
    (folder / "text.safetensors").write_text("no header")
    (folder / "bytes.npz").write_bytes(b"")
    (folder / "folder.npz").mkdir()
    np.savez(folder / "empty.npz")
    np.savez(folder / "pickled.npz", x=np.array([{}], dtype=object))
    np.savez(folder / "words.npz", x=np.array(["one"]))
    args, sentence = WRONG[wrong]
    if args[0].startswith("--"):
        args = ("mine.py:make", "mine.py:make_port", *args)
    if "--input" not in args:
        args = (*args, "--input", "batch.npz")
    with pytest.raises(UserError) as refused:
        run(*args)
    said = str(refused.value)
    assert said.startswith(sentence), said
    assert said.count("\n") == 0
    assert len(said) < 300
    assert not list(folder.glob("r.*"))


def test_bad_input_ends_a_command_without_a_traceback(folder):
    ran = run_process("mine.py:make", "mine.py:make", "--input", "gone.npz")
    assert (ran.returncode, ran.stderr) == (2, "error: There is no file gone.npz.\n")


@pytest.mark.parametrize(
    ("right", "note"),
    [
        ("make_broken", "This is what mine.py:make_broken raised; compare diagnose only called"),
        ("make_failing", "This is what right raised; compare diagnose only called it."),
    ],
)
def test_what_a_program_raises_comes_through_and_its_side_is_named(folder, right, note, capsys):
    """The exit status is 2: 1 would be a verdict."""
    assert run("mine.py:make", f"mine.py:{right}", "--input", "batch.npz") == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):")
    assert f'{folder / "mine.py"}", line' in said
    assert said.index("ZeroDivisionError: ") < said.index(note)


def test_a_file_that_cannot_be_imported_is_named(folder):
    (folder / "broken.py").write_text("import no_such_library\n")
    (folder / "grammar.py").write_text("def make(:\n")
    (folder / "script.py").write_text("raise SystemExit(0)\n")
    for name, sentence in (
        ("broken", "broken.py could not be imported: No module named 'no_such_library'."),
        ("grammar", "grammar.py could not be imported: SyntaxError"),
        ("script", "script.py could not be imported: SystemExit: 0"),
    ):
        with pytest.raises(UserError) as refused:
            run(f"{name}.py:make", "mine.py:make", "--input", "batch.npz")
        assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(folder, option, capsys):
    with pytest.raises(UserError, match="there is no folder gone"):
        run("mine.py:make", "mine.py:make", "--input", "batch.npz", option, "gone/report")
    assert capsys.readouterr().out == ""


def test_gradients_is_a_flag_and_numpy_has_none(folder, capsys):
    assert run("mine.py:make", "mine.py:make_port", "--gradients", "--input", "batch.npz") == 0
    assert "Gradients: not compared: left is in NumPy" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_params_of_functions_are_their_first_argument(folder, kind):
    weight = np.random.default_rng(2).standard_normal((3, 5))
    for name, arrays in (
        ("a", {"weight": weight}),
        ("b", {"kernel": weight}),
        ("c", {"kernel": weight * (1 + 1e-6)}),
    ):
        if kind == "npz":
            np.savez(folder / f"{name}.npz", **arrays)
        else:
            save_file(arrays, folder / f"{name}.safetensors")
    programs = ("mine.py:make_loaded", "mine.py:make_loaded_port", "--input", "batch.npz")
    assert run(*programs, "--params", f"a.{kind}", f"b.{kind}") == 0
    assert run(*programs, "--params", f"a.{kind}", f"c.{kind}") == 1


def test_json_holds_all_that_was_found(folder):
    programs = ("mine.py:make", "mine.py:make_wrong", "--input", "batch.npz")
    assert run(*programs, "--json", "r.json") == 1
    found = json.loads((folder / "r.json").read_text())
    assert (found["verdict"], found["status"]) == ("bug", 1)
    assert found["outputs"][0]["float64"] > 1e-3
    assert found["common"]["left"]["shape"] == [7, 3]
    assert found["parts_first"]["left"]["name"] == "hidden in make.classify"
    assert found["parts_first"]["right"]["name"] == "leaky in make_wrong.forward"
    assert any(row["layout"] == "parts" for row in found["arrays"])
    assert len(found["arrays"]) >= 4
    assert {"less_exact", "hints", "further", "gradients", "remarks", "seen", "seconds"} <= set(
        found
    )


def dump(folder: Path, name: str, **arrays: np.ndarray) -> str:
    np.savez(folder / f"{name}.npz", **arrays)
    return f"{name}.npz"


def test_dumps_are_matched_by_value(folder, capsys):
    rng = np.random.default_rng(0)
    x, hidden, out = (rng.standard_normal(shape) for shape in ((7, 3), (7, 5), (7, 2)))
    left = dump(folder, "left", x=x, hidden=hidden, out=out)
    right = dump(folder, "right", tokens=x, feature=hidden.T, logits=out)
    assert run("--dumps", left, right) == 0
    wrong = dump(folder, "wrong", tokens=x, feature=1.001 * hidden, logits=1.001 * out)
    capsys.readouterr()
    assert run("--dumps", left, wrong) == 1
    said = capsys.readouterr().out
    assert said.index("last match") < said.index("tokens") < said.index("first difference")
    assert said.index("first difference") < said.index("hidden") < said.index("feature")
    shuffled = hidden.reshape(5, 7).T
    other = dump(folder, "other", tokens=x, feature=shuffled, logits=0.5 * out)
    assert run("--dumps", left, other) == 1
    assert "OTHER ORDER" in capsys.readouterr().out
