"""A test that runs alone has no other beside it, and other tests need not wait."""

import threading
from pathlib import Path

import pytest
from workers import turn


def begin(folder: Path, *, alone: bool) -> tuple[threading.Thread, threading.Event]:
    """Take a turn in a thread, like another worker; return an event that is set when it runs."""
    is_there = threading.Event()

    def take() -> None:
        with turn(folder, alone=alone):
            is_there.set()

    thread = threading.Thread(target=take)
    thread.start()
    return thread, is_there


@pytest.mark.parametrize(
    ("mine", "others", "waits"),
    [(True, False, True), (False, True, True), (True, True, True), (False, False, False)],
)
def test_who_runs_alone_has_nobody_beside(mine: bool, others: bool, waits: bool, tmp_path: Path):
    with turn(tmp_path, alone=mine):
        thread, is_there = begin(tmp_path, alone=others)
        assert is_there.wait(0.3 if waits else 30) is not waits
    thread.join(30)
    assert is_there.is_set()


def test_who_wants_to_run_alone_is_not_passed_by(tmp_path: Path):
    with turn(tmp_path, alone=False):
        first, alone = begin(tmp_path, alone=True)
        assert not alone.wait(0.3)
        second, passed = begin(tmp_path, alone=False)
        assert not passed.wait(0.3), "it came later"
    for thread in (first, second):
        thread.join(30)
    assert alone.is_set()
    assert passed.is_set()
