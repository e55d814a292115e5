"""The models' contract: parameters in and out, checks, copies, names, and the original's class."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import PACKAGES, import_or_skip
from kinds import FLOATS, NO_NUMBERS

from compare.expected.problems import make_problem
from shared.errors import UserError
from shared.params import PARAM_NAMES, initial_params


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_come_out_as_they_went_in(implementation, dtype: str):
    params = make_problem().params
    found = implementation.to_params(implementation.from_params(params, dtype=dtype))
    assert tuple(found) == PARAM_NAMES
    for name, array in params.items():
        assert found[name].dtype == dtype
        # In the memory layout of a loaded file, or a resumed run would round differently.
        assert found[name].flags.c_contiguous
        np.testing.assert_array_equal(found[name], array)


def test_a_model_holds_a_copy_of_what_it_is_given(implementation):
    problem = make_problem()
    params = {name: array.copy() for name, array in problem.params.items()}
    model = implementation.from_params(params, dtype="float64")
    for array in params.values():
        array[...] = 0
    found = implementation.to_params(model)
    for name, array in problem.params.items():
        np.testing.assert_array_equal(found[name], array)


def test_what_a_model_hands_out_is_a_copy(implementation):
    model = implementation.from_params(make_problem().params, dtype="float64")
    for array in implementation.to_params(model).values():
        array[...] = 0
    assert all(array.any() for array in implementation.to_params(model).values())


def new_model(name: str, attend: Callable) -> Any:
    """Return a model built as a user of the framework would."""
    module = import_or_skip(name)
    if name == "jax":
        from flax import nnx

        return module.SelfAttentionModel(7, 3, 5, attend, rngs=nnx.Rngs(0))
    if name == "numpy":
        return module.SelfAttentionModel(7, 3, 5, attend, rng=np.random.default_rng(0))
    return module.SelfAttentionModel(7, 3, 5, attend)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_new_model_maps_images_to_logits_in_every_form(name: str):
    module = import_or_skip(name)
    images = make_problem().images
    for attend in module.ATTENTION.values():
        model = new_model(name, attend)
        result = module.evaluate(model, images, np.zeros(2, int))
        assert result.logits.shape == (2, 5)
        found = module.to_params(model)
        assert all(np.abs(found[key]).max() <= 1 / math.sqrt(3) for key in "KQV")
        assert all(found[key].std() > 0.05 for key in "KQV")


def without(name: str) -> dict[str, np.ndarray]:
    return {key: array for key, array in make_problem().params.items() if key != name}


def replaced(name: str, array: Any) -> dict[str, np.ndarray]:
    return make_problem().params | {name: array}


WRONG_PARAMS = {
    "missing": (without("V"), "missing: V; unknown: none"),
    "unknown": (replaced("W", np.zeros(3)), "missing: none; unknown: W"),
    "shape_of_Q": (replaced("Q", np.zeros((3, 2))), r"Q has shape \(3, 2\): it must be \(3, 3\)"),
    "flat_K": (replaced("K", np.zeros(9)), "K has shape .* must be .channels, channels."),
    "turned": (replaced("out.weight", np.zeros((21, 5))), "second axis must be steps|out.bias has"),
    "short_bias": (replaced("out.bias", np.zeros(4)), r"out.bias has shape \(4,\)"),
    "integers": (replaced("K", np.zeros((3, 3), int)), "K has dtype int64"),
    "nan": (replaced("V", np.full((3, 3), np.nan)), "V holds NaN or infinity"),
}


@pytest.mark.parametrize("wrong", WRONG_PARAMS)
def test_wrong_parameters_are_refused_by_name(implementation, wrong: str):
    params, sentence = WRONG_PARAMS[wrong]
    with pytest.raises(UserError, match=sentence):
        implementation.from_params(params)


@pytest.mark.parametrize("kind", FLOATS)
def test_floating_point_numbers_of_any_kind_are_parameters(implementation, kind: str):
    # Whole, so that the smallest dtype holds them too.
    params = {name: np.round(array) for name, array in make_problem().params.items()}
    given = {name: FLOATS[kind](array) for name, array in params.items()}
    for dtype in ("float32", "float64"):
        found = implementation.to_params(implementation.from_params(given, dtype=dtype))
        for name, array in params.items():
            assert found[name].dtype == dtype
            np.testing.assert_array_equal(found[name], array)


NO_PARAMS = {
    **NO_NUMBERS,
    "int64": (np.int64, "has dtype int64: give floating-point numbers"),
    "None": (lambda _: None, "has dtype object: give floating-point numbers"),
}


@pytest.mark.parametrize("kind", NO_PARAMS)
def test_what_is_no_parameter_is_refused_alike(implementation, kind: str):
    convert, sentence = NO_PARAMS[kind]
    with pytest.raises(UserError, match=f"Parameter V {sentence.replace('have', 'has')}"):
        implementation.from_params(replaced("V", convert(make_problem().params["V"])))


@pytest.mark.parametrize("params", [None, [1.0], "KQV", {1: 2.0}])
def test_what_is_no_dict_of_parameters_is_refused_alike(implementation, params: Any):
    with pytest.raises(UserError, match=r"parameters must be K, Q, V, out.weight, out.bias; miss"):
        implementation.from_params(params)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"attention": "flash"},
            "attention 'flash' is unknown: choose looped or vectorized",
        ),
        *(
            ({"dtype": dtype}, f"dtype '{dtype}' is unknown: choose float32 or float64")
            for dtype in ("int32", "complex64", "float16", "float31")
        ),
        ({"device": "gpu"}, "'gpu'.*(choose cpu or cuda|use --device cpu)"),
        ({"device": None}, "None.*(choose cpu or cuda|use --device cpu)"),
    ],
)
def test_a_model_that_there_is_none_of_is_refused(implementation, options: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        implementation.from_params(make_problem().params, **options)


def test_numpy_has_no_builtin_form_and_no_gpu():
    numpy_reference = import_or_skip("numpy")
    with pytest.raises(UserError, match="attention 'builtin' is unknown"):
        numpy_reference.from_params(make_problem().params, attention="builtin")
    with pytest.raises(UserError, match="only on the CPU"):
        numpy_reference.from_params(make_problem().params, device="cuda")


def test_the_originals_class_loads_our_checkpoint_and_gives_the_same_logits():
    """A class of the original's shape: square K, Q, V and a linear layer called `out`."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytorch_impl = import_or_skip("pytorch")

    class SeedShaped(torch.nn.Module):
        def __init__(self, steps: int, channels: int, outputs: int) -> None:
            super().__init__()
            for name in "KQV":
                setattr(self, name, torch.nn.Parameter(torch.zeros(channels, channels)))
            self.out = torch.nn.Linear(steps * channels, outputs)

        def forward(self, x):
            rows = []
            for one in x:
                table = (one @ self.Q) @ (one @ self.K).T / math.sqrt(one.shape[1])
                rows.append(torch.softmax(table, 1) @ (one @ self.V))
            return self.out(torch.flatten(torch.stack(rows), 1))

    params = initial_params(seed=5)
    images = np.random.default_rng(0).normal(size=(3, 784, 1)).astype(np.float32)
    ours = pytorch_impl.from_params(params)
    seed = SeedShaped(784, 1, 10)
    assert {k: v.shape for k, v in seed.state_dict().items()} == {
        k: v.shape for k, v in ours.state_dict().items()
    }
    seed.load_state_dict(ours.state_dict())
    with torch.inference_mode():
        expected, found = (model(torch.tensor(images)) for model in (seed, ours))
    assert torch.equal(expected, found)


def test_initial_parameters_are_uniform_and_reproducible():
    a, b = initial_params(seed=1), initial_params(seed=1)
    assert all(np.array_equal(a[name], b[name]) for name in PARAM_NAMES)
    assert not np.array_equal(a["out.weight"], initial_params(seed=2)["out.weight"])
    weight = a["out.weight"] * 28
    assert np.abs(weight).max() <= 1
    assert abs(weight.mean()) < 0.02
    assert weight.std() == pytest.approx(1 / math.sqrt(3), rel=0.02)
    assert all(np.array_equal(x, x.astype(np.float32)) for x in a.values())
