"""The roof over the implementations: run them side by side and hold them against each other."""

import shared.startup  # noqa: F401 - or Ctrl-C while importing is a traceback
from compare.diagnose.api import assert_same_function, diagnose

__all__ = ["assert_same_function", "diagnose"]
