"""The benchmark: its counts, its summary of the rounds, and its files."""

import os
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from math import isfinite
from pathlib import Path

import pytest
from conftest import FORMS, import_or_skip
from rich.console import Console

from compare.bench.command import main, time_round
from compare.bench.jobs import Job
from compare.bench.plan import BenchConfig, images_per_pass
from compare.bench.report import bench_table, draw_bench
from compare.bench.rows import Timing, make_row, summarise
from compare.machine import Speed, fastest, floor_seconds, measure_speed, work_of
from compare.records.bench import Bench, read_bench
from shared.cli import complete_flag
from shared.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
SPEED = Speed(matrix_rate=1e9, copy_bandwidth=1e9)
SMALL = {"steps": 7, "channels": 3, "outputs": 5, "levels": 11}


@pytest.mark.parametrize("form", ["vectorized", "looped", "blocked", "builtin"])
def test_direct_forms_do_their_work_once_per_pair_of_pixels(form: str):
    projections = 3 * 2 * 7 * 3 * 3
    attention = 2 * 7 * 7 * 3 + 7 * 7 + 2 * 7 * 7 * 3
    linear = 2 * (7 * 3) * 5
    work = work_of(form, "forward", 2, **SMALL)
    assert work.operations == 2 * (projections + attention + linear)
    parameters = 3 * 9 + 5 * 21 + 5
    assert work.bytes == 4 * (2 * 7 * 3 + parameters + 2 * 5)


def test_the_histogram_form_does_its_work_once_per_pair_of_levels():
    table = 3 * 2 * 11 * 3 * 3 + 11 * 11 * (2 * 3 + 1)
    per_sample = 2 * 11 * 11 * (3 + 1) + 2 * (7 * 3) * 5
    work = work_of("histogram", "forward", 2, **SMALL)
    assert work.operations == table + 2 * per_sample
    parameters = 3 * 9 + 5 * 21 + 5
    assert work.bytes == 2 * 7 + 4 * (2 * 11 + 11 * 3 + parameters + 2 * 5)


@pytest.mark.parametrize("form", ["looped", "histogram"])
def test_a_step_takes_three_times_the_operations_and_moves_adams_moments(form: str):
    forward, step = (work_of(form, phase, 2, **SMALL) for phase in ("forward", "step"))
    assert step.operations == 3 * forward.operations
    assert step.bytes - forward.bytes == 4 * 7 * (3 * 9 + 5 * 21 + 5)


def test_float64_moves_twice_the_bytes():
    one, two = (work_of("looped", "step", 2, **SMALL, itemsize=size) for size in (4, 8))
    assert two.bytes == 2 * one.bytes
    assert two.operations == one.operations


def test_the_floor_is_the_larger_of_computing_and_moving():
    work = work_of("looped", "forward", 16)
    assert floor_seconds(work, Speed(1e9, 1e30)) == work.operations / 1e9
    assert floor_seconds(work, Speed(1e30, 1e9)) == work.bytes / 1e9


def test_the_machine_computes_and_copies_at_a_plausible_speed():
    speed = measure_speed(repeats=1)
    assert 1e8 < speed.matrix_rate < 1e16
    assert 1e8 < speed.copy_bandwidth < 1e14
    assert fastest(Speed(1.0, 4.0), Speed(3.0, 2.0)) == Speed(3.0, 4.0)


LOOP = Job("pytorch", "looped", 16, "step", 64)
FAST = Job("jax", "histogram", 256, "step", 512)


def test_ratios_are_taken_round_by_round():
    timings = {
        LOOP: Timing(5.0, 64, [2.0, 8.0, 3.0]),
        FAST: Timing(1.0, 512, [0.5, 1.0, 0.25]),
    }
    loop, fast = summarise(timings, SPEED, {FAST: 1234})
    assert loop.ratio_to_loop == 1
    assert fast.ratio_rounds == [4.0, 8.0, 12.0]
    assert fast.ratio_to_loop == 8
    assert (fast.ms_lowest, fast.ms_per_sample, fast.ms_highest) == (0.25, 0.5, 1.0)
    assert fast.samples_per_second == 2000
    assert (loop.peak_bytes, fast.peak_bytes) == (None, 1234)


def test_compile_time_is_what_the_first_pass_took_longer():
    row = make_row(FAST, Timing(3.5, 512, [0.5, 0.4, 0.6]), None, SPEED, None)
    assert row.compile_seconds == pytest.approx(512 * 0.003)
    assert row.ms_per_sample == 0.5, "the first pass is not in the median"
    assert make_row(FAST, Timing(0.1, 512, [0.5]), None, SPEED, None).compile_seconds == 0


def test_without_pytorch_there_is_no_ratio():
    (row,) = summarise({FAST: Timing(1.0, 512, [0.5])}, SPEED, {})
    assert row.ratio_to_loop is row.ratio_rounds is None


def test_each_row_is_held_against_its_floor():
    row = make_row(LOOP, Timing(5.0, 64, [2.0]), None, SPEED, None)
    assert (
        row.floor_ms_per_sample == 1000 * floor_seconds(work_of("looped", "step", 16), SPEED) / 16
    )
    assert row.times_floor == 2.0 / row.floor_ms_per_sample
    on_a_gpu = make_row(replace(LOOP, device="cuda"), Timing(5.0, 64, [2.0]), None, SPEED, None)
    assert on_a_gpu.floor_ms_per_sample is None, "NumPy's rate says nothing of a GPU"


def test_a_round_lasts_long_enough_to_be_timed():
    assert time_round(lambda: (0.25, 100), 1.0) == 2.5
    passes = iter([(0.25, 100), (0.5, 100), (0.5, 50), (9.0, 1)])
    assert time_round(lambda: next(passes), 1.0) == 5.0


@pytest.mark.parametrize("form", FORMS["pytorch"])
@pytest.mark.parametrize("batch_size", [1, 16, 64, 256])
def test_a_pass_is_whole_batches_that_jax_compiles_once(form: str, batch_size: int):
    for config in (BenchConfig(), BenchConfig(quick=True)):
        images = images_per_pass(form, batch_size, config)
        steps = images // batch_size
        assert images == steps * batch_size <= 4000
        assert 1 <= steps <= 125 or steps % 125 == 0
    assert images_per_pass(form, batch_size, BenchConfig(images=20)) <= max(20, batch_size)
    assert images_per_pass("histogram", 16, BenchConfig()) == 4000


def test_quick_needs_no_value():
    def complete(*args: str) -> list[str]:
        return complete_flag(args, "--quick")

    assert complete("--quick") == ["--quick", "True"]
    assert complete("--quick", "--rounds", "2") == ["--quick", "True", "--rounds", "2"]
    assert complete("--quick", "False") == ["--quick", "False"]
    assert complete() == []


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> tuple[Path, str]:
    """Run a tiny benchmark; return its folder and its output."""
    for name in ("pytorch", "jax"):
        import_or_skip(name)
    folder = tmp_path_factory.mktemp("bench")
    tiny = "--forms histogram looped --batch-sizes 16 --rounds 2 --images 32 --quick"
    process = run(*tiny.split(), cwd=folder)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return folder, process.stdout


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "compare", "bench", *args]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=200)


def cases(result: Bench) -> set[tuple[str, str, str]]:
    return {(row.implementation, row.form, row.phase) for row in result.rows}


def test_every_case_has_a_row(bench):
    folder, _ = bench
    trained = {(n, f, "step") for n in ("pytorch", "jax") for f in ("looped", "histogram")}
    forward = {
        (n, f, "forward") for n in ("pytorch", "jax", "numpy") for f in ("looped", "histogram")
    }
    assert cases(read_bench(folder / "bench.json")) == trained | forward


def test_every_number_is_finite_and_positive(bench):
    folder, _ = bench
    result = read_bench(folder / "bench.json")
    for row in result.rows:
        assert row.batch_size == 16
        assert len(row.rounds) == len(row.ratio_rounds) == 2
        for number in (
            *(row.ms_per_sample, row.samples_per_second, row.ratio_to_loop, row.operations),
            *(row.bytes, row.floor_ms_per_sample, row.times_floor, *row.rounds),
        ):
            assert isfinite(number)
            assert number > 0
        assert row.ms_lowest <= row.ms_per_sample <= row.ms_highest
        assert isfinite(row.compile_seconds)
        assert row.compile_seconds >= 0
        assert row.peak_bytes is None, "--quick measures no memory"
    assert any(row.compile_seconds > 0.05 for row in result.rows if row.implementation == "jax")
    assert result.machine.matrix_rate > 0
    assert result.machine.threads >= 1
    assert {"numpy", "torch", "jax"} <= result.versions.keys()
    assert (result.device, result.dtype, result.quick) == ("cpu", "float32", True)


def test_the_tables_and_the_figure_are_there(bench):
    folder, printed = bench
    for words in ("Forward pass", "Training step", "x the loop", "histogram", "numpy"):
        assert words in printed
    assert "\x1b" not in printed, "no colours and no bars where there is no terminal"
    assert (folder / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "bench.svg").read_text()


def test_the_loop_is_timed_along_and_numpy_has_no_step(tmp_path, monkeypatch, capsys):
    import_or_skip("pytorch")
    monkeypatch.chdir(tmp_path)
    args = (
        "--implementations numpy --forms histogram --batch-sizes 64 --rounds 1 --images 64 --quick"
    )
    assert main(args.split()) == 0
    assert cases(read_bench(tmp_path / "bench.json")) == {
        ("pytorch", "looped", "forward"),
        ("pytorch", "looped", "step"),
        ("numpy", "histogram", "forward"),
    }
    assert "Result and figure: bench.json" in capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 132])
def test_a_table_fits_its_terminal(width: int):
    row = make_row(FAST, Timing(1.0, 512, [0.00123, 0.0123]), [12.3, 12.3], SPEED, 2**34)
    console = Console(width=width, record=True, file=StringIO())
    console.print(bench_table([replace(row, implementation="pytorch")], "step", width))
    printed = console.export_text()
    assert "\N{HORIZONTAL ELLIPSIS}" not in printed, "nothing is cut short"
    assert "x the loop" in printed
    assert ("peak MiB" in printed) == (width == 132)


def test_numpy_alone_is_drawn_by_its_forward_pass():
    job = Job("numpy", "histogram", 64, "forward", 64)
    figure = draw_bench([make_row(job, Timing(1.0, 64, [0.5]), None, SPEED, None)])
    assert "Forward pass" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("--rounds 0", "--rounds is 0: give 1 or more."),
        ("--batch-sizes 16 0", "--batch-sizes is 0: give 1 or more."),
        ("--images -3", "--images is -3: give 1 or more."),
        ("--num-channels 0", "--num-channels is 0: give 1 or more."),
        ("--json nowhere/b.json", "Could not write nowhere/b.json: there is no folder nowhere."),
        ("--implementations numpy --forms builtin", "numpy has no form builtin."),
        ("--implementations numpy --device cuda", "Nothing is left to time: use --device cpu"),
    ],
)
def test_bad_options_get_one_sentence(args: str, sentence: str, tmp_path, monkeypatch):
    import_or_skip("pytorch")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        main(args.split())
    assert list(tmp_path.iterdir()) == []


def test_bad_options_end_with_status_2(tmp_path: Path):
    process = run("--rounds", "0", cwd=tmp_path)
    assert process.returncode == 2
    assert process.stderr == "error: --rounds is 0: give 1 or more.\n"
