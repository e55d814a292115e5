"""Small run folders with chosen parameters, for the tests of the page."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from shared.data.load import Dataset, load_data
from shared.params import param_shapes, save_params
from shared.training.metrics import save_step_losses

CONFIG = {
    "data": "sample",
    "normalization": "global",
    "attention": "histogram",
    "dtype": "float32",
    "num_channels": 1,
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 0.003,
    "seed": 0,
}
NAMES = ("pytorch", "jax")
HOSTILE = "</script><script>document.title = 'taken'</script><img src=x onerror=alert(1)>\u2028&"


def draw_params(channels: int, seed: int, dtype: str = "float32") -> dict[str, np.ndarray]:
    """Draw asymmetric parameters, small enough that no probability is close to 0 or 1."""
    rng = np.random.default_rng(seed)
    size = {"out.weight": 0.02, "out.bias": 0.1}
    return {
        name: (size.get(name, 0.7) * rng.normal(size=shape)).astype(dtype)
        for name, shape in param_shapes(784, channels, 10).items()
    }


def make_epochs(*train_losses: float) -> list[dict[str, float]]:
    """Return the epochs of a result.json with these training losses."""
    return [
        {
            "epoch": number,
            "train_loss": loss,
            "train_accuracy": 0.7,
            "val_loss": 0.9 / number,
            "val_accuracy": 0.8,
            "train_seconds": 0.1,
            "samples_per_second": 1e4,
        }
        for number, loss in enumerate(train_losses, start=1)
    ]


def make_result(config: Mapping[str, object]) -> dict:
    """Return a result.json as `compare run` writes it, with invented numbers."""
    trained = {"train_seconds": 0.2, "samples_per_second": 1e4}
    tested = {"test_accuracy": 0.875, "test_loss": 0.4}
    return {
        "parity": {
            "passed": True,
            "verdict": "Parity holds.",
            "drift": {"logits": None},
        },
        "implementations": {
            "pytorch": trained | tested | {"epochs": make_epochs(1.0, 0.5)},
            "jax": trained | tested | {"epochs": make_epochs(1.0, 0.75)},
            "numpy": dict.fromkeys(trained) | tested | {"epochs": []},
        },
        "config": dict(config),
        "versions": {"numpy": "2"},
        "machine": "a machine",
    }


def make_run(folder: Path, **config: object) -> tuple[Path, Dataset]:
    """Write a run folder with drawn parameters; return it with the data of its config."""
    settings = CONFIG | config
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(make_result(settings)))
    for seed, name in enumerate(NAMES):
        params = draw_params(settings["num_channels"], seed, settings["dtype"])
        save_params(folder / f"{name}-best.safetensors", params)
    rng = np.random.default_rng(0)
    losses = np.exp(-np.linspace(0, 1, 40)) + rng.normal(scale=0.01, size=40)
    save_step_losses(folder, {"pytorch": losses, "jax": losses + rng.normal(scale=1e-7, size=40)})
    data = load_data(
        settings["data"],
        normalization=settings["normalization"],
        num_channels=settings["num_channels"],
    )
    return folder, data


BUG = {"package": "pytorch_impl", "check": "intermediates", "missing": None}
MUTANTS = {
    "passed": True,
    "failures": [],
    "versions": {"numpy": "2"},
    "seeds": 1,
    "headroom": {},
    "honest": {"intermediates": 0.8, "logits": 0.03, "adam": 0.3},
    "bugs": {
        "softmax_over_the_queries": {
            **BUG,
            "title": "Softmax over the wrong axis",
            "right": "weights = softmax(scores, dim=-1)",
            "wrong": "weights = softmax(scores, dim=-2)",
            "error_ratios": {"intermediates": 3.1e12, "logits": None, "adam": 0.25},
            "caught_by": ["intermediates", "logits"],
            "first_intermediate": "weights",
            "accuracy": {"right": 0.896, "wrong": 0.894},
        },
        "not_trained": {
            **BUG,
            "title": "A bug without a measured accuracy",
            "right": "a",
            "wrong": "b",
            "error_ratios": {},
            "caught_by": [],
            "first_intermediate": None,
        },
    },
}


def make_docs(folder: Path) -> Path:
    """Write a docs folder: planted bugs, and the project's own benchmark."""
    folder.mkdir(parents=True)
    own = Path(__file__).resolve().parents[2] / "docs"
    (folder / "bench.json").write_text((own / "bench.json").read_text())
    (folder / "mutants.json").write_text(json.dumps(MUTANTS))
    return folder
