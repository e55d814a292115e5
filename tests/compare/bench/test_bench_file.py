"""bench.json: it is read back as it was written, and wrong files are refused."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from compare.bench.jobs import Job
from compare.bench.rows import Timing, make_row
from compare.machine import Speed
from compare.records.bench import Row, read_bench
from shared.errors import UserError

FAST = Job("jax", "histogram", 256, "step", 512)
SPEED = Speed(matrix_rate=1e9, copy_bandwidth=1e9)


def good_result() -> dict[str, Any]:
    row = make_row(FAST, Timing(1.0, 512, [0.5]), [1.0], SPEED, None)
    machine = {"platform": "Linux", "cpu": None, "threads": 2, "cores_of_others": None}
    return {
        "rows": [asdict(row)],
        "machine": SPEED._asdict() | machine,
        "versions": {},
        **{"device": "cpu", "dtype": "float32", "num_channels": 1, "config": {}, "quick": True},
    }


def test_a_result_is_read_as_it_was_written(tmp_path: Path):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(good_result()))
    assert read_bench(path).rows == [Row(**good_result()["rows"][0])]


def spoil(**fields: Any) -> dict[str, Any]:
    result = good_result()
    result["rows"][0] |= fields
    return result


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("junk", "JSON is malformed"),
        (b"\xff\xfe\x00", "JSON is malformed"),
        ('{"more": ' + "[" * 100_000, "recursion"),
        ([1, 2], "Expected `object`, got `array`"),
        ({"rows": 3}, r"at `\$\.rows`"),
        (good_result() | {"rows": []}, r"length >= 1 - at `\$\.rows`"),
        (good_result() | {"machine": None}, r"at `\$\.machine`"),
        (good_result() | {"dtype": "\ud800"}, "JSON is malformed"),
        (good_result() | {"rows": ["a"]}, r"at `\$\.rows\[0\]`"),
        (spoil(ms_per_sample=None), r"at `\$\.rows\[0\]\.ms_per_sample`"),
        (spoil(ms_per_sample="1"), r"at `\$\.rows\[0\]\.ms_per_sample`"),
        (spoil(ms_per_sample=0), r"at `\$\.rows\[0\]\.ms_per_sample`"),
        (spoil(ms_per_sample=10**309), r"out of range - at `\$\.rows\[0\]\.ms_per_sample`"),
        (spoil(rounds=[-1]), r"at `\$\.rows\[0\]\.rounds\[0\]`"),
        (spoil(form="guess"), r"'guess' - at `\$\.rows\[0\]\.form`"),
        (spoil(form=[]), r"at `\$\.rows\[0\]\.form`"),
        (spoil(batch_size="16"), r"at `\$\.rows\[0\]\.batch_size`"),
        (spoil(batch_size=10**309), r"<= 9007199254740992 - at `\$\.rows\[0\]\.batch_size`"),
    ],
)
def test_what_is_no_result_is_refused_in_one_sentence(content: Any, why: str, tmp_path: Path):
    path = tmp_path / "bench.json"
    is_raw = isinstance(content, str | bytes)
    raw = content if is_raw else json.dumps(content)
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    with pytest.raises(UserError, match=why) as refused:
        read_bench(path)
    advice = f"write one with `python -m compare bench --json {path}`."
    assert str(refused.value).startswith(f"{path} cannot be read: ")
    assert str(refused.value).endswith(advice)


def test_a_missing_result_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"Could not read .*bench\.json"):
        read_bench(tmp_path / "bench.json")
