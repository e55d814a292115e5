"""A third-party training is saved within an epoch, and continues.

PyTorch's implementation, guarded, takes the place of a third party's here.
"""

from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from conftest import import_or_skip
from resuming import assert_same_run, finish, interrupt, make_config

from compare.registry.third_party import guard
from shared.errors import UserError
from shared.training.resume import checkpoint_path
from shared.training.states import load_state


@pytest.fixture
def guarded() -> ModuleType:
    return guard(import_or_skip("pytorch"), "it")


@pytest.mark.parametrize("steps", [2, 4, 6])
def test_stopped_anywhere_it_goes_on_as_if_it_had_not_been(
    guarded: ModuleType, steps: int, tmp_path: Path
):
    config = make_config(tmp_path)
    path = interrupt(guarded, "it", config, steps)
    assert load_state(checkpoint_path(path, "it")).adam.step == steps
    resumed = finish(guarded, "it", replace(config, resume=path))
    assert_same_run(resumed, finish(guarded, "it", config), "it")


def test_a_loss_that_is_nan_is_told_of_as_ever(guarded: ModuleType, tmp_path: Path):
    with pytest.raises(UserError, match=r"is NaN or infinite from step \d of epoch 1 on.*--learni"):
        finish(guarded, "it", make_config(tmp_path, learning_rate=1e30))


def test_what_is_no_state_is_refused(tmp_path: Path):
    pytorch = import_or_skip("pytorch")

    class Training(pytorch.Training):
        def state(self):
            return super().state()[0], "all is well"

    module = guard(SimpleNamespace(**(vars(pytorch) | {"Training": Training})), "it")
    with pytest.raises(
        UserError, match=r"it\.Training\.state returned a str as adam: it must be an Adam"
    ):
        finish(module, "it", make_config(tmp_path))
