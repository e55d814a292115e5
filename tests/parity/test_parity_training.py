"""Training: a hundred steps on real digits, training in parts, and transferred parameters."""

import numpy as np
import pytest
from conftest import TRAINERS, import_or_skip

from compare.expected.bounds import ARITHMETIC
from compare.expected.exact import expect_logits
from compare.expected.problems import make_dataset, make_problem
from compare.parity.comparison import hold_against
from compare.parity.training import TRAJECTORY_TOLERANCE
from shared.config import Config
from shared.data import batches
from shared.data.load import Dataset, load_data
from shared.params import initial_params, load_params, save_params
from shared.training.loop import train


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """The sample with 500 training images: a hundred batches of 5."""
    train = load_data("sample").train
    return Dataset(train=train.first(500), validation=train.first(20), test=train.first(20))


@pytest.mark.parametrize("form", ["looped", "histogram"])  # the check `trajectory` takes all
def test_a_hundred_float64_steps_of_pytorch_and_jax_stay_together(
    form: str, common_device: str, digits: Dataset
):
    config = Config(epochs=1, batch_size=5, attention=form, dtype="float64", device=common_device)  # type: ignore[arg-type]
    losses, params = {}, {}
    for name in TRAINERS:
        module = import_or_skip(name)
        (epoch,) = train(module, initial_params(seed=3), digits, config)
        losses[name], params[name] = epoch.step_losses, epoch.params
    assert losses["pytorch"].shape == losses["jax"].shape == (100,)
    assert losses["pytorch"].dtype == losses["jax"].dtype == np.float64
    np.testing.assert_allclose(losses["jax"], losses["pytorch"], rtol=TRAJECTORY_TOLERANCE)
    assert losses["pytorch"][-10:].mean() < 0.7 * losses["pytorch"][:10].mean(), "nothing is learnt"


def test_training_in_parts_is_training_in_one_go(trainer, monkeypatch):
    problem = make_problem(batch=23)
    config = Config(epochs=2, batch_size=3, dtype="float64")
    whole, parts = [], []
    for epochs, steps in ((whole, 125), (parts, 2)):
        monkeypatch.setattr(batches, "STEPS_AT_ONCE", steps)
        heard = []
        epochs += train(
            trainer,
            problem.params,
            make_dataset(problem),
            config,
            on_part=lambda steps, epoch, heard=heard: heard.append((steps, epoch.losses[-1])),
        )
        assert sum(number for number, _ in heard) == 14
        assert heard[-1][1] == epochs[-1].step_losses[-1]
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a.step_losses, b.step_losses)
        assert a.train_accuracy == b.train_accuracy


@pytest.mark.parametrize("reader", ["pytorch", "jax", "numpy"])
def test_weights_saved_by_one_framework_load_in_each_other(trainer, reader: str, tmp_path):
    problem = make_problem(batch=11)
    config = Config(epochs=1, batch_size=5, dtype="float64")
    (epoch,) = train(trainer, problem.params, make_dataset(problem), config)
    save_params(tmp_path / "weights.safetensors", epoch.params)
    params, _ = load_params(tmp_path / "weights.safetensors")
    module = import_or_skip(reader)
    model = module.from_params(params, dtype="float64")
    result = module.evaluate(model, problem.images, problem.labels)
    expected = expect_logits(params, problem.images, ARITHMETIC["float64"])
    for found in (result.logits, epoch.validation.logits):
        check = hold_against("logits", reader, found, expected)
        assert check.passed, check
    for name, array in module.to_params(model).items():
        np.testing.assert_array_equal(array, epoch.params[name])
