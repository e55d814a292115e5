"""An interrupted and resumed training equals, bit for bit, one that never stopped."""

import json
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from conftest import TRAINERS, import_or_skip
from resuming import (
    PROBLEM,
    assert_same_epochs,
    assert_same_run,
    finish,
    interrupt,
    make_config,
    start,
)

from compare.parity.training import TRAJECTORY_TOLERANCE
from compare.run.command import RunConfig
from shared.config import Config
from shared.errors import UserError
from shared.params import save_params
from shared.training.resume import (
    check_unchanged,
    checkpoint_path,
    find_state,
    previous_path,
    read_config,
    resumed_config,
)
from shared.training.runs import RunFolder
from shared.training.states import load_state


@pytest.fixture(scope="module", params=TRAINERS)
def uninterrupted(
    request: pytest.FixtureRequest, tmp_path_factory
) -> tuple[ModuleType, str, RunFolder]:
    """An implementation, its name, and its training from start to end."""
    module = import_or_skip(request.param)
    config = make_config(tmp_path_factory.mktemp("runs"))
    return module, request.param, finish(module, request.param, config)


@pytest.mark.parametrize("steps", [2, 4, 6])
def test_a_resumed_training_is_the_uninterrupted_one(uninterrupted, steps: int, tmp_path: Path):
    """Stopped within the first epoch, at its last step but before its end, within the second."""
    module, name, expected = uninterrupted
    config = replace(expected.config, runs_dir=tmp_path)
    path = interrupt(module, name, config, steps)
    saved = load_state(checkpoint_path(path, name))
    assert (saved.epoch, len(saved.step_losses)) == ((steps - 1) // 4 + 1, (steps - 1) % 4 + 1)
    found = finish(module, name, replace(config, resume=path))
    assert found.path == path
    assert read_config(Config, path) == replace(config, resume=None)
    assert_same_run(found, expected, name)


def test_a_training_resumed_between_epochs_is_the_uninterrupted_one(uninterrupted, tmp_path: Path):
    module, name, expected = uninterrupted
    config = replace(expected.config, runs_dir=tmp_path)
    run, training = start(module, name, config)
    list(islice(training, 2))
    del training
    path = run.path
    del run
    # Left behind by a killed process: half a file, and one not yet written.
    (path / f".1234-{name}-checkpoint.safetensors").write_bytes(b"half")
    (path / f"{name}-final.safetensors").unlink()
    found = finish(module, name, replace(config, resume=path))
    assert not list(path.glob(".1234*"))
    assert_same_run(found, expected, name)


def test_more_epochs_can_be_asked_for_and_are_those_of_a_longer_run(uninterrupted, tmp_path: Path):
    module, name, expected = uninterrupted
    short = replace(expected.config, runs_dir=tmp_path, epochs=1)
    first = finish(module, name, short)
    path = first.path
    del first
    found = finish(module, name, replace(short, epochs=3, resume=path))
    assert_same_epochs(found.epochs[name], expected.epochs[name])


@pytest.mark.parametrize(("first", "then"), [TRAINERS, TRAINERS[::-1]])
def test_what_one_framework_began_the_other_finishes(first: str, then: str, tmp_path: Path):
    modules = {name: import_or_skip(name) for name in TRAINERS}
    config = make_config(tmp_path, dtype="float64", epochs=8)
    expected = finish(modules[first], first, config).epochs[first]
    path = interrupt(modules[first], first, config, steps=6)
    resumed = replace(config, resume=path, resume_from=first)
    run = finish(modules[then], then, resumed)
    found = run.epochs[then]
    assert len(found) == len(expected) == 8
    losses, wanted = (np.concatenate([e.step_losses for e in es]) for es in (found, expected))
    np.testing.assert_allclose(losses, wanted, rtol=TRAJECTORY_TOLERANCE)
    assert found[-1].adam.step == expected[-1].adam.step == 32
    for a, b in (
        (found[-1].params, expected[-1].params),
        (found[-1].adam.first_moment, expected[-1].adam.first_moment),
        (found[-1].adam.second_moment, expected[-1].adam.second_moment),
    ):
        for name in a:
            scale = np.abs(b[name]).max()
            assert np.abs(a[name] - b[name]).max() <= TRAJECTORY_TOLERANCE * scale, name
    lines = [json.loads(text) for text in (path / "metrics.jsonl").read_text().splitlines()]
    trained_by = [(line["implementation"], line["epoch"]) for line in lines]
    # The first epoch is part of both trainings.
    assert trained_by == [(first, 1), *((then, number) for number in range(1, 9))]


def test_of_old_epochs_the_numbers_alone_are_kept(uninterrupted):
    _, name, run = uninterrupted
    best = min(run.epochs[name], key=lambda epoch: epoch.validation.loss)
    for epoch in run.epochs[name]:
        assert bool(epoch.params) == (epoch is best or epoch is run.epochs[name][-1])
        assert len(epoch.step_losses) == 4


def test_the_checkpoint_before_the_newest_is_kept(uninterrupted, tmp_path: Path):
    module, name, expected = uninterrupted
    path = interrupt(module, name, replace(expected.config, runs_dir=tmp_path), steps=6)
    newest = checkpoint_path(path, name)
    steps = [load_state(p).adam.step for p in (newest, previous_path(newest))]
    assert steps == [6, 4]
    newest.write_bytes(newest.read_bytes()[:-1])
    saved, problem = find_state(path, name)
    assert saved.adam.step == 4
    assert problem is not None
    assert str(newest) in problem
    assert "Continuing from the one before it" in problem


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(
    uninterrupted, tmp_path: Path, capsys
):
    module, name, expected = uninterrupted
    config = replace(expected.config, runs_dir=tmp_path)
    path = interrupt(module, name, config, steps=6)
    newest = checkpoint_path(path, name)
    content = bytearray(newest.read_bytes())
    content[-20] ^= 4
    newest.write_bytes(content)
    found = finish(module, name, replace(config, resume=path))
    assert "is damaged: its checksum" in capsys.readouterr().err
    assert newest.with_name(f"{name}-checkpoint-damaged.safetensors").read_bytes() == content
    assert_same_epochs(found.epochs[name], expected.epochs[name])


def test_nothing_is_left_to_go_on_from_where_both_are_damaged(uninterrupted, tmp_path: Path):
    module, name, expected = uninterrupted
    config = replace(expected.config, runs_dir=tmp_path)
    path = interrupt(module, name, config, steps=2)
    for damaged in (checkpoint_path(path, name), previous_path(checkpoint_path(path, name))):
        damaged.write_bytes(damaged.read_bytes()[:1000])
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    with pytest.raises(UserError, match=rf"{name}-checkpoint-previous.*not a readable"):
        start(module, name, replace(config, resume=path))
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before


def test_what_is_to_be_tested_is_not_made_up_where_it_is_no_longer_kept(
    uninterrupted, tmp_path: Path
):
    """Killed after the best epoch's parameters were replaced, and resumed before that epoch."""
    module, name, expected = uninterrupted
    config = replace(expected.config, runs_dir=tmp_path)
    path = interrupt(module, name, config, steps=6)
    best = path / f"{name}-best.safetensors"
    save_params(best, PROBLEM.params, {"epoch": "3"})
    (path / f"{name}-final.safetensors").unlink()
    run, _ = start(module, name, replace(config, resume=path, epochs=1))
    with pytest.raises(
        UserError, match=r"no longer holds .* parameters of epoch 1, which would be"
    ):
        run.tested_epoch(name)


def test_epochs_whose_numbers_are_lost_are_named(uninterrupted, tmp_path: Path):
    module, name, expected = uninterrupted
    config = replace(expected.config, runs_dir=tmp_path)
    path = interrupt(module, name, config, steps=6)
    (path / "metrics.jsonl").unlink()
    with pytest.raises(UserError, match=r"does not hold the numbers of all epochs of .* before"):
        start(module, name, replace(config, resume=path))


def test_what_a_folder_names_is_not_run_or_written(uninterrupted, tmp_path: Path):
    """A run folder may be untrusted: paths and code come only from the command line."""
    module, name, expected = uninterrupted
    path = interrupt(module, name, replace(expected.config, runs_dir=tmp_path), steps=6)
    config = json.loads((path / "config.json").read_text())
    config |= {"implementation": ["evil"], "json": "/etc/passwd", "runs_dir": "/", "mnist_dir": "/"}
    (path / "config.json").write_text(json.dumps(config))
    resumed = resumed_config(RunConfig, path, None)
    assert resumed == replace(RunConfig(), **settings_of(resumed), resume=path)
    assert (resumed.implementation, resumed.json) == ((), None)
    with pytest.raises(
        UserError, match=r"--implementation is \(\): give \('evil',\), as in the run"
    ):
        check_unchanged(resumed)


def settings_of(config: Config) -> dict:
    """Return the settings that affect what is computed."""
    names = {field.name for field in fields(Config)} - {"runs_dir", "mnist_dir", "resume"}
    return {name: getattr(config, name) for name in names}
