"""How `python -m PACKAGE` ends where Python does not get as far as the package's own command.

A framework that is not installed, or Ctrl-C while it is imported, is a sentence. The packages
import this module before all else; it does nothing where they are imported by another program.
"""

import sys
from types import TracebackType

from shared.errors import find_ending, print_sentence


def end_in_a_sentence(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print why a command ends, and exit; print the traceback of a bug."""
    ending = find_ending(error)
    if ending is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print_sentence(ending[1])
        sys.exit(ending[0])


if sys.argv[:1] == ["-m"]:  # as long as Python looks for the module that it is to run
    sys.excepthook = end_in_a_sentence
