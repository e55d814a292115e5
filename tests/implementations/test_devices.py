"""Every form, gradient and training step stays on the device it was given; no GPU is needed.

PyTorch computes on `meta`, where an operation that mixes devices raises; JAX on the second of two
devices made of the CPU.
"""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from conftest import FORMS, import_or_skip

from compare.expected.problems import make_problem

ROOT = Path(__file__).resolve().parents[2]
PARAMS, IMAGES, LABELS = make_problem(6, 7, 3, 5)


@pytest.mark.parametrize("form", FORMS["pytorch"])
def test_pytorch_stays_on_meta(form: str):
    pytorch = import_or_skip("pytorch")
    import torch

    from pytorch_impl.convert import to_batch
    from pytorch_impl.metrics import measure_accuracy
    from pytorch_impl.train import train_steps

    model = pytorch.from_params(PARAMS, form, "float32", "meta")
    optimizer = torch.optim.Adam(model.parameters())
    batches = torch.empty((3, 2), dtype=torch.int64, device="meta")
    images, labels = to_batch(model, IMAGES, LABELS)
    losses, logits = train_steps(model, optimizer, images, labels, batches)
    accuracies = measure_accuracy(logits, labels[batches], "micro")
    moments = [kept["exp_avg"] for kept in optimizer.state.values()]
    gradients = [parameter.grad for parameter in model.parameters()]
    pixels = vars(images).values() if form == "histogram" else [images]
    for tensor in (*pixels, labels, losses, logits, accuracies, *gradients, *moments):
        assert tensor.device.type == "meta"
    assert len(moments) == len(gradients) == 5


def test_both_averages_of_pytorchs_histogram_stay_on_meta():
    pytorch = import_or_skip("pytorch")
    from pytorch_impl.convert import to_batch
    from pytorch_impl.forms import average_by_one_table, average_by_table_each

    model = pytorch.from_params(PARAMS, "histogram", "float32", "meta")
    x, _ = to_batch(model, IMAGES, LABELS)
    value = x.levels @ model.V
    for average in (average_by_one_table, average_by_table_each):
        by_level = average(x.levels @ model.Q @ (x.levels @ model.K).mT, x.counts, value)
        assert by_level.device.type == x.indices.device.type == "meta"
        assert by_level.shape == (6, len(x.levels), 3)


ON_THE_SECOND = """
import sys
from unittest.mock import patch
import jax, numpy as np
import jax_impl
from compare.expected.problems import make_dataset, make_problem
from flax import nnx
from jax_impl import convert, train
from shared.config import Config
from shared.training.records import begin_training

first, second = jax.devices()
params, images, labels = problem = make_problem(6, 7, 3, 5)
start = begin_training(params, "float32")

def assert_second(what, tree):
    for array in jax.tree.leaves(tree):
        assert array.devices() == {second}, f"{what} is on {array.devices()}"

with patch.object(convert, "find_device", lambda name: second):
    for form in sys.argv[1:]:
        model = jax_impl.from_params(params, form)
        x, targets = convert.to_batch(model, images, labels)
        assert_second("the batch", (x, targets))
        assert_second("the logits", train.predict(model, x, np.arange(3)))
        assert_second("the gradient", train.differentiate(model, x, targets))
        config = Config(attention=form, batch_size=2)
        training = jax_impl.Training(start.params, start.adam, make_dataset(problem).train, config)
        training.take_steps(np.array([[0, 1], [2, 3], [4, 5]]))
        assert_second("the state", nnx.state((training.model, training.optimizer)))
print("all of", len(sys.argv) - 1)
"""


def test_jax_stays_on_the_second_of_two_devices():
    import_or_skip("jax")
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    env |= {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-c", ON_THE_SECOND, *FORMS["jax"]]
    process = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200)
    assert process.stdout == f"all of {len(FORMS['jax'])}\n", process.stderr


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["pytorch", "jax"])
def test_data_on_the_device_are_copies(name: str, dtype: str):
    module = import_or_skip(name)
    convert = sys.modules[f"{module.__name__}.convert"]
    model = module.from_params(PARAMS, "looped", dtype)
    images, labels = IMAGES.astype(dtype), LABELS.copy()
    with getattr(convert, "computing_in", nullcontext)(dtype):
        x, targets = convert.to_batch(model, images, labels)
        images[...], labels[...] = 0, 0
        assert np.asarray(x).any()
        np.testing.assert_array_equal(np.asarray(targets), LABELS)
