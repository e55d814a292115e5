"""The speed of each form: the rows of bench.json that the page draws, and their machine."""

from pathlib import Path
from typing import Any

from compare.records.bench import read_bench
from compare.registry.contract import FORMS

NUMBERS = ("batch_size", "ms_per_sample", "ms_lowest", "ms_highest", "ratio_to_loop")


def speed_data(run: Path, docs: Path) -> dict[str, Any] | None:
    """Read bench.json of the run folder, or else of the docs; return None if neither exists.

    Raises UserError for a file that is not a complete result of a benchmark.
    """
    path = next((path for path in (run / "bench.json", docs / "bench.json") if path.exists()), None)
    if path is None:
        return None
    bench = read_bench(path)
    return {
        "rows": [
            {name: getattr(row, name) for name in ("implementation", "form", "phase", *NUMBERS)}
            for row in bench.rows
        ],
        "forms": [form for form in FORMS if any(row.form == form for row in bench.rows)],
        "cpu": bench.machine.cpu or "an unknown processor",
        "threads": str(bench.machine.threads),
        "versions": bench.versions,
        "is_this_run": path.parent == run,
    }
