"""Render the page: one HTML file with its data, style, scripts and fonts."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from compare.code.highlight import Cell
from compare.page.encode import embed_json
from compare.registry.implementations import display

HERE = Path(__file__).parent
STYLES = (
    "vendor/uplot/uPlot.min.css",
    *(f"static/{n}.css" for n in ("base", "parts", "code", "flow")),
)
SCRIPTS = tuple(
    f"static/{name}.js"
    for name in (
        *("model", "draw_tensor", "charts", "intermediates", "attention", "attention_view"),
        *("draw", "flow", "bugs", "training", "speed", "start"),
    )
)
UPLOT = "vendor/uplot/uPlot.iife.min.js"
FONTS = {
    "inter": "vendor/inter/inter-latin-wght-normal.woff2",
    "plex": "vendor/ibm-plex-mono/ibm-plex-mono-latin-400-normal.woff2",
}
MOST_BYTES = 5_000_000


def render_page(view: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Fill the templates with `view`, which they escape, and embed `data` for the page's code."""
    theme = _read("static/theme.js")
    # One function around everything, so that only `sideBySide` is visible outside.
    code = "\n".join(("(() => {", '"use strict";', *map(_read, SCRIPTS), "})();"))
    scripts = {"theme": theme, "uplot": _read(UPLOT), "code": code}
    data = {name: Markup(embed_json(value)) for name, value in data.items()}
    return _fill("page.html.j2", STYLES, scripts, {**view, "data": data})


def render_diagnosis(view: Mapping[str, Any]) -> str:
    """Fill the template of `compare diagnose`, which escapes `view`; it has no scripts."""
    styles = ("static/base.css", "static/diagnosis.css")
    return _fill("diagnosis.html.j2", styles, {"theme": _read("static/theme.js")}, view)


def _fill(
    template: str, styles: Iterable[str], scripts: Mapping[str, str], view: Mapping[str, Any]
) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "display": display,
        "indent": indent,
        "number": number,
        "percent": percent,
    }
    return environment.get_template(template).render(
        view,
        # Safe: all are files of this package, and none contains "</"; a test checks this.
        styles=Markup("\n".join(map(_read, styles))),
        scripts={name: Markup(text) for name, text in scripts.items()},
        fonts={name: _base64(path) for name, path in FONTS.items()},
        policy=content_security_policy(scripts.values()),
    )


def indent(cell: Cell) -> int:
    """Return the number of spaces at the start of a line of code."""
    text = "".join(piece.text for piece in cell.pieces)
    return len(text) - len(text.lstrip())


def number(value: float | None, digits: int) -> str:
    """Return a number with `digits` significant digits, or "none"."""
    return "none" if value is None else f"{value:.{digits}g}"


def percent(share: float | None) -> str:
    """Return a fraction in percent, or "none"."""
    return "none" if share is None else f"{share:.2%}"


def content_security_policy(scripts: Any) -> str:
    """Return a policy that allows the page its own scripts, by their hashes, and no requests."""
    sums = " ".join(f"'sha256-{_sha256(text)}'" for text in scripts)
    return (
        f"default-src 'none'; script-src {sums}; style-src 'unsafe-inline'; img-src data:; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _base64(name: str) -> str:
    return base64.b64encode((HERE / name).read_bytes()).decode("ascii")
