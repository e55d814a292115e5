"""The findings of `diagnose` about two programs, and the cases that it cannot decide."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from compare import assert_same_function, diagnose
from shared.errors import UserError

X = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
WEIGHT = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)
TORCH_WEIGHT, JAX_WEIGHT = torch.from_numpy(WEIGHT), jnp.asarray(WEIGHT)
TABLE = np.random.default_rng(2).standard_normal((11, 5)).astype(np.float32)
TORCH_TABLE, JAX_TABLE = torch.from_numpy(TABLE), jnp.asarray(TABLE)


def in_torch(x):
    hidden = x @ TORCH_WEIGHT
    return torch.tanh(hidden)


def in_jax(tokens):
    return jnp.tanh(tokens @ JAX_WEIGHT)


def in_numpy(a):
    b = a @ WEIGHT
    return np.tanh(b)


def in_jax_before(tokens):
    return tokens @ JAX_WEIGHT


def in_numpy_before(a):
    return a @ WEIGHT


def scaled_in_jax(tokens):
    projected = tokens @ (1.001 * JAX_WEIGHT)
    return jnp.tanh(projected)


def turned_in_numpy(a):
    projected = (a @ WEIGHT).reshape(5, 7).T
    return np.tanh(projected)


@pytest.mark.parametrize("right", [in_torch, in_jax, in_numpy])
@pytest.mark.parametrize("left", [in_torch, in_jax, in_numpy])
def test_any_two_frameworks_are_compared(left: Callable, right: Callable):
    report = diagnose(left, right, X)
    assert (report.verdict, report.status) == ("same function", 0), str(report)
    assert report.outputs[0].float64 < 1e-14
    assert 1e-9 < report.outputs[0].left_noise < 1e-5


def test_a_bug_is_placed_by_its_line_and_its_number():
    report = diagnose(in_torch, scaled_in_jax, X)
    assert (report.verdict, report.status) == ("bug", 1)
    assert report.parting is not None
    assert str(report.parting.left).startswith("hidden in in_torch (test_diagnose.py:")
    assert str(report.parting.right).startswith("projected in scaled_in_jax (test_diagnose.py:")
    assert report.parting.common is not None
    assert report.parting.common.left.name == "x in in_torch"
    assert any("1.001" in hint for hint in report.hints), report.hints


def test_a_factor_that_only_one_side_has_is_named_with_its_line():
    report = diagnose(in_torch, lambda x: jnp.tanh(1.001 * in_jax_before(x)), X)
    assert report.verdict == "bug"
    assert any("only right multiplies by 1.001 before, in " in hint for hint in report.hints)
    assert any("test_diagnose.py:" in hint for hint in report.hints)


def test_the_same_numbers_arranged_otherwise_are_a_bug_of_their_own():
    report = diagnose(in_torch, turned_in_numpy, X)
    assert (report.verdict, report.status) == ("other order", 1), str(report)
    assert "projected in turned_in_numpy" in report.place


def test_assert_same_function_raises_with_the_whole_report():
    assert_same_function(in_torch, in_jax, X)
    with pytest.raises(AssertionError, match="BUG") as raised:
        assert_same_function(in_torch, scaled_in_jax, X)
    assert "projected in scaled_in_jax" in str(raised.value)


def embed_in_torch(rows, mask):
    assert rows.dtype == torch.int32
    assert mask.dtype == torch.bool
    return torch.where(mask[:, None], TORCH_TABLE[rows], 0)


def embed_in_jax(indices, keep):
    assert indices.dtype == jnp.int32
    assert keep.dtype == jnp.bool
    return JAX_TABLE[indices] * keep[:, None]


ROWS, MASK = np.array([3, 0, 10, 7], np.int32), np.array([True, False, True, True])


def test_integers_and_masks_are_not_cast():
    report = diagnose(embed_in_torch, embed_in_jax, ROWS, MASK)
    assert report.verdict == "same function", str(report)


def test_inputs_are_given_by_name_where_the_names_fit_and_else_in_order():
    by_name = {"mask": MASK, "rows": ROWS}
    report = diagnose(embed_in_torch, lambda mask, rows: embed_in_jax(rows, mask), by_name)
    assert report.verdict == "same function", str(report)
    in_order = {"first": ROWS, "second": MASK}
    assert diagnose(embed_in_torch, embed_in_jax, in_order).verdict == "same function"


@dataclass
class Result:
    logits: Any
    hidden: Any


OUTPUTS: dict[str, tuple[Callable, Callable]] = {
    "tuples": (lambda a: (a.sum(-1), a), lambda a: (a.sum(-1), a)),
    "lists": (lambda a: [a, (a, 2 * a)], lambda a: [a, (a, 2 * a)]),
    "dicts": (lambda a: {"l": a, "h": a + 1}, lambda a: {"h": a + 1, "l": a}),
    "dataclasses": (lambda a: Result(a, 2 * a), lambda a: Result(a, 2 * a)),
    "dict_and_tuple": (lambda a: {"l": a, "h": a + 1}, lambda a: (a, a + 1)),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_outputs_may_be_of_any_structure(kind: str):
    of_left, of_right = OUTPUTS[kind]
    report = diagnose(lambda x: of_left(in_torch(x)), lambda x: of_right(in_jax(x)), X)
    assert report.verdict == "same function", str(report)
    assert len(report.outputs) == {"lists": 3}.get(kind, 2)
    wrong = diagnose(lambda x: of_left(in_torch(x)), lambda x: of_right(scaled_in_jax(x)), X)
    assert wrong.verdict == "bug"


def test_another_number_of_outputs_is_a_bug():
    report = diagnose(lambda x: (in_torch(x), x), in_jax, X)
    assert report.verdict == "bug"
    assert "2 arrays and the right 1" in report.sentence


def drops(x):
    return torch.nn.functional.dropout(x @ TORCH_WEIGHT, 0.5)


def narrow(x):
    return torch.tanh(x @ torch.ones(3, 5, dtype=torch.float32))


def rounds(tokens):
    projected = (tokens @ JAX_WEIGHT).astype(jnp.float32)
    return jnp.tanh(projected)


def overflows(tokens):
    hidden = tokens @ JAX_WEIGHT
    return jnp.log(jnp.exp(hidden * 100)) / 100


def moderate(x):
    return x @ TORCH_WEIGHT


OTHERS: dict[str, tuple[Callable, Callable, str, str]] = {
    "random": (drops, drops, "cannot tell", "left is random"),
    "fails_in_float64": (
        narrow,
        in_jax,
        "cannot tell",
        "left runs in float32 and fails in float64",
    ),
    "narrow_inside": (in_torch, rounds, "float32 within float64", "right computes projected"),
    "not_finite": (moderate, overflows, "not finite", "NaN or infinity"),
    "nothing": (in_torch, lambda x: None, "cannot tell", "right returns no array"),
    "constant": (lambda x: 0 * x, lambda x: 0 * x, "cannot tell", "output is 0 everywhere: choose"),
    "no_number": (lambda x: x[:0], lambda x: x[:0], "cannot tell", "output holds no number"),
    "nan": (lambda x: x + np.nan, lambda x: x * np.nan, "cannot tell", "output is NaN in float64"),
    "two_constants": (lambda x: 0 * x, lambda x: 0 * x + 1, "bug", "does not shrink"),
    "nan_of_one_side": (lambda x: x + np.nan, lambda x: x * 1, "bug", "does not shrink"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_verdicts_say_why(kind: str):
    left, right, verdict, sentence = OTHERS[kind]
    report = diagnose(left, right, X)
    assert report.verdict == verdict, str(report)
    assert sentence in report.sentence
    assert report.status == {"cannot tell": 2}.get(verdict, 1)


def compiled_otherwise(tokens):
    hidden = tokens @ JAX_WEIGHT
    factor = 1.001 if isinstance(hidden, jax.core.Tracer) else 1
    return jnp.tanh(hidden * factor)


def test_a_difference_of_the_compiled_program_alone_is_told_apart():
    report = diagnose(in_torch, compiled_otherwise, X)
    assert (report.verdict, report.status) == ("only compiled", 1), str(report)
    assert "right under jax.jit" in report.sentence


LIBRARY = """
def layer(array, weight):
    product = array @ weight
    return 2 * product
"""


def test_an_output_that_shows_nothing_among_others_is_a_remark():
    report = diagnose(lambda x: (in_torch(x), 0 * x), lambda x: (in_jax(x), 0 * x), X)
    assert report.verdict == "same function", str(report)
    assert "output[1] is 0 everywhere, which shows nothing" in report.remarks
    wrong = diagnose(lambda x: (0 * x, in_torch(x)), lambda x: (0 * x, scaled_in_jax(x)), X)
    assert wrong.verdict == "bug"


def test_an_index_that_differs_is_placed_and_is_no_mask():
    report = diagnose(lambda x: torch.argmax(x, -1), lambda x: jnp.argmin(x, -1), X)
    assert report.verdict == "bug"
    assert report.parting is not None
    assert report.parting.left is not None
    assert report.parting.left.name == "torch.argmax(x, -1)"
    assert report.hints == ()


def test_code_of_a_library_is_looked_at_where_it_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "ported_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(folder)
    layer = importlib.import_module("ported_library").layer

    def program(x):
        return layer(x, WEIGHT) / 2

    plain = diagnose(program, in_numpy_before, X)
    looked = diagnose(program, in_numpy_before, X, look=["ported_library"])
    assert plain.verdict == looked.verdict == "same function"
    assert not any("product" in str(row.left) for row in plain.rows)
    assert any("product in layer (ported_library.py:3)" in str(row.left) for row in looked.rows)


def test_what_is_no_program_or_no_number_is_refused():
    for left, x, sentence in (
        (7, X, "left is a int, which cannot be called"),
        (in_torch, np.array(["a"]), "The input 'input 0' has dtype <U1: give numbers"),
    ):
        with pytest.raises(UserError, match=sentence):
            diagnose(left, in_torch, x)
