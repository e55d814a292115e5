"""metrics.jsonl: its lines are read, and wrong ones are refused."""

import json
from pathlib import Path

import pytest

from shared.errors import UserError
from shared.training import metrics
from shared.training.metrics import EpochLine, read_metrics

EPOCH = {
    "implementation": "jax",
    "epoch": 1,
    "train_loss": None,
    "train_accuracy": 0.5,
    "val_loss": 0.9,
    "val_accuracy": 1,
    "train_seconds": 0.1,
    "samples_per_second": 1e4,
}
TEST = {"implementation": "numpy", "params_of": "jax", "test_loss": 0.7, "test_accuracy": 0.25}


def test_a_line_is_an_epoch_or_a_test_and_may_hold_more(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    path.write_text("".join(json.dumps(line | {"new": [1]}) + "\n" for line in (EPOCH, TEST)))
    assert read_metrics(path) == [EpochLine(**EPOCH), metrics.TestLine(**TEST)]
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        UserError, match=r"Could not read .*folder: it is not a regular file; make it"
    ):
        read_metrics(tmp_path / "folder")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("", "truncated"),
        (b"\xff", "malformed"),
        ('{"new": ' + "[" * 100_000, "recursion"),
        ("[1]", "Expected `object`, got `array`"),
        (TEST | {"implementation": "\ud800"}, "malformed"),
        (TEST | {"implementation": "../jax"}, r"regex .* - at `\$\.implementation`"),
        (TEST | {"test_loss": 10**309}, r"out of range - at `\$\.test_loss`"),
        (TEST | {"test_accuracy": 1.5}, r"<= 1.0 - at `\$\.test_accuracy`"),
        (EPOCH | {"epoch": True}, r"got `bool` - at `\$\.epoch`"),
        ({"epoch": 1}, "missing required field `implementation`"),
    ],
)
def test_a_line_that_is_none_of_metrics_is_named_or_left_out(line, wrong: str, tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    text = line if isinstance(line, str | bytes) else json.dumps(line)
    text = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(json.dumps(EPOCH).encode() + b"\n" + text + b"\n")
    with pytest.raises(UserError, match=f"Line 2 of .* cannot be read: .*{wrong}.*; remove that"):
        read_metrics(path)
    assert read_metrics(path, skip_damaged=True) == [EpochLine(**EPOCH)]


@pytest.mark.parametrize("name", ["constructor", "__proto__", "elsewhere.model"])
def test_an_implementation_may_have_any_name_of_a_module(name: str, tmp_path: Path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(TEST | {"implementation": name}))
    assert read_metrics(tmp_path / "metrics.jsonl")[0].implementation == name
