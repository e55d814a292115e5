"""`python -m compare.studies.results`: run the whole job, and write docs/results.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compare.studies.pictures import save
from compare.studies.results.controls import measure_controls, nudged_losses
from compare.studies.results.figures import draw_curves, draw_remap, draw_trajectories
from compare.studies.results.page import write_page
from compare.studies.results.plan import Planned, ResultsConfig, make_plan, run_plan
from compare.studies.results.records import gather, load
from compare.studies.results.spread import follow
from shared.cli import complete_flag, make_console, parse_options
from shared.config import PRESETS
from shared.files import make_folder, write_json, write_text
from shared.params import load_params
from shared.training.metrics import read_step_losses


def main(args: Sequence[str]) -> int:
    """Run what is not finished; write the page, its figures and its numbers."""
    config = parse_options(
        ResultsConfig(),
        complete_flag(args, "--page-only"),
        prog="python -m compare.studies.results",
        description=(
            "Trains both presets in both frameworks, the original's first epochs with several "
            "seeds, and one quirk at a time, and writes docs/results.md. This takes hours on two "
            "cores. Finished runs are not run again, and stopped ones continue."
        ),
    )
    console = make_console()
    plan = make_plan(config)
    if not config.page_only:
        run_plan(plan, config, console)
    results = gather(plan, config)
    results["settings"] = {
        "epochs": config.epochs,
        "ablation_epochs": config.ablation_epochs,
        "own_seed": PRESETS["original"].seed,
    }
    results["trajectories"] = follow_all(plan, config)
    results |= measure_controls(config)
    for path in write_results(results, plan, config):
        console.print(f"Written: {path}")
    return 0


def follow_all(plan: Sequence[Planned], config: ResultsConfig) -> dict[str, Any]:
    """Return the differences of PyTorch and JAX, and of JAX and JAX with one number changed."""
    followed = {}
    for planned in plan:
        folder = planned.find_run(config.runs)
        if planned.part not in ("default", "float64") or planned.seed != 0 or folder is None:
            continue
        losses = read_step_losses(folder)
        if not losses:
            continue
        dtype = "float64" if planned.part == "float64" else "float32"
        followed[f"PyTorch and JAX, {dtype}"] = follow(losses["pytorch"], losses["jax"])
        if dtype == "float32":
            label = "JAX and JAX with one number of K changed by one ulp, float32"
            followed[label] = follow(losses["jax"], nudged_losses(config))
    return followed


def write_results(
    results: dict[str, Any], plan: Sequence[Planned], config: ResultsConfig
) -> list[Path]:
    """Write the page and its figures and numbers; return the paths written."""
    make_folder(config.docs)
    figures = {"curves": draw_curves(results["runs"])}
    if results["trajectories"]:
        figures["trajectories"] = draw_trajectories(results["trajectories"])
    weights = find_weights(plan, config)
    if weights is not None:
        params, _ = load_params(weights)
        figures["remap"] = draw_remap(load(config), params)
    written = []
    for name, figure in figures.items():
        written.append(config.docs / f"results_{name}.png")
        save(figure, written[-1])
    write_json(config.docs / "results.json", results)
    write_text(config.docs / "results.md", write_page(results))
    return [config.docs / "results.md", config.docs / "results.json", *written]


def find_weights(plan: Sequence[Planned], config: ResultsConfig) -> Path | None:
    """Return the best parameters that PyTorch trained with the default preset and first seed."""
    for planned in plan:
        folder = planned.find_run(config.runs)
        if planned.part == "default" and folder is not None:
            path = folder / "pytorch-best.safetensors"
            return path if path.exists() else None
    return None
