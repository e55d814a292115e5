"""The end of a command: one sentence without control characters, and the right exit status."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import import_or_skip

from shared.cli import parse_config
from shared.config import Config
from shared.errors import LONGEST, UserError, find_ending, print_sentence

ROOT = Path(__file__).resolve().parents[2]
ENV = os.environ | {"PYTHONPATH": str(ROOT)}
# In a new folder on PYTHONPATH: as if these libraries were not installed.
WITHOUT = """
import sys
for name in {libraries!r}:
    sys.modules[name] = None
"""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("\x1b[31mred\n\u202e\udcff", r"\x1b[31mred\n\u202e\udcff"),
        ("n" * 100_000, "n" * 150 + "..." + "n" * 150),
        ("ein Wort " * 100_000, None),
        ("Zürich, 東京", "Zürich, 東京"),
    ],
)
def test_what_a_sentence_quotes_is_printable_and_short(found: str, said: str | None):
    sentence = str(UserError(found))
    assert sentence.isprintable()
    assert len(sentence) <= LONGEST + 3
    if said is not None:
        assert sentence == said


def test_a_sentence_ends_its_lines_between_words_in_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    print_sentence("error: one sentence of words, a-path/as-long-as-it-is")
    shown = "error: one sentence\nof words,\na-path/as-long-as-it-is\n"
    assert capsys.readouterr().err == shown


def test_outside_the_environment_a_missing_library_says_how_to_activate_it(monkeypatch):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    missing = ModuleNotFoundError("No module named 'tyro'", name="tyro")
    assert find_ending(missing) == (
        2,
        "error: This needs tyro, which is not installed: activate the environment, "
        ". .venv/bin/activate; make compare creates it.",
    )


@pytest.mark.parametrize("args", [["diff"], ["diff", "--help"], ["trace", "--images", "0"]])
def test_a_full_disk_for_the_output_is_one_sentence(args: list[str], tmp_path: Path):
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "compare", *args],
            cwd=tmp_path,
            env=ENV,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
        )
    assert ran.returncode == 2
    if "--images" not in args:  # otherwise the error is about the option
        assert ran.stderr == "error: Could not use the output: No space left on device.\n"


@pytest.mark.parametrize(
    ("command", "library"), [("pytorch_impl", "torch"), ("jax_impl", "jax"), ("jax_impl", "optax")]
)
def test_a_library_that_is_not_installed_is_one_sentence(
    command: str, library: str, tmp_path: Path
):
    import_or_skip(command.split("_")[0])
    (tmp_path / "sitecustomize.py").write_text(WITHOUT.format(libraries=[library]))
    env = ENV | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    command_line = [sys.executable, "-m", command]
    ran = subprocess.run(command_line, cwd=tmp_path, env=env, capture_output=True, text=True)
    needs = f"needs {library}, which is not installed: python -m pip install {library}"
    assert (ran.returncode, ran.stderr) == (2, f"error: This {needs}.\n")


def test_a_library_that_is_missing_elsewhere_is_an_import_error(tmp_path: Path):
    """A program that imports the package can catch it, and a bug has a traceback."""
    code = WITHOUT.format(libraries=["torch"]) + "import pytorch_impl"
    command_line = [sys.executable, "-c", code]
    ran = subprocess.run(command_line, cwd=tmp_path, env=ENV, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.startswith("Traceback")


@pytest.mark.parametrize("command", ["pytorch_impl", "numpy_reference", "compare"])
def test_ctrl_c_while_importing_leaves_no_traceback(command: str, tmp_path: Path):
    """A numpy that takes long to import replaces the slow libraries."""
    (tmp_path / "numpy.py").write_text("import time\nopen('begun', 'w').close()\ntime.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-m", command],
        cwd=tmp_path,
        env=ENV,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "Interrupted.\n")


def test_a_name_that_is_not_in_utf8_is_refused_before_anything_is_made(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = ["--runs-dir", os.fsdecode(b"runs\xff")]
    with pytest.raises(UserError, match=r"'runs\\udcff' is not in UTF-8: rename it"):
        parse_config(Config, args, prog="x", description="")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_a_place_that_may_not_be_named_is_printed(tmp_path: Path):
    """The current folder may have such a name."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    code = "from shared.cli import make_console, run_main\nfrom pathlib import Path\n"
    code += "run_main(lambda args: make_console().print(Path.cwd().name) or 0)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, env=ENV, capture_output=True)
    assert (ran.returncode, ran.stdout) == (0, b"caf\\udce9\n")


LONG = "x" * 5000


@pytest.mark.parametrize(
    "args",
    [
        ["compare", "page", LONG],
        ["compare", "run", "--resume", LONG],
        ["compare", "run", "--json", LONG],
        ["numpy_reference", LONG],
    ],
)
def test_a_path_of_5000_letters_is_one_sentence(args: list[str], tmp_path: Path):
    command_line = [sys.executable, "-m", *args]
    ran = subprocess.run(command_line, cwd=tmp_path, env=ENV, capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") == 1
    assert len(ran.stderr) < LONGEST
    assert list(tmp_path.iterdir()) == []
