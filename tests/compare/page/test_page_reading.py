"""The page's reading of a run folder, which may be untrusted: it is checked, and refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from page_runs import draw_params, make_epochs, make_run

from compare.page.command import write_page
from compare.page.run_result import read_run
from shared.errors import UserError
from shared.params import save_params
from shared.training.metrics import STEP_LOSSES, read_step_losses, save_step_losses

(EPOCH,) = make_epochs(1.0)


def edited(**changes: object):
    """Edit a result.json: `parity__passed=1` changes result["parity"]["passed"]."""

    def edit(text: str) -> str:
        result = json.loads(text)
        for path, value in changes.items():
            *parents, name = path.split("__")
            place = result
            for parent in parents:
                place = place[parent]
            place[name] = value
        return json.dumps(result)

    return edit


@pytest.mark.parametrize(
    ("edit", "wrong"),
    [
        (lambda text: text[: len(text) // 2], "truncated"),
        (lambda text: "", "truncated"),
        (lambda text: '{"more": ' + "[" * 100_000, "recursion"),
        (lambda text: "[]", "Expected `object`, got `array`"),
        (lambda text: "{}", "missing required field `parity`"),
        (edited(parity__passed="yes"), r"\$\.parity\.passed"),
        (edited(parity__verdict=3), r"\$\.parity\.verdict"),
        (edited(parity__verdict="\ud800"), "malformed"),
        (edited(implementations={"../../etc": {}}), r"`key` in `\$\.implementations"),
        (edited(implementations__jax__epochs="x"), r"\.epochs"),
        (edited(implementations__jax__test_accuracy="1"), r"\.test_accuracy"),
        (edited(implementations__jax__test_accuracy=1.5), r"<= 1.0 - at .*\.test_accuracy"),
        (edited(implementations__jax__test_loss=10**309), r"out of range - at .*\.test_loss"),
        (edited(config__normalization="a\x1b" * 999), r"\.\.\..*\$\.config\.normalization"),
        (edited(config__num_channels=1.5), r"\$\.config\.num_channels"),
        (edited(config__num_channels=True), r"\$\.config\.num_channels"),
        (edited(config__num_channels=0), r"--num-channels is 0.*\$\.config"),
        (edited(config__num_channels=10**309), r"--num-channels is 1.*0: give 1000000000 or less"),
        (edited(implementations__jax__epochs=[EPOCH | {"epoch": 10**309}]), r"<= 9007.*\.epoch"),
        (edited(implementations__jax__epochs=[EPOCH | {"train_seconds": 0}]), r"\.train_seconds"),
        (edited(versions={"numpy": 2}), r"\$\.versions"),
    ],
)
def test_a_truncated_or_other_result_is_one_sentence(edit, wrong: str, tmp_path: Path):
    run, _ = make_run(tmp_path / "run")
    path = run / "result.json"
    path.write_text(edit(path.read_text()))
    said = f"result.json cannot be read: .*{wrong}.*; give a result.json of `python -m compare run`"
    with pytest.raises(UserError, match=said) as error:
        read_run(run)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("name", ["constructor", "__proto__", "hasOwnProperty"])
def test_an_implementation_may_have_any_name(name: str, tmp_path: Path):
    run, data = make_run(tmp_path / "run")
    path = run / "result.json"
    path.write_text(path.read_text().replace('"jax"', json.dumps(name)))
    (run / "jax-best.safetensors").rename(run / f"{name}-best.safetensors")
    assert f">{name}</th>" in write_page(run, data, {}).read_text()


def test_a_folder_that_is_no_run_is_one_sentence(tmp_path: Path):
    with pytest.raises(UserError, match=r"There is no run folder .*: make one with"):
        read_run(tmp_path / "gone")
    with pytest.raises(UserError, match=r"Could not read .*result.json: No such file"):
        read_run(tmp_path)


def test_weights_of_another_run_are_refused(tmp_path: Path):
    run, _ = make_run(tmp_path / "run")
    save_params(run / "jax-best.safetensors", draw_params(3, 0))
    with pytest.raises(UserError, match="784 pixels, 3 channels and 10 outputs"):
        read_run(run)
    save_params(run / "jax-best.safetensors", draw_params(1, 0, "float64"))
    with pytest.raises(UserError, match=r"is in float64, but the run's .* float32: they are not"):
        read_run(run)
    (run / "jax-best.safetensors").unlink()
    with pytest.raises(UserError, match=r"There is no checkpoint .*jax-best"):
        read_run(run)


def test_too_many_channels_for_a_page_is_one_sentence(tmp_path: Path):
    run, data = make_run(tmp_path / "run", num_channels=90)
    with pytest.raises(UserError, match="with 90 channels, take"):
        write_page(run, data, {})
    assert not (run / "page.html").exists()


def test_losses_of_steps_are_kept_and_another_file_is_refused(tmp_path: Path):
    losses = {"jax": np.array([2.5, 1.0], dtype=np.float32), "pytorch": np.array([2.5, 1.25])}
    assert read_step_losses(tmp_path) == {}
    save_step_losses(tmp_path, losses)
    found = read_step_losses(tmp_path)
    assert {name: array.tolist() for name, array in found.items()} == {
        "jax": [2.5, 1.0],
        "pytorch": [2.5, 1.25],
    }
    (tmp_path / STEP_LOSSES).write_bytes(b"\x80\x04pickle")
    with pytest.raises(UserError, match="is not a readable safetensors file"):
        read_step_losses(tmp_path)
    save_step_losses(tmp_path, {"jax": np.ones((2, 2))})
    with pytest.raises(UserError, match="does not hold the losses of steps"):
        read_step_losses(tmp_path)
