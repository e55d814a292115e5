"""Files are written atomically, also through links, to devices, and in missing folders."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import UserError
from shared.files import check_writable, remove_leftovers, write_text

ROOT = Path(__file__).resolve().parents[2]


def test_a_link_stays_and_its_target_is_written(tmp_path: Path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o600)
    write_text(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE, text=True) as reader:
        write_text(path, "through")
        assert reader.communicate(timeout=30)[0] == "through"
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize("to_file", [False, True])
def test_the_standard_output_can_be_named(tmp_path: Path, to_file: bool):
    code = "from pathlib import Path; from shared.files import write_text\n"
    code += "write_text(Path('/dev/stdout'), 'said'); write_text(Path('/dev/null'), 'lost')"
    command, place = [sys.executable, "-c", code], tmp_path / "out"
    with place.open("w") as file:
        ran = subprocess.run(
            command, cwd=ROOT, stdout=file if to_file else subprocess.PIPE, text=True, check=True
        )
    assert (place.read_text() if to_file else ran.stdout) == "said"
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Could not write '': give the name of a file|Could not write '.': give the name"),
        ("gone/page.html", "there is no folder"),
        ("file/page.html", "there is no folder"),
        ("n" * 300, "File name too long"),
        (".", "give the name of a file|it is a folder"),
    ],
)
def test_what_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch, name, sentence: str):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("a file")
    with pytest.raises(UserError, match=sentence):
        write_text(Path(name), "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_not_there_is_found_out_before_anything_is_done(tmp_path: Path):
    with pytest.raises(UserError, match="there is no folder"):
        check_writable(tmp_path / "gone" / "result.json")
    check_writable(tmp_path / "result.json")


def test_a_folder_that_lets_nobody_write_is_found_out_before_anything_is_done(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # as for all but root
    with pytest.raises(UserError, match=r"Could not write .*result\.json: Permission denied"):
        check_writable(tmp_path / "result.json")
    check_writable(Path("/dev/null"))


def test_only_temporary_files_of_our_own_are_removed(tmp_path: Path):
    kept = (".git-credentials", ".my-notes.txt", ".1-2", "12-file", ".12x-file")
    for name in (*kept[:2], "12-file", ".12x-file", ".4711-metrics.jsonl"):
        (tmp_path / name).write_text("text")
    (tmp_path / ".1-2").mkdir()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
