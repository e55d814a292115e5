"""`python -m compare page`: one HTML file of a run, which needs no network and no server."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from rich.console import Console

from shared.data.load import Dataset
from shared.errors import UserError, say_missing


def write_after_run(
    folder: Path, data: Dataset, implementations: Mapping[str, ModuleType], console: Console
) -> None:
    """Write page.html into a finished run's folder, and print where it is or why it is not.

    Raises nothing: the run is finished, and its exit status says whether parity holds.
    """
    try:
        from compare.page.command import write_page

        console.print(f"Page: {write_page(folder, data, implementations)}")
    except ModuleNotFoundError as error:
        console.print(f"No page was written: it {say_missing(error)}.", style="yellow")
    except Exception as error:  # no error of the page may lose the run
        said = str(error) if isinstance(error, UserError) else repr(error)
        console.print(f"No page was written: {said}", style="yellow")
