"""The notebook for learners: every cell runs."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOUR = ROOT / "docs" / "tour.ipynb"


def test_every_cell_runs_and_shows_what_the_notebook_says(monkeypatch):
    # A reader's kernel has no shared compilation cache.
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    for library in ("ipykernel", "torch", "jax"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    book = nbformat.read(TOUR, as_version=4)
    nbformat.validate(book)
    kept = [shown(cell) for cell in book.cells]
    ran = nbclient.NotebookClient(
        book,
        timeout=300,
        coalesce_streams=True,  # into how many messages a cell's text is cut is a matter of time
        resources={"metadata": {"path": str(TOUR.parent)}},
    ).execute()
    found = [shown(cell) for cell in ran.cells]
    # Numbers differ in their last digits between processors; the kinds of output do not.
    assert [kinds for kinds, _ in found] == [kinds for kinds, _ in kept], found
    texts = " ".join(text for _, text in found)
    assert "times what rounding allows" in texts
    for step in ("query", "key", "value", "scores", "weights", "attended", "logits"):
        assert f"{step} " in texts


def shown(cell) -> tuple[list[str], str]:
    """Return the kinds of a cell's outputs, and their text."""
    outputs = cell.get("outputs", [])
    kinds = sorted(kind for output in outputs for kind in output.get("data", {"text": ""}))
    return kinds, "".join(output.get("text", "") for output in outputs)
