"""Training: one step of Adam by hand, a hundred steps together, and weights carried across."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import DEVICES, FORMS, TRAINERS, Case, import_or_skip, skip_without_device

from compare.problems import make_dataset, make_problem
from shared import batches
from shared.checkpoints import load_params, save_params
from shared.config import Config
from shared.data import Dataset, load_data
from shared.params import initial_params


def adam_by_hand(
    params: dict[str, np.ndarray], gradients: dict[str, np.ndarray], learning_rate: float
) -> dict[str, np.ndarray]:
    """Take the first step of Adam (Kingma and Ba, 2015, algorithm 1) with its default settings."""
    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-8
    stepped = {}
    for name, gradient in gradients.items():
        mean = (1 - beta_1) * gradient / (1 - beta_1)
        square = (1 - beta_2) * gradient**2 / (1 - beta_2)
        stepped[name] = params[name] - learning_rate * mean / (np.sqrt(square) + epsilon)
    return stepped


def test_one_training_step_is_adam_by_hand(trainer_case: Case):
    problem = make_problem()
    config = Config(
        epochs=1,
        batch_size=len(problem.labels),
        attention=trainer_case.form,  # type: ignore[arg-type]
        dtype=trainer_case.dtype,  # type: ignore[arg-type]
        device=trainer_case.device,  # type: ignore[arg-type]
    )
    model = trainer_case.model(problem.params)
    _, gradients = trainer_case.module.loss_and_gradients(model, problem.images, problem.labels)
    (epoch,) = trainer_case.module.train(problem.params, make_dataset(problem), config)
    expected = adam_by_hand(problem.params, gradients, config.learning_rate)
    # float32: optax corrects the bias with 1 - 0.999 in float32, off by 6e-8 / 1e-3.
    relative = {"float64": 1e-12, "float32": 1e-4}[trainer_case.dtype]
    for name, array in epoch.params.items():
        moved = np.abs(expected[name] - problem.params[name]).max()
        assert moved > config.learning_rate / 2
        allowed = relative * moved + 4 * np.finfo(trainer_case.dtype).eps
        assert np.abs(array - expected[name]).max() <= allowed, name


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """The sample with 500 training images: a hundred batches of 5."""
    train = load_data("sample").train
    return Dataset(train=train.first(500), validation=train.first(20), test=train.first(20))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("form", FORMS["jax"])
def test_a_hundred_float64_steps_of_pytorch_and_jax_stay_within_1e_10(
    form: str, device: str, digits: Dataset
):
    config = Config(epochs=1, batch_size=5, attention=form, dtype="float64", device=device)  # type: ignore[arg-type]
    losses, params = {}, {}
    for name in TRAINERS:
        module = import_or_skip(name)
        skip_without_device(name, device)
        (epoch,) = module.train(initial_params(seed=3), digits, config)
        losses[name], params[name] = epoch.step_losses, epoch.params
    assert losses["pytorch"].shape == losses["jax"].shape == (100,)
    assert losses["pytorch"].dtype == losses["jax"].dtype == np.float64
    np.testing.assert_allclose(losses["jax"], losses["pytorch"], rtol=1e-10)
    assert losses["pytorch"][-10:].mean() < 0.7 * losses["pytorch"][:10].mean(), "nothing is learnt"


@pytest.mark.parametrize("channels", [1, 3])
def test_several_epochs_in_float64_stay_together(channels: int):
    """Both draw the same batches in the second epoch, and report the same numbers."""
    problem = make_problem(batch=23, channels=channels)
    config = Config(epochs=3, batch_size=5, dtype="float64")
    a, b = (
        list(import_or_skip(name).train(problem.params, make_dataset(problem), config))
        for name in TRAINERS
    )
    for epoch_a, epoch_b in zip(a, b, strict=True):
        np.testing.assert_allclose(epoch_a.step_losses, epoch_b.step_losses, rtol=1e-10)
        assert epoch_a.validation.loss == pytest.approx(epoch_b.validation.loss, rel=1e-10)
        assert epoch_a.validation.accuracy == pytest.approx(epoch_b.validation.accuracy, abs=1e-7)
        assert epoch_a.train_accuracy == pytest.approx(epoch_b.train_accuracy, abs=1e-7)
        assert epoch_a.train_loss == pytest.approx(epoch_a.step_losses.mean(), rel=1e-6)
        assert epoch_b.train_loss == pytest.approx(epoch_b.step_losses.mean(), rel=1e-6)
        for name in problem.params:
            np.testing.assert_allclose(epoch_a.params[name], epoch_b.params[name], atol=1e-10)
    assert not np.array_equal(a[0].step_losses, a[1].step_losses)


def test_training_in_parts_is_training_in_one_go(trainer, monkeypatch):
    problem = make_problem(batch=23)
    config = Config(epochs=2, batch_size=3, dtype="float64")
    whole, parts = [], []
    for epochs, steps in ((whole, 125), (parts, 2)):
        monkeypatch.setattr(batches, "STEPS_AT_ONCE", steps)
        heard = []
        epochs += trainer.train(
            problem.params,
            make_dataset(problem),
            config,
            lambda number, loss, heard=heard: heard.append((number, float(loss))),
        )
        assert sum(number for number, _ in heard) == 14
        assert heard[-1][1] == epochs[-1].step_losses[-1]
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a.step_losses, b.step_losses)
        assert a.train_accuracy == b.train_accuracy


@pytest.mark.parametrize("accuracy", ["micro", "macro"])
def test_the_accuracy_of_training_is_the_same_number(accuracy: str):
    problem = make_problem(batch=23)
    config = Config(epochs=1, batch_size=5, dtype="float64", accuracy=accuracy)  # type: ignore[arg-type]
    a, b = (
        next(import_or_skip(name).train(problem.params, make_dataset(problem), config))
        for name in TRAINERS
    )
    assert a.train_accuracy == pytest.approx(b.train_accuracy, abs=1e-6)
    assert a.validation.accuracy == pytest.approx(b.validation.accuracy, abs=1e-6)


def test_the_epochs_of_training_are_snapshots(trainer):
    """A snapshot that aliased the live weights would change as training goes on."""
    problem = make_problem(batch=11)
    training = trainer.train(problem.params, make_dataset(problem), Config(epochs=2, batch_size=5))
    first = next(training)
    kept = {name: array.copy() for name, array in first.params.items()}
    second = next(training)
    for name, array in kept.items():
        np.testing.assert_array_equal(first.params[name], array)
        assert not np.array_equal(second.params[name], array)


@pytest.mark.parametrize("reader", ["pytorch", "jax", "numpy"])
def test_weights_saved_by_one_framework_load_in_each_other(trainer, reader: str, tmp_path):
    problem = make_problem(batch=11)
    config = Config(epochs=1, batch_size=5, dtype="float64")
    (epoch,) = trainer.train(problem.params, make_dataset(problem), config)
    save_params(tmp_path / "weights.safetensors", epoch.params)
    params, _ = load_params(tmp_path / "weights.safetensors")
    module = import_or_skip(reader)
    model = module.from_params(params, dtype="float64")
    result = module.evaluate(model, problem.images, problem.labels)
    np.testing.assert_allclose(result.logits, epoch.validation.logits, rtol=1e-12)
    for name, array in module.to_params(model).items():
        np.testing.assert_array_equal(array, epoch.params[name])


@pytest.mark.parametrize("accuracy", ["micro", "macro"])
def test_a_loss_that_is_nan_makes_the_mean_nan(trainer, accuracy: str):
    """TorchMetrics leaves NaN out of a mean unless told not to; a training gone wrong must show."""
    problem = make_problem(batch=4)
    images = problem.images.copy()
    images[1] = np.nan
    data = make_dataset(problem)
    train = replace(data.train, images=images)
    config = Config(epochs=1, batch_size=2, attention="looped", accuracy=accuracy)  # type: ignore[arg-type]
    (epoch,) = trainer.train(problem.params, replace(data, train=train), config)
    assert np.isnan(epoch.step_losses).any()
    assert np.isnan(epoch.train_loss)
