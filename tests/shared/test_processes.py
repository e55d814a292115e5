"""A process's rank and its share of batches, and the detection of a lost connection."""

import pytest

from compare.__main__ import VERBS, main
from shared.errors import UserError
from shared.training.processes import Process, check_share, find_process, is_loss, meeting

ENVIRONMENT = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "10.0.0.1",
    "MASTER_PORT": "29500",
}


def test_a_place_is_read_from_the_environment():
    assert find_process({}) is None
    assert find_process(ENVIRONMENT) == Process(3, 4, 1, 2, "10.0.0.1", 29500)


@pytest.mark.parametrize(
    "wrong",
    [
        {"RANK": "4"},
        {"RANK": "-1"},
        {"RANK": "first"},
        {"LOCAL_RANK": "2"},
        {"LOCAL_WORLD_SIZE": "5"},
        {"MASTER_PORT": "any"},
        {"MASTER_PORT": "99999"},
        {"MASTER_PORT": "2047"},
        {"MASTER_ADDR": ""},
        {"WORLD_SIZE": None},
        {"MASTER_ADDR": None},
    ],
)
def test_a_place_that_cannot_be_gets_one_sentence(wrong: dict):
    environment = {k: v for k, v in (ENVIRONMENT | wrong).items() if v is not None}
    (name, value), *_ = wrong.items()
    with pytest.raises(
        UserError, match=f"do not describe one of several.*{name} '{value or ''}'.*torchrun"
    ):
        find_process(environment)


def test_an_uneven_share_is_refused():
    for devices in (1, 2, 4, 8, 16):
        check_share(16, devices)
    for devices in (3, 5, 32):
        with pytest.raises(UserError, match=f"batch size is 16, which {devices} devices cannot"):
            check_share(16, devices)


@pytest.mark.parametrize("args", [[], ["--epochs", "1"], *([verb] for verb in VERBS)])
def test_a_command_for_one_process_is_refused_in_several(args: list[str], monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="compare runs in one process, and WORLD_SIZE is '2'"):
        main([*args, "--help"])  # which would end at once


def test_what_a_library_raises_while_processes_meet_is_one_sentence():
    process = find_process(ENVIRONMENT)
    expected = (
        r"^Process 3 of 4 could not connect to the others at 10\.0\.0\.1, port 14750 \(in use\): "
    )
    with pytest.raises(UserError, match=expected), meeting(process, 14750):
        raise RuntimeError("in use.\nC++ stack")
    with pytest.raises(ValueError, match="a bug"), meeting(process, 14750):
        raise ValueError("a bug")


def test_a_lost_connection_is_told_from_an_error():
    assert is_loss(RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer"))
    assert is_loss(RuntimeError("INTERNAL: Gloo all-reduce failed: Read error"))
    assert not is_loss(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_loss(ValueError("connection"))
