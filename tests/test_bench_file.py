"""bench.json: what is read back as it was written, and what is refused."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from compare.bench_report import read_bench
from compare.bench_rows import Row, Timing, make_row
from compare.jobs import Job
from compare.machine import Speed
from shared.errors import UserError

FAST = Job("jax", "histogram", 256, "step", 512)
SPEED = Speed(matrix_rate=1e9, copy_bandwidth=1e9)


def good_result() -> dict[str, Any]:
    row = make_row(FAST, Timing(1.0, 512, [0.5]), [1.0], SPEED, None)
    return {"rows": [asdict(row)], "machine": {}, "versions": {}, "config": {}}


def test_a_result_is_read_as_it_was_written(tmp_path: Path):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(good_result()))
    (row,) = read_bench(path)["rows"]
    assert row == Row(**good_result()["rows"][0])


def spoil(**fields: Any) -> dict[str, Any]:
    result = good_result()
    result["rows"][0] |= fields
    return result


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("junk", "it is not JSON"),
        (b"\xff\xfe\x00", "it is not JSON"),
        ([1, 2], "it holds no list of rows"),
        ({"rows": 3}, "it holds no list of rows"),
        (good_result() | {"rows": []}, "it has no row"),
        (good_result() | {"machine": None}, "its 'machine' is missing"),
        (good_result() | {"rows": ["a"]}, "'fields' of its row 1"),
        (spoil(ms_per_sample=None), "'ms_per_sample' of its row 1"),
        (spoil(ms_per_sample="1"), "'ms_per_sample' of its row 1"),
        (spoil(ms_per_sample=0), "'ms_per_sample' of its row 1"),
        (spoil(rounds=[-1]), "'rounds' of its row 1"),
        (spoil(form="guess"), "'form' of its row 1"),
        (spoil(form=[]), "'form' of its row 1"),
        (spoil(batch_size="16"), "'batch_size' of its row 1"),
    ],
)
def test_what_is_no_result_is_refused_in_one_sentence(content: Any, why: str, tmp_path: Path):
    path = tmp_path / "bench.json"
    is_raw = isinstance(content, str | bytes)
    raw = content if is_raw else json.dumps(content)
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    with pytest.raises(UserError, match=why) as refused:
        read_bench(path)
    assert str(refused.value).startswith(f"{path} is not a result of `python -m compare bench`")


def test_a_missing_result_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"Could not read .*bench\.json"):
        read_bench(tmp_path / "bench.json")
