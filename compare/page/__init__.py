"""`python -m compare page`: one HTML file of a run, that needs no network and no server."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from rich.console import Console

from shared.data.load import Dataset
from shared.errors import UserError


def main(args: Sequence[str]) -> int:
    """Write the page of a run and say where it is."""
    try:
        from compare.page.command import main as write
    except ModuleNotFoundError as error:
        raise UserError(f"The page {_needs(error)}.") from error
    return write(args)


def write_after_run(
    folder: Path, data: Dataset, implementations: Mapping[str, ModuleType], console: Console
) -> None:
    """Write page.html into a finished run's folder, and say where it is or why it is not.

    Raises nothing: the run is over and kept, and its exit status says whether parity holds.
    """
    try:
        from compare.page.command import write_page

        console.print(f"Page: {write_page(folder, data, implementations)}")
    except ModuleNotFoundError as error:
        console.print(f"No page was written: it {_needs(error)}.", style="yellow")
    except Exception as error:  # whatever it is, the run must not be lost to it
        said = str(error) if isinstance(error, UserError) else repr(error)
        console.print(f"No page was written: {said}", style="yellow")


def _needs(error: ModuleNotFoundError) -> str:
    library = str(error.name).split(".")[0]
    return f"needs {library}, which is not installed: python -m pip install {library}"
