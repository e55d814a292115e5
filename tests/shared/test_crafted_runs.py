"""A run folder may be crafted, with right checksums and wrong numbers: all are checked."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import import_or_skip
from resuming import assert_same_epochs, finish, interrupt, make_config, start

from shared.errors import UserError
from shared.files import load_arrays, save_arrays
from shared.params import load_params, save_params
from shared.training.metrics import STEP_LOSSES, read_step_losses, save_step_losses
from shared.training.records import Epoch
from shared.training.resume import checkpoint_path
from shared.training.states import KEY

NAME = "pytorch"  # only shared code is checked here


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Path, list[Epoch]]:
    """Return a run's folder, stopped after two steps of its second epoch, and its whole epochs."""
    trainer = import_or_skip(NAME)
    config = make_config(tmp_path_factory.mktemp("runs"))
    whole = finish(trainer, NAME, config).epochs[NAME]
    return interrupt(trainer, NAME, config, steps=6), whole


@pytest.fixture
def run(original: tuple[Path, list[Epoch]], tmp_path: Path) -> Path:
    return shutil.copytree(original[0], tmp_path / "run")


def resume(run: Path, begin=start):
    config = make_config(run.parent, resume=run)
    return begin(import_or_skip(NAME), NAME, config)


def crafted(path: Path, metadata: dict[str, str]) -> None:
    """Change a checkpoint's metadata, and keep its checksum right."""
    arrays, found = load_arrays(path)
    save_arrays(path, arrays, found | metadata)


HEADER = '{"format": 2, "epoch": %s, "adam_step": %s, "seconds": 0.5}'


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (
            HEADER % (2, 7),
            "does not belong to this run: it was saved after 7 steps, 2 of them in epoch 2",
        ),
        (
            HEADER % (10**9, 6),
            "does not belong to this run: it was saved after 6 steps, 2 of them in epoch 10",
        ),
        (HEADER % (2, "1" * 309), "is not a training checkpoint: Expected `int` <="),
        (HEADER % (2, "[" * 100_000), "is not a training checkpoint: "),
    ],
)
def test_a_run_goes_on_from_the_checkpoint_before_a_crafted_one(
    header: str, why: str, run: Path, original, capsys
):
    crafted(checkpoint_path(run, NAME), {KEY: header})
    found = resume(run, finish)
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1
    assert_same_epochs(found.epochs[NAME], original[1])


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(run: Path, monkeypatch):
    before = {path.name: path.read_bytes() for path in run.glob("*.safetensors")}
    newest, open_file = checkpoint_path(run, NAME), Path.open

    def refuse(self: Path, *args, **kwargs):  # as the system does, but for root
        if self == newest:
            raise PermissionError(13, "Permission denied")
        return open_file(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        with pytest.raises(UserError, match=r"Could not read .*: Permission denied; make it read"):
            resume(run)
    assert {path.name: path.read_bytes() for path in run.glob("*.safetensors")} == before


def edit_line(path: Path, **changes: object) -> None:
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | changes), *others]) + "\n")


def round_final(path: Path) -> None:
    params, metadata = load_params(path)
    save_params(path, {key: array.astype("float64") for key, array in params.items()}, metadata)


def spoil_losses(path: Path) -> None:
    save_step_losses(path.parent, {n: a * np.nan for n, a in read_step_losses(path.parent).items()})


@pytest.mark.parametrize(
    ("file", "spoil", "why"),
    [
        ("metrics.jsonl", partial(edit_line, train_seconds=0), r"> 0.* - at `\$\.train_seconds`"),
        ("metrics.jsonl", partial(edit_line, epoch=10**309), r"<= 9007.* - at `\$\.epoch`"),
        ("metrics.jsonl", partial(edit_line, epoch=2), "does not hold the numbers of all epochs"),
        (STEP_LOSSES, spoil_losses, "does not hold the losses of steps: .* must be finite"),
        (f"{NAME}-final.safetensors", round_final, "does not have the run's shapes and"),
    ],
)
def test_what_a_folder_says_of_finished_epochs_is_checked(file: str, spoil, why: str, run: Path):
    spoil(run / file)
    with pytest.raises(UserError, match=why):
        resume(run)
