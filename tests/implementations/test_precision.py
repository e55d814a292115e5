"""float64 in JAX is scoped: it does not change how the rest of the process computes."""

import numpy as np
from conftest import import_or_skip

from compare.expected.problems import few_levels, make_dataset, make_problem
from compare.parity.common import config_of
from compare.parity.intermediates import Case
from shared.training.loop import train

PROBLEM = few_levels(make_problem(23, 7, 3, 5), 13)


def train_in(dtype: str) -> dict[str, bytes]:
    """Train JAX for two epochs; return the bytes of all results."""
    config = config_of(Case("jax", "histogram", dtype), epochs=2, batch_size=5)
    *_, last = train(import_or_skip("jax"), PROBLEM.params, make_dataset(PROBLEM), config)
    arrays = {**last.params, **{f"m.{n}": a for n, a in last.adam.first_moment.items()}}
    return {n: a.tobytes() for n, a in arrays.items()} | {"losses": last.step_losses.tobytes()}


def test_float32_is_trained_alike_before_and_after_float64():
    before = train_in("float32")
    assert train_in("float64") != before
    assert train_in("float32") == before


def test_a_user_who_turned_64_bits_on_trains_float32_alike():
    import_or_skip("jax")
    import jax

    before = train_in("float32")
    with jax.enable_x64(True):
        assert train_in("float32") == before


def test_no_call_leaves_64_bits_on():
    jax_impl = import_or_skip("jax")
    import jax

    assert not jax.config.jax_enable_x64
    model = jax_impl.from_params(PROBLEM.params, "vectorized", "float64")
    assert not jax.config.jax_enable_x64
    result = jax_impl.evaluate(model, PROBLEM.images, PROBLEM.labels)
    assert not jax.config.jax_enable_x64
    _, gradients = jax_impl.loss_and_gradients(model, PROBLEM.images, PROBLEM.labels)
    assert not jax.config.jax_enable_x64
    assert result.logits.dtype == gradients["K"].dtype == np.float64
    config = config_of(Case("jax", "vectorized", "float64"), epochs=1, batch_size=5)
    training = train(jax_impl, PROBLEM.params, make_dataset(PROBLEM), config)
    assert next(training).params["K"].dtype == np.float64
    assert not jax.config.jax_enable_x64, "nor does a training that is under way"
