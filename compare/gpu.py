"""`python -m compare gpu`: everything there is to check and measure on a GPU, into docs/gpu.md."""

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from rich.console import Console

from compare import bench, run, trace
from compare.bench_report import read_bench
from compare.checks import largest
from compare.claims import CLAIMS
from compare.contract import Implementation
from compare.gpu_page import write_page
from compare.implementations import load_present
from compare.machine import describe_machine
from compare.report import library_versions, read_result
from compare.steps import Case
from compare.tf32 import measure_tf32
from shared.cli import complete_flag, make_console, parse_options
from shared.config import Attention, Config, bad_option
from shared.errors import UserError
from shared.files import make_folder, read_json, write_json, write_text
from shared.training.alone import load_config_data

DTYPES = ("float32", "float64")
SETTINGS = ("off", "on")


class Traced(TypedDict):
    """What is read of the result of a trace."""

    passed: bool
    first_break: str | None


@dataclass(frozen=True)
class GpuConfig:
    """What to check and measure."""

    implementations: tuple[Literal["pytorch", "jax"], ...] = ("pytorch", "jax")
    """Which to run; one that is not installed, or has no GPU, is named and left out."""
    forms: tuple[Attention, ...] = get_args(Attention)
    """The forms of attention to check and to time."""
    data: Literal["sample", "mnist"] = "mnist"
    """The digits that the run trains on."""
    mnist_dir: Path | None = Config.mnist_dir
    """A folder with MNIST's four original files, for --data mnist without a download."""
    epochs: int = 128
    """How many epochs the run takes: by default the seed's whole job."""
    quick: bool = False
    """Time three short rounds at batch 16 alone. Needs no value."""
    docs: Path = Path("docs")
    """The folder to write gpu.md into, and what it is made from."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise UserError(bad_option("epochs", self.epochs, "1 or more"))


def main(args: Sequence[str], device: str = "cuda") -> int:
    """Check and measure all on the GPU and write the page; 0 only if every claim holds."""
    config = parse_options(
        GpuConfig(),
        complete_flag(args, "--quick"),
        prog="python -m compare gpu",
        description=(
            "Puts the claims of parity to every form on a GPU, traces, times and trains there, "
            "measures what TF32 costs in error, and writes docs/gpu.md. Without a GPU it says so "
            "and leaves the page as it is (exit status 2)."
        ),
    )
    console = make_console()
    implementations = find_on(device, load_present(config.implementations, console), console)
    load_config_data(Config(data=config.data, mnist_dir=config.mnist_dir))  # or it says why not now
    make_folder(config.docs)
    result = {
        "device": name_device(device),
        "machine": describe_machine(),
        "versions": library_versions(),
        "claims": put_claims(implementations, config.forms, device, console),
        **run_verbs(list(implementations), config, device),
        "tf32": {
            name: {setting: measure_tf32(name, device, setting) for setting in SETTINGS}
            for name in implementations
        },
    }
    write_json(config.docs / "gpu.json", result)
    write_text(config.docs / "gpu.md", write_page(result))
    console.print(f"Written: {config.docs / 'gpu.md'}, and what it is made from.")
    holds = all(not case["failed"] for case in result["claims"])
    return 0 if holds and result["trace"]["passed"] and result["run"]["passed"] else 1


def find_on(
    device: str, implementations: Mapping[str, Implementation], console: Console
) -> dict[str, Implementation]:
    """Keep those that find the device; raise UserError where none does."""
    found, reasons = {}, []
    for name, implementation in implementations.items():
        try:
            implementation.find_device(device)  # type: ignore[attr-defined]
            found[name] = implementation
        except UserError as error:
            reasons.append(str(error).partition(":")[0])
    if not found:
        raise UserError(
            f"There is no GPU to measure: {'; '.join(reasons)}. docs/gpu.md stays as it is."
        )
    for reason in reasons:
        console.print(f"{reason}: it is left out.", style="yellow")
    return found


def name_device(device: str) -> str:
    """Name the GPU and its driver, as NVIDIA's own tool does, or the processor."""
    if device == "cpu":
        return str(describe_machine()["cpu"])
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    with suppress(OSError, subprocess.CalledProcessError):
        found = subprocess.run(query, capture_output=True, text=True, check=True).stdout
        name, _, driver = found.strip().splitlines()[0].partition(", ")
        return f"{name}, driver {driver}"
    return "a GPU whose name nvidia-smi does not tell"


def put_claims(
    implementations: Mapping[str, Implementation],
    forms: Sequence[str],
    device: str,
    console: Console,
) -> list[dict[str, Any]]:
    """Put every claim to every case; say of each how it went and how close it came."""
    found = []
    for name, implementation in implementations.items():
        for form in (form for form in implementation.ATTENTION if form in forms):
            for dtype in DTYPES:
                case = Case(name, form, dtype, device)
                checks = {
                    claim.name: claim.put(case, implementation)  # type: ignore[arg-type]
                    for claim in CLAIMS
                    if dtype in claim.dtypes
                }
                every = [check for of_claim in checks.values() for check in of_claim]
                failed = [n for n, of in checks.items() if not all(c.passed for c in of)]
                closest = largest(check.error_over_bound for check in every)
                console.print(f"{case}: {len(every)} checks, {failed or 'all hold'}")
                found.append(
                    {"implementation": name, "form": form, "dtype": dtype, "checks": len(every)}
                    | {"failed": failed, "error_over_bound": closest}
                )
    return found


def run_verbs(names: Sequence[str], config: GpuConfig, device: str) -> dict[str, Any]:
    """Trace, time and train by the other verbs; give what each of them found."""
    on = ["--device", device, "--implementations", *names]
    docs = config.docs
    trace.main([*on, "--forms", *config.forms, "--json", str(docs / "gpu_trace.json")])
    times = ["--json", str(docs / "gpu_bench.json"), "--figure", str(docs / "gpu_bench.png")]
    bench.main([*on, "--forms", *config.forms, "--quick", str(config.quick), *times])
    folder = [] if config.mnist_dir is None else ["--mnist-dir", str(config.mnist_dir)]
    digits = ["--data", config.data, *folder, "--epochs", str(config.epochs)]
    run.main([*on, *digits, "--json", str(docs / "gpu_run.json")])
    traced = read_json(docs / "gpu_trace.json", Traced, "measure again")
    timed, ran = read_bench(docs / "gpu_bench.json"), read_result(docs / "gpu_run.json")
    keep = ("implementation", "form", "phase", "batch_size", "ms_per_sample", "samples_per_second")
    return {
        "trace": traced,
        "bench": [{key: getattr(row, key) for key in keep} for row in timed.rows],
        "run": {
            **{key: getattr(ran.parity, key) for key in ("passed", "verdict")},
            "data": config.data,
            "epochs": config.epochs,
            "implementations": {
                name: {key: getattr(ran.implementations[name], key) for key in RAN}
                for name in names
            },
        },
    }


RAN = ("train_seconds", "samples_per_second", "test_accuracy", "test_loss")
