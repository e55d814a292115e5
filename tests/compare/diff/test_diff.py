"""`python -m compare diff` in the terminal: columns that fit, a picture of them, bad input."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import PACKAGES
from rich.cells import cell_len

from compare.code.aligned import align
from compare.code.sources import Line, Source, files_of, read_source
from compare.diff.columns import NARROWEST, column_lines, stacked_lines
from compare.diff.command import main

ROOT = Path(__file__).resolve().parents[3]
ENV = os.environ | {"PYTHONPATH": str(ROOT)}

FILES = ("model.py", "train.py", "blocks.py", "metrics.py", "distributed.py")


def run(*args: str, **kwargs) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "compare", "diff", *args]
    return subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=60, **kwargs)


def without_space(text: str) -> str:
    return "".join(text.split())


def read_columns(lines: Sequence[str], sources: Sequence[Source]) -> list[str]:
    """Read the code of each column back from what was printed, without its white space."""
    digits = max(len(str(source.lines[-1].number)) for source in sources)
    found = ["" for _ in sources]
    for line in lines[1:]:
        assert line[0] in " ~|"
        for index, cell in enumerate(line[1:].split("│")):
            assert re.fullmatch(r" *\d*", cell[: digits + 1]), cell
            found[index] += without_space(cell[digits + 1 :])
    return found


@pytest.mark.parametrize(
    "file", ["model.py", "train.py", "blocks.py", "metrics.py", "distributed.py"]
)
@pytest.mark.parametrize("width", [100, 132, 160, 400])
def test_columns_fit_their_width_and_nothing_is_cut_off(file: str, width: int):
    names = [name for name in PACKAGES if file in files_of(name)]
    sources = [read_source(name, file) for name in (names[:2] if width < 160 else names)]
    lines = [text.plain for text in column_lines(align(sources), sources, width)]
    assert max(cell_len(line) for line in lines) <= width
    assert lines[0].split() == " │ ".join(source.path for source in sources).split()
    expected = [without_space(source.text) for source in sources]
    assert read_columns(lines, sources) == expected


def test_a_word_longer_than_its_column_goes_on_below():
    text = f'LONG = "{"x" * 300}"\n'
    lines = (Line(1, text[:-1]),)
    sources = [Source(name, f"{name}.py", text, lines) for name in ("pytorch", "jax")]
    lines = [text.plain for text in column_lines(align(sources), sources, 100)]
    assert max(cell_len(line) for line in lines) <= 100
    assert read_columns(lines, sources) == [without_space(source.text) for source in sources]


@pytest.mark.parametrize("width", [20, 80, 120])
@pytest.mark.parametrize("file", ["model.py", "train.py", "distributed.py"])
def test_stacked_lines_show_the_same_line_once_and_every_different_one(file: str, width: int):
    sources = [read_source(name, file) for name in PACKAGES if file in files_of(name)]
    rows = align(sources)
    margin = max(len(source.implementation) for source in sources) + 3
    lines = [text.plain for text in stacked_lines(rows, sources, width)]
    assert max(map(cell_len, lines)) <= max(width, margin + NARROWEST)
    code, heads = "", []
    for row in rows:
        shown = [(name, line) for name, line in row.lines.items() if line]
        is_same = row.kind == "same"
        code += "".join(line.text for _, line in (shown[:1] if is_same else shown))
        heads += [] if is_same else [f"{name} {'~|'[row.kind == 'different']}" for name, _ in shown]
    assert without_space("".join(line[margin:] for line in lines)) == without_space(code)
    assert [head for line in lines if (head := line[:margin].strip())] == heads


@pytest.mark.parametrize(
    ("width", "columns", "advice"),
    [
        (40, 0, "3 files side by side need 160 columns of text; here are 40."),
        (99, 0, "3 files side by side need 160 columns of text; here are 99."),
        (100, 0, "here are 100. Two fit: --implementations pytorch numpy"),
        (159, 0, "here are 159. Two fit: --implementations pytorch numpy"),
        (160, 3, None),
    ],
)
def test_files_that_do_not_fit_side_by_side_are_stacked(
    width: int, columns: int, advice: str | None, capsys: pytest.CaptureFixture
):
    assert main(["--width", str(width)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].count(".py") == columns
    assert out.count("query = x @ Q") == max(columns, 1)
    assert "\x1b" not in out
    assert err == ""
    said = " ".join(out.split())
    if advice is None:
        assert "columns of text" not in said
    else:
        assert advice in said
    assert "all three: " in said


def in_terminal(width: int, *args: str, **env: str) -> str:
    """Run the command in a terminal of that width; return its output with all escape codes."""
    main_end, terminal = pty.openpty()
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    plain = {key: value for key, value in ENV.items() if key not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "compare", "diff", *args],
        env=plain | {"TERM": "xterm-256color"} | env,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(main_end, 1 << 16):
            shown += piece
    except OSError:  # so a terminal ends on Linux
        pass
    os.close(main_end)
    assert process.wait(timeout=60) == 0
    return shown.decode()


COLOR = re.compile(r"\x1b\[(?:[\d;]*;)?3[1-7](?:;[\d;]*)?m")


def test_a_terminal_gets_colours_dim_equal_lines_and_marks():
    shown = in_terminal(160, "--form", "vectorized")
    assert COLOR.search(shown)
    query = next(line for line in shown.splitlines() if "query = " in line)
    assert "\x1b[2mquery = x @ Q" in query.replace("\x1b[2m    ", "\x1b[2m")
    attend = next(line for line in shown.splitlines() if "def" in line and "attend" in line)
    assert attend.count("\x1b[4mTensor\x1b[0m") >= 1
    assert max(cell_len(re.sub(r"\x1b\[[\d;]*m", "", x)) for x in shown.splitlines()[:20]) <= 160


def test_no_color_takes_the_colours_and_leaves_the_marks():
    shown = in_terminal(160, "--form", "vectorized", NO_COLOR="1")
    assert not COLOR.search(shown)
    assert "\x1b[4mTensor\x1b[0m" in shown


def read_picture(path: Path) -> str:
    """Read the text that a picture shows, without its white space."""
    groups = ElementTree.fromstring(path.read_text()).iter("{http://www.w3.org/2000/svg}g")
    (shown,) = (group for group in groups if group.get("class", "").endswith("-matrix"))
    return without_space("".join(shown.itertext()))


def test_the_picture_in_docs_shows_the_code_as_it_is(tmp_path: Path, capsys):
    picture, again = ROOT / "docs" / "diff.svg", tmp_path / "diff.svg"
    main(["--form", "vectorized", "--width", "148", "--svg", str(again)])
    out = capsys.readouterr().out
    assert f"Written: {again}" in out
    assert "def attend(" not in out
    assert "defattend(" in read_picture(again)
    for path in (picture, again):
        assert path.stat().st_size < 300_000
    assert read_picture(picture) == read_picture(again), (
        "run: python -m compare diff --form vectorized --width 148 --svg docs/diff.svg"
    )


def test_a_file_that_is_not_python_is_named(tmp_path: Path):
    path = tmp_path / "pytorch_impl" / "model.py"
    path.parent.mkdir()
    path.write_text("a = 1\ndef broken(:\n")
    with pytest.raises(ValueError, match=r"model\.py is not valid Python: line 2, "):
        read_source("pytorch", root=tmp_path)


def test_no_framework_is_needed_and_none_is_imported():
    code = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchmetrics", "jax", "flax", "optax"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
from compare.diff.command import main
status = main(["--file", "train.py"])
imported = {"pytorch_impl", "jax_impl", "numpy_reference"} & sys.modules.keys()
sys.exit(f"imported: {imported}" if imported else status)
"""
    process = subprocess.run([sys.executable, "-c", code], env=ENV, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "def train_step(" in process.stdout
    assert "numpy is left out: it has no train.py." in process.stdout


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--file", "x.py"), "error: file 'x.py' is unknown: choose blocks.py or"),
        (("--file", "../setup.py"), "error: file '../setup.py' is unknown: choose"),
        (("--file", "eager.py"), "error: Only jax_impl/eager.py has it: there is nothing"),
        (
            ("--form", "vectorized", "--file", "train.py"),
            "no form 'vectorized': --form is for model.py and forms.py.",
        ),
        (
            ("--svg", "nowhere/code.svg"),
            "error: Could not write nowhere/code.svg: there is no",
        ),
        (("--svg", "picture.png"), "error: --svg is picture.png: give a name that ends in .svg."),
        (("--implementations", "jax", "jax"), "--implementations is jax jax: give two or three"),
        (("--implementations", "jax"), "--implementations is jax: give two or three"),
        (("--width", "0"), "--width is 0: give 1 or more."),
        (
            ("--form", "builtin", "--implementations", "pytorch", "numpy"),
            "error: numpy_reference/forms.py has no form 'builtin': choose blocked or histogram.",
        ),
        (
            ("--file", "train.py", "--implementations", "pytorch", "numpy"),
            "error: numpy has no file 'train.py': choose blocks.py or convert.py or evaluate.py",
        ),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2(args: Sequence[str], sentence: str, tmp_path):
    process = run(*args, cwd=tmp_path)
    assert process.returncode == 2
    assert sentence in " ".join(process.stderr.replace("│", "").split())
    assert "Traceback" not in process.stderr
    assert process.stdout == ""
    assert list(tmp_path.iterdir()) == []
