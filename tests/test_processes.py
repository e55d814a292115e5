"""A process's place, its share of batches and cores, and how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import UserError
from shared.launch import launch, share_of_cores
from shared.training.processes import Place, check_share, find_place, is_loss

ROOT = Path(__file__).resolve().parent.parent
PLACE = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "29500",
}


def test_a_place_is_read_off_the_environment():
    assert find_place({}) is None
    assert find_place(PLACE) == Place(3, 4, 1, 2, "10.0.0.1:29500")
    few = {name: PLACE[name] for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")}
    assert find_place(few) == Place(3, 4, 0, 1, "10.0.0.1:29500")


@pytest.mark.parametrize(
    "wrong",
    [
        {"RANK": "4"},
        {"RANK": "-1"},
        {"RANK": "first"},
        {"LOCAL_RANK": "2"},
        {"LOCAL_WORLD_SIZE": "5"},
        {"MASTER_PORT": "any"},
        {"WORLD_SIZE": None},
        {"MASTER_ADDR": None},
    ],
)
def test_a_place_that_cannot_be_gets_one_sentence(wrong: dict):
    environment = {k: v for k, v in (PLACE | wrong).items() if v is not None}
    with pytest.raises(UserError, match="RANK"):
        find_place(environment)


def test_an_uneven_share_is_refused():
    for devices in (1, 2, 4, 8, 16):
        check_share(16, devices)
    for devices in (3, 5, 32):
        with pytest.raises(UserError, match=f"batch size is 16, which {devices} devices cannot"):
            check_share(16, devices)


def test_the_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3, 5, 7, 8}, raising=False)
    assert [share_of_cores(rank, 2) for rank in range(2)] == [[2, 3], [5, 7, 8]]
    assert [share_of_cores(rank, 1) for rank in range(1)] == [[2, 3, 5, 7, 8]]
    shares = [share_of_cores(rank, 7) for rank in range(7)]
    assert all(len(share) == 1 for share in shares)
    assert {core for share in shares for core in share} == {2, 3, 5, 7, 8}


def test_a_lost_connection_is_told_from_an_error():
    assert is_loss(RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer"))
    assert is_loss(RuntimeError("INTERNAL: Gloo all-reduce failed: Read error"))
    assert not is_loss(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_loss(ValueError("connection"))


# A stand-in for a training: what it does depends on its rank.
PROGRAM = """
import os, signal, sys, time
from shared.errors import UserError
from shared.training.processes import find_place, run_or_leave
place, what = find_place(os.environ), sys.argv[1]
def run():
    if place.rank == 1 and what == "sentence":
        raise UserError("The digits are gone.")
    if place.rank == 1 and what == "lost":
        raise RuntimeError("Connection reset by peer")
    if place.rank == 1 and what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what != "well":
        time.sleep(60)
    print("rank", place.rank)
    return 0
run_or_leave(place, run)
"""


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ("well", 0, ""),
        ("sentence", 2, "error: The digits are gone.\n"),
        ("lost", 1, "error: Process 1 of 3 has lost another one, which has ended or cannot be"),
        ("killed", "UserError", "Process 1 of 3 (they count from 0) was killed by SIGKILL"),
    ],
)
def test_when_one_fails_all_end_and_one_says_why(what: str, status, said: str, tmp_path, capfd):
    (tmp_path / "program.py").write_text(PROGRAM)
    code = (
        "import sys; from shared.launch import launch; from shared.errors import UserError\n"
        "try: sys.exit(launch('program', [sys.argv[1]], 3))\n"
        "except UserError as error: sys.exit(f'UserError: {error}')"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    process = subprocess.run(
        [sys.executable, "-c", code, what], env=env, capture_output=True, text=True, timeout=30
    )
    assert process.returncode == (1 if status == "UserError" else status), process.stderr
    assert process.stderr.startswith(said if status != "UserError" else f"UserError: {said}")
    assert process.stdout == ("rank 0\n" if what == "well" else ""), "only the first is heard"


def test_sigterm_to_the_launcher_ends_every_process(tmp_path: Path):
    (tmp_path / "waits.py").write_text("import time; print('here', flush=True); time.sleep(60)")
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    code = "from shared.launch import launch; launch('waits', [], 2)"
    process = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"here\n"
        process.terminate()
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
        assert process.stdout.read() == b"", "the pipe closes when its last holder has ended"


def test_launch_hands_on_the_arguments():
    assert launch("json.tool", ["--help"], 1) == 0
