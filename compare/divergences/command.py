"""`python -m compare divergences`: write docs/divergences.md from the catalogue."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from compare.catalogue import BUGS, Bug
from compare.catalogue.divergences import (
    DIVERGENCES,
    SUBJECTS,
    Divergence,
    Results,
    missing_library,
    run_divergence,
)
from compare.catalogue.divergences.agreements import AGREEMENTS
from compare.catalogue.divergences.records import anchor_of
from compare.catalogue.divergences.run import PRELUDE, say_result
from compare.catalogue.plant import whole_lines
from compare.divergences.index import FIRST_ANSWERS, by_letter, by_symptom
from compare.parity.checks import CHECKED
from compare.records.mutants import FoundBug, read_mutants
from compare.registry.implementations import DISPLAY_NAMES
from shared.cli import make_console, parse_options
from shared.errors import UserError
from shared.files import make_folder, write_text

TEMPLATE = Path(__file__).with_name("template.md")
# The catalogue's files of bugs, and their headings on the page.
BUG_SUBJECTS = {
    "scale": "In the scale",
    "attention": "In the attention",
    "histogram": "In the histogram form",
    "layers": "In the layers, and on the way of parameters",
    "numbers": "In the numbers",
    "training": "In the loss and its gradient",
    "optimizer": "In the optimiser",
    "epochs": "In batches and reports",
    "data": "In data and first parameters",
    "saved": "In what is saved and resumed",
    "ported": "In every framework at once",
    "reports": "In reports",
    "comparator": "In the comparison itself",
}


@dataclass(frozen=True)
class DivergencesConfig:
    """The options of `compare divergences`."""

    docs: Path = Path("docs")
    """The folder to write divergences.md into. The measured error of each planted bug comes from
    mutants.json in this folder, if it exists."""


def main(args: Sequence[str]) -> int:
    """Run every divergence and write the page."""
    config = parse_options(
        DivergencesConfig(),
        args,
        prog="python -m compare divergences",
        description="Runs the example of every divergence and writes docs/divergences.md.",
    )
    missing = {name for each in DIVERGENCES if (name := missing_library(each)) is not None}
    if missing:
        raise UserError(
            f"The page shows PyTorch beside JAX, and {', '.join(sorted(missing))} is not "
            "installed: run `pip install -e '.[pytorch,jax]'`."
        )
    mutants = config.docs / "mutants.json"
    page = write_page(read_mutants(mutants)["bugs"] if mutants.exists() else {})
    make_folder(config.docs)
    write_text(config.docs / "divergences.md", page)
    make_console().print(f"Written: {config.docs / 'divergences.md'}")
    return 0


def write_page(mutants: Mapping[str, FoundBug] = MappingProxyType({})) -> str:
    """Return the page: the results of every divergence, run here, and the planted bugs.

    `mutants` holds the measurements of planted bugs by name, as mutants.json does; without them,
    the page has no column for them.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # the page is Markdown; its HTML parts are escaped where they are made
        keep_trailing_newline=True,
    )
    environment.filters |= {"anchor": anchor_of, "title_of": title_of}
    listed = [each for group in SUBJECTS.values() for each in group]
    return environment.get_template(TEMPLATE.name).render(
        divergences={
            subject: [show_divergence(each) for each in group]
            for subject, group in SUBJECTS.items()
        },
        symptoms=by_symptom(listed),
        first_answers=FIRST_ANSWERS,
        letters=by_letter(listed),
        num_divergences=len(DIVERGENCES),
        prelude="\n".join(dict.fromkeys("\n".join(PRELUDE.values()).splitlines())),
        bugs={
            heading: [show_bug(bug, mutants.get(bug.name)) for bug in bugs]
            for heading, bugs in bugs_by_subject().items()
        },
        num_bugs=len(BUGS),
        hidden=[bug for bug in BUGS if bug.equivalent],
        checks=CHECKED,
        agreements=[agreement.what for agreement in AGREEMENTS],
        versions=say_versions(
            {name for each in DIVERGENCES for name in each.libraries} | {"numpy"}
        ),
        is_measured=bool(mutants),
    )


def title_of(url: str) -> str:
    """Return a short title for a link: an issue's number, or a page's site."""
    if found := re.fullmatch(r"https://github\.com/[^/]+/([^/]+)/(?:issues|pull)/(\d+)", url):
        return f"{found[1]} #{found[2]}"
    host, *_, last = url.removeprefix("https://").rstrip("/").split("/")
    subject = last.removesuffix(".html")
    return f"{host}: {subject if subject[0].isdigit() else subject.split('.')[-1]}"


def say_versions(libraries: set[str]) -> str:
    """Return the installed versions of some libraries as text."""
    return ", ".join(f"{name} {version(name).split('+')[0]}" for name in sorted(libraries))


def show_divergence(divergence: Divergence) -> dict[str, Any]:
    """Run a divergence and return what the template prints of it."""
    found = run_divergence(divergence)
    if not divergence.expect(found):
        raise UserError(
            f"The libraries no longer differ as {divergence.name!r} states, {describe(found)}: "
            "change or remove the divergence in compare/catalogue/divergences."
        )
    columns = [
        {"framework": heading, "code": code, "gives": escape(say_result(getattr(found, key)))}
        for key, heading in DISPLAY_NAMES.items()
        if (code := getattr(divergence, key))
    ]
    return {
        "divergence": divergence,
        "columns": columns,
        "size": divergence.size(found),
        "versions": say_versions(set(divergence.libraries)),
    }


def describe(found: Results) -> str:
    """Return the results of each framework's code as text."""
    return "; ".join(
        f"{heading} gives {say_result(getattr(found, key))}"
        for key, heading in DISPLAY_NAMES.items()
        if getattr(found, key) is not None
    )


def bugs_by_subject() -> dict[str, list[Bug]]:
    """Return the planted bugs by the file of the catalogue that defines them."""
    import compare.catalogue as catalogue

    return {
        heading: list(getattr(catalogue, name).__dict__[name.upper()])
        for name, heading in BUG_SUBJECTS.items()
    }


def show_bug(bug: Bug, mutant: FoundBug | None) -> dict[str, Any]:
    """Return what the template prints of a planted bug."""
    right, wrong = whole_lines(bug)
    return {
        "bug": bug,
        "where": [f"{place.package}/{place.file}" for place in bug.everywhere()],
        "right": [f"-{line}" for line in right.splitlines()],
        "wrong": [f"+{line}" for line in wrong.splitlines()],
        "measured": None if mutant is None else say_measured(bug, mutant),
    }


def say_measured(bug: Bug, mutant: FoundBug) -> str:
    """Return a bug's error as a multiple of its bound, in the check that should catch it."""
    ratio = mutant["error_ratios"].get(bug.check)
    if ratio is not None:
        return f"{ratio:.1e}"
    # JSON has no infinity and no NaN: a check that only passes or fails has no number.
    return "pass or fail" if bug.check in mutant["caught_by"] else "not caught"
