"""A process without heartbeats is named and ends the others; one that leaves in order does not."""

from collections.abc import Callable
from threading import Event

import pytest

from shared.training import heartbeats
from shared.training.heartbeats import LOOKS, find_silent, watch_others
from shared.training.processes import SECONDS_OF_SILENCE, Process

SECOND_OF_THREE = Process(1, 3, 1, 3, "127.0.0.1", 29500)
SILENCE = 0.012  # seconds: a look a millisecond


class Counts:
    """The shared numbers of all processes; those of the others follow from this process's own."""

    def __init__(self, others: dict[int, Callable], leaving: Event, looks: int) -> None:
        self.others, self.leaving, self.left = others, leaving, looks
        self.own = 0

    def add(self, name: str, amount: int) -> int:
        rank = int(name.rpartition(" ")[2])
        if rank == SECOND_OF_THREE.rank:
            self.own += amount
            if self.own == self.left:
                self.leaving.set()
            return self.own
        assert amount == 0, "another process's heartbeats"
        return self.others.get(rank, alive)(self.own)


def alive(own: int) -> int:
    return own


def slow(own: int) -> int:
    return own // (LOOKS - 1)


def silent(own: int) -> int:
    return min(own, 3)


def never_heard(own: int) -> int:
    return 0


@pytest.mark.parametrize(
    ("others", "expected", "looks"),
    [
        ({}, None, 5 * LOOKS),
        ({0: slow}, None, 5 * LOOKS),
        ({2: silent}, 2, 3 + LOOKS),
        ({0: silent, 2: slow}, 0, 3 + LOOKS),
        ({0: never_heard, 2: silent}, 0, 1 + LOOKS),
    ],
)
def test_a_process_that_goes_silent_is_named(others, expected, looks: int):
    leaving = Event()
    counts = Counts(others, leaving, 5 * LOOKS)
    assert find_silent(SECOND_OF_THREE, counts.add, leaving, SILENCE) == expected
    assert counts.own == looks


def gone(name: str, amount: int) -> int:
    raise RuntimeError("Connection reset by peer")


def still(name: str, amount: int) -> int:
    return 7


@pytest.mark.parametrize(
    ("add", "is_leaving", "says"),
    [
        (still, False, f"process 0 has shown no sign of life for {SECONDS_OF_SILENCE} seconds"),
        (gone, False, "torchrun, or process 0, has ended or cannot be reached"),
        (gone, True, None),
    ],
)
def test_a_lost_process_ends_this_one_with_a_sentence(add, is_leaving, says, monkeypatch, capsys):
    leaving, ended = Event(), []
    # Set between the look and the answer, as where process 0 ends first.
    wait = leaving.wait
    monkeypatch.setattr(leaving, "wait", lambda seconds: is_leaving if seconds == 1 else wait(0))
    monkeypatch.setattr(heartbeats.os, "_exit", ended.append)
    watch_others(SECOND_OF_THREE, add, leaving)
    assert ended == ([] if says is None else [1])
    expected = "" if says is None else f"error: Process 1 of 3 ends, since {says}.\n"
    assert capsys.readouterr().err == expected
