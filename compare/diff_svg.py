"""A picture of the columns of `compare diff`, as a terminal shows them."""

from collections.abc import Sequence
from html import escape
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from compare.aligned import Row
from compare.diff_columns import column_lines
from compare.sources import Source
from shared.errors import UserError
from shared.files import write_text

# It brings its own background, so that it suits a light page and a dark one. The colours are
# black, red, green, yellow, blue, magenta, cyan and white, and stand out by at least 4.5 : 1.
THEME = TerminalTheme(
    background=(22, 27, 34),
    foreground=(230, 237, 243),
    normal=[
        (72, 79, 88),
        (255, 161, 152),
        (126, 231, 135),
        (242, 204, 96),
        (121, 192, 255),
        (210, 168, 255),
        (129, 203, 214),
        (230, 237, 243),
    ],
)
# Rich's own template fetches a font; a picture in a README may fetch nothing.
TEMPLATE = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>TITLE</title>
<style>
.{unique_id}-matrix {{
  font: {char_height}px/{line_height}px ui-monospace, SFMono-Regular, Menlo, Consolas,
    "DejaVu Sans Mono", monospace;
}}
{styles}
</style>
<defs>{lines}</defs>
<rect x="1" y="1" width="99.9%" height="99.8%" rx="12" fill="BACKGROUND" stroke="#3d444d" />
<g transform="translate({terminal_x}, 20)">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def draw_columns(path: Path, rows: Sequence[Row], sources: Sequence[Source], width: int) -> None:
    """Draw the columns, `width` characters wide, into an SVG file.

    Raises UserError if its name is not that of one, or if it cannot be written.
    """
    if path.suffix != ".svg":
        raise UserError(f"--svg is {path}: give a name that ends in .svg.")
    console = Console(
        file=StringIO(),
        record=True,
        width=width,
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        highlight=False,
    )
    for line in column_lines(rows, sources, width):
        console.print(line, soft_wrap=True)
    title = " beside ".join(source.path for source in sources).replace("{", "").replace("}", "")
    template = TEMPLATE.replace("TITLE", escape(title)).replace(
        "BACKGROUND", THEME.background_color.hex
    )
    write_text(path, console.export_svg(theme=THEME, code_format=template, unique_id="diff"))
