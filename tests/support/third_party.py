"""Third-party implementations for the tests: `pytest --implementation package.module`.

Tests of this project's implementations omit arguments with defaults, and use forms and dtypes that
these have. Here the defaults are added, and tests of missing forms and dtypes are skipped.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from absent import present_devices

from compare.registry.contract import FORMS, KNOWN_DTYPES, config_for, dtypes_of, form_of
from compare.registry.third_party import import_third_party
from shared.config import Config
from shared.data.levels import to_pixels
from shared.errors import UserError


def load(modules: Sequence[str], taken: Sequence[str]) -> dict[str, ModuleType]:
    """Import implementations by name; if one is wrong, end pytest with one sentence."""
    try:
        found = import_third_party(modules, taken)
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    return {name: adapt(module, name) for name, module in found.items()}


def adapt(module: ModuleType, name: str) -> ModuleType:
    """Return a copy of an implementation with default arguments, and skips for what it lacks."""
    adapted, own = ModuleType(module.__name__, module.__doc__), vars(module)
    vars(adapted).update(own)

    def skip_lacking(what: str, known: Sequence[str], present: Sequence[str]) -> None:
        if what in known and what not in present:
            pytest.skip(f"{name} has no {what}")

    def from_params(params, attention=None, dtype="float32", device="cpu") -> Any:
        form = form_of(adapted, "looped") if attention is None else attention
        skip_lacking(form, FORMS, list(adapted.ATTENTION))
        skip_lacking(dtype, KNOWN_DTYPES, dtypes_of(adapted))
        return own["from_params"](params, form, dtype, device)

    def evaluate(model, images, labels, *, batch_size=Config.eval_batch_size, accuracy="micro"):
        if "histogram" not in adapted.ATTENTION:
            images = to_pixels(images)
        return own["evaluate"](model, images, labels, batch_size=batch_size, accuracy=accuracy)

    def begin(params, adam, data, config) -> Any:
        skip_lacking(config.dtype, KNOWN_DTYPES, dtypes_of(adapted))
        return own["Training"](params, adam, data, config_for(adapted, config))

    adapted.from_params, adapted.evaluate = from_params, evaluate
    if "Training" in own:
        adapted.Training = begin
    return adapted


def describe(implementations: dict[str, ModuleType]) -> list[str]:
    """Return lines about the judged implementations, and about the forms and dtypes they lack."""
    lines = []
    for name, module in implementations.items():
        forms, dtypes = list(module.ATTENTION), dtypes_of(module)
        names = (forms, dtypes, present_devices(name, module))
        judged = "; ".join(", ".join(each) for each in names)
        lacks = [form for form in FORMS if form not in forms]
        lacks += [dtype for dtype in ("float32", "float64") if dtype not in dtypes]
        lacks += [each for each in ("loss_and_gradients", "Training") if not hasattr(module, each)]
        lines.append(f"judged: {name} ({judged}); it has no {', '.join(lacks) or 'gaps'}")
        lines.append(f"read from {module.__file__}")
    return lines
