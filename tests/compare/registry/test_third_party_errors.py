"""Errors of a third-party implementation are one sentence, with its name."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_attention
from conftest import import_or_skip
from tiny import run_module, trace_tiny

from compare.expected.problems import make_dataset, make_problem
from compare.registry.contract import check_implementation
from compare.registry.third_party import guard, import_third_party
from compare.run import command as run
from shared.config import Config
from shared.errors import UserError
from shared.training.loop import train
from shared.training.records import AdamState, Epoch

NOT_MET = {
    "lacks_to_params": ("def to_params", "def give_params", "lacks `to_params`: see docs/"),
    "forms_as_text": (
        '("vectorized",)',
        '"vectorized"',
        "ATTENTION is 'vectorized': it must be a tuple",
    ),
    "no_form": ('("vectorized",)', "()", r"ATTENTION is \(\): it must hold names"),
    "unknown_form": (
        '("vectorized",)',
        '("flash",)',
        "ATTENTION holds 'flash': the forms are loo",
    ),
    "libraries": ('("rich",)', "7", "LIBRARIES is 7: it must be a tuple of names"),
    "missing_argument": (
        "labels, *, batch_size, accuracy",
        "labels, *, batch_size",
        r"evaluate cannot be called as tiny_\d+.evaluate\(model, images, labels, batch_size, accu",
    ),
    "swapped_arguments": (
        "attention, dtype, device",
        "dtype, attention, device",
        r"from_params takes params, dtype, attention, device, in this order: make it tiny_\d+.from",
    ),
    "syntax": ("ATTENTION =", "ATTENTION ==", "could not be imported: NameError: name 'ATTENTION'"),
    "grammar": ("import numpy as np", "import numpy als np", "could not be imported: SyntaxError"),
    "library": ("import numpy as np", "import no_such_library", "no_such_library is not installed"),
    "exit": ("LIBRARIES =", "raise SystemExit(0)\nX =", "could not be imported: SystemExit: 0"),
}


@pytest.mark.parametrize("wrong", NOT_MET)
def test_what_does_not_meet_the_contract_is_refused(make_tiny, wrong: str):
    old, new, sentence = NOT_MET[wrong]
    with pytest.raises(UserError, match=sentence) as refused:
        trace_tiny(make_tiny((old, new)))
    assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize(
    ("also", "sentence"),
    [
        ("Training = 3", r"Training is 3, not a function tiny_\d+.Training\(params, adam, data, c"),
        ("def Training(params): ...", "Training cannot be called as"),
        ('DTYPES = ("float16",)', "DTYPES holds none of float32, float64, bfloat16"),
        ('DEVICES = ("tpu",)', "DEVICES holds none of cpu, cuda"),
    ],
)
def test_what_is_optional_has_to_be_of_its_kind(make_tiny, also: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        trace_tiny(make_tiny(also=also))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no_such_module", "There is no module no_such_module: --implementation needs one"),
        ("compare.no_such", "There is no module compare.no_such"),
        ("my/module", "--implementation my/module is not the name of a module"),
        ("numpy", "the name numpy is already taken"),
        ("compare", "compare lacks `ATTENTION`"),
    ],
)
def test_a_name_that_is_of_no_use_is_refused(name: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        trace_tiny(name)


def test_two_of_one_name_are_refused(make_tiny):
    name = make_tiny()
    with pytest.raises(UserError, match=f"the name {name} is already taken"):
        trace_tiny(name, "--implementation", name)


BOOM = "raise RuntimeError('of\\nno use')"
RAISES = {
    "from_params": ("    check_params(params)", f"    {BOOM}", ""),
    "evaluate": ("    channels, weight = len", f"    {BOOM}\n    channels, weight = len", ""),
    "intermediates": ("LIBRARIES", "LIBRARIES", f"def intermediates(model, images): {BOOM}"),
    "eagerly": ("LIBRARIES", "LIBRARIES", f"def eagerly(): {BOOM}"),
    "find_device": ("LIBRARIES", "LIBRARIES", f"def find_device(name): {BOOM}"),
}


@pytest.mark.parametrize("function", RAISES)
def test_a_function_that_raises_is_named_with_its_place(make_tiny, function: str):
    old, new, also = RAISES[function]
    name = make_tiny((old, new), also=also)
    said = rf"^{name}\.{function} raised RuntimeError: of no use \({name}.py, line \d+\)\.$"
    with pytest.raises(UserError, match=said):
        trace_tiny(name)


RETURNS = {
    "no_evaluation": (
        "return Evaluation(",
        "return (",
        "returned a tuple: it must be an Evaluation",
    ),
    "loss": ("float(losses.mean())", "None", "returned nothing as loss: it must be a float"),
    "list": (
        ", logits)",
        ", logits.tolist())",
        "returned a list as logits: it must be a",
    ),
    "dtype": (
        ", logits)",
        ", logits.astype('f2'))",
        r"logits of shape \(1, 10\) and dtype float16",
    ),
    "shape": (", logits)", ", logits[:, :9])", r"logits of shape \(1, 9\) and dtype float32"),
}


@pytest.mark.parametrize("wrong", RETURNS)
def test_a_result_of_another_kind_is_refused(make_tiny, wrong: str):
    old, new, sentence = RETURNS[wrong]
    with pytest.raises(UserError, match=sentence):
        trace_tiny(make_tiny((old, new)))


class TinyTraining:
    """A training that takes no steps, with results like those of a real one."""

    def __init__(self, params, adam, data, config):
        self.model = tiny_attention.from_params(params, "vectorized", config.dtype, "cpu")
        self.taken = 0

    def take_steps(self, batches):
        self.taken += len(batches)
        return np.ones(len(batches), "float32"), np.ones(len(batches))

    def state(self):
        params = tiny_attention.to_params(self.model)
        return params, AdamState(self.taken, dict(params), dict(params))


def trained(**changes) -> list[Epoch]:
    """Train a guarded implementation in which some methods of the training are changed."""
    training = type("Training", (TinyTraining,), changes)
    module = guard(SimpleNamespace(**vars(tiny_attention) | {"Training": training}), "it")
    problem = make_problem()
    config = Config(epochs=1, batch_size=2, attention="vectorized")
    return list(train(module, problem.params, make_dataset(problem), config))


def test_an_epoch_that_is_one_passes():
    (epoch,) = trained()
    assert (epoch.number, epoch.adam.step) == (1, 1)


ONES = np.ones(1, "float32")


@pytest.mark.parametrize(
    ("method", "result", "sentence"),
    [
        ("take_steps", (None, ONES), r"take_steps returned nothing of shape \(\) as losses"),
        (
            "take_steps",
            (ONES[:0], ONES),
            r"a ndarray of shape \(0,\) as losses: .* of shape \(1,\)",
        ),
        ("take_steps", (ONES, [1.0]), r"returned a list of shape \(1,\) as accuracies"),
        (
            "take_steps",
            (ONES.astype("f8"), ONES),
            "returned losses of dtype float64: .* of dtype float32",
        ),
        ("take_steps", 1, r"it.Training.take_steps raised TypeError: cannot unpack"),
        (
            "state",
            ({}, AdamState(1, {}, {})),
            "Training.state returned no params: The parameters must be",
        ),
        (
            "state",
            (make_problem().params, None),
            "returned nothing as adam: it must be an",
        ),
        (
            "state",
            (make_problem().params, AdamState(1, {}, {})),
            "returned no first_moment: The",
        ),
    ],
)
def test_a_result_of_training_of_another_kind_is_refused(method: str, result, sentence: str):
    with pytest.raises(UserError, match=sentence):
        trained(**{method: lambda self, *given: result})


def test_a_training_that_raises_is_named(make_tiny):
    import_or_skip("pytorch")
    name = make_tiny(also="def Training(params, adam, data, config):\n    return 1 / 0")
    args = "--implementations pytorch --batch-size 400 --implementation"
    said = rf"{name}.Training raised ZeroDivisionError: division by zero \({name}.py, line \d+\)"
    with pytest.raises(UserError, match=said):
        run.main([*args.split(), name])


@pytest.mark.parametrize("name", ["pytorch", "jax", "numpy"])
def test_our_own_meet_the_contract(name: str):
    check_implementation(import_or_skip(name), name)


@pytest.mark.parametrize("verb", ["trace", "run", "bench"])
def test_an_error_is_one_line_and_status_2(make_tiny, tmp_path: Path, verb: str):
    name = make_tiny(("def to_params", "def give_params"))
    process = run_module("compare", verb, "--implementation", name, cwd=tmp_path)
    assert process.returncode == 2
    assert process.stderr == f"error: {name} lacks `to_params`: see docs/add_a_framework.md.\n"
    assert not (tmp_path / "runs").exists()


def test_another_module_of_the_same_name_is_not_judged_instead(tmp_path: Path, monkeypatch):
    """The tests' own helper is called tiny_attention; so is the module of some user."""
    import tiny_attention

    monkeypatch.chdir(tmp_path)
    assert import_third_party(["tiny_attention"]) == {"tiny_attention": tiny_attention}
    Path("tiny_attention.py").write_text(Path(tiny_attention.__file__).read_text())
    with pytest.raises(UserError, match=r"is .*tiny_attention\.py, but .*support.* has its name"):
        import_third_party(["tiny_attention"])
