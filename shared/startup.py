"""End `python -m PACKAGE` with a sentence if it fails before the package's own command starts.

Covers a framework that is not installed, and Ctrl-C during its import. The packages import this
module first; it does nothing when another program imports them.
"""

import sys
from types import TracebackType

from shared.errors import find_ending, print_sentence


def end_in_a_sentence(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the message of an error and exit, or print the traceback of a bug."""
    ending = find_ending(error)
    if ending is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print_sentence(ending[1])
        sys.exit(ending[0])


if sys.argv[:1] == ["-m"]:  # while Python is still looking for the module to run
    sys.excepthook = end_in_a_sentence
