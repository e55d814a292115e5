"""MkDocs hooks: which files of the repository are pages of the site, and what each shows."""

import os.path
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter
from traitlets.config import Config

from compare.catalogue.divergences.records import anchor_of

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)#\s]+)")
COPIED = (".png", ".svg", ".json", ".html")
CODE_PAGE = """---
search: {{exclude: true}}
hide: [navigation, toc]
---
# {name}

``````{language}
{text}
``````
"""


class RepositoryFile(File):
    """A file under its path in the repository, so that a link leads to the same file as there."""

    def is_documentation_page(self) -> bool:
        """Return whether the file is shown as a page; a picture or data is copied."""
        return not self.src_uri.endswith(COPIED)


def on_config(config: MkDocsConfig) -> None:
    """Make anchors as GitHub makes them, and no 404 page, which needs the address of the site."""
    config.mdx_configs["toc"]["slugify"] = lambda heading, _: anchor_of(heading).removeprefix("#")
    config.theme.static_templates.discard("404.html")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the page of a run, the README, and every file that it leads to."""
    run = ROOT / config.extra["run"]
    if not (run / "page.html").is_file():
        raise PluginError(
            f"There is no {run / 'page.html'}: write it with `python -m compare page`."
        )
    files.append(RepositoryFile("page.html", str(run), config.site_dir, True))
    for name in linked_files():
        files.append(RepositoryFile(name, str(ROOT), config.site_dir, True))


def linked_files() -> list[str]:
    """Return the README and every file to which links lead from it, also through others."""
    found, unread = ["README.md"], ["README.md"]
    while unread:
        name = unread.pop()
        for link in LINK.findall((ROOT / name).read_text(encoding="utf-8")):
            path = os.path.normpath(os.path.join(os.path.dirname(name), link))
            if path not in found and (ROOT / path).is_file():
                found.append(path)
                unread += [path] if path.endswith(".md") else []
    return found


def on_page_read_source(page: Page, config: MkDocsConfig) -> str | None:
    """Return a notebook or a source file as Markdown; None leaves Markdown as it is."""
    name, path = page.file.src_uri, ROOT / page.file.src_uri
    if path.suffix == ".md":
        return None
    if path.suffix == ".ipynb":
        keep_pictures_inside = Config({"ExtractOutputPreprocessor": {"enabled": False}})
        text, _ = MarkdownExporter(config=keep_pictures_inside).from_filename(str(path))
        return str(text)
    text = path.read_text(encoding="utf-8")
    return CODE_PAGE.format(name=name, language=path.suffix.removeprefix("."), text=text)
