"""The divergences still exist, and docs/divergences.md describes them."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from textwrap import indent
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from page_runs import MUTANTS

from compare.catalogue import BUGS
from compare.catalogue.divergences import (
    DIVERGENCES,
    Divergence,
    Results,
    missing_library,
    run_divergence,
)
from compare.catalogue.divergences.agreements import AGREEMENTS, Agreement
from compare.catalogue.divergences.records import SYMPTOMS
from compare.catalogue.divergences.run import run_code, say_result
from compare.divergences import command as divergences
from compare.divergences.command import anchor_of, main, say_versions, write_page
from compare.parity.checks import CHECKED
from compare.records.mutants import read_mutants
from shared.errors import UserError

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = DOCS / "divergences.md"


def skip_without_libraries(*divergences: Divergence) -> None:
    """Skip the test by the name of a library that is not installed."""
    for divergence in divergences:
        if (missing := missing_library(divergence)) is not None:
            pytest.skip(f"{missing} is not installed")


run_once = cache(run_divergence)


@pytest.fixture(autouse=True)
def _each_divergence_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divergences, "run_divergence", run_once)


def without_numbers(text: str) -> str:
    """Return a text without numbers that differ between machines or versions."""
    return re.sub(r"[-+]?\d[\d,.]*(e[-+]?\d+)?", "#", text)


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda divergence: divergence.name)
def test_the_libraries_still_part(divergence: Divergence):
    """A failure says that a library has changed: correct the entry, and what was built upon it."""
    skip_without_libraries(divergence)
    found = run_once(divergence)
    assert divergence.expect(found), divergences.describe(found)
    assert divergence.size(found)


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda divergence: divergence.name)
def test_a_divergence_is_whole(divergence: Divergence):
    assert sum(other.name == divergence.name for other in DIVERGENCES) == 1
    assert divergence.what.endswith((".", ":"))
    assert divergence.detect.endswith(".")
    assert divergence.fix.endswith(".")
    assert divergence.sources
    assert all(source.startswith("https://") for source in divergence.sources)
    assert set(divergence.bugs) <= {bug.name for bug in BUGS}
    for found, allowed in ((divergence.symptoms, SYMPTOMS), (divergence.calls, divergence.calls)):
        assert found
        assert set(found) <= set(allowed)
        assert len(set(found)) == len(found)
    codes = (divergence.pytorch, divergence.jax, divergence.numpy)
    for code in codes:
        assert len(code.splitlines()) <= 8
        assert all(len(line) <= 90 for line in code.splitlines())
    assert len(divergence.port.splitlines()) <= 14
    assert all(len(line) <= 92 for line in divergence.port.splitlines())
    # An entry that says nothing of NumPy has nothing to compare with; one that does has its code.
    libraries = {"torchmetrics", "flax", "optax"} & set(divergence.libraries)
    for library, mark in (("torchmetrics", "torchmetrics"), ("flax", "nnx."), ("optax", "optax.")):
        assert (library in libraries) == (mark in "".join(codes)), library


@pytest.mark.parametrize(
    "divergence", [each for each in DIVERGENCES if each.port], ids=lambda each: each.name
)
def test_the_fix_that_is_code_makes_both_the_same(divergence: Divergence):
    """Of each pair all numbers, but for rounding, are the same."""
    skip_without_libraries(divergence)
    right, found = run_code(divergence.port, "port")
    pairs = zip(right, found, strict=True) if isinstance(right, tuple) else [(right, found)]
    for one, other in pairs:
        assert np.shape(one) == np.shape(other)
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=5e-6)


def test_a_divergence_that_is_gone_is_noticed():
    """Each expectation fails where both frameworks give what one of them does."""
    skip_without_libraries(*DIVERGENCES)
    for divergence in DIVERGENCES:
        found = run_once(divergence)
        for same in (found.pytorch, found.jax):
            gone = Results(same, same, found.numpy if found.numpy is None else same)
            try:
                parted = bool(divergence.expect(gone))
            except (TypeError, IndexError, AttributeError, ValueError):
                continue  # what one gives has not even the other's form
            # The two that both frameworks ratio: a snapshot is live in both, a byte wraps in both.
            assert not parted or divergence.name in ("snapshots", "bytes"), divergence.name


@pytest.mark.parametrize("agreement", AGREEMENTS, ids=lambda agreement: agreement.what)
def test_the_libraries_still_agree(agreement: Agreement):
    skip_without_libraries(*DIVERGENCES)
    one, other = run_code(agreement.pytorch, "pytorch"), run_code(agreement.jax, "jax")
    assert one.shape == other.shape
    np.testing.assert_allclose(other, one, rtol=1e-5)


def test_code_gives_its_last_expression_or_its_result_or_its_error():
    assert run_code("x = 2\nx + 1", "numpy") == 3
    assert run_code("result = np.ones(2)", "numpy").tolist() == [1, 1]
    raised = run_code("np.ones(2)[5]", "numpy")
    assert say_result(raised).startswith("raises IndexError: index 5 is out of bounds")
    assert say_result((np.float32(1 / 3), np.array([1e-9, 2.0]), "float32")) == (
        "0.333333, [1e-09, 2], float32"
    )
    assert say_result(((4, 2, 2), (2,))) == "(4, 2, 2), (2)"


def test_the_checks_of_the_catalogue_are_those_of_the_suite():
    assert {bug.check for bug in BUGS} <= CHECKED.keys()


def test_the_page_is_what_the_catalogue_makes_of_it():
    skip_without_libraries(*DIVERGENCES)
    page = write_page(read_mutants(DOCS / "mutants.json")["bugs"])
    assert without_numbers(PAGE.read_text()) == without_numbers(page)


def test_the_page_holds_every_divergence_and_every_bug_and_names_its_versions():
    page = PAGE.read_text()
    for divergence in DIVERGENCES:
        assert f"\n### {divergence.title}\n" in page
        assert all(code in page for code in (divergence.pytorch, divergence.jax, divergence.numpy))
        assert "\n" + indent(divergence.port, "  ") in page
    for bug in BUGS:
        assert f"\n#### {bug.name}\n" in page
        assert all(f"]({source})" in page for source in bug.sources)
    libraries = ("flax", "jax", "numpy", "optax", "safetensors", "torch", "torchmetrics")
    assert re.search(", ".join(rf"{library} [\d.]+" for library in libraries), page)
    assert page.count("Seen with ") == len(DIVERGENCES)
    assert "\n\n\n" not in page
    assert not re.search(r"[ \t]\n", page)


def test_every_link_of_the_diagnosis_leads_to_an_entry():
    anchors = {anchor_of(divergence.title).removeprefix("#") for divergence in DIVERGENCES}
    sources = (DOCS.parent / "compare" / "diagnose").rglob("*.py")
    links = {link for path in sources for link in re.findall(r"\{DOCS\}([\w-]+)", path.read_text())}
    assert "true-keeps-in-one-call-and-masks-out-in-the-other" in links
    assert links <= anchors


def mutants_of(ratio: float | None, caught_by: list[str]) -> dict[str, Any]:
    bug = MUTANTS["bugs"]["not_trained"] | {
        "error_ratios": {"intermediates": ratio},
        "caught_by": caught_by,
    }
    return MUTANTS | {"bugs": {"scale_missing": bug}}


@pytest.mark.parametrize(
    ("ratio", "caught_by", "says"),
    [
        (1234567.0, ["intermediates"], "1.2e+06"),
        (None, ["intermediates"], "pass or fail"),
        (None, [], "not caught"),
    ],
)
def test_a_measured_error_is_printed(ratio, caught_by, says: str, tmp_path: Path, monkeypatch):
    skip_without_libraries(*DIVERGENCES)
    monkeypatch.setattr(divergences, "SUBJECTS", {})
    path = tmp_path / "mutants.json"
    path.write_text(json.dumps(mutants_of(ratio, caught_by)))
    page = write_page(read_mutants(path)["bugs"])
    assert "| check | error / bound |" in page
    row = next(line for line in page.splitlines() if line.startswith("| [`scale_missing`]"))
    assert row.endswith(f"| {says} |")


def test_without_measurements_their_column_is_left_out(monkeypatch):
    skip_without_libraries(*DIVERGENCES)
    monkeypatch.setattr(divergences, "SUBJECTS", {})
    assert "| check | error / bound |" not in write_page(MappingProxyType({}))


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"bugs": 3}', '{"bugs": {"a": {"error_ratios": {"b": "c"}}}}'),
        *('{"seeds": ' + "[" * 100_000, '{"honest": {"steps": 1' + "0" * 309 + "}}", '"\\ud800"'),
    ],
)
def test_what_is_no_measurement_is_refused(text: str, tmp_path: Path):
    (tmp_path / "mutants.json").write_text(text)
    with pytest.raises(UserError, match=r"mutants\.json cannot be read: .*; write it with `python"):
        read_mutants(tmp_path / "mutants.json")


def test_the_command_writes_the_page(tmp_path: Path, capsys, monkeypatch):
    skip_without_libraries(*DIVERGENCES)
    monkeypatch.setattr(divergences, "SUBJECTS", {})
    assert main(["--docs", str(tmp_path / "docs")]) == 0
    assert "divergences.md" in capsys.readouterr().out
    page = (tmp_path / "docs" / "divergences.md").read_text()
    assert say_versions({"jax", "numpy"}) in page


def test_the_command_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(divergences, "missing_library", lambda divergence: divergence.libraries[-1])
    with pytest.raises(UserError, match=r"and flax, jax, optax is not installed: run `pip"):
        main([])


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path):
    skip_without_libraries(*DIVERGENCES)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="Could not"):
        main(["--docs", str(tmp_path / "file" / "docs")])


def test_a_page_of_what_is_no_longer_so_is_not_written(monkeypatch):
    skip_without_libraries(*DIVERGENCES)
    gone = replace(DIVERGENCES[0], expect=lambda found: False)
    monkeypatch.setattr(divergences, "SUBJECTS", {"Attention": (gone,)})
    with pytest.raises(
        UserError, match=r"no longer differ as 'softmax_axis' states, PyTorch gives 0\.5"
    ):
        write_page()
