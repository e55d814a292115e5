"""Memory: evaluating many images, at the default settings, needs no more than one batch."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FORMS, import_or_skip

from compare.bench.memory import measure_evaluation

ROOT = Path(__file__).resolve().parents[3]
LIMIT = 2**30  # 1 GiB
IMAGES = 10_000
# The other forms take 1 to 8 ms an image. What grows with the images is 10 logits each: 9,000 more
# add 0.7 MB, and measured, 320 and 1,600 images had the same peak within 5 MiB.
FEWER = 1000
CASES = [
    pytest.param(name, form, marks=() if form == "histogram" else pytest.mark.soak)
    for name, forms in FORMS.items()
    for form in forms
]


@pytest.mark.parametrize(("name", "form"), CASES)
def test_evaluating_ten_thousand_images_adds_less_than_a_gibibyte(name: str, form: str):
    import_or_skip(name)
    dtype = "float64" if name == "numpy" else "float32"
    images = IMAGES if form == "histogram" else FEWER
    assert 0 < measure_evaluation(name, form, images, dtype=dtype) < LIMIT


def rise_in_a_new_process(before: str, run: str) -> int:
    code = (
        f"import numpy as np\nfrom compare.bench.memory import peak_rise\n{before}\n"
        f"print(peak_rise(lambda: {run}))"
    )
    command = [sys.executable, "-c", code]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)


def test_a_peak_counts_though_it_is_freed_again():
    rise = rise_in_a_new_process("", "np.ones(64 * 2**20, dtype=np.uint8).sum()")
    assert 60 * 2**20 < rise < 90 * 2**20


def test_an_earlier_peak_does_not_count():
    earlier = "np.ones(256 * 2**20, dtype=np.uint8)"
    assert rise_in_a_new_process(earlier, "np.ones(2**20, dtype=np.uint8)") < 32 * 2**20
