"""docs/performance.md comes only from the numbers beside it."""

import json
import re
from pathlib import Path

import pytest

from compare.records.bench import read_bench
from compare.studies.performance import TEMPLATE, main, read_whole_job, write_page
from shared.errors import UserError

DOCS = Path(__file__).resolve().parents[3] / "docs"
BENCH, JOB = DOCS / "bench.json", DOCS / "whole_job.json"


def test_the_page_is_what_its_numbers_make_of_it():
    page = write_page(read_bench(BENCH), read_whole_job(JOB))
    assert (DOCS / "performance.md").read_text() == page
    assert "nan" not in page
    assert not re.search(r"\$\w", page)


def test_the_command_writes_the_page_and_all_it_is_made_from(tmp_path: Path, capsys):
    assert main([str(BENCH), "--whole-job", str(JOB), "--docs", str(tmp_path / "docs")]) == 0
    assert "performance.md" in capsys.readouterr().out
    made = {path.name for path in (tmp_path / "docs").iterdir()}
    assert made == {"performance.md", "bench.json", "whole_job.json", "bench.png", "bench.svg"}
    for name in ("performance.md", "bench.json", "whole_job.json"):
        assert (tmp_path / "docs" / name).read_text() == (DOCS / name).read_text()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    docs = str(tmp_path / "file" / "docs")
    with pytest.raises(UserError, match=r"Could not make the folder .*: Not a directory"):
        main([str(BENCH), "--whole-job", str(JOB), "--docs", docs])


def test_another_number_makes_another_page(tmp_path: Path):
    bench = json.loads(BENCH.read_text())
    for row in bench["rows"]:
        if (row["implementation"], row["form"], row["batch_size"]) == ("jax", "histogram", 256):
            row["ratio_to_loop"] = 4321.0
    (tmp_path / "bench.json").write_text(json.dumps(bench))
    page = write_page(read_bench(tmp_path / "bench.json"), read_whole_job(JOB))
    assert page.count("4,321") >= 3  # the table, the goals, the third lesson


def test_a_benchmark_with_a_hole_is_refused_by_its_name(tmp_path: Path):
    bench = json.loads(BENCH.read_text())
    bench["rows"] = [row for row in bench["rows"] if row["form"] != "builtin"]
    (tmp_path / "bench.json").write_text(json.dumps(bench))
    with pytest.raises(UserError, match="no step of pytorch builtin at batch 16: run `python -m"):
        write_page(read_bench(tmp_path / "bench.json"), read_whole_job(JOB))


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"config": {}}', '{"config": 3}', '"\\ud800"', '{"a": ' + "[" * 100_000),
        JOB.read_text().replace('"train_seconds": ', '"train_seconds": 1' + "0" * 309),
        JOB.read_text().replace("0.91", "1.91"),
    ],
)
def test_what_is_no_result_of_a_run_is_refused(text: str, tmp_path: Path):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"result\.json cannot be read: .*; give the result\.json"):
        read_whole_job(path)
    with pytest.raises(UserError, match="Could not read"):
        read_whole_job(tmp_path / "gone.json")


def test_every_number_of_the_template_is_filled_in():
    """An unknown name would raise; this checks that the lessons contain numbers."""
    names = set(re.findall(r"\$(\w+)", TEMPLATE.read_text()))
    assert {"vectorized_ms", "blocked_ratio", "jax_histogram_256_ratio", "goals"} <= names
