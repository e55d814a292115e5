"""`python -m numpy_reference CHECKPOINT`: evaluate trained parameters on the test split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

import numpy_reference
from shared.cli import make_console, parse_options, run_main
from shared.config import EvaluationConfig
from shared.data.load import load_data
from shared.errors import UserError
from shared.files import decode_json
from shared.params import load_params
from shared.training.alone import describe, evaluate_params

# The defaults of these options are the settings that a checkpoint was trained with.
FROM_CHECKPOINT = ("data", "normalization", "accuracy", "attention")


@dataclass(frozen=True)
class ReferenceConfig(EvaluationConfig):
    """The options of an evaluation."""

    checkpoint: Annotated[Path, tyro.conf.Positional] = Path("runs/latest/pytorch-best.safetensors")
    """Trained parameters: a .safetensors file from a run folder, of any implementation."""


def trained_settings(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of FROM_CHECKPOINT that a checkpoint was trained with."""
    config = metadata.get("config", "").encode()
    try:
        trained = decode_json(config, EvaluationConfig, "The checkpoint's config", "leave it out")
    except UserError:
        return {}  # parameters of another program: use the options' defaults
    settings = {name: getattr(trained, name) for name in FROM_CHECKPOINT}
    if trained.attention not in numpy_reference.ATTENTION:  # "builtin"
        settings["attention"] = "blocked"
    return settings


def main(args: Sequence[str]) -> int:
    """Evaluate a checkpoint in plain NumPy and print its test loss and accuracy."""
    prog = "python -m numpy_reference"
    description = "The model in plain NumPy: evaluates trained parameters on the test split."
    float64 = ReferenceConfig(dtype="float64")
    config = parse_options(float64, args, prog=prog, description=description)
    params, metadata = load_params(config.checkpoint)
    default = replace(float64, **trained_settings(metadata))
    config = parse_options(default, args, prog=prog, description=description)
    data = load_data(
        config.data,
        normalization=config.normalization,
        num_channels=len(params["K"]),
        mnist_dir=config.mnist_dir,
    )
    result = evaluate_params(numpy_reference, params, data.test, config)
    console = make_console()
    console.print(f"{config.checkpoint} on the test split of {config.data} ({config.dtype}):")
    console.print(describe(result))
    return 0


if __name__ == "__main__":
    run_main(main)
