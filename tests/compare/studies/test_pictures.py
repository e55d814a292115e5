"""The pictures of the docs show the run's numbers, and are small."""

from pathlib import Path

import numpy as np
import pytest
from page_runs import draw_params, make_run

from compare.parity.intermediates import Batch, bound_intermediates
from compare.run.report import save_loss_curves
from compare.studies import pictures
from compare.studies.pictures import choose_pixels, draw_attention, main
from compare.trace import command as trace
from shared.errors import UserError
from shared.training.records import AdamState, Epoch, Evaluation

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_attention_figure_shows_the_weights_of_three_pixels(tmp_path: Path):
    _, data = make_run(tmp_path / "run", num_channels=3)
    params = draw_params(3, 1)
    figure = draw_attention(params, data.test)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    index = int(np.flatnonzero(data.test.labels == 3)[0])
    batch = Batch(params, data.test.images[index : index + 1], data.test.labels[index : index + 1])
    exact = bound_intermediates(batch, "float64")
    digit, *heat, attended = shown[:5]
    np.testing.assert_array_equal(digit.reshape(-1), data.test.pixels[index])
    chosen = choose_pixels(data.test.pixels[index])
    for image, pixel in zip(heat, chosen.values(), strict=True):
        bound = 2 * 784 * exact["weights"].bound[0, pixel]
        error = np.abs(image.reshape(-1) - 784 * exact["weights"].value[0, pixel])
        assert np.all(error <= bound)
    error = np.abs(attended.reshape(-1) - exact["attended"].value[0, :, 0])
    assert np.all(error <= 2 * exact["attended"].bound[0, :, 0])
    levels = data.test.pixels[index][list(chosen.values())]
    assert levels[0] == 0
    assert 90 < levels[1] < 165
    assert levels[2] > 245


def test_a_digit_without_an_edge_is_one_sentence():
    with pytest.raises(UserError, match="no stroke with an edge"):
        choose_pixels(np.zeros(784, dtype=np.uint8))


def test_one_command_draws_them_all_and_times_nothing(tmp_path: Path, monkeypatch):
    # The real trace, but of fewer cases: all of them take more than a minute.
    few, real = ("--implementations", "numpy", "--dtypes", "float32"), trace.main
    monkeypatch.setattr(pictures.trace, "main", lambda args: real([*args, *few]))
    run, _ = make_run(tmp_path / "run")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "bench.json").write_text((DOCS / "bench.json").read_text())
    assert main([str(run), "--docs", str(docs)]) == 0
    drawn = {path.name for path in docs.iterdir()} - {"bench.json"}
    assert drawn == {"attention.png", "trace.png", "bench.png", "bench.svg"}
    for name in drawn:
        assert (docs / name).stat().st_size < 200_000, name
    with pytest.raises(UserError, match="There is no checkpoint"):
        main([str(run), "--implementation", "tinygrad", "--docs", str(docs)])


def test_without_docs_the_pictures_stand_beside_the_run(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(pictures.trace, "main", lambda _: 0)
    monkeypatch.chdir(tmp_path)
    run, _ = make_run(tmp_path / "run")
    (tmp_path / "docs").mkdir()
    assert main([str(run)]) == 0
    assert (run / "attention.png").exists()
    assert list((tmp_path / "docs").iterdir()) == []


@pytest.mark.parametrize("name", ["attention.png", "trace.png", "bench.png"])
def test_the_docs_have_their_pictures(name: str):
    assert (DOCS / name).read_bytes().startswith(b"\x89PNG")
    assert (DOCS / name).stat().st_size < 200_000


def test_the_curves_of_a_long_run_stay_a_small_file(tmp_path: Path):
    def epochs(noise: float) -> list[Epoch]:
        losses = 0.3 + noise * np.random.default_rng(0).random(40_000)
        evaluation = Evaluation(0.3, 0.9, np.empty((0, 10)))
        return [Epoch(1, 0.3, 0.9, evaluation, 1.0, 1, losses, {}, AdamState(1, {}, {}))]

    save_loss_curves(tmp_path, {"pytorch": epochs(0.1), "jax": epochs(0.1001)})
    assert (tmp_path / "loss.svg").stat().st_size < 1_000_000  # points as vectors: 5 MB
    assert b"<image" in (tmp_path / "loss.svg").read_bytes()
