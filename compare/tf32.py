"""What TF32 costs in error: a model's logits in float32, with it off and on.

`python -m compare.tf32 NAME DEVICE off|on` is one measurement, in a process of its own since the
libraries read the setting when they start. On a GPU without TF32, or a CPU, "on" changes nothing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from compare.bounds import ARITHMETIC, error_over_bound
from compare.expected import expect_logits
from compare.implementations import load_implementations
from compare.problems import real_digits
from shared.errors import UserError
from shared.launch import search_path

# PyTorch's own switch for matrix products, read at its start; JAX has it on, but for one line.
TORCH_SWITCH = "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"
CHANNELS, IMAGES = 3, 10


def measure_tf32(name: str, device: str, setting: str) -> dict[str, dict[str, float]]:
    """Measure, by form, the logits' largest error, and it over the float32 and the tf32 bound.

    `setting` is "off" or "on". Raises UserError if the process that measures fails.
    """
    switch = {TORCH_SWITCH: "1" if setting == "on" else "0"}
    process = subprocess.run(
        [sys.executable, "-m", "compare.tf32", name, device, setting],
        env=os.environ | {"PYTHONPATH": search_path()} | switch,
        capture_output=True,
        text=True,
    )
    if process.returncode != 0:
        lines = process.stderr.strip().splitlines() or ["it was killed"]
        raise UserError(f"TF32 {setting} in {name} could not be measured: {lines[-1]}")
    found: dict[str, dict[str, float]] = json.loads(process.stdout.splitlines()[-1])
    return found


def let_jax_use_tf32(implementation: ModuleType) -> None:
    """Take from the model the line that asks for full float32, as if it had been forgotten."""
    model: Any = implementation.SelfAttentionModel
    model.__call__ = model.__call__.__wrapped__


def measure_forms(
    implementation: ModuleType, forms: Collection[str], device: str
) -> dict[str, dict[str, float]]:
    """Hold every form's logits of a few digits against the exact ones."""
    params, images, labels = real_digits(CHANNELS, IMAGES)
    bounds = {name: expect_logits(params, images, ARITHMETIC[name]) for name in ("float32", "tf32")}
    measured = {}
    for form in forms:
        model = implementation.from_params(params, form, "float32", device)
        logits = implementation.evaluate(model, images, labels, batch_size=len(labels)).logits
        errors = np.abs(logits.astype(np.float64) - bounds["float32"].value)
        shares = {name: error_over_bound(logits, bound).max() for name, bound in bounds.items()}
        measured[form] = {"error": float(errors.max())} | {n: float(s) for n, s in shares.items()}
    return measured


def main(args: Sequence[str]) -> int:
    """Measure one implementation and print the numbers as JSON."""
    name, device, setting = args
    implementation = load_implementations([name])[0][name]
    if name == "jax" and setting == "on":
        let_jax_use_tf32(implementation)
    print(json.dumps(measure_forms(implementation, implementation.ATTENTION, device)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
